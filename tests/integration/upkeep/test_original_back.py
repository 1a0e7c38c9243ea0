"""Originals that count as gone and are in storage: the doctor tells, and with --repair what lacked them goes on."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from screening.clock import utc_now
from screening.database.states import JobState, Lane, RunState, WorkState
from screening.database.tables import AuditEvent, Rendition, Run, Scan
from screening.ledger.lease import Lease
from screening.ledger.preparing import claim_renditions, record_rejected
from screening.ledger.reviving import ORIGINAL_MISSING_CODE, ORIGINAL_MISSING_REASON
from screening.ledger.sweeping import complete_runs
from screening.storage import display_key, original_key
from screening.upkeep.clean_up import Policy, clean_up
from screening.upkeep.taking_back import take_back
from tests.installation import phantom_png
from tests.integration.upkeep.test_doctor import NOW, change, objects, scans, screened, states
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything

__all__ = ["screened"]


def lost(portal: Portal) -> Scan:
    """A scan of a complete run that was rejected because its original was away from storage."""
    api = portal.api()
    run = api.open_run(lane="urgent")
    api.receipts(run, ("a.png", phantom_png(1)))
    api.post(f"/api/v1/runs/{run}/submit")
    scan = scans(portal)[0]
    portal.system.storage.delete(original_key(scan.sha256))
    with portal.system.database.write() as session:
        now = utc_now()
        [claim] = claim_renditions(session, lease := Lease.new(now, 60), now, 10)
        record_rejected(session, lease, now, scan.id, claim.spec, ORIGINAL_MISSING_CODE, ORIGINAL_MISSING_REASON)
        complete_runs(session, now)
    assert run_states(portal) == [RunState.COMPLETE]
    assert objects(portal) == {}
    return scan


def run_states(portal: Portal) -> list[str]:
    with portal.system.database.read() as session:
        return list(session.scalars(select(Run.state).order_by(Run.id)))


@pytest.mark.parametrize("hashes", [False, True])
def test_what_was_rejected_for_want_of_an_original_that_is_back_goes_on(portal: Portal, hashes: bool) -> None:
    scan = lost(portal)
    portal.system.storage.put(original_key(scan.sha256), phantom_png(1))
    assert objects(portal, hashes=hashes, now=utc_now()) == {"original_back": 1}
    assert (states(portal), run_states(portal)) == ([JobState.REJECTED], [RunState.COMPLETE]), "only told"
    assert objects(portal, hashes=hashes, repair=True, now=utc_now()) == {"original_back": 1}
    assert (states(portal), run_states(portal)) == ([JobState.PREPARING], [RunState.RUNNING])
    with portal.system.database.read() as session:
        rendition = session.scalars(select(Rendition)).one()
        assert (rendition.state, rendition.lane, rendition.problem) == (WorkState.WAITING, Lane.URGENT, None)
        assert "repaired.objects" in session.scalars(select(AuditEvent.action)).all()
    screen_everything(portal.system, {})
    assert (states(portal), run_states(portal)) == ([JobState.SCREENED], [RunState.COMPLETE])
    assert objects(portal, hashes=hashes) == {}


def test_a_run_that_was_cancelled_since_stays_so(portal: Portal) -> None:
    scan = lost(portal)
    change(portal, update(Run).values(state=RunState.CANCELLED))
    portal.system.storage.put(original_key(scan.sha256), phantom_png(1))
    assert objects(portal, repair=True) == {"original_back": 1}
    assert (states(portal), run_states(portal)) == ([JobState.REJECTED], [RunState.CANCELLED])
    assert objects(portal) == {}


def test_other_bytes_in_its_place_are_not_the_original(portal: Portal) -> None:
    scan = lost(portal)
    portal.system.storage.put(original_key(scan.sha256), b"cut short")
    assert objects(portal, repair=True) == {}
    portal.system.storage.put(original_key(scan.sha256), b"\0" * scan.size_bytes)
    assert objects(portal, hashes=True, repair=True) == {}
    assert states(portal) == [JobState.REJECTED]


@pytest.mark.parametrize(
    ("marked_at", "now", "found"),
    [
        pytest.param(NOW - timedelta(hours=23), NOW, {}, id="a clean-up may be about to remove it"),
        pytest.param(NOW - timedelta(hours=25), NOW, {"original_back": 2}, id="no clean-up is left that would"),
        pytest.param(utc_now() - timedelta(hours=1), utc_now(), {"original_back": 2}, id="it was put since"),
    ],
)
def test_an_original_that_is_being_cleaned_up_is_not_taken_for_one_that_is_back(
    screened: Portal, marked_at: datetime, now: datetime, found: dict[str, int]
) -> None:
    change(screened, update(Scan).values(original_removed_at=marked_at))
    assert objects(screened, repair=True, now=now) == found
    kept = None if found else marked_at
    assert [scan.original_removed_at for scan in scans(screened)] == [kept, kept]
    assert states(screened) == [JobState.SCREENED] * 2


def test_what_clean_up_removed_stays_away(screened: Portal) -> None:
    system = screened.system
    policy = Policy(keep_originals=timedelta(days=1))
    assert clean_up(system.database, system.storage, NOW, policy, "tests", apply=True)["expired original"].count == 2
    assert objects(screened, repair=True, now=NOW + timedelta(days=3)) == {}
    assert None not in [scan.original_removed_at for scan in scans(screened)]


def test_a_scan_that_a_clean_up_marks_anew_meanwhile_stays_marked(screened: Portal) -> None:
    a, b = scans(screened)
    change(screened, update(Scan).values(original_removed_at=NOW))
    with screened.system.database.write() as session:
        take_back(session, NOW, [(a.id, NOW), (b.id, NOW - timedelta(days=2))])
    assert [scan.original_removed_at for scan in scans(screened)] == [None, NOW]


def test_a_picture_that_is_missing_is_made_again_from_an_original_that_is_back(screened: Portal) -> None:
    a, _ = scans(screened)
    change(screened, update(Scan).where(Scan.id == a.id).values(original_removed_at=NOW - timedelta(days=2)))
    screened.system.storage.delete(display_key(a.id))
    assert objects(screened, repair=True) == {"original_back": 1, "picture_missing": 1}
    screen_everything(screened.system, {})
    assert objects(screened) == {}
