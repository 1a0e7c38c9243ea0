"""Commands beside an installation go by its settings, and never by those of another one."""

from pathlib import Path

import pytest

from screening.cli.installation import settings_beside
from screening.supervisor.folder import DataFolder

NOTED = {
    "SCREENING_DATABASE_URL": "sqlite:////old/screening.db",
    "SCREENING_STORAGE_URL": "file:///old/objects",
    "SCREENING_KEEP_ORIGINALS_DAYS": "30",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """./data, in which an `up` noted its settings. What is read into the environment goes away with the test."""
    made = DataFolder(tmp_path / "data")
    made.create()
    made.keep_environment(NOTED)
    for name in (*NOTED, "SCREENING_DATA_DIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return made.path


@pytest.mark.parametrize("named", [True, False])
def test_what_up_noted_completes_what_the_shell_gives(
    folder: Path, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCREENING_STORAGE_URL", NOTED["SCREENING_STORAGE_URL"])
    settings = settings_beside(folder if named else None)
    assert (settings.keep_originals_days, settings.database_url) == (30, NOTED["SCREENING_DATABASE_URL"])


@pytest.mark.parametrize("name", ["SCREENING_DATABASE_URL", "SCREENING_STORAGE_URL"])
def test_the_notes_of_one_installation_do_not_rule_another(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "s3://other/place")
    assert settings_beside(None).keep_originals_days == 0, "an original of the other one would be removed"
    assert settings_beside(folder).keep_originals_days == 30, "this folder was asked for"
