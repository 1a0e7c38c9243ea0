"""Reviews and holds over the API and as forms, by readers of every role."""

import csv
import html
import io
import re

import pytest

from screening.accounts import Role
from screening.reviews.verdicts import record
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screened_run
from tests.integration.web.signing_in import sign_in


@pytest.fixture
def scan(portal: Portal) -> str:
    """A flagged scan."""
    run = screened_run(portal, {"a.png": 0.9})
    [item] = portal.api("reader").get(f"/api/v1/worklist?run={run}").get_json()["items"]
    return str(item["scan"])


def test_a_reader_decides_and_takes_it_back(portal: Portal, scan: str) -> None:
    api, path = portal.api("reader"), f"/api/v1/scans/{scan}/reviews"
    made = api.post(path, {"verdict": "fracture", "comment": "distal radius"})
    assert made.status_code == 201, made.text
    review = made.get_json()
    assert (review["reader"], review["verdict"], review["comment"]) == ("reader-1", "fracture", "distal radius")
    assert (review["probability"], review["threshold"], review["sampled"]) == (0.9, 0.5, False)
    assert api.get(path).get_json() == {"items": [review], "kept_back": 0}
    taken_back = api.client.delete(f"{path}/{review['id']}", headers=api.headers)
    assert taken_back.get_json()["withdrawn_at"]
    again = api.client.delete(f"{path}/{review['id']}", headers=api.headers)
    assert (again.status_code, again.get_json(force=True)["code"]) == (409, "withdrawn")
    assert api.get(path).get_json() == {"items": [], "kept_back": 0}


def test_others_are_read_after_ones_own_verdict(portal: Portal, scan: str) -> None:
    first, second, path = portal.api("reader"), portal.api("administrator"), f"/api/v1/scans/{scan}/reviews"
    first.post(path, {"verdict": "unsure", "comment": "hm, the scaphoid"})
    browser, _ = sign_in(portal, "administrator")
    assert second.get(path).get_json() == {"items": [], "kept_back": 1}
    page = html.unescape(browser.get(f"/scans/{scan}").text)
    assert "1 other review is shown after your own verdict" in page
    assert "scaphoid" not in page
    second.post(path, {"verdict": "fracture"})
    assert [item["reader"] for item in second.get(path).get_json()["items"]] == ["reader-1", "administrator-1"]
    assert "scaphoid" in browser.get(f"/scans/{scan}").text
    own = first.get(path).get_json()["items"][0]["id"]
    foreign = second.client.delete(f"{path}/{own}", headers=second.headers)
    assert (foreign.status_code, foreign.get_json(force=True)["code"]) == (404, "unknown_review")


@pytest.mark.parametrize("role", ["reader", "operator", "administrator"])
def test_lists_and_exports_of_readers_keep_back_what_others_decided(portal: Portal, scan: str, role: Role) -> None:
    now = portal.system.clock()
    with portal.system.database.write() as session:
        record(session, now, scan, "A. K.", "poor_quality", None, 0.0)
    api = portal.api(role)
    browser, _ = sign_in(portal, role)

    def told() -> list[tuple[list[str], int]]:
        """(verdicts, how many are kept back) by the list and both exports."""
        items = [api.get("/api/v1/worklist").get_json()["items"][0], api.get("/api/v1/worklist.json").get_json()[0]]
        [row] = csv.DictReader(io.StringIO(api.get("/api/v1/worklist.csv").text))
        return [
            *(([review["verdict"] for review in item["reviews"]], item["kept_back"]) for item in items),
            (row["verdicts"].split("; ") if row["verdicts"] else [], int(row["kept_back"])),
        ]

    # An administrator's exports hold every review, as the audit trail does.
    before = [([], 1)] * 3
    if role == "administrator":
        before[1:] = [(["poor_quality"], 0), (["A. K.: poor_quality"], 0)]
    assert told() == before
    page = browser.get("/worklist").text
    assert "read by 1<" in page
    assert "poor" not in page
    made = api.post(f"/api/v1/scans/{scan}/reviews", {"verdict": "unsure"}).get_json()
    both = ["poor_quality", "unsure"]
    assert told() == [(both, 0), (both, 0), (["A. K.: poor_quality", f"{role}-1: unsure"], 0)]
    assert "read by 1 more" in browser.get("/worklist").text
    api.client.delete(f"/api/v1/scans/{scan}/reviews/{made['id']}", headers=api.headers)
    assert told() == before


def test_a_list_by_decision_tells_an_administrator_of_every_scan_and_others_of_their_own(
    portal: Portal, scan: str
) -> None:
    """The list itself would tell what others decided, before a reader's own verdict."""
    with portal.system.database.write() as session:
        record(session, portal.system.clock(), scan, "A. K.", "fracture", None, 0.0)

    def found(role: Role, decided: str, path: str = "/api/v1/worklist") -> list[str]:
        answer = portal.api(role).get(f"{path}?reviewed={decided}").get_json()
        return [item["scan"] for item in (answer if isinstance(answer, list) else answer["items"])]

    for path in ("/api/v1/worklist", "/api/v1/worklist.json"):
        assert found("administrator", "fracture", path) == [scan]
        assert found("administrator", "no_fracture", path) == found("reader", "fracture", path) == []
    [item] = portal.api("administrator").get("/api/v1/worklist?reviewed=fracture").get_json()["items"]
    assert ([review["verdict"] for review in item["reviews"]], item["kept_back"]) == (["fracture"], 0)
    following = "/api/v1/worklist/neighbours?scan={}&reviewed=fracture"
    assert portal.api("reader").get(following.format("f" * 32)).get_json()["following"] == []
    for role, others in (("administrator", "Readers decided"), ("reader", "Decided, of what you reviewed")):
        page = sign_in(portal, role)[0].get("/worklist?reviewed=fracture").text
        assert f'<optgroup label="{others}"><option value="fracture" selected>' in page
        assert (scan in page) is (role == "administrator")
    portal.api("reader").post(f"/api/v1/scans/{scan}/reviews", {"verdict": "no_fracture"})
    for role in ("administrator", "reader"):
        assert (found(role, "fracture"), found(role, "undecided")) == ([], [scan])
    assert portal.api("reader").get("/api/v1/worklist?reviewed=normal").status_code == 422


def test_what_is_no_verdict_is_refused(portal: Portal, scan: str) -> None:
    api, path = portal.api("reader"), f"/api/v1/scans/{scan}/reviews"
    assert api.post(path, {"verdict": "normal"}).status_code == 422
    assert api.post(path, {"verdict": "unsure", "comment": "x" * 2001}).status_code == 422
    answer = api.post(path, {"verdict": "unsure", "checkpoint": "nothing"})
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (400, "not_shown")
    for unknown in (f"/api/v1/scans/{'f' * 32}/reviews", f"/api/v1/scans/{'f' * 32}/hold"):
        assert api.get(unknown).status_code == 404
    assert api.post(f"/api/v1/scans/{'f' * 32}/reviews", {"verdict": "unsure"}).status_code == 404
    assert api.put(f"/api/v1/scans/{'f' * 32}/hold", {}).status_code == 404


def test_a_hold_is_seen_by_others_and_ends_with_the_verdict(portal: Portal, scan: str) -> None:
    first, second, path = portal.api("reader"), portal.api("operator"), f"/api/v1/scans/{scan}/hold"
    assert first.get(path).get_json()["reader"] is None
    taken = first.put(path, {}).get_json()
    assert (taken["reader"], taken["yours"]) == ("reader-1", True)
    told = second.put(path, {}).get_json()
    assert (told["reader"], told["yours"], told["held_since"]) == ("reader-1", False, taken["held_since"])
    assert told["held_for_s"] >= 0
    assert second.client.delete(path, headers=second.headers).status_code == 204
    assert second.get(path).get_json()["reader"] == "reader-1"
    browser, _ = sign_in(portal, "operator")
    page = browser.get(f"/scans/{scan}").text
    assert "Held by <bdi>reader-1</bdi>" in page
    assert 'class="original"' in page, "a hold hides nothing"
    assert second.post(f"/api/v1/scans/{scan}/reviews", {"verdict": "unsure"}).status_code == 201
    first.post(f"/api/v1/scans/{scan}/reviews", {"verdict": "fracture"})
    assert second.get(path).get_json()["reader"] is None


def test_in_the_reading_queue_the_network_speaks_after_the_reader(portal: Portal, scan: str) -> None:
    browser, _ = sign_in(portal, "reader")
    assert '<div id="verdict">' in browser.get(f"/scans/{scan}").text
    assert '<details id="verdict">' in browser.get(f"/scans/{scan}?view=to_read").text
    portal.api("reader").post(f"/api/v1/scans/{scan}/reviews", {"verdict": "unsure"})
    assert '<div id="verdict">' in browser.get(f"/scans/{scan}?view=to_read").text


def test_verdicts_work_as_plain_forms_and_keep_the_readers_place(portal: Portal, scan: str) -> None:
    browser, csrf = sign_in(portal, "reader")
    address = f"/scans/{scan}?band=likely&run=1&search=a.png"
    page = html.unescape(browser.get(address).text)
    assert 'href="/worklist?band=likely&run=1&search=a.png"' in page
    form = re.search(r'action="(/scans/[^"]+/reviews\?[^"]+)"', page)
    assert form
    answer = browser.post(form.group(1), data={"verdict": "poor_quality", "comment": "turned", "csrf_token": csrf})
    assert (answer.status_code, answer.headers["Location"]) == (302, address)
    page = html.unescape(browser.get(address).text)
    assert "Recorded: poor quality." in page
    assert "turned" in page
    withdraw = re.search(r'action="(/scans/[^"]+/reviews/\d+/withdraw\?[^"]+)"', page)
    assert withdraw
    assert browser.post(withdraw.group(1), data={"csrf_token": csrf}).headers["Location"] == address
    assert "turned" not in browser.get(address).text
    assert browser.post(form.group(1), data={"verdict": "normal", "csrf_token": csrf}).status_code == 400
    assert browser.post(form.group(1), data={"verdict": "unsure"}).status_code == 400, "without the form's token"
