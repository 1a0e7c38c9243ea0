"""A portal that has room for little."""

from screening.upkeep.capacity import Capacity, Limits
from tests.integration.web.conftest import Portal


def limited(portal: Portal, **changes: int) -> Capacity:
    """The portal's capacity, fresh and with other limits."""
    values = {"reserve_bytes": 0, "quota_bytes": 0, "most_waiting": 1000, **changes}
    capacity = Capacity(portal.system.database, portal.system.storage, Limits(**values))
    object.__setattr__(portal.system, "capacity", capacity)
    return capacity
