"""Sessions of the portal: each is a row, so that signing out ends it wherever its cookie was copied to."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from screening.accounts.secret import digest_of, new_secret
from screening.accounts.tokens import is_valid
from screening.accounts.users import Identity, identity_of
from screening.database.tables import PortalSession, Token, User


@dataclass(frozen=True)
class SessionLimits:
    """How long a session lasts: without anything done by its person, and at most."""

    idle: timedelta
    longest: timedelta


@dataclass(frozen=True)
class OpenSession:
    """A session that is valid, and whose."""

    id: int
    who: Identity
    token_id: int | None
    """The API token that opened it; None where a person did, by password or link."""
    seen_at: datetime


def open_session(
    session: Session, now: datetime, user: Identity, limits: SessionLimits, token_id: int | None = None
) -> str:
    """Begin a session and return its secret, for the cookie. Sessions that have ended by themselves are removed."""
    ended = or_(PortalSession.seen_at <= now - limits.idle, PortalSession.opened_at <= now - limits.longest)
    session.execute(delete(PortalSession).where(ended))
    secret = new_secret()
    session.add(
        PortalSession(user_id=user.user_id, token_id=token_id, digest=digest_of(secret), opened_at=now, seen_at=now)
    )
    return secret


def find_session(session: Session, now: datetime, secret: str, limits: SessionLimits) -> OpenSession | None:
    """The session of this secret; None where it has ended, with its token too, or its user is disabled."""
    found = session.execute(
        select(PortalSession, User)
        .join(User, User.id == PortalSession.user_id)
        .outerjoin(Token, Token.id == PortalSession.token_id)
        .where(
            PortalSession.digest == digest_of(secret),
            PortalSession.seen_at > now - limits.idle,
            PortalSession.opened_at > now - limits.longest,
            PortalSession.token_id.is_(None) | is_valid(now),
            User.disabled_at.is_(None),
        )
    ).first()
    if found is None:
        return None
    opened, user = found
    return OpenSession(opened.id, identity_of(user), opened.token_id, opened.seen_at)


def mark_seen(session: Session, now: datetime, session_id: int) -> None:
    """Its person has just done something."""
    session.execute(update(PortalSession).where(PortalSession.id == session_id).values(seen_at=now))


def end_session(session: Session, session_id: int) -> None:
    session.execute(delete(PortalSession).where(PortalSession.id == session_id))


def end_sessions_of(session: Session, user_id: int, but: int | None = None) -> int:
    """End every session of a user, but for the one with the id `but`; how many there were."""
    statement = delete(PortalSession).where(PortalSession.user_id == user_id)
    if but is not None:
        statement = statement.where(PortalSession.id != but)
    return len(session.scalars(statement.returning(PortalSession.id)).all())
