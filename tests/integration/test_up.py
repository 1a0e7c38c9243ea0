"""`screening up` for real: everything under one command, killed, stopped, and started again."""

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from safetensors.numpy import load_file, save_file

from screening.inference.bundle import GOLDEN, Bundle
from tests.bundles import write_card
from tests.conftest import free_port
from tests.installation import phantom_png, wait_until
from tests.integration.commands import screening
from tests.up import KINDS, STOPS_WITHIN_S, Up


@pytest.fixture
def up(tmp_path: Path, random_bundle: Bundle) -> Iterator[Up]:
    made = Up(tmp_path / "the data", random_bundle.folder.parent)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    for process in made.supervised().values():
        process.kill()


def pictures(folder: Path, seeds: range) -> Path:
    folder.mkdir()
    for seed in seeds:
        (folder / f"{seed:03}.png").write_bytes(phantom_png(seed))
    return folder


def test_from_nothing_to_a_worklist_and_back(up: Up, tmp_path: Path) -> None:
    said = up.start()
    assert said.count("http://") == 1
    link = re.search(r"http://127\.0\.0\.1:\d+/sign-in/\S+", said)
    assert link is not None
    assert str(up.folder / "operator.token") in said
    assert (up.folder.stat().st_mode & 0o777, (up.folder / "operator.token").stat().st_mode & 0o777) == (0o700, 0o600)
    assert set(KINDS) <= set(up.supervised())
    with httpx.Client() as nobody:
        assert nobody.get(link[0]).status_code == 200
        assert nobody.get(f"{up.environment['SCREENING_SERVER']}/api/v1/runs").status_code == 401

    document = up.upload(pictures(tmp_path / "scans", range(12)), "--wait")
    assert document["run"]["counts"]["screened"] == 12
    assert document["worklist"][0]["probability"] is not None

    doctor = screening("doctor", "--data", up.folder)
    assert doctor.code == 0, doctor

    second = screening("up", "--port", free_port(), "--data", up.folder, environment=up.environment)
    assert second.code == 1
    assert f"in use by another `screening up` (process {up.process.pid})" in second.err  # type: ignore[union-attr]

    assert up.stop() == 0
    assert up.supervised() == {}
    assert "Stopped" in up.output.read_text()

    token = up.environment["SCREENING_TOKEN"]
    assert up.start().count("http://") == 1
    assert up.environment["SCREENING_TOKEN"] == token
    again = up.upload(tmp_path / "scans", "--wait")
    assert again["totals"]["duplicate"] == 12
    assert up.stop(signal.SIGTERM) == 0


def test_killed_processes_come_back_and_nothing_is_lost(up: Up, tmp_path: Path) -> None:
    up.start()
    sent = up.upload(pictures(tmp_path / "scans", range(60)))
    run = sent["run"]["id"]
    for kind in KINDS:
        victim = up.supervised()[kind]
        victim.kill()
        wait_until(
            lambda kind=kind, victim=victim: up.supervised().get(kind, victim).pid != victim.pid,  # type: ignore[misc, union-attr]
            10,
            f"{kind} is started again",
        )
    ended = screening("status", run, "--watch", "--json", environment=up.environment).json()
    assert ended["state"] == "complete"
    assert ended["counts"]["screened"] == 60
    assert up.stop() == 0


def test_work_goes_on_after_ctrl_c_and_after_the_supervisor_was_killed(up: Up, tmp_path: Path) -> None:
    up.start()
    run = up.upload(pictures(tmp_path / "scans", range(100, 220)))["run"]["id"]
    began = time.monotonic()
    assert up.stop() == 0
    assert time.monotonic() - began < STOPS_WITHIN_S
    assert up.supervised() == {}

    up.start()
    assert up.process is not None
    up.process.kill()
    up.process.wait()
    up.start()
    ended = screening("status", run, "--watch", "--json", environment=up.environment).json()
    assert ended["counts"]["screened"] == 120
    with up.api() as api:
        receipts = api.get(f"/api/v1/runs/{run}/files").json()["items"]
    assert len({receipt["scan"] for receipt in receipts}) == 120
    assert up.stop() == 0
    assert up.supervised() == {}


def test_a_closed_terminal_stops_everything(up: Up) -> None:
    terminal, its_end = os.openpty()
    up.start(errors=its_end)
    os.close(its_end)
    os.close(terminal)
    assert up.stop(signal.SIGHUP) == 0
    assert up.supervised() == {}


def test_a_lost_token_is_replaced_and_works_no_longer(up: Up) -> None:
    up.start()
    former = up.environment["SCREENING_TOKEN"]
    assert up.stop() == 0
    (up.folder / "operator.token").unlink()
    up.start()
    assert up.environment["SCREENING_TOKEN"] != former
    assert screening("worklist", "--token", former, environment=up.environment).code == 1
    assert screening("worklist", environment=up.environment).code == 0


def test_a_checkpoint_that_is_refused_is_told(up: Up, tmp_path: Path, random_bundle: Bundle) -> None:
    wrong = tmp_path / "checkpoints" / "wrong"
    shutil.copytree(random_bundle.folder, wrong)
    golden = load_file(wrong / GOLDEN)
    save_file({**golden, "fp32.probabilities": 1 - golden["fp32.probabilities"]}, wrong / GOLDEN)
    write_card(wrong, random_bundle.rendition)
    up.environment["SCREENING_CHECKPOINT_DIR"] = str(wrong.parent)
    up.start()
    wait_until(lambda: "refuses the checkpoint" in up.output.read_text(), 90, "the refusal is told")
    assert "does not reproduce" in up.output.read_text().partition("refuses the checkpoint")[2]
    doctor = screening("doctor", "--data", up.folder, environment=up.environment)
    assert doctor.code == 1
    assert "is refused" in doctor.out
    assert up.stop() == 0


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({}, ("--host", "0.0.0.0"), "SCREENING_SECRET_KEY is not set"),
        ({"SCREENING_CHECKPOINT_DIR": "/nothing/there"}, (), "There is no checkpoint to screen with"),
        ({"SCREENING_DATABASE_URL": "postgresql+psycopg://x:y@127.0.0.1:1/z"}, (), "The database cannot be migrated"),
        ({"SCREENING_STORAGE_URL": "ftp://x"}, (), "is not understood"),
        ({"SCREENING_FORM": "int8"}, (), "has no form int8"),
    ],
)
def test_what_cannot_start_says_why_and_leaves_nothing(
    up: Up, changes: dict[str, str], options: tuple[str, ...], words: str
) -> None:
    answer = screening(
        "up", "--port", up.port, "--data", up.folder, *options, environment={**up.environment, **changes}
    )
    assert answer.code == 1, answer
    assert words in answer.err
    assert up.supervised() == {}
