"""What the operating system refuses is told in a sentence; what nobody expects keeps its traceback."""

import errno
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from screening.cli import main
from screening.cli.installation import explained
from screening.database.engine import Database
from tests.conftest import migrate


def told(error: Exception) -> str:
    @explained
    def command() -> None:
        raise error

    with pytest.raises(click.ClickException) as raised:
        command()
    return raised.value.message


def test_a_backup_where_nothing_can_be_written_names_the_place_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCREENING_DATA_DIR", str(tmp_path))
    migrate(Database(f"sqlite:///{tmp_path}/screening.db"))
    (tmp_path / "file").touch()
    answer = CliRunner().invoke(main, ["backup", str(tmp_path / "file" / "backups")])
    assert answer.exit_code == 1
    assert f"{tmp_path}/file/backups cannot be used (Not a directory). Check" in answer.output
    assert answer.exception is None or isinstance(answer.exception, SystemExit)


def test_a_full_disk_is_told_as_such() -> None:
    assert told(OSError(errno.ENOSPC, "No space left on device")) == (
        "There is no room left (No space left on device). Make room, or name a place on another disk."
    )
    assert "There is no room left at /backups/x (" in told(OSError(errno.EDQUOT, "Quota exceeded", "/backups/x"))


def test_an_error_that_names_no_place_is_not_explained_away() -> None:
    @explained
    def command() -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        command()
