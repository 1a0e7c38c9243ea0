"""What processes and commands beside an installation are told of its settings."""

from pathlib import Path

import pytest

from screening.settings import Settings, load_settings
from screening.supervisor.folder import DataFolder
from screening.supervisor.programs import resolved_environment


def test_every_setting_that_was_given_is_noted_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clean-up at night must go by the days that the installation has, not by the default."""
    given = {
        "KEEP_ORIGINALS_DAYS": "30",
        "MAX_ATTEMPTS": "7",
        "LEASE_S": "60.5",
        "FORM": "int8",
        "HTTPS": "true",
        "CHECKPOINT_DIR": "of-our-own",
        "DATA_DIR": "data",
        "SECRET_KEY": "x" * 40,
    }
    monkeypatch.chdir(tmp_path)
    for name, value in given.items():
        monkeypatch.setenv(f"SCREENING_{name}", value)
    settings = load_settings()
    folder = DataFolder(settings.data_dir)
    noted = resolved_environment(settings, folder, "redis://127.0.0.1:1/0", "y" * 40)
    for name in given:
        monkeypatch.delenv(f"SCREENING_{name}")
    monkeypatch.chdir("/")
    for name, value in noted.items():
        monkeypatch.setenv(name, value)
    read = load_settings()
    same = settings.model_fields_set - {"data_dir", "checkpoint_dir", "secret_key"}
    assert {name: getattr(read, name) for name in same} == {name: getattr(settings, name) for name in same}
    assert (read.data_dir, read.checkpoint_dir) == (tmp_path / "data", tmp_path / "of-our-own")
    assert read.secret_key.get_secret_value() == "y" * 40
    assert "SCREENING_MAX_WAITING" not in noted, "defaults may change with a release"


def test_the_secret_is_noted_once_and_as_it_is(tmp_path: Path) -> None:
    noted = resolved_environment(Settings(secret_key="z" * 40), DataFolder(tmp_path), "redis://", "z" * 40)  # type: ignore[arg-type]
    assert noted["SCREENING_SECRET_KEY"] == "z" * 40
