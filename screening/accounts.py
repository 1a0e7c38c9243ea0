"""People and programs that may sign in: users, API tokens, one-time sign-in links."""

import functools
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from screening import audit
from screening.database.base import LARGEST_ID
from screening.database.tables import Token, User
from screening.errors import Conflict, NotFound, Refused

Role = Literal["administrator", "operator", "reader"]
ROLES: tuple[Role, ...] = ("administrator", "operator", "reader")
SHORTEST_PASSWORD = 12
SIGN_IN_LINK_LIFETIME = timedelta(hours=12)
_hasher = PasswordHasher()


@dataclass(frozen=True)
class Identity:
    """Who is asking."""

    user_id: int
    name: str
    role: str


@functools.cache
def _nobodys_hash() -> str:
    """Checked when no such user exists, so that the answer takes as long as for one who does."""
    return _hasher.hash(secrets.token_urlsafe())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _identity(user: User) -> Identity:
    return Identity(user.id, user.name, user.role)


def add_user(session: Session, now: datetime, name: str, role: str, password: str | None, actor: str) -> Identity:
    """Add a user. Without a password they sign in by link. Raises Refused or Conflict."""
    if role not in ROLES:
        raise Refused("unknown_role", f"The role {role!r} is not known. Choose one of {', '.join(ROLES)}.")
    if not name.strip() or len(name) > 100:
        raise Refused("bad_name", "A user name has 1 to 100 characters.")
    if password is not None and len(password) < SHORTEST_PASSWORD:
        raise Refused("short_password", f"A password has at least {SHORTEST_PASSWORD} characters.")
    if session.scalar(select(User.id).where(User.name == name)) is not None:
        raise Conflict("user_exists", f"There is a user named {name} already. Choose another name.")
    user = User(name=name, role=role, password_hash=_hasher.hash(password) if password else None, created_at=now)
    session.add(user)
    session.flush()
    audit.record(session, now, actor, "user.added", name, {"role": role})
    return _identity(user)


def find_user(session: Session, name: str) -> Identity | None:
    user = session.scalar(select(User).where(User.name == name, User.disabled_at.is_(None)))
    return _identity(user) if user else None


def get_user(session: Session, user_id: int) -> Identity | None:
    user = session.scalar(select(User).where(User.id == user_id, User.disabled_at.is_(None)))
    return _identity(user) if user else None


def check_password(session: Session, name: str, password: str) -> Identity | None:
    """The user, where name and password fit; None otherwise, after the same time."""
    user = session.scalar(select(User).where(User.name == name, User.disabled_at.is_(None)))
    try:
        _hasher.verify(user.password_hash if user and user.password_hash else _nobodys_hash(), password)
    except (Argon2Error, InvalidHashError):
        return None
    return _identity(user) if user and user.password_hash else None


def issue_token(session: Session, now: datetime, user: Identity, name: str, secret: str | None = None) -> str:
    """Make an API token and return its secret, which is shown once and kept only as a hash."""
    secret = secret or f"scr_{secrets.token_urlsafe(32)}"
    session.add(Token(user_id=user.user_id, kind="api", name=name, digest=_digest(secret), created_at=now))
    audit.record(session, now, user.name, "token.issued", name)
    return secret


def issue_sign_in_link(session: Session, now: datetime, user: Identity) -> str:
    """Make the secret of a link that signs this user in once, within twelve hours."""
    secret = secrets.token_urlsafe(32)
    session.add(
        Token(
            user_id=user.user_id,
            kind="sign_in",
            name="one-time link",
            digest=_digest(secret),
            created_at=now,
            expires_at=now + SIGN_IN_LINK_LIFETIME,
        )
    )
    return secret


def identify_token(session: Session, now: datetime, secret: str) -> Identity | None:
    """Whose API token this is; None for an unknown, expired or revoked one."""
    return _token_owner(session, now, Token.digest == _digest(secret))


def owner_of_token(session: Session, now: datetime, token_id: int) -> Identity | None:
    """The same by the token's id, for what it opened: a session ends with the token."""
    return _token_owner(session, now, Token.id == token_id)


def id_of_token(session: Session, secret: str) -> int | None:
    return session.scalar(select(Token.id).where(Token.digest == _digest(secret)))


def _token_owner(session: Session, now: datetime, which: ColumnElement[bool]) -> Identity | None:
    user = session.scalar(
        select(User)
        .join(Token, Token.user_id == User.id)
        .where(
            which,
            Token.kind == "api",
            Token.revoked_at.is_(None),
            (Token.expires_at.is_(None)) | (Token.expires_at > now),
            User.disabled_at.is_(None),
        )
    )
    return _identity(user) if user else None


def redeem_sign_in_link(session: Session, now: datetime, secret: str) -> Identity | None:
    """Whose link this is, and use it up; None for one that is unknown, used or expired."""
    user_id = session.scalar(
        update(Token)
        .where(
            Token.digest == _digest(secret),
            Token.kind == "sign_in",
            Token.used_at.is_(None),
            Token.revoked_at.is_(None),
            Token.expires_at > now,
        )
        .values(used_at=now)
        .returning(Token.user_id)
    )
    return get_user(session, user_id) if user_id is not None else None


def tokens_of(session: Session, user: Identity) -> Sequence[Token]:
    return session.scalars(
        select(Token).where(Token.user_id == user.user_id, Token.kind == "api").order_by(Token.id)
    ).all()


def revoke_token(session: Session, now: datetime, user: Identity, token_id: int) -> None:
    token = session.scalar(
        update(Token)
        .where(Token.id == min(token_id, LARGEST_ID), Token.user_id == user.user_id, Token.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(Token.name)
    )
    if token is None:
        raise NotFound("unknown_token", "There is no such token in use.")
    audit.record(session, now, user.name, "token.revoked", token)
