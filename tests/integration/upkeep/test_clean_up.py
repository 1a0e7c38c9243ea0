"""Clean-up removes what nothing names, after its grace, and shows it first."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from sqlalchemy import QueuePool, delete, select, update

from screening import audit
from screening.archives.references import WithReferences
from screening.cli.doctor import _storage
from screening.database.engine import Database
from screening.database.states import JobState, WorkState
from screening.database.tables import AuditEvent, Container, Job, Prediction, Receipt, Rendition, Scan
from screening.errors import Conflict
from screening.storage import container_key, display_key, open_storage, original_key, rendition_key
from screening.storage.folder import FolderStorage
from screening.upkeep.backup.making import make_backup
from screening.upkeep.backup.restoring import restore
from screening.upkeep.clean_up import Policy, Removed, clean_up
from screening.upkeep.ownership import MARKER
from tests.installation import phantom_png
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything

LATER = datetime.now(UTC) + timedelta(days=3)
OLD = Policy(keep_originals=timedelta(days=2))


def run_clean_up(portal: Portal, policy: Policy, now: datetime = LATER, *, apply: bool = True) -> dict[str, Removed]:
    return clean_up(portal.system.database, portal.system.storage, now, policy, "tests", apply=apply)


def counts(removed: dict[str, Removed]) -> dict[str, int]:
    return {kind: amount.count for kind, amount in removed.items()}


def keys(portal: Portal) -> set[str]:
    folders = ("tmp/", "originals/", "containers/", "renditions/", "displays/", "references/")
    return {found.key for folder in folders for found in portal.system.storage.list(folder)}


def scans(portal: Portal) -> list[Scan]:
    with portal.system.database.read() as session:
        return list(session.scalars(select(Scan).order_by(Scan.file_name)))


def litter(portal: Portal) -> set[str]:
    """One object of each kind that nothing names."""
    sha = "ab" * 32
    made = {
        "tmp/incoming-x", original_key(sha), container_key(sha), display_key(sha[:32]), rendition_key(sha[:32], "s"),
        f"references/{original_key(sha)}",
    }  # fmt: skip
    for key in made:
        portal.system.storage.put(key, b"left behind")
    return made


@pytest.fixture
def screened(portal: Portal) -> Portal:
    api = portal.api()
    api.receipts(api.open_run(), ("a.png", phantom_png(1)), ("b.png", phantom_png(2)))
    screen_everything(portal.system, {})
    return portal


def test_nothing_is_changed_before_it_is_applied(screened: Portal) -> None:
    litter(screened)
    before = keys(screened)
    found = run_clean_up(screened, OLD, apply=False)
    assert counts(found) == {"temporary": 1, "orphaned": 5, "expired original": 2}
    assert found["orphaned"].size_bytes == 5 * len(b"left behind")
    assert keys(screened) == before


def test_litter_goes_and_what_rows_name_stays(screened: Portal) -> None:
    named = keys(screened)
    left = litter(screened)
    assert counts(run_clean_up(screened, Policy())) == {"temporary": 1, "orphaned": 5, "expired original": 0}
    assert keys(screened) == named
    assert left.isdisjoint(named)
    assert counts(run_clean_up(screened, Policy())) == {"temporary": 0, "orphaned": 0, "expired original": 0}
    with screened.system.database.read() as session:
        events = session.scalars(select(AuditEvent).where(AuditEvent.action == "clean_up.done")).all()
    assert events[0].detail["orphaned"] == {"objects": 5, "bytes": 55}


def test_no_transaction_is_open_while_objects_are_removed(screened: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL ends one that does nothing for a minute, and on S3 many removals take longer."""
    litter(screened)
    pool = screened.system.database.engine.pool
    assert isinstance(pool, QueuePool)
    open_then: list[int] = []
    delete_object = type(screened.system.storage).delete_unless_fresh

    def watched(storage: WithReferences, key: str, since: datetime) -> bool:
        open_then.append(pool.checkedout())
        return delete_object(storage, key, since)

    monkeypatch.setattr(type(screened.system.storage), "delete_unless_fresh", watched)
    assert counts(run_clean_up(screened, OLD)) == {"temporary": 1, "orphaned": 5, "expired original": 2}
    assert open_then == [0] * 8


def test_what_a_restored_backup_does_not_know_can_be_sent_again_for_as_long_as_people_are_told(
    screened: Portal,
) -> None:
    left = litter(screened)
    for seed in range(9):
        screened.system.storage.put(original_key(f"{seed:064x}"), b"came after the backup")
    with screened.system.database.write() as session:
        for days in (400, 0):
            at = LATER - timedelta(days=days)
            audit.record(session, at, "tests", "backup.restored", "20261125T030000Z", {})
    assert counts(run_clean_up(screened, OLD, LATER + timedelta(hours=23))) == {
        "temporary": 1, "orphaned": 3, "expired original": 2,
    }  # fmt: skip
    assert len(left & keys(screened)) == 2, "an original, and a reference to one"
    with pytest.raises(Conflict, match="11 would be removed"):
        run_clean_up(screened, OLD, LATER + timedelta(hours=25))
    removed = clean_up(
        screened.system.database,
        screened.system.storage,
        LATER + timedelta(hours=25),
        OLD,
        "tests",
        apply=True,
        force=True,
    )
    assert removed["orphaned"].count == 11


def test_what_is_younger_than_the_grace_stays(screened: Portal) -> None:
    litter(screened)
    assert counts(run_clean_up(screened, Policy(), datetime.now(UTC) + timedelta(hours=23))) == {
        "temporary": 0, "orphaned": 0, "expired original": 0,
    }  # fmt: skip


def test_a_container_that_waits_is_named_by_its_row(screened: Portal) -> None:
    sha = "cd" * 32
    screened.system.storage.put(container_key(sha), b"zip")
    run = screened.api().open_run()
    with screened.system.database.write() as session:
        session.add(
            Container(run_id=run, sha256=sha, file_name="a.zip", state=WorkState.WAITING, lane=1, queued_at=LATER)
        )
    run_clean_up(screened, Policy())
    assert screened.system.storage.exists(container_key(sha))
    with screened.system.database.write() as session:
        session.execute(update(Container).values(state=WorkState.READY))
    run_clean_up(screened, Policy())
    assert not screened.system.storage.exists(container_key(sha))


def test_originals_of_screened_scans_go_after_their_time_and_the_rest_of_them_stays(screened: Portal) -> None:
    api = screened.api()
    waiting = phantom_png(3)
    api.receipts(api.open_run(), ("c.png", waiting))
    assert counts(run_clean_up(screened, OLD))["expired original"] == 2
    a, b, c = scans(screened)
    assert a.original_removed_at == b.original_removed_at == LATER
    assert c.original_removed_at is None
    assert [screened.system.storage.exists(original_key(scan.sha256)) for scan in (a, b, c)] == [False, False, True]
    assert api.get(f"/api/v1/scans/{a.id}").status_code == 200
    assert screened.system.storage.exists(display_key(a.id))


def test_a_file_sent_again_after_its_original_went_brings_it_back(screened: Portal) -> None:
    run_clean_up(screened, OLD)
    api = screened.api()
    scan, run = scans(screened)[0], api.open_run()
    asked = api.post(f"/api/v1/runs/{run}/known", {"sha256": [scan.sha256]}).get_json()
    assert asked["missing"] == [scan.sha256], "the bytes are needed"
    admitted = api.post(f"/api/v1/runs/{run}/admit", {"files": [{"name": "a", "sha256": scan.sha256}]}).get_json()
    assert admitted["missing"] == [scan.sha256]
    assert api.receipts(run, ("a.png", phantom_png(1)))[0]["status"] == "duplicate"
    assert scans(screened)[0].original_removed_at is None
    assert screened.system.storage.exists(original_key(scan.sha256))


def test_an_original_that_is_kept_again_meanwhile_is_spared(screened: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(screened.system.storage), "delete_unless_fresh", lambda *_: False)
    assert counts(run_clean_up(screened, OLD))["expired original"] == 0
    assert [scan.original_removed_at for scan in scans(screened)] == [None, None]


def test_what_could_not_be_screened_expires_as_everything_else(screened: Portal) -> None:
    with screened.system.database.write() as session:
        session.execute(delete(Prediction))
        session.execute(update(Job).values(state=JobState.REJECTED))
        session.execute(update(Rendition).values(state=WorkState.REJECTED, problem="damaged", problem_code="damaged"))
    assert counts(run_clean_up(screened, OLD, datetime.now(UTC) + timedelta(days=1)))["expired original"] == 0
    assert counts(run_clean_up(screened, OLD))["expired original"] == 2


def test_what_was_sent_by_mistake_and_cancelled_expires_and_can_be_sent_again(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    api.receipts(run, ("letter.png", phantom_png(1)))
    assert counts(run_clean_up(portal, OLD))["expired original"] == 0, "work needs it"
    api.post(f"/api/v1/runs/{run}/cancel")
    assert counts(run_clean_up(portal, OLD))["expired original"] == 1
    with portal.system.database.read() as session:
        assert session.scalars(select(Rendition.problem_code)).all() == ["original_expired"]
    again = api.open_run()
    api.receipts(again, ("letter.png", phantom_png(1)))
    screen_everything(portal.system, {})
    with portal.system.database.read() as session:
        assert session.scalars(select(Job.state).where(Job.run_id == again)).all() == [JobState.SCREENED]


def test_time_counts_from_the_receipt_and_not_from_a_restore(screened: Portal, tmp_path: Path) -> None:
    backup, system = tmp_path / "backups", screened.system
    make_backup(system.database, system.storage, LATER, backup, "s")
    database, storage = Database(f"sqlite:///{tmp_path}/back.db"), FolderStorage(tmp_path / "back")
    restore(backup, database, storage, LATER, "tests")
    received = scans(screened)[0].received_at
    policy, grace_over = Policy(keep_originals=timedelta(days=2)), datetime.now(UTC) + timedelta(hours=25)
    with database.write() as session:
        session.execute(update(Scan).values(received_at=received - timedelta(days=1.5)))
        session.execute(update(Receipt).values(received_at=received - timedelta(days=1.5)))
    removed = clean_up(database, storage, grace_over, policy, "tests", apply=True)
    assert removed["expired original"].count == 2, "a day in this storage, and more than two days since they came"
    database.dispose()


def test_what_was_received_again_counts_from_then(screened: Portal) -> None:
    with screened.system.database.write() as session:
        session.execute(update(Scan).values(received_at=LATER - timedelta(days=30)))
    assert counts(run_clean_up(screened, Policy(keep_originals=timedelta(days=5))))["expired original"] == 0
    with screened.system.database.write() as session:
        session.execute(update(Receipt).values(received_at=LATER - timedelta(days=30)))
    assert counts(run_clean_up(screened, Policy(keep_originals=timedelta(days=5))))["expired original"] == 2


def test_the_doctor_tells_of_a_bucket_that_keeps_what_is_removed(portal: Portal, s3_url: str, s3_endpoint: str) -> None:
    settings = portal.system.settings.model_copy(update={"storage_url": s3_url})
    assert "versions" not in _storage(settings)[1]
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    bucket = s3_url.split("/")[2]
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert "lifecycle rule" in _storage(settings)[1]


def test_the_same_on_s3(screened: Portal, s3_url: str) -> None:
    bucket = open_storage(s3_url)
    for scan in scans(screened):
        bucket.put(original_key(scan.sha256), b"bytes")
    bucket.put(original_key("ef" * 32), b"orphan")
    removed = clean_up(screened.system.database, bucket, LATER, OLD, "tests", apply=True)
    assert counts(removed) == {"temporary": 0, "orphaned": 1, "expired original": 2}
    assert [found.key for found in bucket.list("")] == [MARKER]
