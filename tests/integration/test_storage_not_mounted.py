"""Workers in whose storage folder nothing lies, because its disk is not mounted: everything waits until it is."""

import io
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select

from screening.database.tables import Container, Job, Rendition, Scan
from screening.radiographs.limits import ContainerLimits
from screening.storage import original_key
from screening.upkeep import capacity
from screening.upkeep.ownership import settle_own
from tests.installation import Installation, phantom_png
from tests.integration.rescreening.visits import HasSystem
from tests.integration.troubled_storage import prepare_with
from tests.integration.web.conftest import Portal
from tests.integration.web.conftest import portal as portal
from tests.integration.web.limited import limited
from tests.integration.workers_within import prepare_all, screen_all, screener_with
from worker.unpack import Unpacking


@contextmanager
def not_mounted(made: HasSystem) -> Iterator[None]:
    """The storage folder as it is without its disk: empty, and it can be written."""
    objects = made.system.settings.data_dir / "objects"
    disk = objects.rename(objects.with_name("disk"))
    objects.mkdir()
    yield
    shutil.rmtree(objects)
    disk.rename(objects)


@pytest.fixture
def made(installed: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """Its processes look at every moment whose the storage is."""
    monkeypatch.setattr(capacity, "OWN_LOOKED_EVERY_S", 0.0)
    limited(installed)
    settle_own(installed.system.database, installed.system.storage)
    return installed


def sent(made: Installation, *files: tuple[str, bytes]) -> int:
    run = made.open_run()
    for name, data in files:
        made.upload(run, name, data)
    made.submit(run)
    return run


def states(made: Installation) -> dict[str, int]:
    with made.system.database.read() as session:
        return dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())


def pictures(count: int) -> list[tuple[str, bytes]]:
    return [(f"{seed}.png", phantom_png(seed)) for seed in range(count)]


def test_no_scan_is_rejected_for_want_of_its_original(made: Installation) -> None:
    sent(made, *pictures(4))
    with not_mounted(made):
        assert prepare_with(made.system, 3) == [False] * 3
        assert states(made) == {"preparing": 4}
        with made.system.database.read() as session:
            assert set(session.scalars(select(Rendition.attempts))) == {0}
            assert set(session.scalars(select(Scan.original_removed_at))) == {None}
    prepare_all(made)
    assert states(made) == {"queued": 4}


def test_an_original_that_is_lost_from_the_own_storage_is_told_as_before(made: Installation) -> None:
    sent(made, *pictures(3))
    with made.system.database.read() as session:
        lost = session.scalars(select(Scan.sha256).order_by(Scan.id)).first()
    made.system.storage.delete(original_key(str(lost)))
    prepare_all(made)
    assert states(made) == {"queued": 2, "rejected": 1}


def test_no_rendition_is_made_again(made: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    sent(made, *pictures(4))
    prepare_all(made)
    screener, _ = screener_with(monkeypatch, made, lambda _: None)
    screener.warm_up()
    with not_mounted(made):
        assert screener.screen_slice(lambda: False) is False
        assert states(made) == {"queued": 4}
    screen_all(screener)
    assert states(made) == {"screened": 4}


def test_no_container_is_given_up(made: Installation) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("1.png", phantom_png(1))
    sent(made, ("a.zip", packed.getvalue()))
    unpacking = Unpacking(made.system, ContainerLimits(), lambda _: None)
    with not_mounted(made):
        assert unpacking.unpack_slice(lambda: False) is False
        with made.system.database.read() as session:
            assert session.execute(select(Container.state, Container.attempts)).one() == ("waiting", 0)
    unpacking.unpack_slice(lambda: False)
    assert states(made) == {"preparing": 1}


def test_nothing_is_taken_into_the_empty_folder(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What were written there would be out of sight once the disk is mounted."""
    monkeypatch.setattr(capacity, "OWN_LOOKED_EVERY_S", 0.0)
    settle_own(portal.system.database, portal.system.storage)
    limited(portal)
    api = portal.api()
    run = api.open_run()
    with not_mounted(portal):
        refused = api.send(run, ("a.png", phantom_png(1)))
        assert (refused.status_code, refused.get_json()["code"]) == (507, "storage_not_own")
        assert [found.key for found in portal.system.storage.list("")] == []
        ready = portal.app.test_client().get("/readyz")
        assert (ready.status_code, ready.get_json(force=True)["checks"]["storage"]) == (503, "not its own")
    assert api.send(run, ("a.png", phantom_png(1))).status_code == 202
