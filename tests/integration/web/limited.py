"""A portal, or another installation, that has room for little."""

from screening.upkeep.capacity import Capacity, Limits
from tests.integration.rescreening.visits import HasSystem


def limited(portal: HasSystem, **changes: int) -> Capacity:
    """Its capacity, fresh and with other limits."""
    values = {"reserve_bytes": 0, "quota_bytes": 0, "most_waiting": 1000, **changes}
    capacity = Capacity(portal.system.database, portal.system.storage, Limits(**values))
    object.__setattr__(portal.system, "capacity", capacity)
    return capacity
