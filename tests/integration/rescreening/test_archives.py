"""Archives: visited, what is new admitted by its bytes, originals copied or read in place; folders and buckets."""

import os
import stat
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from screening.archives import registry
from screening.archives.registry import archive_url, claim_visit, remove_archive
from screening.clock import utc_now
from screening.database.schedule_tables import Archive, ArchiveFile
from screening.database.tables import AuditEvent, Job, Receipt, Rendition, Run, Scan
from screening.errors import Conflict, Refused
from screening.inference.bundle import Bundle
from screening.ledger.lease import Lease
from screening.storage import ObjectMissing, original_key
from tests.installation import Installation, installation, phantom_png
from tests.integration.commands import Answer, screening
from tests.integration.rescreening.visits import add, put, visit_now
from tests.integration.workers_within import prepare_all
from worker.archives import Visitor


@pytest.fixture
def made(tmp_path: Path, sqlite_url: str, redis_url: str, random_bundle: Bundle) -> Iterator[Installation]:
    with installation(tmp_path / "data", sqlite_url, redis_url, random_bundle) as opened:
        yield opened


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """Five pictures in two folders, the same bytes twice, a note, and links that must not be followed."""
    folder = tmp_path / "ward 7 ä"
    for seed in range(5):
        put(folder / f"{seed % 2}" / f"{seed}.png", phantom_png(seed))
    put(folder / "again.png", phantom_png(0))
    put(folder / "note.txt", b"only words")
    (folder / "loop").symlink_to(folder)
    (folder / "link.png").symlink_to(folder / "again.png")
    return folder


def count(made: Installation, table: type) -> int:
    with made.system.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def prepare(made: Installation) -> dict[str, int]:
    prepare_all(made)
    with made.system.database.read() as session:
        return dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())


@pytest.mark.parametrize("in_place", [False, True])
def test_a_visit_admits_what_is_new_and_the_next_one_nothing(made: Installation, ward: Path, in_place: bool) -> None:
    archive = add(made, archive_url(str(ward), made.system.settings.resolved_storage_url), in_place)
    seen = visit_now(made, archive)
    assert (seen.found, seen.admitted, seen.refused, seen.problem, seen.visit_wanted) == (7, 6, 1, None, False)
    assert count(made, Scan) == 5, "the same bytes are one scan"
    with made.system.database.read() as session:
        run = session.scalars(select(Run)).one()
        assert (run.state, run.lane, run.created_by) == ("running", 2, f"archive {archive}")
        assert set(session.scalars(select(Job.file_name))) == {
            *(f"{seed % 2}/{seed}.png" for seed in range(5)),
            "again.png",
        }
    assert prepare(made) == {"queued": 6}
    again = visit_now(made, archive)
    assert (again.found, again.admitted, again.refused) == (7, 0, 0)
    assert count(made, Run) == 1, "a visit without anything new opens no run"
    put(ward / "new" / "9.png", phantom_png(9))
    put(ward / "again.png", phantom_png(8))
    third = visit_now(made, archive)
    assert (third.found, third.admitted) == (8, 2), "a new file, and one that was changed"
    assert (count(made, Scan), count(made, ArchiveFile)) == (7, 8)


def test_in_place_copies_nothing_and_never_takes_a_changed_file_for_the_old_one(
    made: Installation, ward: Path, tmp_path: Path
) -> None:
    archive = add(made, archive_url(str(ward), made.system.settings.resolved_storage_url), in_place=True)
    visit_now(made, archive)
    assert not (made.folder / "objects" / "originals").exists()
    with made.system.database.read() as session:
        digests = dict(session.execute(select(Scan.file_name, Scan.sha256)).all())
    name = next(name for name in digests if name.startswith("1/"))
    key = original_key(digests[name])
    assert made.system.storage.exists(key)
    assert made.system.storage.get(key) == (ward / name).read_bytes()
    (ward / name).write_bytes(phantom_png(77))
    with pytest.raises(ObjectMissing, match="another one now"):
        made.system.storage.get(key)
    (ward / name).unlink()
    with pytest.raises(ObjectMissing):
        made.system.storage.get(key)
    assert prepare(made)["rejected"] == 1
    with made.system.database.read() as session:
        codes = session.scalars(select(Rendition.problem_code).where(Rendition.state == "rejected")).all()
    assert codes == ["original_missing"], "reported; its neighbours are prepared"


def test_asked_to_stop_the_visit_stays_wanted(made: Installation, ward: Path) -> None:
    archive = add(made, archive_url(str(ward), made.system.settings.resolved_storage_url))
    seen = visit_now(made, archive, should_stop=lambda: True)
    assert (seen.visit_wanted, seen.lease_token) == (True, None)
    assert count(made, Scan) == 0


def test_a_file_that_is_still_being_written_waits_and_one_without_rights_is_reported(
    made: Installation, ward: Path
) -> None:
    archive = add(made, archive_url(str(ward), made.system.settings.resolved_storage_url))
    (ward / "fresh.png").write_bytes(phantom_png(20)[:500])
    locked = ward / "1" / "1.png"
    locked.chmod(0)
    readable = os.access(locked, os.R_OK)
    visit_now(made, archive)
    with made.system.database.read() as session:
        names = set(session.scalars(select(Receipt.file_name)))
        reasons = dict(session.execute(select(Receipt.file_name, Receipt.code).where(Receipt.code.is_not(None))).all())
    assert "fresh.png" not in names
    if not readable:
        assert reasons["1/1.png"] == "unreadable"
    locked.chmod(stat.S_IRUSR)
    visit_now(made, archive)
    assert count(made, Scan) == 5


def test_an_archive_that_is_away_is_reported_and_tried_when_it_is_due(made: Installation, ward: Path) -> None:
    archive = add(made, archive_url(str(ward), made.system.settings.resolved_storage_url))
    ward.rename(ward.with_name("away"))
    seen = visit_now(made, archive)
    assert "cannot be read" in (seen.problem or "")
    assert count(made, Run) == 0
    with made.system.database.write() as session:
        assert claim_visit(session, utc_now(), Lease.new(utc_now(), 60)) is None
        tomorrow = utc_now() + timedelta(days=1)
        assert claim_visit(session, tomorrow, Lease.new(tomorrow, 60)) is not None


def test_what_may_be_an_archive(made: Installation, ward: Path, tmp_path: Path) -> None:
    storage = made.system.settings.resolved_storage_url
    for wrong in (str(tmp_path / "nothing"), str(tmp_path), str(made.folder / "objects"), "s3://", "http://x/y"):
        with pytest.raises(Refused):
            archive_url(wrong, storage)
    archive = add(made, archive_url(str(ward), storage))
    with pytest.raises(Conflict):
        add(made, archive_url(f"{ward}/../{ward.name}", storage))
    with made.system.database.write() as session:
        remove_archive(session, utc_now(), archive, "tests")
    with made.system.database.read() as session:
        assert registry.all_archives(session) == []
    add(made, archive_url(str(ward), storage))


@pytest.mark.parametrize(
    ("place", "taken"),
    [
        ("s3://hospital", False),
        ("s3://hospital/", False),
        ("s3://hospital/screening", False),
        ("s3://hospital/screening/renditions", False),
        ("s3://hospital/screening-2024", True),
        ("s3://hospital/xrays", True),
        ("s3://other/screening", True),
        ("s3://hospital?endpoint=http://elsewhere:9000", True),
    ],
)
def test_a_prefix_that_holds_the_own_storage_is_no_archive(place: str, taken: bool) -> None:
    if taken:
        assert archive_url(place, "s3://hospital/screening") == place
    else:
        with pytest.raises(Refused, match="own storage"):
            archive_url(place, "s3://hospital/screening")


def test_upkeep_visits_in_a_thread_and_one_at_a_time(made: Installation, ward: Path) -> None:
    archive = add(made, archive_url(str(ward), made.system.settings.resolved_storage_url))
    first, second = Visitor(made.system), Visitor(made.system)
    first.begin_due()
    second.begin_due()
    for visitor in (first, second):
        for thread in threading.enumerate():
            if thread.name == "visit":
                thread.join(60)
        visitor.close()
    with made.system.database.read() as session:
        seen = session.get_one(Archive, archive)
        assert (seen.admitted, seen.lease_token, session.scalar(select(func.count()).select_from(Run))) == (6, None, 1)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_bucket_is_an_archive_too(made: Installation, monkeypatch: pytest.MonkeyPatch, in_place: bool) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket="ward")
        for seed in range(3):
            client.put_object(Bucket="ward", Key=f"xr/2024 é/{seed}.png", Body=phantom_png(seed))
        client.put_object(Bucket="ward", Key="other/9.png", Body=phantom_png(9))
        monkeypatch.setattr("screening.archives.seen.SETTLED_AFTER_S", -5)
        archive = add(made, f"s3://ward/xr?endpoint={endpoint}&region=us-east-1", in_place)
        seen = visit_now(made, archive)
        assert (seen.found, seen.admitted, seen.problem) == (3, 3, None)
        assert prepare(made) == {"queued": 3}
        assert visit_now(made, archive).admitted == 0
    finally:
        server.stop()


def test_the_command_adds_lists_scans_and_removes(made: Installation, ward: Path) -> None:
    def call(*arguments: str, code: int = 0) -> Answer:
        answer = screening("archive", *arguments, environment=made.environment)
        assert answer.code == code, answer
        return answer

    assert "no archives" in call("list").out
    assert "in place" in call("add", str(ward), "--in-place").out
    assert "already" in call("add", str(ward), code=1).err
    assert "IANA" in call("add", "s3://ward", "--time-zone", "Berlin", code=1).err
    assert "no folder" in call("add", str(ward / "nothing"), code=1).err
    visit_now(made, 1)
    [listed] = call("list", "--json").json()["archives"]
    assert (listed["found"], listed["admitted"], listed["refused"], listed["visiting"]) == (7, 6, 1, False)
    call("scan", "1")
    with made.system.database.read() as session:
        assert session.get_one(Archive, 1).visit_wanted
    assert "6 admitted" in call("list").out
    call("remove", "1")
    assert "no archive 1" in call("scan", "1", code=1).err
    with made.system.database.read() as session:
        actions = session.scalars(select(AuditEvent.action).where(AuditEvent.action.startswith("archive"))).all()
    assert actions == ["archive.added", "archive.visit_wanted", "archive.visit_wanted", "archive.removed"]
