"""The command as a whole: its help, its quick start, and errors in sentences."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from screening.cli import COMMANDS, main
from tests.unit.cli.server import Answer, scripted_server


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")


def test_the_help_names_every_command() -> None:
    output = CliRunner().invoke(main, ["--help"]).output
    assert all(f"  {name} " in output for name in COMMANDS)


@pytest.mark.parametrize("module", ["upload", "status", "worklist"])
def test_client_commands_load_nothing_of_the_server(module: str) -> None:
    code = (
        f"import json, sys, screening.cli.{module}, screening.client.uploading, screening.client.runs;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"celery", "kombu", "numpy", "openvino", "torch", "sqlalchemy", "flask", "pydantic", "alembic"}
    assert heavy & set(json.loads(answer.stdout)) == set()


def test_without_a_token_the_way_to_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["worklist"])
    assert result.exit_code == 1
    assert "operator.token" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_token_beside_is_not_sent_to_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "operator.token").write_text("scr_secret\n")
    result = CliRunner().invoke(main, ["worklist", "--server", "http://elsewhere.example"])
    assert result.exit_code == 1
    assert "There is no API token" in result.stderr


def test_the_installation_beside_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with scripted_server(Answer(body={"items": [], "next": None, "operating_point": {}})) as server:
        run = tmp_path / "data" / "run"
        run.mkdir(parents=True)
        (run / "environment.json").write_text(json.dumps({"SCREENING_PORT": server.url.rpartition(":")[2]}))
        (tmp_path / "data" / "operator.token").write_text("scr_secret\n")
        result = CliRunner().invoke(main, ["worklist", "--json"])
    assert json.loads(result.stdout)["items"] == []
    assert server.requests[0].headers["Authorization"] == "Bearer scr_secret"


@pytest.mark.parametrize(
    "variables",
    [
        {"SCREENING_PORT": "99999"},
        {"SCREENING_HOST": "0.0.0.0"},
        {"SCREENING_SLICE_S": "50"},
    ],
)
def test_wrong_settings_are_told_by_name(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(main, ["up", "--data", str(tmp_path / "data")])
    assert result.exit_code == 1
    assert next(iter(variables)) in result.stderr
    assert not (tmp_path / "data").exists()
