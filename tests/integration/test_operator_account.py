"""The user `operator` of `screening up` is a user like others: who is disabled stays so, and a start does not fail."""

from pathlib import Path

import pytest

from screening import accounts
from screening.clock import utc_now
from screening.database.engine import Database
from screening.settings import Settings
from screening.supervisor.folder import DataFolder
from screening.supervisor.installation import OPERATOR, _ensure_operator
from screening.supervisor.up import _welcome


def test_an_operator_who_was_disabled_stays_disabled(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.create()
    _ensure_operator(folder, database, utc_now)
    token = folder.token_file.read_text().strip()
    settings = Settings(data_dir=folder.path, port=8123)
    _welcome(settings, folder, database, utc_now)
    assert "http://127.0.0.1:8123/sign-in/" in capsys.readouterr().out
    with database.write() as session:
        operator = accounts.find_user(session, OPERATOR)
        [kept] = accounts.tokens_of(session, operator) if operator else []
        assert kept.expires_at is None, "programs on this machine read it for as long as the installation runs"
        accounts.add_user(session, utc_now(), "anna", "administrator", None, "tests")
        accounts.disable_user(session, utc_now(), accounts.account_of(session, OPERATOR), "anna")
    _ensure_operator(folder, database, utc_now)
    with database.read() as session:
        assert accounts.find_user(session, OPERATOR) is None
        assert accounts.identify_token(session, utc_now(), token) is None
    _welcome(settings, folder, database, utc_now)
    told = capsys.readouterr().out
    assert "/sign-in/" not in told
    assert "The user operator is disabled" in told
