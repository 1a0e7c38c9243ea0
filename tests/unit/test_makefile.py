"""What `make run` hands to `screening up`: what was asked of make, and nothing else."""

import os
import shlex
import subprocess

import pytest

from tests.conftest import ROOT


def handed_to_up(*arguments: str, **environment: str) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    said = subprocess.run(
        ["make", "--dry-run", "run", *arguments],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    command = next(line for line in said.stdout.splitlines() if "screening up" in line)
    return shlex.split(command.partition("screening up")[2])


@pytest.mark.parametrize("environment", [{}, {"HOST": "x86_64-conda-linux-gnu", "PORT": "7", "DATA": "/elsewhere"}])
def test_settings_and_defaults_are_left_to_the_command(environment: dict[str, str]) -> None:
    assert handed_to_up(**environment) == []


def test_what_is_given_to_make_is_handed_on() -> None:
    assert handed_to_up("PORT=9000", "DATA=/some folder") == ["--port", "9000", "--data", "/some folder"]
    assert handed_to_up("HOST=0.0.0.0", PORT="7") == ["--host", "0.0.0.0"]
