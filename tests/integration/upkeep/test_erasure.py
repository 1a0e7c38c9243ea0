"""What must not be kept is erased: no byte and no name of it is left in storage or in any table."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click import ClickException
from sqlalchemy import func, select

from screening.archives.references import WithReferences, reference_key
from screening.cli.erase import _tell
from screening.database.base import Base
from screening.database.engine import Database
from screening.database.schedule_tables import ArchiveFile
from screening.database.tables import AuditEvent, Container, Job, Prediction, Receipt, Scan
from screening.erasure.erasing import Erased, erase_run, erase_scan
from screening.errors import Conflict, Refused
from screening.inference.bundle import Bundle
from screening.reviews.verdicts import record
from screening.runs.admission import scan_id_of
from screening.storage import StorageError, container_key, display_key, original_key
from screening.system import System
from screening.upkeep.clean_up import Policy, clean_up
from screening.upkeep.consistency import check_rows
from screening.upkeep.objects import check_objects
from tests.installation import Installation, installation, phantom_png, wait_until
from tests.integration.commands import screening
from tests.integration.rescreening.visits import add, put, visit_now
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything
from tests.integration.workers_within import prepare_all

NAME = "Musterfrau_Erika_1964"


def erase(system: System, scan_id: str) -> Erased:
    return erase_scan(system.database, system.storage, system.clock(), scan_id, "by order", "tests", system.pseudonym)


def erase_whole(system: System, run: int) -> Erased:
    return erase_run(system.database, system.storage, system.clock(), run, "by order", "tests", system.pseudonym)


def everything_said(database: Database) -> str:
    """All columns of all rows of all tables."""
    with database.read() as session:
        return "\n".join(
            str(tuple(row)) for table in Base.metadata.sorted_tables for row in session.execute(select(table))
        )


def objects_of(system: System, scan: Scan) -> set[str]:
    return {found.key for found in system.storage.list("") if scan.id in found.key}


def only_scan(system: System) -> Scan:
    with system.database.read() as session:
        return session.scalars(select(Scan)).one()


def consistent(system: System) -> bool:
    now = system.clock()
    rows = check_rows(system.database, now, 5, "tests", repair=False)
    objects = list(check_objects(system.database, system.storage, now, "tests", hashes=True, repair=False))
    return rows == [] and objects == []


def test_nothing_of_a_scan_is_left_but_that_there_was_one(portal: Portal) -> None:
    api, system = portal.api(), portal.system
    first, second = api.open_run(), api.open_run()
    picture, other = phantom_png(1), phantom_png(2)
    api.receipts(first, (f"{NAME}.png", picture), ("other.png", other))
    api.receipts(second, (f"again/{NAME}.png", picture))
    screen_everything(system, {})
    with system.database.write() as session:
        scan = session.scalars(select(Scan).where(Scan.file_name.contains(NAME))).one()
        record(session, system.clock(), scan.id, "reader-1", "fracture", f"seen by the mother of {NAME}", 1.0)
    system.storage.put(f"damaged/{original_key(scan.sha256)}", picture)
    assert NAME in everything_said(system.database)
    assert len(objects_of(system, scan)) == 4

    done = erase(system, scan.id)
    assert (done.scans, done.archive_files) == (1, 0)
    assert NAME not in everything_said(system.database)
    assert objects_of(system, scan) == set()
    with system.database.read() as session:
        assert session.scalar(select(func.count()).where(Prediction.scan_id == scan.id)) == 0
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "scan.erased")).one()
        left = session.get_one(Scan, scan.id)
        assert (event.subject, event.detail["reason"]) == (scan.id, "by order")
        assert (left.sha256, left.file_name, left.erased_at is not None) == (scan.sha256, "(erased)", True)
        receipts = session.execute(select(Receipt.status, Receipt.code).where(Receipt.code == "erased")).all()
        assert len(receipts) == 2
    reader = portal.api("reader")
    assert reader.get(f"/api/v1/scans/{scan.id}").status_code == 404
    assert [item["file_name"] for item in reader.get("/api/v1/worklist").get_json()["items"]] == ["other.png"]
    assert reader.get(f"/api/v1/runs/{first}").get_json()["counts"]["total"] == 1
    assert consistent(system)
    assert erase(system, scan.id).scans == 1, "again is no error"


def test_what_was_erased_is_not_taken_again(portal: Portal) -> None:
    api, system = portal.api(), portal.system
    api.receipts(api.open_run(), ("a.png", phantom_png(1)))
    scan = only_scan(system)
    erase(system, scan.id)
    run = api.open_run()
    assert api.post(f"/api/v1/runs/{run}/known", {"sha256": [scan.sha256]}).get_json()["missing"] == [scan.sha256]
    (receipt,) = api.receipts(run, (f"{NAME}.png", phantom_png(1)))
    assert (receipt["status"], receipt["code"]) == ("rejected", "erased")
    assert NAME not in everything_said(system.database)
    assert objects_of(system, scan) == set()
    assert consistent(system)


def test_work_in_hand_brings_nothing_back(installed: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prepare worker holds a lease, and stores its pictures after the scan was erased."""
    run, system = installed.open_run(), installed.system
    installed.upload(run, f"{NAME}.png", phantom_png(1))
    scan = only_scan(system)
    put_object = type(system.storage).put
    erased: list[Erased] = []

    def put_late(storage: object, key: str, data: bytes) -> None:
        if not erased:
            erased.append(erase(system, scan.id))
        put_object(storage, key, data)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(type(system.storage), "put", put_late)
        prepare_all(installed)
    assert erased
    assert objects_of(system, scan) == set()
    assert NAME not in everything_said(system.database)
    assert consistent(system)
    installed.submit(run)
    assert installed.state(run) == "complete", "the run does not wait for what was erased"


def test_members_of_a_container_go_and_its_name_with_the_last(installed: Installation) -> None:
    system, run = installed.system, installed.open_run()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for seed in range(2):
            archive.writestr(f"{seed}.png", phantom_png(seed))
    installed.upload(run, f"{NAME}.zip", packed.getvalue())
    installed.submit(run)
    with system.database.read() as session:
        container = session.scalars(select(Container)).one()
    with pytest.raises(Conflict, match="Cancel it first"):
        erase_whole(system, run)
    installed.start("prepare")
    installed.start("screen")
    wait_until(lambda: installed.progress(run).screened == 2, 90, "unpacked and screened")
    first, second = (scan_id_of(sha) for sha in shas(system))
    erase(system, first)
    with system.database.read() as session:
        assert session.get_one(Container, container.id).file_name == f"{NAME}.zip", "one of it is still here"
    erase(system, second)
    assert NAME not in everything_said(system.database)
    assert not system.storage.exists(container_key(container.sha256))


def shas(system: System) -> list[str]:
    with system.database.read() as session:
        return list(session.scalars(select(Scan.sha256).order_by(Scan.id)))


def test_a_cancelled_run_goes_as_a_whole_but_for_what_came_elsewhere_too(portal: Portal) -> None:
    api, system = portal.api(), portal.system
    right, wrong = api.open_run(), api.open_run()
    api.receipts(right, ("shared.png", phantom_png(1)))
    files = ((f"letter {NAME} {seed}.png", phantom_png(seed)) for seed in range(1, 4))
    api.receipts(wrong, *files, (f"{NAME}.txt", b"no picture"))
    with pytest.raises(Conflict, match="Cancel it first"):
        erase_whole(system, wrong)
    api.post(f"/api/v1/runs/{wrong}/cancel")
    with pytest.raises(Refused, match="Say why"):
        erase_run(system.database, system.storage, system.clock(), wrong, " ", "tests", system.pseudonym)
    done = erase_whole(system, wrong)
    assert (done.scans, done.shared) == (2, 1)
    assert NAME not in everything_said(system.database)
    with system.database.read() as session:
        (kept,) = session.scalars(select(Scan).where(Scan.erased_at.is_(None)))
        assert kept.file_name == "shared.png"
        assert session.scalars(select(Job.run_id)).all() == [right]
        assert session.scalar(select(func.count()).where(Receipt.run_id == wrong)) == 4, "the counts stay"
    assert {found.key for found in system.storage.list("originals/")} == {original_key(kept.sha256)}
    assert consistent(system)


def test_what_storage_did_not_remove_of_a_run_is_named_and_goes_in_a_second_call(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, system = portal.api(), portal.system
    run = api.open_run()
    api.receipts(run, *((f"{NAME} {seed}.png", phantom_png(seed)) for seed in range(3)))
    screen_everything(system, {})
    with system.database.read() as session:
        first, *others = session.scalars(select(Scan).order_by(Scan.id))
    api.post(f"/api/v1/runs/{run}/cancel")
    delete = type(system.storage).delete

    def refuse(storage: WithReferences, key: str) -> None:
        if key == original_key(first.sha256):
            raise StorageError("EACCES")
        delete(storage, key)

    with monkeypatch.context() as patch:
        patch.setattr(type(system.storage), "delete", refuse)
        done = erase_whole(system, run)
        assert (done.scans, done.trouble) == (3, "EACCES")
        assert done.unfinished == (f"screening scan erase {first.id}",)
        with pytest.raises(ClickException, match=first.id):
            _tell(done)
        with pytest.raises(StorageError):
            erase(system, first.id)
    assert all(objects_of(system, other) == set() for other in others), "the rest goes all the same"
    assert NAME not in everything_said(system.database)
    assert objects_of(system, first) != set()
    erase(system, first.id)
    assert objects_of(system, first) == set()
    assert erase_whole(system, run).unfinished == ()


def test_the_order_names_the_backups_that_hold_it(portal: Portal) -> None:
    api, system = portal.api(), portal.system
    api.receipts(api.open_run(), ("a.png", phantom_png(1)))
    with system.database.write() as session:
        session.add(
            AuditEvent(at=system.clock(), actor="t", action="backup.made", subject="20261130T030000Z", detail={})
        )
    assert erase(system, only_scan(system).id).backups == ("20261130T030000Z",)


def test_clean_up_takes_what_a_killed_worker_left_of_an_erased_scan(portal: Portal) -> None:
    api, system = portal.api(), portal.system
    api.receipts(api.open_run(), *((f"{seed}.png", phantom_png(seed)) for seed in range(4)))
    sha256 = shas(system)[0]
    erase(system, scan_id_of(sha256))
    for key in (original_key(sha256), display_key(scan_id_of(sha256))):
        system.storage.put(key, b"late")
    later = system.clock().replace(year=system.clock().year + 1)
    assert clean_up(system.database, system.storage, later, Policy(), "tests", apply=True)["orphaned"].count == 2


@pytest.fixture
def made(tmp_path: Path, sqlite_url: str, redis_url: str, random_bundle: Bundle) -> Iterator[Installation]:
    with installation(tmp_path / "data", sqlite_url, redis_url, random_bundle) as opened:
        yield opened


@pytest.mark.parametrize("in_place", [False, True])
def test_visits_of_an_archive_pass_over_it(made: Installation, tmp_path: Path, in_place: bool) -> None:
    folder, system = tmp_path / "ward", made.system
    put(folder / NAME / "1.png", phantom_png(1))
    ward = add(made, f"file://{folder}", in_place)
    visit_now(made, ward)
    scan = only_scan(system)
    assert erase(system, scan.id).archive_files == 1
    assert (folder / NAME / "1.png").is_file(), "an archive is not ours to change"
    assert not system.storage.exists(reference_key(original_key(scan.sha256)))
    for _ in range(2):
        visit_now(made, ward)
        assert NAME not in everything_said(system.database)
        assert objects_of(system, scan) == set()
    with system.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 0
    # The same bytes under another name are known by their hash.
    put(folder / f"{NAME}.png", phantom_png(1))
    visit_now(made, ward)
    assert NAME not in everything_said(system.database)
    assert objects_of(system, scan) == set()


@pytest.mark.parametrize("in_place", [False, True])
def test_another_file_at_the_place_of_an_erased_one_is_read_once_and_can_be_erased_too(
    made: Installation, tmp_path: Path, in_place: bool
) -> None:
    """A corrected export under the same name."""
    folder, system = tmp_path / "ward", made.system
    put(folder / "1.png", phantom_png(1))
    ward = add(made, f"file://{folder}", in_place)
    for seed in (2, 3):
        visit_now(made, ward)
        with system.database.read() as session:
            [scan] = session.scalars(select(Scan.id).where(Scan.erased_at.is_(None))).all()
        assert erase(system, scan).archive_files == 1
        put(folder / "1.png", phantom_png(seed))
    assert visit_now(made, ward).admitted == 1
    assert [visit_now(made, ward).admitted for _ in range(2)] == [0, 0], "it is known"
    put(folder / "1.png", phantom_png(1))
    for _ in range(2):
        visit_now(made, ward)
    with system.database.read() as session:
        [path] = session.scalars(select(ArchiveFile.path)).all()
    assert path.startswith("erased:")


def erased_scans(system: System) -> list[str]:
    with system.database.read() as session:
        return list(session.scalars(select(Scan.id).where(Scan.erased_at.is_not(None))))


def test_the_commands(made: Installation, tmp_path: Path) -> None:
    run = made.open_run()
    made.upload(run, f"{NAME}.png", phantom_png(1))
    made.upload(run, "other.png", phantom_png(2))
    scan = scan_id_of(shas(made.system)[0])
    elsewhere = {**made.environment, "SCREENING_STORAGE_URL": f"file://{tmp_path}/elsewhere"}
    for what in (("scan", "erase", scan), ("run", "erase", str(run))):
        refused = screening(*what, "--reason", "by mistake", "--yes", environment=elsewhere)
        assert (refused.code, "SCREENING_STORAGE_URL" in refused.err) == (1, True), refused
    assert erased_scans(made.system) == []
    asked = screening("scan", "erase", scan, "--reason", "sent by mistake", environment=made.environment, stdin="n\n")
    assert asked.code == 1
    done = screening("scan", "erase", scan, "--reason", "by mistake", "--yes", environment=made.environment)
    assert (done.code, "Erased 1 scans" in done.out) == (0, True), done
    unknown = screening("scan", "erase", "f" * 32, "--reason", "by mistake", "--yes", environment=made.environment)
    assert "There is no scan" in unknown.err
    made.submit(run)
    whole = screening("run", "erase", str(run), "--reason", "by mistake", "--yes", environment=made.environment)
    assert whole.code == 1
    assert "Cancel it first" in whole.err
