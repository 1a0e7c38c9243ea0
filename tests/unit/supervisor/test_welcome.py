"""The command that `screening up` names for another sign-in link can be called as it stands there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from screening.supervisor.folder import DataFolder
from screening.supervisor.up import _sign_in_command

SCREENING = Path(sys.executable).with_name("screening")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(sys, "argv", [str(SCREENING), "up"])


def test_the_program_is_named_as_it_was_called_where_it_is_not_on_the_path() -> None:
    assert _sign_in_command(DataFolder(Path("data"))) == f"{SCREENING} sign-in-link"


def test_its_name_is_enough_where_it_is_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{SCREENING.parent}:{os.environ['PATH']}")
    assert _sign_in_command(DataFolder(Path("data"))) == "screening sign-in-link"


def test_another_screening_on_the_path_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "screening"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _sign_in_command(DataFolder(Path("data"))) == f"{SCREENING} sign-in-link"


def test_a_data_folder_elsewhere_is_named(tmp_path: Path) -> None:
    command = _sign_in_command(DataFolder(tmp_path / "of ward 7"))
    assert command == f"{SCREENING} sign-in-link --data '{tmp_path}/of ward 7'"
    answer = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert "has used the folder" in answer.stderr, "the command itself was found, and read the option"
