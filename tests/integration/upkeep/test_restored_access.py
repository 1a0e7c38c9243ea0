"""Who may come in after a restore: sessions and links of before are void, and of tokens the command says what holds."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from screening.accounts import identify_token, issue_sign_in_link, redeem_sign_in_link, revoke_token, tokens_of
from screening.cli import main
from screening.clock import utc_now
from screening.database.engine import Database
from screening.upkeep.backup.making import make_backup
from tests.installation import SECRET_KEY
from tests.integration.web.conftest import Portal
from tests.integration.web.signing_in import sign_in
from web import create_app


@pytest.mark.parametrize("options", [(), ("--revoke-tokens",)])
def test_sessions_and_links_of_before_are_void_and_tokens_are_told_of(
    portal: Portal, tmp_path: Path, options: tuple[str, ...]
) -> None:
    system, reader = portal.system, portal.people["reader"]
    browser, _ = sign_in(portal, "reader")
    with system.database.write() as session:
        link = issue_sign_in_link(session, utc_now(), reader, "tests")
    made_at = utc_now() - timedelta(minutes=1)
    make_backup(system.database, system.storage, made_at, tmp_path / "backups", "fingerprint", None)
    with system.database.write() as session:
        [token] = tokens_of(session, reader)
        revoke_token(session, utc_now(), reader, token.id, "tests")

    url = f"sqlite:///{tmp_path}/restored/screening.db"
    environment = {"SCREENING_DATA_DIR": str(tmp_path / "restored"), "SCREENING_DATABASE_URL": url}
    done = CliRunner().invoke(main, ["restore", str(tmp_path / "backups"), *options], env=environment)
    assert done.exit_code == 0, done.output
    assert "screening user list" in done.stderr
    assert ("Revoked 3 API tokens" if options else "tokens that were revoked, are valid again") in done.stderr

    restored = Database(url)
    with restored.write() as session:
        assert identify_token(session, utc_now(), portal.tokens["reader"]) == (None if options else reader)
        assert redeem_sign_in_link(session, utc_now(), link) is None
    cookie = browser.get_cookie(portal.app.config["SESSION_COOKIE_NAME"])
    assert cookie is not None
    client = create_app(replace(system, database=restored)).test_client()
    client.set_cookie(portal.app.config["SESSION_COOKIE_NAME"], cookie.value)
    assert client.get("/api/v1/runs").status_code == 401
    restored.dispose()


@pytest.mark.parametrize("in_environment", [False, True])
def test_where_to_put_the_secret_key_is_where_it_is_read(portal: Portal, tmp_path: Path, in_environment: bool) -> None:
    make_backup(portal.system.database, portal.system.storage, utc_now(), tmp_path / "backups", "fingerprint", None)
    folder = tmp_path / "restored"
    environment = {"SCREENING_DATA_DIR": str(folder)} | ({"SCREENING_SECRET_KEY": SECRET_KEY} if in_environment else {})
    done = CliRunner().invoke(main, ["restore", str(tmp_path / "backups")], env=environment)
    assert done.exit_code == 0, done.output
    named = "Set SCREENING_SECRET_KEY to the old one", f"Put the old one into {folder / 'secret.key'}"
    assert [name in done.stderr for name in named] == [in_environment, not in_environment]
