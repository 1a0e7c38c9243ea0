"""Sessions of browsers. The cookie holds the secret of a row, which is the session: it opens nothing without."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import structlog
from flask import Flask, session
from flask_login import LoginManager, UserMixin, login_user, logout_user
from sqlalchemy.exc import SQLAlchemyError

from screening import accounts
from screening.accounts import Identity, OpenSession, SessionLimits
from screening.settings import Settings
from web import current, trail
from web.identities import identities, register_identities

log = structlog.get_logger()

OPENED = "opened"
"""Under which name the cookie holds the secret of the session."""
SEEN_EVERY = timedelta(minutes=1)
"""How exactly it is kept when somebody last did something: a write for each click would be too many."""


class SignedIn(UserMixin):
    """A user as Flask-Login keeps one. Its id is that of the user, or of the token that opened the session."""

    def __init__(self, who: Identity, token_id: int | None, opened: OpenSession | None = None) -> None:
        self.id = str(who.user_id) if token_id is None else f"token {token_id}"
        self.opened = opened


def limits_of(settings: Settings) -> SessionLimits:
    return SessionLimits(
        idle=timedelta(minutes=settings.session_idle_minutes), longest=timedelta(hours=settings.session_hours)
    )


def register_sessions(app: Flask) -> None:
    register_identities(app)
    manager = LoginManager()
    manager.init_app(app)

    @manager.user_loader
    def load(_user_id: str) -> SignedIn | None:
        opened = _find(session[OPENED]) if OPENED in session else None
        return SignedIn(opened.who, opened.token_id, opened) if opened else None


def enter(who: Identity, way: str, token_id: int | None = None) -> None:
    """Begin a session, which ends with the token if one opened it; what the browser's cookie said before is dropped."""
    system = current.system()
    now = system.clock()
    with system.database.write() as database:
        secret = accounts.open_session(database, now, who, limits_of(system.settings), token_id)
        trail.record_in(database, "signed.in", who.name, {"by": way}, who.name)
    session.clear()
    session.permanent = True
    session[OPENED] = secret
    login_user(SignedIn(who, token_id))


def leave(opened: OpenSession | None) -> None:
    """End this session wherever its cookie is; a program that sends a token has none."""
    if opened is not None:
        with current.system().database.write() as database:
            accounts.end_session(database, opened.id)
            trail.record_in(database, "signed.out", opened.who.name)
        identities().forget(_key(session[OPENED]))
    logout_user()
    session.clear()


def keep_alive(opened: OpenSession) -> None:
    """Somebody is at work in this session. Reading goes on where that cannot be noted."""
    system = current.system()
    now = system.clock()
    if now - opened.seen_at < SEEN_EVERY:
        return
    try:
        with system.database.write() as database:
            accounts.mark_seen(database, now, opened.id)
    except SQLAlchemyError as error:
        log.warning("a session was not renewed", error=str(error))
    identities().keep(_key(session[OPENED]), replace(opened, seen_at=now))


def forget() -> bool:
    """Drop what the cookie says of a session that is none any more; whether there was one."""
    return session.pop(OPENED, None) is not None


def _find(secret: str) -> OpenSession | None:
    system = current.system()

    def find() -> OpenSession | None:
        with system.database.read() as database:
            return accounts.find_session(database, system.clock(), secret, limits_of(system.settings))

    return identities().look_up(_key(secret), find)


def _key(secret: str) -> str:
    return f"session {hashlib.sha256(secret.encode()).hexdigest()}"
