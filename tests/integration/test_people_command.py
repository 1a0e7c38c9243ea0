"""`screening user`: access is given and taken on the server."""

import os
import pwd
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from screening import accounts
from screening.cli import main
from screening.clock import utc_now
from screening.database.engine import Database
from screening.database.tables import AuditEvent

Call = Callable[..., Result]
PASSWORD = "correct horse battery"


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = Database(sqlite_url)
    yield opened
    opened.dispose()


@pytest.fixture
def call(sqlite_url: str) -> Call:
    """The command `screening` with these words, in this process, because the test calls it often."""
    environment = {"SCREENING_DATABASE_URL": sqlite_url}
    return lambda *words, stdin="": CliRunner().invoke(main, words, env=environment, input=stdin)


def test_a_leaver_is_disabled_and_the_last_administrator_stays(database: Database, call: Call) -> None:
    def user(*words: str, stdin: str = "") -> Result:
        return call("user", *words, stdin=stdin)

    assert user("add", "anna", "--role", "administrator", "--no-password").exit_code == 0
    assert user("add", "ben", "--no-password").exit_code == 0
    for arguments in (("disable", "anna"), ("role", "anna", "reader")):
        refused = user(*arguments)
        assert (refused.exit_code, "last administrator" in refused.stderr) == (1, True), refused
    assert "There is no user nobody" in user("disable", "nobody").stderr

    with database.read() as session:
        ben = accounts.find_user(session, "ben")
        assert ben is not None
    with database.write() as session:
        token = accounts.issue_token(session, utc_now(), ben, "script", "tests")
    assert user("password", "ben", stdin=f"{PASSWORD}\n{PASSWORD}\n").exit_code == 0
    assert user("role", "ben", "operator").stdout.strip() == "ben is operator now."
    assert user("list").stdout.splitlines() == ["anna: administrator, links alone", "ben: operator, password"]
    assert user("disable", "ben").exit_code == 0
    assert "ben: operator, password, disabled 2" in user("list").stdout
    with database.read() as session:
        assert accounts.check_password(session, "ben", PASSWORD) is None
        assert accounts.identify_token(session, utc_now(), token) is None
    link = call("sign-in-link", "--user", "ben")
    assert (link.exit_code, "screening user enable ben" in link.stderr) == (1, True), link
    assert user("enable", "ben").exit_code == 0
    with database.read() as session:
        assert accounts.check_password(session, "ben", PASSWORD) is not None
        events = session.execute(select(AuditEvent.action, AuditEvent.actor).order_by(AuditEvent.id))
        told = {action: actor for action, actor in events if action.startswith("user.")}
    me = f"command of {pwd.getpwuid(os.getuid()).pw_name}"
    deeds = ("added", "password_set", "role_changed", "disabled", "enabled")
    assert told == {f"user.{deed}": me for deed in deeds}


def test_links_and_tokens_are_told_with_who_made_them(database: Database, call: Call) -> None:
    call("user", "add", "anna", "--no-password")
    assert call("sign-in-link", "--user", "anna").exit_code == 0
    made = call("token", "add", "nightly", "--user", "anna", "--days", "30")
    me = f"command of {pwd.getpwuid(os.getuid()).pw_name}"
    with database.read() as session:
        assert accounts.identify_token(session, utc_now(), made.stdout.strip()) is not None
        wanted = AuditEvent.action.in_(("link.issued", "token.issued"))
        events = session.execute(select(AuditEvent.action, AuditEvent.actor, AuditEvent.subject).where(wanted)).all()
    assert [tuple(event) for event in events] == [("link.issued", me, "anna"), ("token.issued", me, "nightly")]
