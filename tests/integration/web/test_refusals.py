"""Refusals reach whoever asked, with their own sentence, and the API document names those that need no mistake."""

import pytest
from sqlalchemy import update

from screening.database.tables import Checkpoint
from tests.installation import phantom_png
from tests.integration.web.conftest import Portal
from tests.integration.web.signing_in import sign_in

OF_THE_WORKLIST = ("/api/v1/worklist", "/api/v1/worklist.csv", "/api/v1/worklist.json", "/api/v1/worklist/neighbours")
FORM = "multipart/form-data; boundary=x"
OTHER_PART = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nx\r\n--x--\r\n'


@pytest.mark.parametrize(
    ("body", "kind", "sentence"),
    [
        (OTHER_PART, FORM, 'has no part named "file"'),
        (b"nonsense", FORM, "not well-formed or was cut off"),
        (b"x", "multipart/form-data", "names no boundary"),
    ],
)
def test_an_upload_that_is_not_understood_is_told_why(portal: Portal, body: bytes, kind: str, sentence: str) -> None:
    api = portal.api()
    path = f"/api/v1/runs/{api.open_run()}/files"
    answer = api.client.post(path, data=body, headers={**api.headers, "Content-Type": kind})
    problem = answer.get_json(force=True)
    assert (answer.status_code, problem["code"]) == (400, "bad_request")
    assert sentence in problem["detail"]


def test_too_many_files_at_once_are_told_so(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.uploads.MOST_PARTS", 1)
    api = portal.api()
    answer = api.send(api.open_run(), ("a.png", phantom_png(1)), ("b.png", phantom_png(2)))
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (413, "too_large")
    assert "goes over a limit" in answer.get_json(force=True)["detail"]


def test_pages_say_what_to_choose_instead(portal: Portal) -> None:
    run = portal.api().open_run()
    browser, _ = sign_in(portal, "reader")
    for path, sentence in (
        ("/runs?state=lost", "There is no state “lost”. Choose one of open, running, paused, complete, cancelled."),
        (
            f"/runs/{run}/receipts?status=lost",
            "There are no receipts “lost”. Choose one of accepted, duplicate, rejected, no_result.",
        ),
    ):
        page = browser.get(path)
        assert page.status_code == 400
        assert sentence in page.text


def test_without_a_checkpoint_the_worklist_refuses_as_the_document_says(portal: Portal) -> None:
    with portal.system.database.write() as session:
        session.execute(update(Checkpoint).values(active=False))
    api = portal.api("reader")
    operations = api.get("/api/v1/openapi.json").get_json()["paths"]
    for path in OF_THE_WORKLIST:
        answer = api.get(f"{path}?scan=x")
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (409, "no_checkpoint"), path
        assert "409" in operations[path]["get"]["responses"], path
