"""The comparison in the portal and the API, and the drift on the system page and in the measures."""

import csv
import html
import io
import re
from datetime import timedelta

import pytest
from sqlalchemy import delete

from screening import audit
from screening.accounts import Role
from screening.clock import utc_now
from screening.database.tables import Prediction
from tests.integration.comparison.pairs import AFTER, BEFORE, add_predictions, add_review
from tests.integration.ledger.steps import scan_id
from tests.integration.web.conftest import Portal
from tests.integration.web.signing_in import sign_in


def test_pages_of_the_api_join_and_the_export_has_all(portal: Portal, compared: tuple[str, str]) -> None:
    before, after = compared
    api = portal.api("reader")
    address = f"?before={before}&after={after}"
    found: list[dict[str, object]] = []
    cursor = ""
    while cursor is not None:
        answer = api.get(f"/api/v1/comparisons{address}&limit=7&cursor={cursor}")
        assert answer.status_code == 200, answer.text
        page = answer.get_json()
        found += page["items"]
        cursor = page["next"]
    assert {item["scan"]: (item["before"], item["after"]) for item in found} == {
        scan_id(n): (BEFORE[n], AFTER[n]) for n in BEFORE
    }
    assert (page["before"]["checkpoint"], page["before"]["active"], page["after"]["threshold"]) == (before, True, 0.5)
    answer = api.get(f"/api/v1/comparisons.csv{address}")
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["scan"] for row in rows] == [item["scan"] for item in found]
    assert [float(row["change"]) for row in rows] == [item["change"] for item in found]
    only = api.get(f"/api/v1/comparisons.csv{address}&kind=newly_flagged").text
    assert {row["kind"] for row in csv.DictReader(io.StringIO(only))} == {"newly_flagged"}


def test_the_summary_of_the_api(portal: Portal, compared: tuple[str, str]) -> None:
    before, after = compared
    summary = portal.api("reader").get(f"/api/v1/comparisons/summary?before={before}&after={after}").get_json()
    assert (summary["scans"], summary["only_before"], summary["only_after"]) == (20, 0, 1)
    assert summary["counts"]["newly_flagged"] == summary["counts"]["no_longer_flagged"] == 10
    assert (summary["agreement"], summary["kappa"]) == (0.0, pytest.approx(-1))
    assert sum(row["scans"] for row in summary["bands"]) == 20
    assert summary["sensitivity"]["before"] == {"hits": 0, "scans": 0, "share": None, "interval_95": [0.0, 1.0]}
    assert summary["sentences"][0].startswith("20 scans were screened by both; 20 of them changed")


DECIDED = {0: "no_fracture", 1: "unsure", 15: "fracture"}
FACTS = ("reviewed", "fractured", "kept_back")


def told(portal: Portal, role: Role, asked: str) -> tuple[list[tuple[object, ...]], list[tuple[str, ...]], str]:
    """What is said of the reviews of scans 0, 1, 2 and 15 to this role: by the API, in the export, on the page."""
    api, scans = portal.api(role), [scan_id(n) for n in (0, 1, 2, 15)]
    items = api.get(f"/api/v1/comparisons?{asked}").get_json()["items"]
    by_api = {item["scan"]: tuple(item[name] for name in FACTS) for item in items}
    rows = csv.DictReader(io.StringIO(api.get(f"/api/v1/comparisons.csv?{asked}").text))
    exported = {row["scan"]: tuple(row[name] for name in FACTS) for row in rows}
    page = sign_in(portal, role)[0].get(f"/compare?{asked}").text
    return [by_api[scan] for scan in scans], [exported[scan] for scan in scans], page


@pytest.mark.parametrize("role", ["reader", "administrator"])
def test_what_readers_decided_is_told_to_those_who_decided_too(
    portal: Portal, compared: tuple[str, str], role: Role
) -> None:
    for number, verdict in DECIDED.items():
        add_review(portal.system.database, number, verdict)
    asked = f"before={compared[0]}&after={compared[1]}"
    by_api, exported, page = told(portal, role, asked)
    assert by_api == [(True, None, True), (True, None, True), (False, None, False), (True, None, True)]
    assert exported == [("True", "", "True"), ("True", "", "True"), ("False", "", "False"), ("True", "", "True")]
    assert page.count("Reviewed; the verdict is shown after your own.") == 3
    assert "Reviewed: " not in page

    for number in DECIDED:
        add_review(portal.system.database, number, "unsure", portal.people[role].name)
    by_api, exported, page = told(portal, role, asked)
    assert by_api == [(True, False, False), (True, None, False), (False, None, False), (True, True, False)]
    assert exported == [
        ("True", "False", "False"),
        ("True", "", "False"),
        ("False", "", "False"),
        ("True",) * 2 + ("False",),
    ]
    for words in ("Reviewed: no fracture.", "Reviewed: fracture.", "Reviewed: not decided."):
        assert words in page


def test_numbers_of_few_reviewed_scans_are_told_to_administrators_alone(
    portal: Portal, compared: tuple[str, str]
) -> None:
    """Of one or a few scans they are what was decided about them."""
    for number, verdict in DECIDED.items():
        add_review(portal.system.database, number, verdict)
    asked = f"before={compared[0]}&after={compared[1]}"
    kept_back = portal.api("reader").get(f"/api/v1/comparisons/summary?{asked}").get_json()
    assert [kept_back[name] for name in ("reviewed", "readers", "sensitivity", "specificity")] == [2, None, None, None]
    assert kept_back["sentences"][2].startswith("Readers have decided about 2 of these scans, too few to tell")
    assert "too few to tell" in sign_in(portal, "reader")[0].get(f"/compare?{asked}").text
    summary = portal.api("administrator").get(f"/api/v1/comparisons/summary?{asked}").get_json()
    assert summary["reviewed"] == 2
    assert (summary["sensitivity"]["before"]["hits"], summary["sensitivity"]["after"]["hits"]) == (1, 0)
    assert summary["sensitivity"]["p_value"] is None
    told = summary["readers"]
    assert (told["decided"], told["only_before"]["scans"], told["only_before"]["decided"]) == (2, 10, 1)
    assert (told["only_before"]["share"], told["only_after"]["share"]) == (1.0, 0.0)
    page = sign_in(portal, "administrator")[0].get(f"/compare?{asked}").text
    assert "Readers look mainly at what the checkpoint in use flags" in page
    for number in range(2, 10):
        add_review(portal.system.database, number, "fracture")
    summary = portal.api("reader").get(f"/api/v1/comparisons/summary?{asked}").get_json()
    assert (summary["readers"]["decided"], summary["sensitivity"]["after"]["scans"]) == (10, 9)
    assert "Readers look mainly" in sign_in(portal, "reader")[0].get(f"/compare?{asked}").text


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("before=A&after=A", 400),
        ("before=A&after=nobody", 404),
        ("before=A&after=B&run=9999", 404),
        ("before=A&after=B&cursor=nonsense", 400),
        ("before=A&after=B&kind=normal", 422),
        ("before=A&after=B&moved=2", 422),
        ("before=A", 422),
    ],
)
def test_what_the_api_refuses(portal: Portal, two: tuple[str, str], address: str, status: int) -> None:
    asked = address.replace("=A", f"={two[0]}").replace("=B", f"={two[1]}")
    assert portal.api("reader").get(f"/api/v1/comparisons?{asked}").status_code == status


def test_the_page_shows_what_changes_the_largest_first(portal: Portal, compared: tuple[str, str]) -> None:
    before, after = compared
    browser, _ = sign_in(portal, "reader")
    page = browser.get("/compare").text
    words = html.unescape(page)
    assert "20 scans were screened by both; 20 of them changed: 10 newly flagged, 10 no longer flagged." in words
    assert "1 scan was screened only by the checkpoint after, and left out here." in words
    changes = [float(value) for value in re.findall(r'<span class="score">([+-]\d\.\d\d)</span>', page)]
    assert len(changes) == 20
    assert [abs(value) for value in changes] == sorted((abs(value) for value in changes), reverse=True)
    assert f"/scans/{scan_id(0)}/heatmap.png?checkpoint={before}" in page
    assert f"/scans/{scan_id(0)}/heatmap.png?checkpoint={after}" in page
    assert f'href="/scans/{scan_id(0)}"' in page
    newly = browser.get(f"/compare?before={before}&after={after}&kind=newly_flagged").text
    assert len(re.findall(r'<span class="score">\+', newly)) == 10
    assert '<span class="score">-' not in newly
    assert "Make it the active checkpoint" not in page
    assert "style=" not in page
    assert browser.get(f"/compare?before={after}&after={before}").status_code == 200
    assert "between 0 and 1" in browser.get("/compare?moved=x").text
    assert browser.get("/compare?kind=normal").status_code == 400
    assert "/compare" in browser.get("/model").text


def test_the_page_without_anything_to_compare(portal: Portal) -> None:
    browser, _ = sign_in(portal, "reader")
    page = browser.get("/compare")
    assert page.status_code == 200
    assert "Only one checkpoint is registered" in page.text


def test_the_page_of_two_checkpoints_without_a_common_scan(portal: Portal, two: tuple[str, str]) -> None:
    add_predictions(portal.system.database, two[0], BEFORE)
    page = sign_in(portal, "administrator")[0].get("/compare").text
    assert "has been screened by both, so there is nothing to compare yet." in page
    assert "Make it the active checkpoint" in page


def test_an_administrator_switches_with_a_reason_and_back(portal: Portal, compared: tuple[str, str]) -> None:
    before, after = compared
    browser, token = sign_in(portal, "administrator")

    def worklist() -> set[str]:
        items = portal.api("reader").get("/api/v1/worklist?band=flagged").get_json()["items"]
        return {item["scan"] for item in items}

    def switch(checkpoint: str, reason: str) -> int:
        form = {"checkpoint": checkpoint, "reason": reason, "before": before, "after": after, "csrf_token": token}
        form["leave_unscreened"] = "yes"
        return int(browser.post("/compare/activate", data=form).status_code)

    was = worklist()
    assert switch(after, " ") == 400
    assert worklist() == was
    assert switch(after, "finds more") == 302
    assert worklist() == {scan_id(n) for n, p in AFTER.items() if p >= 0.5}
    assert f'value="{before}"' in browser.get(f"/compare?before={before}&after={after}").text
    assert switch(before, "finds too much") == 302
    assert worklist() == was
    with portal.system.database.read() as session:
        events = [event for event in audit.recent(session) if event.action == "checkpoint.activated"]
    assert [(event.subject, event.detail) for event in reversed(events)] == [
        (after, {"former": before, "reason": "finds more"}),
        (before, {"former": after, "reason": "finds too much"}),
    ]
    assert sign_in(portal, "operator")[0].post("/compare/activate").status_code in (400, 403)


def test_the_api_activates_with_a_reason_or_without(portal: Portal, two: tuple[str, str]) -> None:
    api = portal.api("administrator")
    assert api.post(f"/api/v1/checkpoints/{two[1]}/activate", {"reason": "better"}).status_code == 200
    assert api.client.post(f"/api/v1/checkpoints/{two[0]}/activate", headers=api.headers).status_code == 200
    with portal.system.database.read() as session:
        details = [e.detail.get("reason") for e in audit.recent(session) if e.action == "checkpoint.activated"]
    assert details == [None, "better"]


def test_drift_is_on_the_system_page_and_in_the_measures(portal: Portal, two: tuple[str, str]) -> None:
    now = utc_now()
    database = portal.system.database
    add_predictions(database, two[0], {n: (n % 50) / 100 for n in range(1000)}, received_at=now - timedelta(days=365))
    add_predictions(database, two[0], dict.fromkeys(range(2000, 2250), 0.9), received_at=now, modality="DX")
    measures = portal.api().get("/metrics").text
    assert re.search(rf'screening_drift_psi{{checkpoint="{two[0]}",source="DX"}} \d', measures)
    assert f'screening_flag_rate{{checkpoint="{two[0]}",source="all"}} 1.0' in measures
    assert "screening_drift_warnings 3.0" in measures
    page = html.unescape(sign_in(portal, "reader")[0].get("/system").text)
    assert "The 250 scans of the DX files of the last 4 weeks are not scored as the reference was" in page
    home = html.unescape(sign_in(portal, "reader")[0].get("/").text)
    assert home.count("are not scored as the reference was") == 1
    assert "Details, and 2 more like it" in home
    assert "Watching over time" in page


def test_without_scans_nothing_is_said_of_drift(portal: Portal) -> None:
    with portal.system.database.write() as session:
        session.execute(delete(Prediction))
    assert "Watching over time" not in sign_in(portal, "reader")[0].get("/system").text
    assert "screening_drift_warnings 0.0" in portal.api().get("/metrics").text
