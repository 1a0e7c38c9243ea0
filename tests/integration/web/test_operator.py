"""What an operator works with: cheap polling, receipts, unfinished uploads, lanes, states, the audit trail."""

import csv
import io
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import web.run_board
from tests.installation import phantom_png
from tests.integration.web.conftest import Portal
from tests.integration.web.screened import screen_everything
from tests.integration.web.signing_in import sign_in


@pytest.fixture
def always_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts of a run stand for no time at all."""
    monkeypatch.setattr(web.run_board, "MOVING_STANDS_S", 0.0)
    monkeypatch.setattr(web.run_board, "STILL_STANDS_S", 0.0)


def test_a_status_that_did_not_change_is_not_rendered_again(portal: Portal, always_counted: None) -> None:
    api = portal.api()
    run = api.open_run("ward 7")
    api.receipts(run, ("a.png", phantom_png(1)))
    browser, csrf = sign_in(portal, "operator")
    first = browser.get(f"/runs/{run}/status")
    tag = first.headers["ETag"]
    again = browser.get(f"/runs/{run}/status", headers={"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    reader, _ = sign_in(portal, "reader")
    other = reader.get(f"/runs/{run}/status", headers={"If-None-Match": tag})
    assert other.status_code == 200, "a reader is shown other buttons"
    browser.post(f"/runs/{run}/pause", data={"csrf_token": csrf})
    paused = browser.get(f"/runs/{run}/status", headers={"If-None-Match": tag})
    assert (paused.status_code, "Resume" in paused.text) == (200, True)


def test_what_is_rendered_once_for_all_pages_has_the_token_of_each_session(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run("ward 7")
    api.receipts(run, ("a.png", phantom_png(1)))

    def page_and_token() -> tuple[str, str]:
        browser, _ = sign_in(portal, "operator")
        page = browser.get(f"/runs/{run}/status").text
        token = page.split('name="csrf_token" value="')[1].split('"')[0]
        assert browser.post(f"/runs/{run}/lane", data={"csrf_token": token, "lane": "urgent"}).status_code == 302
        return page, token

    first, second = page_and_token(), page_and_token()
    assert first[1] != second[1]
    assert first[1] not in second[0]


def test_what_people_and_workers_do_shows_at_once_though_counts_are_kept(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    api.receipts(run, ("a.png", phantom_png(1)), ("b.png", phantom_png(2)))
    browser, csrf = sign_in(portal, "operator")
    assert "Preparing</dt><dd>2<" in browser.get(f"/runs/{run}").text
    api.receipts(run, ("c.png", phantom_png(3)))
    assert "Preparing</dt><dd>2<" in browser.get(f"/runs/{run}/status").text, "the count stands for a while"
    browser.post(f"/runs/{run}/submit", data={"csrf_token": csrf})
    assert "Preparing</dt><dd>3<" in browser.get(f"/runs/{run}/status").text
    screen_everything(portal.system, {})
    assert "3 of 3 screened" in browser.get(f"/runs/{run}/status").text


def test_receipts_are_listed_counted_and_exported(portal: Portal) -> None:
    api = portal.api()
    run = api.open_run()
    big = phantom_png(9) + b"\0" * (1 << 20)
    api.receipts(run, ("a.png", phantom_png(1)), ("=b.png", phantom_png(1)), ("text.jpg", b"text"), ("big.png", big))
    # Resuming sends again what has no hash to be known by.
    api.receipts(run, ("text.jpg", b"text"), ("big.png", big), ("a.png", phantom_png(1)))
    answer = api.get(f"/api/v1/runs/{run}/files?limit=1&status=rejected").get_json()
    assert answer["counts"] == {"accepted": 1, "duplicate": 1, "rejected": 2}
    assert [item["name"] for item in answer["items"]] == ["text.jpg"]
    exported = api.get(f"/api/v1/runs/{run}/files.csv")
    assert exported.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(exported.text)))
    assert [(row["file_name"], row["status"]) for row in rows] == [
        ("a.png", "accepted"),
        ("'=b.png", "duplicate"),
        ("text.jpg", "rejected"),
        ("big.png", "rejected"),
    ]
    assert rows[2]["reason"].startswith("This is a text, not a radiograph.")
    assert api.get("/api/v1/runs/999/files.csv").status_code == 404
    browser, _ = sign_in(portal, "reader")
    page = browser.get(f"/runs/{run}/receipts?status=rejected").text
    assert "big.png" in page
    assert "=b.png" not in page
    assert browser.get(f"/runs/{run}/receipts?status=lost").status_code == 400
    assert "No file came" in browser.get(f"/runs/{api.open_run()}/receipts").text


def test_the_upload_page_offers_to_go_on_with_ones_own_open_runs(portal: Portal) -> None:
    api = portal.api()
    mine, done = api.open_run("interrupted <1>"), api.open_run("all sent")
    portal.api("administrator").open_run("somebody else's")
    api.receipts(mine, ("a.png", phantom_png(1)))
    api.post(f"/api/v1/runs/{done}/submit")
    browser, _ = sign_in(portal, "operator")
    page = browser.get("/runs/new").text
    assert f'href="/runs/{mine}/add"' in page
    assert "1 scan has arrived" in page
    assert "interrupted &lt;1&gt;" in page
    assert "all sent" not in page
    assert "somebody" not in page


def test_runs_are_found_by_their_state(portal: Portal) -> None:
    api = portal.api()
    kept, dropped = api.open_run("kept"), api.open_run("dropped")
    api.post(f"/api/v1/runs/{dropped}/cancel")
    assert [run["id"] for run in api.get("/api/v1/runs?state=open").get_json()["items"]] == [kept]
    assert api.get("/api/v1/runs?state=lost").status_code == 422
    browser, _ = sign_in(portal, "reader")
    page = browser.get("/runs?state=cancelled").text
    assert "dropped" in page
    assert "kept" not in page
    assert "No run is paused" in browser.get("/runs?state=paused").text
    assert browser.get("/runs?state=lost").status_code == 400


def test_a_lane_is_changed_on_the_page_of_the_run(portal: Portal) -> None:
    run = portal.api().open_run()
    browser, csrf = sign_in(portal, "operator")
    assert browser.post(f"/runs/{run}/lane", data={"csrf_token": csrf, "lane": "urgent"}).status_code == 302
    page = browser.get(f"/runs/{run}").text
    assert "Urgent lane" in page
    assert '<option value="urgent" selected>' in page
    assert browser.post(f"/runs/{run}/lane", data={"csrf_token": csrf, "lane": "soon"}).status_code == 400


def test_the_audit_trail_has_pages_and_a_search(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.pages.status.EVENTS_PER_PAGE", 3)
    api = portal.api()
    runs = [api.open_run(f"run number {n}") for n in range(4)]
    api.post(f"/api/v1/runs/{runs[0]}/cancel")
    browser, _ = sign_in(portal, "administrator")
    page = browser.get("/system/audit?search=run.").text
    assert page.count("run.opened") == 2
    assert page.count("run.cancelled") == 1
    older = browser.get(page.split('class="pager"')[1].split('href="')[1].split('"')[0].replace("&amp;", "&")).text
    assert older.count("run.opened") == 2
    assert "Older events" not in older
    assert "Nothing in the audit trail" in browser.get("/system/audit?search=nowhere").text
    reader, _ = sign_in(portal, "operator")
    assert reader.get("/system/audit").status_code == 403
    assert "/system/audit" not in reader.get("/system").text


def test_many_who_ask_at_once_cost_one_count(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    api = portal.api()
    run = api.open_run()
    api.receipts(run, ("a.png", phantom_png(1)))
    looks: list[int] = []
    look = web.run_board._look

    def slowly(*arguments: Any) -> web.run_board.RunView:
        looks.append(1)
        time.sleep(0.3)
        return look(*arguments)

    monkeypatch.setattr(web.run_board, "_look", slowly)
    board = web.run_board.RunBoard(portal.system)
    with ThreadPoolExecutor(10) as threads:
        views = list(threads.map(lambda _: board.view(run), range(10)))
    assert len(looks) == 1
    assert {view.progress.total for view in views} == {1}
