"""Who may sign in, and how secrets are kept."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from screening import accounts
from screening.database.engine import Database
from screening.database.tables import AuditEvent, Token, User
from screening.errors import Conflict, NotFound, Refused

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = accounts.SessionLimits(idle=timedelta(hours=1), longest=timedelta(hours=12))


def test_passwords_are_hashed_and_checked(database: Database) -> None:
    with database.write() as session:
        accounts.add_user(session, NOW, "reader one", "reader", "correct horse battery", "root")
        stored = session.scalars(select(User.password_hash)).one()
        assert stored is not None
        assert stored.startswith("$argon2id$")
        assert accounts.check_password(session, "reader one", "correct horse battery") is not None
        assert accounts.check_password(session, "reader one", "wrong") is None
        assert accounts.check_password(session, "nobody", "correct horse battery") is None


def test_bad_users_are_refused(database: Database) -> None:
    with database.write() as session:
        with pytest.raises(Refused, match="12 characters"):
            accounts.add_user(session, NOW, "a", "reader", "short", "root")
        with pytest.raises(Refused, match="administrator, operator, reader"):
            accounts.add_user(session, NOW, "a", "king", None, "root")
        accounts.add_user(session, NOW, "a", "reader", None, "root")
        with pytest.raises(Conflict):
            accounts.add_user(session, NOW, "a", "reader", None, "root")


def test_a_user_without_a_password_cannot_sign_in_by_password(database: Database) -> None:
    with database.write() as session:
        accounts.add_user(session, NOW, "a", "reader", None, "root")
        assert accounts.check_password(session, "a", "") is None


def test_tokens_identify_until_revoked_and_only_their_hash_is_kept(database: Database) -> None:
    with database.write() as session:
        user = accounts.add_user(session, NOW, "a", "operator", None, "root")
        secret = accounts.issue_token(session, NOW, user, "laptop", "root")
        session.flush()
        token = session.scalars(select(Token)).one()
        assert secret not in token.digest
        assert accounts.identify_token(session, NOW, secret) == user
        assert accounts.identify_token(session, NOW, secret + "x") is None
        assert accounts.id_of_token(session, secret) == token.id
        opened = accounts.open_session(session, NOW, user, LIMITS, token.id)
        session.flush()
        found = accounts.find_session(session, NOW, opened, LIMITS)
        assert found is not None
        assert (found.who, found.token_id) == (user, token.id)
        accounts.revoke_token(session, NOW, user, token.id, "root")
        assert accounts.identify_token(session, NOW, secret) is None
        assert accounts.find_session(session, NOW, opened, LIMITS) is None
        for unknown in (token.id, 10**20):
            with pytest.raises(NotFound):
                accounts.revoke_token(session, NOW, user, unknown, "root")
        assert set(session.scalars(select(AuditEvent.action))) == {"user.added", "token.issued", "token.revoked"}


def test_a_sign_in_link_works_once_and_not_for_ever(database: Database) -> None:
    with database.write() as session:
        user = accounts.add_user(session, NOW, "a", "operator", None, "root")
        once = accounts.issue_sign_in_link(session, NOW, user, "root")
        late = accounts.issue_sign_in_link(session, NOW, user, "root")
        session.flush()
        assert accounts.redeem_sign_in_link(session, NOW, once) == user
        assert accounts.redeem_sign_in_link(session, NOW, once) is None
        assert accounts.redeem_sign_in_link(session, NOW + timedelta(days=1), late) is None
        assert accounts.identify_token(session, NOW, late) is None, "a link is no API token"
        of_link = accounts.id_of_token(session, late)
        assert of_link is not None
        opened = accounts.open_session(session, NOW, user, LIMITS, of_link)
        session.flush()
        assert accounts.find_session(session, NOW, opened, LIMITS) is None
