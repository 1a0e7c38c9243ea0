"""Schedules over the API and on the pages: who may do what, and what they see."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from screening import checkpoints
from screening.clock import utc_now
from screening.database.tables import Checkpoint, Job, OperatingPointChange
from screening.inference.bundle import Bundle
from screening.ledger.sweeping import complete_runs
from screening.rescreening.ending import end_firings
from screening.rescreening.firing import tick
from screening.rescreening.schedules import get_schedule
from tests.installation import phantom_png
from tests.integration.conftest import random_bundle
from tests.integration.web.conftest import Portal, portal
from tests.integration.web.screened import screen_everything
from tests.integration.web.signing_in import sign_in
from web.run_board import EXTENSION

__all__ = ["portal", "random_bundle"]

MEANT = {"leave_unscreened": True}
PLAN = {"name": "every night", "cron": "0 22 * * *", "time_zone": "Europe/Berlin", "window_end": "06:00"}


def text_of(page: str, element: str) -> str:
    """The words of a paragraph."""
    [found] = re.findall(rf'<p [^>]*id="{element}"[^>]*>(.*?)</p>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", "", found).split())


def add_second_checkpoint(portal: Portal, **changes: str) -> None:
    """Another checkpoint, called second, that is like the active one but for what is changed."""
    with portal.system.database.write() as session:
        first = checkpoints.active(session)
        row = {column.key: getattr(first, column.key) for column in Checkpoint.__table__.columns}
        session.execute(insert(Checkpoint).values({**row, "id": "second", "active": False, **changes}))
        session.add(
            OperatingPointChange(
                checkpoint_id="second", name="p", threshold=0.5, reason="r", set_by="t", set_at=utc_now()
            )
        )


def test_a_schedule_from_its_making_to_its_end(portal: Portal) -> None:
    api = portal.api()
    made = api.post("/api/v1/schedules", {**PLAN, "selection": {"body_part": "hand"}, "most_scans": 500})
    assert made.status_code == 201, made.text
    document = made.get_json()
    path = made.headers["Location"]
    assert path.endswith(f"/api/v1/schedules/{document['id']}")
    assert (document["checkpoint"], document["selection"], len(document["next"])) == (
        "candidate",
        {"body_part": "hand"},
        5,
    )
    assert api.get("/api/v1/schedules").get_json()["items"] == [document]
    changed = api.put(path, {**PLAN, "name": "weekly", "cron": "0 22 * * 6"})
    assert (changed.get_json()["name"], changed.get_json()["selection"]) == ("weekly", {})
    assert api.post(f"{path}/pause").get_json()["next"] == []
    assert api.post(f"{path}/resume").get_json()["paused"] is False
    assert api.post(f"{path}/run-now").status_code == 202
    assert api.post(f"{path}/run-now").status_code == 409
    tick(portal.system.database, utc_now())
    [firing] = api.get(f"{path}/firings").get_json()["items"]
    assert (firing["note"], firing["asked_by"]) == ("no_candidate", "operator-1")
    assert firing["reason"] == "there is no candidate"
    assert api.client.delete(path, headers=api.headers).status_code == 204
    for gone in (api.get(path), api.get(f"{path}/firings"), api.post(f"{path}/pause"), api.put(path, PLAN)):
        assert gone.status_code == 404
    assert api.get("/api/v1/schedules").get_json()["items"] == []


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"cron": "0 25 * * *"}, "hour"),
        ({"time_zone": "Atlantis"}, "IANA"),
        ({"window_end": "late"}, "06:00"),
        ({"selection": {"band": "normal"}}, "band"),
        ({"selection": {"min_age_days": "x"}}, "whole number"),
        ({"checkpoint": "nothing"}, "no checkpoint"),
        ({"most_scans": 0}, "most scans"),
        ({"name": ""}, "name"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_in_a_sentence(portal: Portal, wrong: dict[str, object], word: str) -> None:
    answer = portal.api().post("/api/v1/schedules", {**PLAN, **wrong})
    assert answer.status_code in (400, 404)
    assert word in answer.get_json(force=True)["detail"]


def test_a_preview_makes_nothing(portal: Portal) -> None:
    api = portal.api("reader")
    answer = api.get("/api/v1/schedules/preview?cron=0+22+*+*+*&time_zone=UTC&window_end=05:30")
    [first, *rest] = answer.get_json()["items"]
    assert len(rest) == 4
    assert re.search(r"T22:00:00", first["start"])
    assert re.search(r"T05:30:00", first["until"])
    assert api.get("/api/v1/schedules/preview?cron=never").status_code == 400
    assert api.get("/api/v1/schedules").get_json()["items"] == []


def test_readers_see_schedules_and_only_administrators_name_the_candidate(portal: Portal, tmp_path: object) -> None:
    [first] = portal.api().get("/api/v1/checkpoints").get_json()["items"]
    assert portal.api("reader").post("/api/v1/schedules", PLAN).status_code == 403
    assert portal.api().post(f"/api/v1/checkpoints/{first['id']}/nominate").status_code == 403
    administrator = portal.api("administrator")
    assert administrator.post(f"/api/v1/checkpoints/{first['id']}/nominate").status_code == 409, "it is active"
    assert (
        administrator.client.delete("/api/v1/checkpoints/candidate", headers=administrator.headers).status_code == 204
    )
    portal.api().post("/api/v1/schedules", PLAN)
    browser, _ = sign_in(portal, "reader")
    page = browser.get("/schedules").text
    assert "every night" in page
    assert "New schedule" not in page
    form = browser.get("/schedules/1").text
    assert "Run now" not in form
    assert ">Save<" not in form


def test_the_pages_make_preview_change_and_delete(portal: Portal) -> None:
    browser, csrf = sign_in(portal, "operator")
    assert "There are no schedules yet" in browser.get("/schedules").text
    assert 'id="time_zone"' in browser.get("/schedules/new").text
    form = {**PLAN, "checkpoint": "candidate", "band": "flagged", "min_age_days": "30", "csrf_token": csrf}
    previewed = browser.post("/schedules", data={**form, "action": "preview"})
    assert previewed.text.count("<time ") == 10
    assert 'value="every night"' in previewed.text
    wrong = browser.post("/schedules", data={**form, "cron": "never", "name": "<b>mine</b>"})
    assert "is no time" in wrong.text
    assert "&lt;b&gt;mine" in wrong.text
    assert "There are no schedules yet" in browser.get("/schedules").text, "neither was kept"
    saved = browser.post("/schedules", data=form)
    assert saved.status_code == 302
    path = saved.headers["Location"]
    page = browser.get(path).text
    assert '<option value="flagged" selected>' in page
    assert 'name="min_age_days" type="number" min="0" value="30"' in page
    assert "It has not fired yet" in page
    browser.post(path, data={**form, "name": "renamed", "min_age_days": ""})
    assert "renamed" in browser.get("/schedules").text
    assert "a whole number" in browser.post(path, data={**form, "min_age_days": "soon"}).text
    for action, word in (("pause", "Paused"), ("resume", "On"), ("run-now", "At work")):
        assert browser.post(f"{path}/{action}", data={"csrf_token": csrf}).status_code == 302
        assert f">{word}<" in browser.get("/schedules").text
    tick(portal.system.database, utc_now())
    assert "there is no candidate" in browser.get(path).text
    assert "There is no candidate, so" in browser.get("/schedules").text
    assert browser.post(f"{path}/explode", data={"csrf_token": csrf}).status_code == 404
    browser.post(f"{path}/delete", data={"csrf_token": csrf})
    assert browser.get(path).status_code == 404


def test_a_run_of_a_schedule_is_shown_with_what_is_special_in_it(portal: Portal, random_bundle: Bundle) -> None:
    api = portal.api()
    run = api.open_run()
    api.receipts(run, ("a.png", phantom_png(1)), ("b.png", phantom_png(2)))
    api.post(f"/api/v1/runs/{run}/submit")
    screen_everything(portal.system, {})
    add_second_checkpoint(portal, rendition_spec="x")
    administrator = portal.api("administrator")
    assert administrator.post("/api/v1/checkpoints/second/nominate").get_json()["candidate"] is True
    path = api.post("/api/v1/schedules", PLAN).headers["Location"]
    api.post(f"{path}/run-now")
    assert tick(portal.system.database, utc_now())
    firing = api.get(path).get_json()["latest"]
    assert (firing["jobs"], firing["renditions"]) == (2, 2)
    document = api.get(f"/api/v1/runs/{firing['run']}").get_json()
    assert "2 scans are made anew" in document["remark"]
    assert (document["lane"], document["checkpoint"]) == ("archive", "second")
    browser, _ = sign_in(portal, "operator")
    assert "2 scans are made anew" in browser.get(f"/runs/{firing['run']}").text
    browser, csrf = sign_in(portal, "operator")
    assert 'id="paused"' not in browser.get(f"/runs/{firing['run']}").text
    browser.post(f"/runs/{firing['run']}/pause", data={"csrf_token": csrf})
    held = text_of(browser.get(f"/runs/{firing['run']}").text, "paused")
    assert held == "Paused by operator-1. It goes on when a person resumes it."
    assert ">Run paused<" in browser.get("/schedules").text
    assert "paused the run; Run now resumes it" in browser.get("/schedules/1").text
    browser.post("/schedules/1/run-now", data={"csrf_token": csrf})
    assert ">At work<" in browser.get("/schedules/1").text
    with portal.system.database.write() as session:
        end_firings(session, utc_now(), get_schedule(session, 1), "window_over")
    held = text_of(browser.get(f"/runs/{firing['run']}").text, "paused")
    assert held.startswith("Paused by the schedule every night. It goes on ")
    api.post(f"{path}/pause")
    portal.app.extensions.pop(EXTENSION)  # What it shows stands for some seconds.
    held = text_of(browser.get(f"/runs/{firing['run']}").text, "paused")
    assert held == "Paused by the schedule every night. It goes on when a person resumes it."
    assert api.get(f"/api/v1/runs/{firing['run']}").get_json()["paused_by"] == "schedule 1"
    assert administrator.post("/api/v1/checkpoints/second/activate", MEANT).get_json()["candidate"] is False


def test_the_next_morning_is_summed_up_on_home_and_in_the_history(portal: Portal, random_bundle: Bundle) -> None:
    api = portal.api()
    run = api.open_run()
    api.receipts(run, *((f"{number}.png", phantom_png(number)) for number in range(4)))
    api.post(f"/api/v1/runs/{run}/submit")
    screen_everything(portal.system, {})
    browser, _ = sign_in(portal, "operator")
    assert "Last night" not in browser.get("/").text
    add_second_checkpoint(portal)
    portal.api("administrator").post("/api/v1/checkpoints/second/nominate")
    path = api.post("/api/v1/schedules", PLAN).headers["Location"]
    api.post(f"{path}/run-now")
    assert tick(portal.system.database, utc_now())
    night = api.get(path).get_json()["latest"]["run"]
    with portal.system.database.write() as session:
        mine = update(Job).where(Job.run_id == night).values(finished_at=utc_now())
        session.execute(mine.values(state="screened"))
        session.execute(mine.where(Job.file_name == "0.png").values(state="rejected", problem="cut off"))
        complete_runs(session, utc_now())
    tick(portal.system.database, utc_now())
    assert api.get(path).get_json()["latest"]["screened"] is None, "what was in hand may be recorded yet"
    assert "the run is complete" in browser.get("/").text
    tick(portal.system.database, utc_now() + timedelta(minutes=3))
    latest = api.get(path).get_json()["latest"]
    assert [latest[name] for name in ("note", "screened", "rejected", "failed")] == ["complete", 3, 1, 0]
    with portal.system.database.read() as session:
        in_use = checkpoints.active(session).id
    for page in (browser.get("/").text, browser.get("/schedules/1").text):
        assert "3 screened" in page
        assert "1 without a result" in page
        assert f"/compare?run={night}&amp;before={in_use}&amp;after=second" in page
    portal.api("administrator").post("/api/v1/checkpoints/second/activate", MEANT)
    assert "/compare?run=" not in browser.get("/schedules/1").text, "nothing to compare it with any more"
    api.post(f"{path}/run-now")
    tick(portal.system.database, utc_now())
    [latest_first, *_] = re.findall(r"<li>.*?</li>", browser.get("/").text.split('id="last-night"')[1], re.DOTALL)
    assert "there is no candidate" in latest_first
    assert ">Not screened<" in latest_first
