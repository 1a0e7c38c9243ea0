"""The doctor finds what does not fit together, only says so without --repair, and mends what can be mended with it."""

from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import pytest
from sqlalchemy import delete, select, update

from screening.database.states import JobState, Lane, RunState, WorkState
from screening.database.tables import AuditEvent, Checkpoint, Job, Prediction, Rendition, Run, Scan
from screening.ledger.claiming import claim_batch
from screening.ledger.lease import Lease
from screening.rescreening.opening import open_over_archive
from screening.rescreening.selection import Selection
from screening.storage import StorageError, display_key, original_key, rendition_key
from screening.upkeep.consistency import Finding, check_rows
from screening.upkeep.objects import check_objects
from screening.upkeep.ownership import settle_own
from tests.installation import phantom_png
from tests.integration.commands import screening
from tests.integration.ledger.steps import add_checkpoint
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything

NOW = datetime.now(UTC) + timedelta(days=2)


@pytest.fixture
def screened(portal: Portal) -> Portal:
    api = portal.api()
    run = api.open_run()
    api.receipts(run, ("a.png", phantom_png(1)), ("b.png", phantom_png(2)))
    api.post(f"/api/v1/runs/{run}/submit")
    screen_everything(portal.system, {})
    return portal


def rows(portal: Portal, *, repair: bool = False) -> list[Finding]:
    return check_rows(portal.system.database, NOW, 5, "tests", repair=repair)


def objects(portal: Portal, *, repair: bool = False, hashes: bool = False, now: datetime = NOW) -> dict[str, int]:
    system = portal.system
    found = check_objects(system.database, system.storage, now, "tests", hashes=hashes, repair=repair)
    return {finding.code: finding.count for finding in found}


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def states(portal: Portal) -> list[str]:
    with portal.system.database.read() as session:
        return list(session.scalars(select(Job.state).order_by(Job.id)))


def scans(portal: Portal) -> list[Scan]:
    with portal.system.database.read() as session:
        return list(session.scalars(select(Scan).order_by(Scan.file_name)))


def change(portal: Portal, *statements: object) -> None:
    with portal.system.database.write() as session:
        for statement in statements:
            session.execute(statement)  # type: ignore[call-overload]


def test_a_healthy_installation_has_no_findings(screened: Portal) -> None:
    api = screened.api()
    api.receipts(api.open_run(), ("c.png", phantom_png(3)), ("again.png", phantom_png(1)))
    assert rows(screened) == []
    assert objects(screened, hashes=True) == {}


def test_a_screened_job_without_its_prediction_is_screened_again(screened: Portal) -> None:
    change(screened, delete(Prediction))
    found = rows(screened)
    assert codes(found) == ["screened_without_result"]
    assert found[0].sentence.startswith("2 jobs are screened but have no prediction.")
    assert states(screened) == [JobState.SCREENED] * 2, "only told"
    assert not found[0].mended
    assert codes(rows(screened, repair=True))[0] == "screened_without_result"
    assert states(screened) == [JobState.QUEUED] * 2
    with screened.system.database.read() as session:
        assert session.scalars(select(Run.state)).one() == RunState.RUNNING
        assert "repaired.screened_without_result" in session.scalars(select(AuditEvent.action)).all()
    screen_everything(screened.system, {})
    assert states(screened) == [JobState.SCREENED] * 2
    assert rows(screened) == []


def test_an_accepted_file_without_a_job_gets_one_and_a_rendition(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    api.receipts(run, ("a.png", phantom_png(1)))
    api.post(f"/api/v1/runs/{run}/submit")
    change(portal, delete(Job), delete(Rendition), update(Run).values(state=RunState.COMPLETE))
    rows(portal, repair=True)
    assert rows(portal) == []
    screen_everything(portal.system, {})
    assert states(portal) == [JobState.SCREENED]


def test_jobs_that_wait_for_a_finished_rendition_go_where_it_sends_them(screened: Portal) -> None:
    a, b = scans(screened)
    change(
        screened,
        update(Job).values(state=JobState.PREPARING),
        update(Rendition)
        .where(Rendition.scan_id == b.id)
        .values(state=WorkState.REJECTED, problem_code="damaged", problem="It is damaged."),
    )
    found = codes(rows(screened))
    assert {"preparing_though_ready", "preparing_though_rejected", "complete_with_work"} <= set(found)
    rows(screened, repair=True)
    with screened.system.database.read() as session:
        kept = {job.scan_id: (job.state, job.problem) for job in session.scalars(select(Job))}
    assert kept == {a.id: (JobState.QUEUED, None), b.id: (JobState.REJECTED, "It is damaged.")}


def test_the_reason_is_that_of_the_rendition_that_a_job_needs(screened: Portal) -> None:
    a, _ = scans(screened)
    with screened.system.database.write() as session:
        for spec, code in (("another spec", "damaged"), ("a third spec", "too_large")):
            session.add(
                Rendition(
                    scan_id=a.id, spec=spec, state=WorkState.REJECTED, lane=Lane.ROUTINE, queued_at=NOW, attempts=1,
                    problem_code=code, problem=f"Of {spec}.",
                )
            )  # fmt: skip
    change(
        screened,
        update(Job).where(Job.scan_id == a.id).values(state=JobState.PREPARING),
        update(Rendition)
        .where(Rendition.scan_id == a.id, Rendition.state == WorkState.READY)
        .values(state=WorkState.REJECTED, problem_code="not_grey", problem="The one that is needed."),
    )
    rows(screened, repair=True)
    with screened.system.database.read() as session:
        job = session.scalars(select(Job).where(Job.scan_id == a.id)).one()
    assert (job.state, job.problem_code, job.problem) == (JobState.REJECTED, "not_grey", "The one that is needed.")


def test_a_rendition_that_waits_behind_its_turn_is_moved_up(portal: Portal) -> None:
    api = portal.api()
    api.receipts(api.open_run(lane="urgent"), ("a.png", phantom_png(1)))
    change(portal, update(Rendition).values(lane=Lane.ARCHIVE))
    assert codes(rows(portal)) == ["waiting_less_urgently"]
    rows(portal, repair=True)
    with portal.system.database.read() as session:
        assert session.scalars(select(Rendition.lane)).one() == Lane.URGENT
    assert rows(portal) == []


def test_work_left_in_a_cancelled_run_is_cancelled(portal: Portal) -> None:
    api = portal.api()
    api.receipts(api.open_run(), ("a.png", phantom_png(1)))
    change(portal, update(Run).values(state=RunState.CANCELLED))
    assert codes(rows(portal, repair=True)) == ["cancelled_with_work"]
    assert states(portal) == [JobState.CANCELLED]


@pytest.mark.parametrize("until", [None, NOW - timedelta(hours=1)])
def test_claimed_work_whose_lease_is_long_over_is_free_again(screened: Portal, until: datetime | None) -> None:
    change(screened, delete(Prediction), update(Run).values(state=RunState.RUNNING), update(Job).values(state="queued"))
    with screened.system.database.write() as session:
        assert claim_batch(session, Lease.new(NOW, 60), NOW, 10) is not None
    assert rows(screened) == []
    change(screened, update(Job).values(lease_until=until))
    assert codes(rows(screened, repair=True)) == ["overdue"]
    assert states(screened) == [JobState.QUEUED] * 2


def test_missing_pictures_are_made_again_from_the_original(screened: Portal) -> None:
    a, b = scans(screened)
    with screened.system.database.read() as session:
        spec = session.scalars(select(Rendition.spec)).first() or ""
    screened.system.storage.delete(rendition_key(a.id, spec))
    screened.system.storage.delete(display_key(b.id))
    assert objects(screened) == {"picture_missing": 2}
    assert objects(screened, repair=True) == {"picture_missing": 2}
    screen_everything(screened.system, {})
    assert screened.system.storage.exists(rendition_key(a.id, spec))
    assert screened.system.storage.exists(display_key(b.id))
    assert objects(screened) == {}


def test_a_scan_whose_original_is_gone_must_be_looked_at_and_may_be_sent_again(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    settle_own(portal.system.database, portal.system.storage)
    api.receipts(run, ("a.png", phantom_png(1)))
    portal.system.storage.delete(original_key(scans(portal)[0].sha256))
    assert objects(portal) == {"original_missing": 1}
    assert states(portal) == [JobState.PREPARING]
    objects(portal, repair=True)
    assert states(portal) == [JobState.REJECTED]
    items = api.get("/api/v1/worklist").get_json()["items"]
    assert (items[0]["band"], "Send the file again" in items[0]["reason"]) == ("must_look", True)
    assert objects(portal) == {}
    missing = api.post(f"/api/v1/runs/{run}/known", {"sha256": [scans(portal)[0].sha256]}).get_json()["missing"]
    assert missing == [scans(portal)[0].sha256]
    api.receipts(run, ("a.png", phantom_png(1)))
    assert states(portal) == [JobState.PREPARING]
    screen_everything(portal.system, {})
    assert states(portal) == [JobState.SCREENED]
    assert objects(portal) == {}


def test_a_rendition_that_is_missing_holds_up_no_jobs_that_need_another(screened: Portal) -> None:
    """A night under way with a checkpoint that sees other renditions of the same scans."""
    with screened.system.database.write() as session:
        spec = session.scalars(select(Rendition.spec)).first() or ""
        add_checkpoint(session, "two", active=False, spec="other")
        two = session.get_one(Checkpoint, "two")
        opened = open_over_archive(session, NOW, "night", two, Selection(), None, "schedule 1")
        assert opened is not None
        session.execute(update(Rendition).values(state=WorkState.READY))
        session.execute(update(Job).where(Job.run_id == opened.run_id).values(state=JobState.QUEUED))
    for scan in scans(screened):
        screened.system.storage.put(rendition_key(scan.id, "other"), b"picture")
        screened.system.storage.delete(rendition_key(scan.id, spec))
    assert objects(screened, repair=True) == {"picture_missing": 2}
    with screened.system.database.read() as session:
        of_night = session.scalars(select(Job.state).where(Job.run_id == opened.run_id)).all()
    assert of_night == [JobState.QUEUED] * 2


def test_a_picture_that_is_made_again_is_as_urgent_as_who_waits_for_it(portal: Portal) -> None:
    """And never waits for the archive's turn, because readers miss it."""
    api, made = portal.api(), {}
    for seed, lane in enumerate(("urgent", "routine", "archive")):
        api.receipts(api.open_run(lane=lane), ("a.png", phantom_png(seed)))
        made[lane] = max(scans(portal), key=lambda scan: scan.received_at).id
    change(portal, update(Rendition).values(state=WorkState.READY), update(Job).values(state=JobState.QUEUED))
    assert objects(portal, repair=True) == {"picture_missing": 3}
    with portal.system.database.read() as session:
        found = dict(session.execute(select(Rendition.scan_id, Rendition.lane)).all())
    assert [found[scan] for scan in made.values()] == [Lane.URGENT, Lane.ROUTINE, Lane.ROUTINE]


def test_a_damaged_original_is_set_aside_by_size_at_once_and_by_hash_when_asked(screened: Portal) -> None:
    a, b = scans(screened)
    storage = screened.system.storage
    rotten = bytearray(storage.get(original_key(a.sha256)))
    rotten[-1] ^= 1
    storage.put(original_key(a.sha256), bytes(rotten))
    storage.put(original_key(b.sha256), b"cut short")
    assert objects(screened) == {"original_damaged": 1}
    assert objects(screened, hashes=True) == {"original_damaged": 2}
    objects(screened, hashes=True, repair=True)
    assert storage.get(f"damaged/{original_key(a.sha256)}") == bytes(rotten)
    assert not storage.exists(original_key(a.sha256))
    assert objects(screened, hashes=True) == {}
    assert states(screened) == [JobState.SCREENED] * 2, "the results stay"


def test_an_original_that_cannot_be_read_is_told_and_stops_nothing(
    screened: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = scans(screened)
    storage = screened.system.storage
    opened = storage.open

    def refuse(key: str) -> BinaryIO:
        if key == original_key(a.sha256):
            raise StorageError("Input/output error")
        return opened(key)

    monkeypatch.setattr(storage, "open", refuse)
    storage.put(original_key(b.sha256), b"cut short")
    assert objects(screened, hashes=True, repair=True) == {"original_damaged": 1, "original_unreadable": 1}
    assert storage.exists(original_key(a.sha256)), "it may come back"
    assert objects(screened, hashes=True) == {"original_unreadable": 1}


def test_the_command_tells_and_mends(screened: Portal) -> None:
    settings = screened.system.settings
    environment = {
        "SCREENING_DATA_DIR": str(settings.data_dir),
        "SCREENING_DATABASE_URL": settings.database_url,
        "SCREENING_REDIS_URL": settings.redis_url,
    }
    change(screened, delete(Prediction))
    screened.system.storage.delete(display_key(scans(screened)[0].id))
    told = screening("doctor", "--storage", "--json", environment=environment)
    assert told.code == 1
    found = {item["point"]: item for item in told.json()["findings"]}
    assert "screening doctor --repair" in found["rows"]["found"]
    assert not found["objects"]["mended"]
    mended = screening("doctor", "--repair", environment=environment).out
    assert "MENDED   rows" in mended
    assert "MENDED   objects" in mended
    again = screening("doctor", "--storage", "--json", environment=environment).json()
    after = {item["point"]: item for item in again["findings"]}
    assert after["rows"]["ok"], after
    assert after["objects"]["ok"], after
