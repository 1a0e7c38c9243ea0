"""Containers and visits wait for room too, and nothing of them is lost meanwhile."""

import io
import zipfile

from sqlalchemy import select

from screening.database.states import WorkState
from screening.database.tables import Container, Scan
from screening.radiographs.limits import ContainerLimits
from tests.installation import phantom_png
from tests.integration.web.conftest import Portal
from tests.integration.web.test_room import limited
from worker.unpack import Unpacking


def test_a_container_waits_until_there_is_room_for_its_members(portal: Portal) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.png", phantom_png(1))
    api = portal.api()
    api.receipts(api.open_run(), ("pictures.zip", packed.getvalue()))
    free = portal.system.storage.free_bytes()
    assert free is not None
    limited(portal, reserve_bytes=free + 10**12)
    unpacking = Unpacking(portal.system, ContainerLimits())
    assert not unpacking.unpack_slice(lambda: False)
    with portal.system.database.read() as session:
        container = session.scalars(select(Container)).one()
        assert (container.state, container.attempts) == (WorkState.WAITING, 0)
    limited(portal)
    unpacking.unpack_slice(lambda: False)
    with portal.system.database.read() as session:
        assert session.scalars(select(Container.state)).one() == WorkState.READY
        assert len(session.scalars(select(Scan.id)).all()) == 1
