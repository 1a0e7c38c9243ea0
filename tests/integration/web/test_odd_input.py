"""Addresses and bodies that nobody means are answered in a sentence, and never by a failure of the database."""

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.exc import DataError

from tests.integration.web.client import Api
from tests.integration.web.conftest import Portal
from tests.integration.web.signing_in import csrf_of, sign_in

HUGE = str(10**20)
NESTED = base64.urlsafe_b64encode(b"[" * 5000).decode()


@pytest.fixture
def api(portal: Portal) -> Iterator[Api]:
    """An administrator, of an application that answers 500 as it does in use instead of failing the test."""
    portal.app.config["PROPAGATE_EXCEPTIONS"] = False
    portal.api().open_run("the first")
    yield portal.api("administrator")


def routes(portal: Portal, text: str, number: str) -> Iterator[tuple[str, str]]:
    """(method, path) of every route with variable parts, with these values in them."""
    for rule in portal.app.url_map.iter_rules():
        path = re.sub(r"<(string|path):[^>]+>", text, re.sub(r"<int:[^>]+>", number, rule.rule))
        if path != rule.rule:
            yield from ((method, path) for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))


@pytest.mark.parametrize(("text", "number"), [("a%00b", "1"), ("x", HUGE), ("x", "0")])
def test_no_part_of_a_path_is_a_failure(portal: Portal, api: Api, text: str, number: str) -> None:
    for method, path in routes(portal, text, number):
        body = {"json": {}} if path.startswith("/api/") and method in ("POST", "PUT", "PATCH") else {}
        with api.client.open(path, method=method, headers=api.headers, **body) as answer:
            assert answer.status_code < 500, f"{method} {path}"
            if "%00" in path:
                assert answer.status_code == 400, f"{method} {path}"
                assert "NUL" in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/worklist?to=9999-12-31", 200),
        ("/worklist?from=0001-01-01&to=0001-01-01", 200),
        ("/api/v1/worklist?to=9999-12-31", 200),
        ("/api/v1/worklist.csv?to=9999-12-31", 200),
        (f"/api/v1/worklist?cursor={NESTED}", 400),
        (f"/worklist?cursor={NESTED}", 400),
        ("/runs?search=%00", 400),
        ("/api/v1/runs?search=%00", 400),
        ("/worklist?search=%00", 400),
        ("/api/v1/worklist/neighbours?scan=%00", 400),
        ("/api/v1/comparisons?before=%00&after=b", 400),
        ("/system/audit?search=a&search=%00", 400),
        (f"/runs?before={HUGE}", 200),
        (f"/runs?before=-{HUGE}", 200),
        (f"/runs/1/receipts?after={HUGE}", 200),
        (f"/runs/1/receipts?after=-{HUGE}", 200),
        (f"/system/audit?before={HUGE}", 200),
        ("/api/v1/checkpoints/CHECKPOINT/measured?since=0001-01-01T00:00:00%2B14:00", 422),
        ("/api/v1/checkpoints/CHECKPOINT/measured?until=9999-12-31T23:59:59-14:00", 422),
        ("/api/v1/checkpoints/CHECKPOINT/measured?until=9999-12-31T23:59:59-00:00", 200),
    ],
)
def test_no_query_is_a_failure(api: Api, path: str, status: int) -> None:
    [checkpoint] = api.get("/api/v1/checkpoints").get_json()["items"]
    answer = api.get(path.replace("CHECKPOINT", checkpoint["id"]))
    assert answer.status_code == status, answer.text


def test_a_number_that_fits_nothing_stands_before_or_behind_everything(api: Api) -> None:
    assert "the first" in api.get(f"/runs?before={HUGE}").text
    assert "run.opened" in api.get(f"/system/audit?before={HUGE}").text
    assert "the first" not in api.get("/runs?before=-1").text


@pytest.mark.parametrize("sign", ["\x00", "\ud800"])
def test_text_that_cannot_be_kept_is_refused_by_the_name_of_its_field(api: Api, sign: str) -> None:
    [checkpoint] = api.get("/api/v1/checkpoints").get_json()["items"]
    schedule = {"name": "n", "cron": "0 22 * * *"}
    text = f"a{sign}b"
    sent: list[tuple[str, str, dict[str, Any], str]] = [
        ("POST", "/api/v1/runs", {"name": text}, "name"),
        (
            "PUT",
            f"/api/v1/checkpoints/{checkpoint['id']}/operating-point",
            {"threshold": 0.4, "reason": text},
            "reason",
        ),
        ("POST", f"/api/v1/checkpoints/{checkpoint['id']}/activate", {"reason": text}, "reason"),
        ("POST", "/api/v1/scans/x/reviews", {"verdict": "unsure", "comment": text}, "comment"),
        ("POST", "/api/v1/schedules", {**schedule, "name": text}, "name"),
        ("POST", "/api/v1/schedules", {**schedule, "checkpoint": text}, "checkpoint"),
        ("POST", "/api/v1/schedules", {**schedule, "selection": {"study": text}}, "selection"),
    ]
    for method, path, document, field in sent:
        answer = api.client.open(path, method=method, json=document, headers=api.headers)
        problem = answer.get_json(force=True)
        assert (answer.status_code, list(problem["errors"])) == (422, [field]), path
        assert "Leave out" in problem["detail"]


def test_a_body_that_is_nested_without_end_is_refused(api: Api) -> None:
    headers = {**api.headers, "Content-Type": "application/json"}
    answer = api.client.post("/api/v1/runs", data=b"[" * 100_000, headers=headers)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (400, "bad_json")


def test_a_nul_in_a_form_is_refused(portal: Portal, api: Api) -> None:
    client = portal.browser()
    for form in ({"name": "a\x00", "password": "x"}, {"token": "\x00"}):
        answer = client.post("/sign-in", data={**form, "csrf_token": csrf_of(client)})
        assert (answer.status_code, "NUL" in answer.text) == (400, True)
    browser, csrf = sign_in(portal, "operator")
    assert browser.post("/account/tokens", data={"name": "a\x00b", "csrf_token": csrf}).status_code == 400
    assert browser.post("/schedules", data={"name": "a\x00b", "csrf_token": csrf}).status_code == 400


def test_what_the_database_refuses_all_the_same_is_no_failure_of_the_system(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise DataError("INSERT ...", {"name": "secret"}, Exception("value too long"))

    monkeypatch.setattr("web.api.runs.lifecycle.list_runs", refuse)
    answer = api.get("/api/v1/runs")
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (400, "bad_value")
    assert "secret" not in answer.text
