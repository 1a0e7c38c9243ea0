"""What the audit trail tells of people and data: who signed in and failed to, who saw what, what left the house."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from screening import checkpoints
from screening.accounts import add_user
from screening.clock import utc_now
from screening.database.tables import AuditEvent
from tests.bundles import make_random_bundle
from tests.installation import phantom_png
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything, screened_run
from tests.integration.web.signing_in import csrf_of, sign_in

HERE = "127.0.0.1"


def told(portal: Portal, action: str) -> list[tuple[str, str, dict[str, Any]]]:
    """(actor, subject, detail) of every event of this kind."""
    with portal.system.database.read() as session:
        events = session.scalars(select(AuditEvent).where(AuditEvent.action == action).order_by(AuditEvent.id))
        return [(event.actor, event.subject, event.detail) for event in events]


@pytest.fixture
def scan(portal: Portal) -> str:
    api = portal.api()
    [receipt] = api.receipts(api.open_run(), ("a.png", phantom_png(1)))
    screen_everything(portal.system, {})
    return str(receipt["sha256"][:32])


def take_hold(browser: FlaskClient, csrf: str, scan: str) -> None:
    assert browser.put(f"/api/v1/scans/{scan}/hold", headers={"X-CSRF-Token": csrf}).status_code == 200


def test_who_has_seen_a_scan_is_told_once_an_hour(portal: Portal, scan: str) -> None:
    reader, csrf = sign_in(portal, "reader")
    name = portal.people["reader"].name
    for picture in ("display.jpg", "rendition.png", "thumbnail.jpg", "heatmap.png"):
        assert reader.get(f"/api/v1/scans/{scan}/{picture}").status_code == 200
    assert told(portal, "scan.viewed") == [], "pictures are served without a write"
    for _ in range(2):
        assert reader.get(f"/scans/{scan}").status_code == 200
        take_hold(reader, csrf, scan)
    assert told(portal, "scan.viewed") == [(name, scan, {"address": HERE})]
    portal.app.extensions.pop("screening-views")
    assert reader.get(f"/scans/{scan}").status_code == 200, "as in another process"
    assert len(told(portal, "scan.viewed")) == 1
    assert portal.api("administrator").get(f"/api/v1/scans/{scan}").status_code == 200
    assert [actor for actor, _, _ in told(portal, "scan.viewed")] == [name, portal.people["administrator"].name]


def test_a_scan_that_is_only_fetched_ahead_was_not_seen(portal: Portal, scan: str) -> None:
    reader, csrf = sign_in(portal, "reader")
    assert reader.get(f"/scans/{scan}", headers={"X-Ahead": "1"}).status_code == 200
    assert told(portal, "scan.viewed") == []
    take_hold(reader, csrf, scan)
    assert [subject for _, subject, _ in told(portal, "scan.viewed")] == [scan]


def test_reading_goes_on_where_a_view_cannot_be_told(
    portal: Portal, scan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, _ = sign_in(portal, "reader")

    def full(*_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("disk full"))

    with monkeypatch.context() as patch:
        patch.setattr("screening.audit.record_hourly", full)
        assert reader.get(f"/scans/{scan}").status_code == 200
    assert reader.get(f"/scans/{scan}").status_code == 200
    assert len(told(portal, "scan.viewed")) == 1, "told as soon as it can be"


def test_every_export_is_told_with_what_was_asked_for(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> None:
    run = screened_run(portal, {"a.png": 0.9})
    system, api = portal.system, portal.api("reader")
    bundle = make_random_bundle(tmp_path_factory.mktemp("other") / "other", side=64, seed=5)
    after, _ = checkpoints.register(system.database, system.storage, utc_now(), bundle, "fp32", "tests")
    with system.database.read() as session:
        before = checkpoints.active(session).id
    exports = {
        "/api/v1/worklist.csv": "worklist.csv",
        f"/api/v1/worklist.json?run={run}": f"worklist-run-{run}.json",
        f"/api/v1/runs/{run}/files.csv": f"receipts-run-{run}.csv",
        f"/api/v1/comparisons.csv?before={before}&after={after}": f"comparison-{before}-{after}.csv",
    }
    for path in exports:
        assert api.get(path).status_code == 200, path
        assert api.client.head(path, headers=api.headers).status_code == 200, path
    events = told(portal, "export.made")
    name = portal.people["reader"].name
    assert [(actor, subject) for actor, subject, _ in events] == [(name, export) for export in exports.values()]
    assert events[1][2] == {"asked": {"run": str(run)}, "address": HERE}


def test_signing_in_and_out_is_told_with_the_address(portal: Portal) -> None:
    name = portal.people["reader"].name
    browser, csrf = sign_in(portal, "reader")
    browser.post("/sign-out", data={"csrf_token": csrf})
    browser, csrf = sign_in(portal, "reader")
    browser.post("/sign-out/everywhere", data={"csrf_token": csrf})
    assert told(portal, "link.issued") == [("tests", name, {})] * 2
    assert told(portal, "signed.in") == [(name, name, {"by": "link", "address": HERE})] * 2
    assert told(portal, "signed.out") == [
        (name, name, {"address": HERE}),
        (name, name, {"address": HERE, "everywhere": 1}),
    ]


def test_a_failed_sign_in_is_told_without_anything_that_was_typed(portal: Portal) -> None:
    with portal.system.database.write() as session:
        add_user(session, utc_now(), "anna", "reader", "correct horse battery", "tests")
    client = portal.browser()
    csrf = csrf_of(client)
    for form in (
        {"name": "anna", "password": "sesame-1"},
        {"name": "sesame-2", "password": ""},
        {"token": "sesame-3"},
    ):
        assert client.post("/sign-in", data={**form, "csrf_token": csrf}).status_code == 401
    assert client.post("/sign-in/link", data={"secret": "sesame-4", "csrf_token": csrf}).status_code == 401
    events = told(portal, "signed.in_failed")
    actor = f"address {HERE}"
    assert events == [
        (actor, "anna", {"by": "password", "address": HERE}),
        (actor, "an unknown name", {"by": "password", "address": HERE}),
        (actor, "a token", {"by": "token", "address": HERE}),
        (actor, "a link", {"by": "link", "address": HERE}),
    ]


def test_tokens_are_made_and_revoked_by_who_does_it(portal: Portal) -> None:
    browser, csrf = sign_in(portal, "reader")
    browser.post("/account/tokens", data={"name": "script", "days": "30", "csrf_token": csrf})
    name = portal.people["reader"].name
    [(actor, subject, detail)] = [event for event in told(portal, "token.issued") if event[0] != "tests"]
    assert (actor, subject, detail["user"]) == (name, "script", name)
