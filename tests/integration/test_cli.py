"""The client commands against a real portal, and the server's commands beside it."""

import csv
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from screening.accounts import find_user, issue_token
from screening.clock import utc_now
from screening.inference.bundle import Bundle
from screening.supervisor.readiness import why_not_ready
from tests.conftest import ROOT, free_port
from tests.installation import Installation, installation, phantom_png, wait_until
from tests.integration.commands import Answer, screening

SMALL_MB = 1


@dataclass
class Portal:
    """A portal that serves over HTTP, with its processes' environment and an operator's token."""

    made: Installation
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return self.environment["SCREENING_SERVER"]

    def run(self, *arguments: object, stdin: str = "") -> Answer:
        return screening(*arguments, environment=self.environment, stdin=stdin)


@pytest.fixture(scope="module")
def portal(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path, redis_server: str, random_bundle: Bundle
) -> Iterator[Portal]:
    """One portal for all tests of this file; each sends pictures of its own."""
    folder = tmp_path_factory.mktemp("portal")
    shutil.copy(sqlite_template, folder / "screening.db")
    port = free_port()
    with installation(
        folder / "data",
        f"sqlite:///{folder / 'screening.db'}",
        f"{redis_server}/1",
        random_bundle,
        port=port,
        max_file_mb=SMALL_MB,
        max_request_mb=4,
    ) as made:
        added = screening("user", "add", "operator", "--role", "administrator", "--no-password",
                          environment=made.environment)  # fmt: skip
        assert added.code == 0, added
        with made.system.database.write() as session:
            operator = find_user(session, "operator")
            assert operator is not None
            token = issue_token(session, utc_now(), operator, "tests", "tests")
        environment = {
            **made.environment,
            "SCREENING_WEB_WORKERS": "1",
            "SCREENING_SERVER": f"http://127.0.0.1:{port}",
            "SCREENING_TOKEN": token,
        }
        with (folder / "web.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-c", "python:web.gunicorn_conf", "web.wsgi:app"],
                cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            wait_until(lambda: why_not_ready("127.0.0.1", port) is None, 60, "the portal is ready")
            yield Portal(made, environment, process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def workers(portal: Portal) -> Iterator[None]:
    """All worker processes, for the time of one test."""
    portal.made.start_all()
    yield
    portal.made.stop()
    portal.made.processes.clear()


@pytest.fixture
def first_seed(request: pytest.FixtureRequest) -> int:
    """Where the seeds of this test's pictures begin, so that no other test sent the same ones."""
    return 1000 * (1 + request.session.items.index(request.node))


@pytest.fixture
def pictures(tmp_path: Path, first_seed: int) -> Path:
    """A folder with 20 pictures, two copies, and five files that are no radiographs."""
    folder = tmp_path / "Station 7"
    (folder / "later").mkdir(parents=True)
    for seed in range(20):
        (folder / f"{seed:02}.png").write_bytes(phantom_png(first_seed + seed))
    (folder / "later" / "copy – Hüfte 手.png").write_bytes(phantom_png(first_seed))
    (folder / "later" / "00.png").write_bytes(phantom_png(first_seed))
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("this is no picture")
    (folder / "text again.jpg").write_text("this is no picture")
    (folder / "large.png").write_bytes(phantom_png(99) + b"\0" * (SMALL_MB << 20))
    (folder / "gone.png").symlink_to(folder / "nowhere")
    (folder / ".DS_Store").write_bytes(b"litter")
    return folder


def test_every_file_gets_a_receipt_and_twice_adds_nothing(portal: Portal, pictures: Path) -> None:
    first = portal.run("upload", pictures, "--name", "first", "--json")
    assert first.code == 3, first
    document = first.json()
    receipts = {Path(receipt["path"]).relative_to(pictures).as_posix(): receipt for receipt in document["receipts"]}
    assert document["totals"] == {"files": 27, "accepted": 20, "duplicate": 2, "rejected": 5}
    assert document["skipped"] == 1
    assert receipts["05.png"]["name"] == "Station 7/05.png"
    assert receipts["later/copy – Hüfte 手.png"]["status"] == "duplicate"
    assert "empty" in receipts["empty.jpg"]["reason"]
    assert receipts["text.jpg"]["status"] == receipts["text again.jpg"]["status"] == "rejected"
    assert receipts["large.png"]["code"] == "too_large"
    assert receipts["gone.png"]["code"] == "unreadable"
    assert all(receipt["reason"] for receipt in receipts.values() if receipt["status"] == "rejected")
    assert document["run"]["state"] == "running"
    assert document["run"]["counts"]["total"] == 22

    second = portal.run("upload", pictures, "--name", "second", "--json")
    assert second.json()["totals"] == {"files": 27, "accepted": 0, "duplicate": 22, "rejected": 5}
    assert second.json()["run"]["counts"]["total"] == document["run"]["counts"]["total"]


def test_folders_that_were_left_out_are_told_by_the_exit_code_too(portal: Portal, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "studies", tmp_path / "elsewhere"
    for made in (folder, elsewhere):
        made.mkdir()
    (elsewhere / "a.png").write_bytes(phantom_png(first_seed := 9_700))
    (folder / "linked").symlink_to(elsewhere)
    nothing = portal.run("upload", folder)
    assert nothing.code == 1
    assert f"{folder}/linked: a link to a folder" in nothing.err
    (folder / "b.png").write_bytes(phantom_png(first_seed + 1))
    answer = portal.run("upload", folder, "--json")
    assert (answer.code, len(answer.json()["problems"]), answer.json()["totals"]["accepted"]) == (3, 1, 1)


def test_a_run_that_takes_nothing_more_is_not_called_open(portal: Portal, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(phantom_png(9_710))
    answer = portal.run("upload", tmp_path, "--run", "4711")
    assert answer.code == 1
    assert "There is no run 4711" in answer.err
    assert "still open" not in answer.err


def test_a_person_sees_what_was_not_accepted_and_the_totals(portal: Portal, pictures: Path) -> None:
    answer = portal.run("upload", pictures)
    assert answer.code == 3
    assert "27 files: 20 accepted, 2 the server had already, 5 rejected; 1 hidden" in answer.out
    assert "later" not in answer.out
    for name in ("empty.jpg", "text.jpg", "large.png", "gone.png"):
        assert name in answer.out
    run = int(re.search(r"run (\d+) running", answer.out).group(1))  # type: ignore[union-attr]
    assert portal.run("status", run).out.startswith("Station 7 (routine)\n")


@pytest.mark.usefixtures("workers")
def test_waiting_shows_the_worklist_and_its_exports_agree(portal: Portal, pictures: Path) -> None:
    sent = [pictures / f"{seed:02}.png" for seed in range(12)]
    answer = portal.run("upload", *sent, "--lane", "urgent", "--wait", "--json")
    assert answer.code == 0, answer
    document = answer.json()
    run = document["run"]["id"]
    assert document["run"]["state"] == "complete"
    assert document["run"]["lane"] == "urgent"
    assert document["run"]["counts"]["screened"] == 12
    assert len(document["worklist"]) == 10
    assert document["run"]["name"] == "00.png and 11 more"

    listed = portal.run("worklist", "--run", run, "--json").json()
    probabilities = [item["probability"] for item in listed["items"]]
    assert len(probabilities) == 12
    assert probabilities == sorted(probabilities, reverse=True)
    assert listed["operating_point"]["threshold"] == 0.5
    rows = list(csv.DictReader(io.StringIO(portal.run("worklist", "--run", run, "--csv").out)))
    assert [row["file_name"] for row in rows] == [item["file_name"] for item in listed["items"]]
    flagged = portal.run("worklist", "--run", run, "--band", "flagged", "--json").json()["items"]
    assert flagged == [item for item in listed["items"] if item["band"] in ("likely", "possible")]
    likely = portal.run("worklist", "--run", run, "--band", "likely", "--json").json()["items"]
    assert likely == [item for item in flagged if item["probability"] >= listed["operating_point"]["likely_threshold"]]
    assert [row["band"] for row in rows] == [item["band"] for item in listed["items"]]
    for reviewed, count in (("unreviewed", 12), ("fracture", 0)):
        found = portal.run("worklist", "--run", run, "--reviewed", reviewed, "--json").json()["items"]
        rows = list(
            csv.DictReader(portal.run("worklist", "--run", run, "--reviewed", reviewed, "--csv").out.splitlines())
        )
        assert (len(found), len(rows)) == (count, count)
    shown = portal.run("worklist", "--run", run, "--limit", "3")
    assert len(shown.out.splitlines()) == 1 + 3
    assert portal.run("status", run, "--watch", "--json").json()["state"] == "complete"

    doctor = portal.run("doctor", "--json").json()
    assert [finding["point"] for finding in doctor["findings"] if not finding["ok"]] == []
    for kind in ("web", "prepare", "screen", "upkeep", "beat"):
        assert portal.run("health", "--kind", kind).code == 0


@pytest.mark.usefixtures("workers")
def test_what_is_not_screened_after_waiting_is_an_exit_code(portal: Portal, tmp_path: Path, first_seed: int) -> None:
    (tmp_path / "cut.png").write_bytes(phantom_png(first_seed)[:2000])
    (tmp_path / "whole.png").write_bytes(phantom_png(first_seed + 1))
    answer = portal.run("upload", tmp_path / "cut.png", tmp_path / "whole.png", "--wait")
    assert answer.code == 3, answer
    assert "1 cannot be screened" in answer.out
    assert "must look" in answer.out


def test_an_upload_survives_a_restart_of_the_portal(portal: Portal, pictures: Path) -> None:
    with subprocess.Popen(
        [Path(sys.executable).parent / "screening", "upload", pictures, "--json"],
        env={**os.environ, **portal.environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as client:  # fmt: skip
        portal.process.send_signal(signal.SIGHUP)
        out, err = client.communicate(timeout=120)
    assert client.returncode == 3, err
    assert out.count('"path"') == 27


def test_an_interrupted_upload_goes_on_in_its_run(portal: Portal, pictures: Path) -> None:
    with httpx.Client(headers={"Authorization": f"Bearer {portal.environment['SCREENING_TOKEN']}"}) as api:
        run = api.post(f"{portal.url}/api/v1/runs", json={"name": "half"}).json()["id"]
    document = portal.run("upload", pictures / "03.png", "--run", run, "--json").json()
    assert document["run"]["id"] == run
    assert document["run"]["name"] == "half"
    closed = portal.run("upload", pictures / "04.png", "--run", run)
    assert closed.code == 1
    assert "takes no more files" in closed.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("upload", "nothing-there"), 1, "no file or folder"),
        (("status", "4711"), 1, "There is no run 4711"),
        (("status", "x"), 2, "Usage"),
        (("worklist", "--run", "4711"), 1, "There is no run 4711"),
        (("worklist", "--token", "scr_wrong"), 1, "token"),
        (("worklist", "--token", "wröng"), 1, "token"),
        (("worklist", "--csv", "--json"), 2, "--csv"),
        (("sign-in-link", "--user", "nobody"), 1, "There is no user nobody"),
        (("token", "add", "robot", "--user", "nobody"), 1, "There is no user nobody"),
        (("checkpoint", "activate", "0123456789abcdef"), 1, "There is no checkpoint"),
        (("checkpoint", "verify", "0123456789abcdef"), 1, "There is no checkpoint"),
        (("checkpoint", "register", "screening"), 1, "no card.json"),
        (("checkpoint", "operating-point", "0123456789abcdef", "0.5", "--reason", "x"), 1, "There is no checkpoint"),
        (("health", "--kind", "beat"), 1, "no heartbeat"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    portal: Portal, arguments: tuple[str, ...], code: int, words: str
) -> None:
    answer = portal.run(*arguments)
    assert answer.code == code, answer
    assert words in answer.err
    assert answer.out == ""


def test_the_commands_of_the_server(portal: Portal, random_bundle: Bundle) -> None:
    assert portal.run("migrate").out == "The database is up to date.\n"

    listed = portal.run("checkpoint", "list", "--json").json()["checkpoints"]
    assert [(row["id"], row["active"]) for row in listed] == [(random_bundle.identity("fp32"), True)]
    for which in (listed[0]["id"], random_bundle.folder):
        verified = portal.run("checkpoint", "verify", which)
        assert verified.code == 0, verified
        assert "reproduces 6 golden renditions" in verified.out
    assert "already" in portal.run("checkpoint", "register", random_bundle.folder).out
    assert portal.run("checkpoint", "activate", listed[0]["id"]).code == 0

    point = ("checkpoint", "operating-point", listed[0]["id"])
    assert "flags from 0.3 on (sensitivity-95)" in portal.run(*point, "sensitivity-95", "--reason", "trial").out
    refused = portal.run(*point, "0.8", "--reason", "trial")
    assert (refused.code, refused.out) == (1, "")
    assert "Give a likely threshold of at least 0.8, too." in refused.err
    assert "calls likely from 0.75 on" in portal.run(*point, "0.5", "--likely", "0.75", "--reason", "back").out

    added = portal.run("user", "add", "reader", "--role", "reader", stdin="correct horse\ncorrect horse\n")
    assert added.code == 0, added
    assert portal.run("user", "add", "other", stdin="short\nshort\n").code == 1
    secret = portal.run("token", "add", "robot", "--user", "reader").out.strip()
    assert portal.run("worklist", "--token", secret, "--json").code == 0

    link = portal.run("sign-in-link").out.strip()
    assert link.startswith(f"{portal.url}/sign-in/")
    with httpx.Client() as browser:
        assert browser.get(link).status_code == 200


def test_the_doctor_names_what_is_wrong(portal: Portal, tmp_path: Path) -> None:
    changed = {"SCREENING_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "SCREENING_STORAGE_URL": "ftp://x"}
    answer = screening("doctor", "--json", environment={**portal.environment, **changed})
    assert answer.code == 1
    wrong = {finding["point"] for finding in answer.json()["findings"] if not finding["ok"]}
    assert wrong == {"redis", "storage", "checkpoint", "prepare", "screen", "upkeep", "beat"}

    empty = {**portal.environment, "SCREENING_DATABASE_URL": f"sqlite:///{tmp_path}/none.db"}
    found = screening("doctor", environment=empty)
    assert found.code == 1
    assert "PROBLEM  database" in found.out
    assert not (tmp_path / "none.db").exists()
