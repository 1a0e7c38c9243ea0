"""What destroys is done only where database and storage are of the same installation."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click import Context
from sqlalchemy import delete, select, update

from screening.cli.doctor import _belonging, doctor
from screening.database.engine import Database
from screening.database.tables import Installation, Scan
from screening.errors import Conflict
from screening.storage import original_key
from screening.storage.folder import FolderStorage
from screening.upkeep.backup.making import make_backup
from screening.upkeep.backup.restoring import restore
from screening.upkeep.clean_up import Policy, clean_up
from screening.upkeep.objects import check_objects
from screening.upkeep.ownership import MARKER, Marker, read_marker, settle_own, write_marker
from tests.conftest import migrate
from tests.installation import phantom_png
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
LATER = datetime.now(UTC) + timedelta(days=3)


@pytest.fixture
def screened(portal: Portal) -> Portal:
    api = portal.api()
    api.receipts(api.open_run(), *((f"{seed}.png", phantom_png(seed)) for seed in range(5)))
    screen_everything(portal.system, {})
    return portal


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    """A database with the newest schema and no row, such as `screening migrate` makes where another was lost."""
    database = Database(f"sqlite:///{tmp_path}/empty.db")
    migrate(database)
    yield database
    database.dispose()


def originals(portal: Portal) -> set[str]:
    return {found.key for found in portal.system.storage.list("originals/")}


@pytest.mark.parametrize("marked", [True, False])
def test_an_empty_database_removes_nothing_of_a_storage_in_use(screened: Portal, empty: Database, marked: bool) -> None:
    storage = screened.system.storage
    if marked:
        settle_own(screened.system.database, storage)
    before = originals(screened)
    assert len(before) == 5
    for apply in (False, True):
        with pytest.raises(Conflict, match="storage"):
            clean_up(empty, storage, LATER, Policy(), "tests", apply=apply)
    with pytest.raises(Conflict, match="storage"):
        list(check_objects(empty, storage, LATER, "tests", hashes=False, repair=True))
    with pytest.raises(Conflict, match="storage"):
        settle_own(empty, storage)
    assert originals(screened) == before
    assert (read_marker(storage) is not None) is marked, "it does not become the storage of the empty one"


def test_a_backup_takes_rows_and_objects_of_one_installation(screened: Portal, empty: Database, tmp_path: Path) -> None:
    settle_own(empty, FolderStorage(tmp_path / "other"))
    settle_own(screened.system.database, screened.system.storage)
    with pytest.raises(Conflict, match="another installation"):
        make_backup(empty, screened.system.storage, NOW, tmp_path / "backups", "s")
    assert not (tmp_path / "backups").exists()


def test_a_trial_restore_leaves_the_storage_in_use_alone(screened: Portal, tmp_path: Path) -> None:
    system = screened.system
    make_backup(system.database, system.storage, NOW, tmp_path / "backups", "s")
    api = screened.api()
    api.receipts(api.open_run(), ("after.png", phantom_png(9)))
    before = {found.key: found for found in system.storage.list("")}
    trial = Database(f"sqlite:///{tmp_path}/trial.db")
    with pytest.raises(Conflict, match="storage is not empty"):
        restore(tmp_path / "backups", trial, system.storage, NOW, "tests")
    assert {found.key: found for found in system.storage.list("")} == before

    restore(tmp_path / "backups", trial, FolderStorage(tmp_path / "trial"), NOW, "tests")
    with pytest.raises(Conflict, match="another installation"):
        clean_up(trial, system.storage, LATER, Policy(), "tests", apply=True)
    assert {found.key: found for found in system.storage.list("")} == before
    trial.dispose()


def test_a_lost_database_is_restored_beside_its_storage(screened: Portal, empty: Database, tmp_path: Path) -> None:
    system = screened.system
    own = settle_own(system.database, system.storage)
    make_backup(system.database, system.storage, NOW, tmp_path / "backups", "s")
    api = screened.api()
    api.receipts(api.open_run(), ("after.png", phantom_png(9)))
    before = {found.key: found for found in system.storage.list("")}
    lost = next(iter(sorted(originals(screened))))
    system.storage.delete(lost)
    back = restore(tmp_path / "backups", empty, system.storage, NOW, "tests", take_over=True)
    assert (back.installation, back.not_in_backup) == (own, 1)
    after = {found.key: found for found in system.storage.list("")}
    assert after.keys() == before.keys()
    untouched = before.keys() - {lost, MARKER}
    assert {key: after[key] for key in untouched} == {key: before[key] for key in untouched}, "nothing is overwritten"
    make_backup(empty, system.storage, NOW + timedelta(days=1), tmp_path / "backups", "other key")
    clean_up(empty, system.storage, LATER, Policy(), "tests", apply=True)
    assert originals(screened) < before.keys()
    assert len(originals(screened)) == 5


def test_the_storage_of_another_installation_is_not_taken_over(screened: Portal, tmp_path: Path) -> None:
    system = screened.system
    make_backup(system.database, system.storage, NOW, tmp_path / "backups", "s")
    other = FolderStorage(tmp_path / "other")
    write_marker(other, Marker("f" * 32))
    with pytest.raises(Conflict, match="another installation"):
        restore(tmp_path / "backups", Database(f"sqlite:///{tmp_path}/new.db"), other, NOW, "tests", take_over=True)


def test_a_restore_that_failed_goes_on_when_it_is_called_again(
    screened: Portal, empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = screened.system
    make_backup(system.database, system.storage, NOW, tmp_path / "backups", "s")
    storage = FolderStorage(tmp_path / "new")

    def fail(*_: object) -> int:
        raise OSError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr("screening.upkeep.backup.restoring._restore_rows", fail)
        with pytest.raises(OSError, match="power"):
            restore(tmp_path / "backups", empty, storage, NOW, "tests")
    with pytest.raises(Conflict, match="not finished"):
        settle_own(empty, storage)
    done = restore(tmp_path / "backups", empty, storage, NOW, "tests")
    assert settle_own(empty, storage) == done.installation != settle_own(system.database, system.storage)


def test_most_originals_go_only_by_force(screened: Portal) -> None:
    system = screened.system
    settle_own(system.database, system.storage)
    known = originals(screened)
    for number in range(6):
        system.storage.put(original_key(f"{number:064x}"), b"nobody's")
    with pytest.raises(Conflict, match="--force"):
        clean_up(system.database, system.storage, LATER, Policy(), "tests", apply=True)
    removed = clean_up(system.database, system.storage, LATER, Policy(), "tests", apply=True, force=True)
    assert removed["orphaned"].count == 6
    assert originals(screened) == known


def test_an_installation_of_before_gets_id_and_marker_once(screened: Portal) -> None:
    """Several processes start at the same time after an update."""
    system = screened.system
    with system.database.write() as session:
        session.execute(delete(Installation))
    got: list[str] = []
    threads = [
        threading.Thread(target=lambda: got.append(settle_own(system.database, system.storage))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 6
    with system.database.read() as session:
        assert set(got) == set(session.scalars(select(Installation.id)))
    assert read_marker(system.storage) == Marker(got[0])


def test_a_moved_storage_is_still_the_own_one_and_the_doctor_says_so(screened: Portal, tmp_path: Path) -> None:
    system = screened.system
    own = settle_own(system.database, system.storage)
    moved = FolderStorage(tmp_path / "moved")
    for found in system.storage.list(""):
        moved.put(found.key, system.storage.get(found.key))
    assert settle_own(system.database, moved) == own
    moved.delete(MARKER)
    assert settle_own(system.database, moved) == own, "copied by a tool that was given the originals alone"
    with Context(doctor):
        assert own[:8] in _belonging(system.settings)[1]
    system.storage.delete(MARKER)
    write_marker(system.storage, Marker("f" * 32))
    with Context(doctor), pytest.raises(Conflict, match="another installation"):
        _belonging(system.settings)


@pytest.mark.parametrize("uploaded_since", [0, 1])
def test_a_folder_whose_disk_is_not_mounted_is_not_taken_for_the_storage(
    screened: Portal, tmp_path: Path, uploaded_since: int
) -> None:
    system = screened.system
    settle_own(system.database, system.storage)
    kept = make_backup(system.database, system.storage, NOW, tmp_path / "backups", "s").folder
    bare = FolderStorage(tmp_path / "bare")
    for key in sorted(originals(screened))[:uploaded_since]:
        bare.put(key, system.storage.get(key))
    with pytest.raises(Conflict, match="mounted"):
        settle_own(system.database, bare)
    with pytest.raises(Conflict, match="mounted"):
        make_backup(system.database, bare, NOW + timedelta(days=1), tmp_path / "backups", "s", keep=1)
    with pytest.raises(Conflict, match="mounted"):
        list(check_objects(system.database, bare, LATER, "tests", hashes=False, repair=True))
    for apply in (False, True):
        with pytest.raises(Conflict, match="mounted"):
            clean_up(system.database, bare, LATER, Policy(), "tests", apply=apply)
    assert kept.is_dir()
    assert read_marker(bare) is None
    with system.database.read() as session:
        assert set(session.scalars(select(Scan.original_removed_at))) == {None}


def test_a_storage_that_is_lost_is_given_up_by_force(screened: Portal, tmp_path: Path) -> None:
    system = screened.system
    own = settle_own(system.database, system.storage)
    new = FolderStorage(tmp_path / "new")
    clean_up(system.database, new, LATER, Policy(), "tests", apply=True, force=True)
    assert settle_own(system.database, new) == own
    findings = list(check_objects(system.database, new, LATER, "tests", hashes=False, repair=True))
    assert ("original_missing", 5) in [(finding.code, finding.count) for finding in findings]


def test_an_empty_storage_is_taken_where_no_original_is_kept(screened: Portal, tmp_path: Path) -> None:
    system = screened.system
    own = settle_own(system.database, system.storage)
    with system.database.write() as session:
        session.execute(update(Scan).values(original_removed_at=NOW))
    assert settle_own(system.database, FolderStorage(tmp_path / "new")) == own
