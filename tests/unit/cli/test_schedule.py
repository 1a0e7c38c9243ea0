"""`screening schedule`: what it sends, and what it shows of the answers."""

import json

from click.testing import CliRunner, Result

from screening.cli import main
from tests.unit.cli.server import Answer, ScriptedServer, scripted_server

WINDOW = {"start": "2026-03-02T22:00:00+00:00", "until": "2026-03-03T06:00:00+00:00"}
FIRING = {
    "scheduled_for": "2026-03-01T22:00:00+00:00",
    "run": 7,
    "jobs": 1200,
    "late": True,
    "note": "window_over",
    "reason": "the window is over; the run goes on in the next one",
}
SCHEDULE = {
    "id": 3,
    "name": "night\x1b[31mly",
    "cron": "0 22 * * *",
    "time_zone": "UTC",
    "window_end": "06:00",
    "checkpoint": "candidate",
    "selection": {"band": "flagged"},
    "most_scans": None,
    "paused": False,
    "next": [WINDOW],
    "latest": FIRING,
}


def call(server: ScriptedServer, *arguments: str, **more: str) -> Result:
    result = CliRunner().invoke(main, ["schedule", *arguments, "--server", server.url, "--token", "t"], **more)  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    return result


def test_add_sends_the_plan_and_prints_the_windows() -> None:
    with scripted_server(Answer(201, SCHEDULE)) as server:
        given = ["nightly", "--cron", "0 22 * * *", "--until", "05:30", "--band", "flagged"]
        output = call(server, "add", *given, "--min-age-days", "0", "--most-scans", "9").output
        [request] = server.requests
    assert json.loads(request.body) == {
        "name": "nightly",
        "cron": "0 22 * * *",
        "time_zone": "UTC",
        "window_end": "05:30",
        "checkpoint": "candidate",
        "selection": {"band": "flagged", "min_age_days": 0},
        "most_scans": 9,
    }
    assert WINDOW["until"] in output


def test_list_and_show_say_what_came_of_the_latest_firing() -> None:
    with scripted_server(Answer(200, {"items": [SCHEDULE]})) as server:
        output = call(server, "list").output
        assert "caught up; the window is over" in output
        assert json.loads(call(server, "list", "--json").output)["items"][0]["id"] == 3
    with scripted_server(Answer(200, SCHEDULE), Answer(200, {"items": [FIRING]})) as server:
        output = call(server, "show", "3").output
        assert server.requests[0].path == "/api/v1/schedules/3"
    assert "band flagged" in output
    assert "1200" in output
    counted = {**FIRING, "screened": 1190, "rejected": 3, "failed": 1}
    with scripted_server(Answer(200, {"items": [{**SCHEDULE, "latest": counted}]})) as server:
        assert "1,190 screened, 4 without a result; the window is over" in call(server, "list").output


def test_steering_and_deleting() -> None:
    with scripted_server(Answer(200, SCHEDULE)) as server:
        for action in ("pause", "resume", "run-now"):
            call(server, action, "3")
        call(server, "delete", "3", input="y\n")
        call(server, "delete", "3", "--yes")
        sent = [(request.method, request.path) for request in server.requests]
        stopped = CliRunner().invoke(
            main, ["schedule", "delete", "3", "--server", server.url, "--token", "t"], input="n\n"
        )
        assert stopped.exit_code == 1
        assert len(server.requests) == 5
    assert sent[:3] == [("POST", f"/api/v1/schedules/3/{action}") for action in ("pause", "resume", "run-now")]
    assert sent[3:] == [("DELETE", "/api/v1/schedules/3")] * 2


def test_preview_asks_and_makes_nothing() -> None:
    with scripted_server(Answer(200, {"items": [WINDOW]})) as server:
        assert WINDOW["start"] in call(server, "preview", "--cron", "0 22 * * *", "--time-zone", "UTC").output
        [request] = server.requests
    assert request.method == "GET"
    assert request.path.startswith("/api/v1/schedules/preview?")
