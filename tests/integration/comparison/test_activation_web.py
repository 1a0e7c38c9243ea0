"""Every door to another checkpoint says what it leaves behind, and the pages go on saying so while it lasts."""

import html
import re

import pytest
from sqlalchemy import update

from screening.checkpoints import active
from screening.clock import utc_now
from screening.database.tables import Run
from tests.integration.comparison.pairs import add_predictions, add_review
from tests.integration.ledger.steps import scan_id
from tests.integration.web.conftest import Portal
from tests.integration.web.signing_in import sign_in

UNREAD = dict.fromkeys(range(12), 0.9)
SAID = "12 scans are not screened by it, 12 of them flagged and unread"
BOX = 'name="leave_unscreened" value="yes" required'


def count_anew(portal: Portal) -> None:
    """Forget the counts that are kept for some times as long as counting took."""
    for name in [name for name in portal.app.extensions if name.startswith("screening-left-behind")]:
        del portal.app.extensions[name]


@pytest.fixture
def unread(portal: Portal, two: tuple[str, str]) -> tuple[str, str]:
    """(in use, with twelve unread likely scans; another one, which has screened none of them)."""
    add_predictions(portal.system.database, two[0], UNREAD, received_at=utc_now())
    with portal.system.database.write() as session:
        session.execute(update(Run).values(state="complete"))
    return two


def in_use(portal: Portal) -> str:
    with portal.system.database.read() as session:
        return active(session).id


def test_the_model_page_asks_before_it_leaves_unread_scans_behind(portal: Portal, unread: tuple[str, str]) -> None:
    browser, token = sign_in(portal, "administrator")
    door = f"/model/{unread[1]}/activate"
    assert f'href="{door}"' in browser.get("/model").text
    page = browser.get(door).text
    assert SAID in page
    assert BOX in page
    refused = browser.post(door, data={"csrf_token": token})
    assert refused.status_code == 409
    assert SAID in refused.text
    assert in_use(portal) == unread[0]
    form = {"csrf_token": token, "leave_unscreened": "yes", "reason": "better"}
    assert browser.post(door, data=form).status_code == 302
    assert in_use(portal) == unread[1]
    assert sign_in(portal, "operator")[0].get(door).status_code == 403


def test_the_compare_page_asks_too(portal: Portal, unread: tuple[str, str]) -> None:
    browser, token = sign_in(portal, "administrator")
    page = browser.get(f"/compare?before={unread[0]}&after={unread[1]}").text
    assert SAID in page
    assert BOX in page
    form = {"csrf_token": token, "checkpoint": unread[1], "reason": "better"}
    assert browser.post("/compare/activate", data=form).status_code == 409
    assert browser.post("/compare/activate", data={**form, "leave_unscreened": "yes"}).status_code == 302
    assert in_use(portal) == unread[1]


def test_the_api_asks_too(portal: Portal, unread: tuple[str, str]) -> None:
    api = portal.api("administrator")
    path = f"/api/v1/checkpoints/{unread[1]}"
    told = portal.api("reader").get(f"{path}/left-behind").get_json()
    assert (told["scans"], told["flagged_unread"], told["runs"], told["screened_by"]) == (12, 12, 0, None)
    assert told["sentence"] == f"{SAID}."
    refused = api.post(f"{path}/activate", {"reason": "better"})
    assert (refused.status_code, refused.get_json(force=True)["code"]) == (409, "leaves_unscreened")
    assert api.post(f"{path}/activate", {"leave_unscreened": True}).get_json()["active"] is True
    opened = portal.api("operator").post("/api/v1/checkpoints/screen-rest").get_json()
    assert opened["jobs"] == 12
    assert portal.api("operator").post("/api/v1/checkpoints/screen-rest").status_code == 409
    assert portal.api("reader").post("/api/v1/checkpoints/screen-rest").status_code == 403


def test_list_home_and_counts_tell_of_them_until_they_are_read(portal: Portal, unread: tuple[str, str]) -> None:
    api = portal.api("administrator")
    api.post(f"/api/v1/checkpoints/{unread[1]}/activate", {"leave_unscreened": True})
    reader, _ = sign_in(portal, "reader")
    queue = reader.get("/worklist?view=to_read").text
    assert re.search(r"To read\s+12<", queue)
    assert queue.count("screened by a former checkpoint only") == 12
    items = portal.api("reader").get("/api/v1/worklist?view=to_read").get_json()["items"]
    assert {item["scan"] for item in items} == {scan_id(n) for n in UNREAD}
    assert {item["checkpoint"] for item in items} == {unread[0]}
    for address in ("/worklist?view=to_read", "/worklist", "/"):
        page = reader.get(address).text
        assert SAID in page, address
        assert "An operator can have them screened" in page
    for number in UNREAD:
        add_review(portal.system.database, number, "no_fracture")
    add_predictions(portal.system.database, unread[0], {50: 0.1})
    count_anew(portal)
    after = html.unescape(reader.get("/worklist?view=to_read").text)
    assert "13 scans are not screened by it, none of them flagged and unread; 1 run still goes on" in after
    assert "Everything is read" not in after


def test_an_operator_has_them_screened_by_the_one_in_use(portal: Portal, unread: tuple[str, str]) -> None:
    api = portal.api("administrator")
    api.post(f"/api/v1/checkpoints/{unread[1]}/activate", {"leave_unscreened": True})
    browser, token = sign_in(portal, "operator")
    assert 'action="/model/screen-rest"' in browser.get("/worklist").text
    answer = browser.post("/model/screen-rest", data={"csrf_token": token})
    assert answer.status_code == 302
    run = int(answer.headers["Location"].rsplit("/", 1)[1])
    document = portal.api().get(f"/api/v1/runs/{run}").get_json()
    assert (document["checkpoint"], document["lane"]) == (unread[1], "archive")
    assert f'href="/runs/{run}"' in browser.get("/worklist").text


def test_where_nothing_is_left_nothing_is_asked_and_everything_is_read(portal: Portal, two: tuple[str, str]) -> None:
    browser, token = sign_in(portal, "administrator")
    page = browser.get(f"/model/{two[1]}/activate").text
    assert "It has screened every scan that is in the worklist." in page
    assert BOX not in page
    assert browser.post(f"/model/{two[1]}/activate", data={"csrf_token": token}).status_code == 302
    queue = browser.get("/worklist?view=to_read").text
    assert "Everything is read" in queue
    assert 'id="left-behind"' not in queue
