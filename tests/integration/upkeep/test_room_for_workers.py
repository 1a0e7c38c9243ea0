"""Containers and visits wait for room and for storage too, and nothing of them is lost meanwhile."""

import io
import zipfile
from typing import BinaryIO

import pytest
from sqlalchemy import select

from screening.archives.references import WithReferences
from screening.database.states import WorkState
from screening.database.tables import Container, Scan
from screening.radiographs.limits import ContainerLimits
from screening.storage import StorageError
from tests.installation import phantom_png
from tests.integration.web.conftest import Portal
from tests.integration.web.limited import limited
from worker.unpack import Unpacking


def one_packed_picture(portal: Portal) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.png", phantom_png(1))
    api = portal.api()
    api.receipts(api.open_run(), ("pictures.zip", packed.getvalue()))


def test_a_container_waits_until_there_is_room_for_its_members(portal: Portal) -> None:
    one_packed_picture(portal)
    free = portal.system.storage.free_bytes()
    assert free is not None
    limited(portal, reserve_bytes=free + 10**12)
    unpacking = Unpacking(portal.system, ContainerLimits(), prepare=lambda _: None)
    assert not unpacking.unpack_slice(lambda: False)
    with portal.system.database.read() as session:
        container = session.scalars(select(Container)).one()
        assert (container.state, container.attempts) == (WorkState.WAITING, 0)
    limited(portal)
    unpacking.unpack_slice(lambda: False)
    with portal.system.database.read() as session:
        assert session.scalars(select(Container.state)).one() == WorkState.READY
        assert len(session.scalars(select(Scan.id)).all()) == 1


def test_storage_that_fails_is_not_asked_again_and_again(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    one_packed_picture(portal)
    unpacking = Unpacking(portal.system, ContainerLimits(), prepare=lambda _: None)
    asked = 0

    def fails(_storage: WithReferences, _key: str) -> BinaryIO:
        nonlocal asked
        asked += 1
        raise StorageError("the disk does not answer")

    def fails_too(_storage: WithReferences) -> None:
        raise StorageError("the disk does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(WithReferences, "open", fails)
        broken.setattr(WithReferences, "ping", fails_too)
        assert not unpacking.unpack_slice(lambda: False), "the sweep wakes a worker again, in its time"
    assert asked == 1
    with portal.system.database.read() as session:
        assert session.scalars(select(Container.state)).one() == WorkState.WAITING
    unpacking.unpack_slice(lambda: False)
    with portal.system.database.read() as session:
        assert session.scalars(select(Container.state)).one() == WorkState.READY
