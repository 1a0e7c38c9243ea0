"""`screening try-again`: what was rejected for a limit, load or an older release is prepared again on request."""

import pytest
from sqlalchemy import select, update

from screening.clock import utc_now
from screening.database.states import JobState, Lane, RunState, WorkState
from screening.database.tables import AuditEvent, Rendition, Run, Scan
from screening.ledger.lease import Lease
from screening.ledger.preparing import claim_renditions, record_rejected
from screening.ledger.sweeping import complete_runs
from screening.upkeep import trying_again
from screening.upkeep.trying_again import rejected_by_reason, try_again
from tests.installation import phantom_png
from tests.integration.commands import screening
from tests.integration.upkeep.test_doctor import change, states
from tests.integration.upkeep.test_original_back import run_states
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything

CODES = {"a.png": "too_many_pixels", "b.png": "too_many_pixels", "c.png": "damaged"}


@pytest.fixture
def rejected(portal: Portal) -> Portal:
    """Three scans of a complete run, of which two passed a limit and one is damaged."""
    api = portal.api()
    run = api.open_run(lane="urgent")
    api.receipts(run, *((name, phantom_png(number)) for number, name in enumerate(CODES, 1)))
    api.post(f"/api/v1/runs/{run}/submit")
    with portal.system.database.write() as session:
        now = utc_now()
        names = {scan.id: scan.file_name for scan in session.scalars(select(Scan))}
        for claim in claim_renditions(session, lease := Lease.new(now, 60), now, 10):
            code = CODES[names[claim.scan_id]]
            record_rejected(session, lease, now, claim.scan_id, claim.spec, code, "For some reason.")
        complete_runs(session, now)
    assert run_states(portal) == [RunState.COMPLETE]
    return portal


def test_what_a_limit_stopped_is_prepared_and_screened_after_it_was_raised(
    rejected: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying_again, "AT_ONCE", 1)
    database = rejected.system.database
    assert rejected_by_reason(database) == {"too_many_pixels": 2, "damaged": 1}
    assert try_again(database, utc_now(), ("too_many_pixels",), "tests") == 2
    assert states(rejected) == [JobState.PREPARING, JobState.PREPARING, JobState.REJECTED]
    assert run_states(rejected) == [RunState.RUNNING]
    with database.read() as session:
        waiting = session.scalars(select(Rendition).where(Rendition.state == WorkState.WAITING)).all()
        assert {(rendition.lane, rendition.problem_code, rendition.attempts) for rendition in waiting} == {
            (Lane.URGENT, None, 0)
        }
        [event] = session.scalars(select(AuditEvent).where(AuditEvent.action == "rejected.tried_again")).all()
        assert event.detail == {"codes": ["too_many_pixels"], "scans": 2}
    screen_everything(rejected.system, {})
    assert states(rejected) == [JobState.SCREENED, JobState.SCREENED, JobState.REJECTED]
    assert run_states(rejected) == [RunState.COMPLETE]


def test_without_an_original_or_in_a_cancelled_run_nothing_begins_anew(rejected: Portal) -> None:
    change(rejected, update(Scan).where(Scan.file_name == "a.png").values(original_removed_at=utc_now()))
    change(rejected, update(Run).values(state=RunState.CANCELLED))
    assert try_again(rejected.system.database, utc_now(), ("too_many_pixels",), "tests") == 1
    assert states(rejected) == [JobState.REJECTED] * 3
    assert run_states(rejected) == [RunState.CANCELLED]


def test_the_command_tells_first_and_acts_on_named_reasons_alone(rejected: Portal) -> None:
    settings = rejected.system.settings
    environment = {
        "SCREENING_DATA_DIR": str(settings.data_dir),
        "SCREENING_DATABASE_URL": settings.database_url,
        "SCREENING_REDIS_URL": settings.redis_url,
    }
    told = screening("try-again", "--json", environment=environment).json()
    assert told == {"applied": False, "found": {"too_many_pixels": 2, "damaged": 1}, "tried_again": 0}
    assert states(rejected) == [JobState.REJECTED] * 3
    assert screening("try-again", "--apply", environment=environment).code == 2
    assert "No scan was rejected for that" in screening("try-again", "memory", environment=environment).out
    done = screening("try-again", "too_many_pixels", "--apply", environment=environment).out
    assert "too_many_pixels" in done
    assert "2 wait to be prepared again" in done
    assert states(rejected).count(JobState.PREPARING) == 2
