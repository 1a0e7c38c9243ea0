"""Backups are made while work goes on, and bring everything back into an empty installation."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, make_url, select, text

from screening.accounts import issue_sign_in_link, redeem_sign_in_link
from screening.database.engine import Database
from screening.database.migrate import MigrationError, has_newest_schema
from screening.database.states import JobState
from screening.database.tables import AuditEvent, Container, Job, Prediction, Receipt, Scan
from screening.errors import Conflict, NotFound
from screening.inference.bundle import Bundle
from screening.runs.lifecycle import open_run
from screening.storage import Storage, container_key, display_key, open_storage, original_key
from screening.upkeep.backup.making import Backup, make_backup
from screening.upkeep.backup.manifest import BackupDamaged, generations
from screening.upkeep.backup.pool import read_objects
from screening.upkeep.backup.restoring import check_backup, restore
from tests.installation import Installation, installation, phantom_png, wait_until
from tests.integration.commands import screening
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)


@pytest.fixture
def empty_url(database_url: str, tmp_path: Path) -> Iterator[str]:
    """A database of the same kind without any table."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path}/restored/screening.db"
        return
    name = f"restored_{tmp_path.parent.name}_{tmp_path.name}".replace("-", "_")[-60:]
    maintenance = create_engine(make_url(database_url).set(database="postgres"), isolation_level="AUTOCOMMIT")
    with maintenance.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    yield make_url(database_url).set(database=name).render_as_string(hide_password=False)
    with maintenance.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    maintenance.dispose()


@pytest.fixture
def empty(empty_url: str, tmp_path: Path) -> Iterator[tuple[Database, Storage]]:
    database = Database(empty_url)
    yield database, open_storage(f"file://{tmp_path}/restored/objects")
    database.dispose()


@pytest.fixture
def screened(portal: Portal) -> Portal:
    api = portal.api()
    api.receipts(api.open_run(), ("a.png", phantom_png(1)), ("ü.png", phantom_png(2)), ("note.txt", b"no picture"))
    screen_everything(portal.system, {"a.png": 0.1234567890123456})
    return portal


def backup(portal: Portal, folder: Path, now: datetime = NOW, keep: int | None = None) -> Backup:
    return make_backup(portal.system.database, portal.system.storage, now, folder, "fingerprint", keep)


def everything(database: Database) -> list[list[object]]:
    with database.read() as session:
        return [
            [tuple(row) for row in session.execute(select(*table.__table__.columns).order_by(table.id))]
            for table in (Scan, Job, Receipt, Prediction)
        ]


def test_what_is_restored_is_what_was_there(screened: Portal, empty: tuple[Database, Storage], tmp_path: Path) -> None:
    made = backup(screened, tmp_path / "backups")
    assert (made.missing, made.damaged) == (0, ())
    before = everything(screened.system.database)
    database, storage = empty
    done = restore(tmp_path / "backups", database, storage, NOW, "tests")
    assert done.damaged == ()
    assert everything(database) == before
    assert has_newest_schema(database)
    for scan in (scan for scan in before[0]):
        sha = scan[1]
        assert storage.get(original_key(sha)) == screened.system.storage.get(original_key(sha))
        assert storage.get(display_key(scan[0]))
    with database.write() as session:
        assert session.scalars(select(AuditEvent).where(AuditEvent.action == "backup.restored")).one()
        assert open_run(session, NOW, "after", "routine", "tests").id > 1, "new rows get new ids"


def test_a_link_to_sign_in_by_does_not_come_back_with_a_backup(
    screened: Portal, empty: tuple[Database, Storage], tmp_path: Path
) -> None:
    """Whoever finds an old backup holds no way in, and a link that was used since the backup is not good once more."""
    with screened.system.database.write() as session:
        secret = issue_sign_in_link(session, NOW, screened.people["operator"], "tests")
    backup(screened, tmp_path / "backups")
    database, storage = empty
    restore(tmp_path / "backups", database, storage, NOW, "tests")
    for one, works in ((screened.system.database, True), (database, False)):
        with one.write() as session:
            assert (redeem_sign_in_link(session, NOW, secret) is not None) is works


def test_the_second_backup_copies_only_what_is_new_and_old_ones_can_go(screened: Portal, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    first = backup(screened, folder)
    pooled = {path.name: path.stat().st_mtime_ns for path in (folder / "objects").glob("??/*")}
    api = screened.api()
    api.receipts(api.open_run(), ("c.png", phantom_png(3)))
    second = backup(screened, folder, NOW + timedelta(days=1))
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "objects").glob("??/*")}
    assert {name: after[name] for name in pooled} == pooled
    assert len(after) == len(pooled) + 1
    assert generations(folder) == [first.folder, second.folder]
    for scan in everything(screened.system.database)[0]:
        screened.system.storage.delete(display_key(str(scan[0])))  # type: ignore[index]
    lost = original_key(str(everything(screened.system.database)[0][0][1]))  # type: ignore[index]
    screened.system.storage.delete(lost)
    third = backup(screened, folder, NOW + timedelta(days=2), keep=1)
    assert (third.removed, third.missing) == (2, 0), "an original that storage lost is taken from the backup before"
    assert lost in {item["key"] for item in read_objects(third.folder)}
    left = {path.name for path in (folder / "objects").glob("??/*")}
    assert left == {item["sha256"] for item in read_objects(third.folder)}
    assert generations(folder) == [third.folder]
    assert check_backup(folder).damaged == ()


def test_an_installation_that_is_not_empty_is_left_alone(screened: Portal, tmp_path: Path) -> None:
    backup(screened, tmp_path / "backups")
    with pytest.raises(Conflict, match="not empty"):
        restore(tmp_path / "backups", screened.system.database, screened.system.storage, NOW, "tests")


def test_damaged_rows_are_refused_and_damaged_objects_are_named(
    screened: Portal, empty: tuple[Database, Storage], tmp_path: Path
) -> None:
    made = backup(screened, tmp_path / "backups")
    scan = everything(screened.system.database)[0][0]
    sha = str(scan[1])  # type: ignore[index]
    (tmp_path / "backups" / "objects" / sha[:2] / sha).write_bytes(b"rotten")
    named = check_backup(tmp_path / "backups").damaged
    assert original_key(sha) in named
    done = restore(tmp_path / "backups", *empty, NOW, "tests")
    assert done.damaged == named
    assert not empty[1].exists(original_key(sha))
    rows = made.folder / "rows" / "scans.jsonl.gz"
    rows.write_bytes(rows.read_bytes()[:-3])
    with pytest.raises(BackupDamaged, match=r"scans\.jsonl\.gz"):
        check_backup(tmp_path / "backups")
    with pytest.raises(NotFound):
        check_backup(tmp_path)


def test_a_backup_of_a_newer_release_is_refused(
    screened: Portal, empty: tuple[Database, Storage], tmp_path: Path
) -> None:
    manifest = backup(screened, tmp_path / "backups").folder / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "revision": "20990101_future"}))
    with pytest.raises(MigrationError, match="newer release"):
        restore(tmp_path / "backups", *empty, NOW, "tests")


def test_an_original_that_is_not_what_its_name_says_is_told(portal: Portal, tmp_path: Path) -> None:
    api = portal.api()
    api.receipts(api.open_run(), ("a.png", phantom_png(1)))
    key = original_key(str(everything(portal.system.database)[0][0][1]))  # type: ignore[index]
    portal.system.storage.put(key, b"rotten")
    made = backup(portal, tmp_path / "backups")
    assert made.damaged == (key,)
    assert made.missing == 1


def test_a_container_that_is_unpacked_meanwhile_does_not_slip_through(screened: Portal, tmp_path: Path) -> None:
    """Its row still waits in the moment of the backup, so its bytes must be there too."""
    sha, storage = hashlib.sha256(b"zip").hexdigest(), screened.system.storage
    run = screened.api().open_run()
    asked: list[str] = []

    class Late:
        """Shows the container only to the second look, as if it had arrived between listing and moment."""

        def __getattr__(self, name: str) -> object:
            return getattr(storage, name)

        def list(self, prefix: str) -> object:
            asked.append(prefix)
            if prefix == "containers/" and asked.count(prefix) == 1:
                found = list(storage.list(prefix))
                with screened.system.database.write() as session:
                    session.add(
                        Container(run_id=run, sha256=sha, file_name="a", state="waiting", lane=1, queued_at=NOW)
                    )
                storage.put(container_key(sha), b"zip")
                return iter(found)
            return storage.list(prefix)

    made = make_backup(screened.system.database, Late(), NOW, tmp_path / "backups", "s")  # type: ignore[arg-type]
    assert asked.count("containers/") == 2
    assert container_key(sha) in {item["key"] for item in read_objects(made.folder)}


def test_everything_goes_on_after_a_restore_of_a_backup_made_at_work(
    installed: Installation, empty_url: str, redis_url: str, random_bundle: Bundle, tmp_path: Path
) -> None:
    run = installed.open_run("at work")
    names = [f"{number}.png" for number in range(40)]
    installed.start_all()
    for number, name in enumerate(names):
        installed.upload(run, name, phantom_png(number))
    wait_until(lambda: installed.progress(run).screened > 0, 90, "work has begun")
    made = screening("backup", tmp_path / "backups", environment=installed.environment)
    assert made.code == 0, made
    installed.submit(run)
    installed.wait_complete(run)
    installed.stop()
    installed.system.database.dispose()
    shutil.rmtree(installed.folder)

    environment = {
        **installed.environment,
        "SCREENING_DATA_DIR": str(tmp_path / "restored"),
        "SCREENING_DATABASE_URL": empty_url,
    }
    assert screening("restore", tmp_path / "backups", "--check", environment=environment).code == 0
    done = screening("restore", tmp_path / "backups", environment=environment)
    assert done.code == 0, done
    again = screening("restore", tmp_path / "backups", environment=environment)
    assert again.code == 1
    assert "not empty" in again.err

    with installation(tmp_path / "restored", empty_url, redis_url, random_bundle) as back:
        with back.system.database.read() as session:
            admitted = session.scalar(select(func.count()).select_from(Job)) or 0
            assert session.scalar(select(func.count()).select_from(Receipt)) == admitted == len(names)
        back.start_all()
        back.submit(run)
        back.wait_complete(run)
        with back.system.database.read() as session:
            states = set(session.scalars(select(Job.state)))
            assert states == {JobState.SCREENED}
            assert session.scalar(select(func.count()).select_from(Prediction)) == len(names)
