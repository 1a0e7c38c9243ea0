"""Users: who they are, and whether a password is theirs."""

import functools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from sqlalchemy import select
from sqlalchemy.orm import Session

from screening import audit
from screening.database.base import LARGEST_ID
from screening.database.tables import User
from screening.errors import Conflict, NotFound, Refused

Role = Literal["administrator", "operator", "reader"]
ROLES: tuple[Role, ...] = ("administrator", "operator", "reader")
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1000
_hasher = PasswordHasher()


@dataclass(frozen=True)
class Identity:
    """Who is asking."""

    user_id: int
    name: str
    role: str

    @property
    def is_told_every_review(self) -> bool:
        """Administrators, by exports and lists of decisions, as by the audit trail; to others the reviews of a scan are
        told after their own."""
        return self.role == "administrator"


@functools.cache
def _nobodys_hash() -> str:
    """Checked when no such user exists, so that the answer takes as long as for one who does."""
    return _hasher.hash(secrets.token_urlsafe())


def hashed(password: str) -> str:
    """Takes 64 MiB and some tens of milliseconds, as it should."""
    return _hasher.hash(password)


def identity_of(user: User) -> Identity:
    return Identity(user.id, user.name, user.role)


def add_user(session: Session, now: datetime, name: str, role: str, password: str | None, actor: str) -> Identity:
    """Add a user. Without a password they sign in by link. Raises Refused or Conflict."""
    check_role(role)
    if not name.strip() or len(name) > 100:
        raise Refused("bad_name", "A user name has 1 to 100 characters.")
    if password is not None:
        check_length(password)
    if has_account(session, name):
        raise Conflict("user_exists", f"There is a user named {name} already. Choose another name.")
    user = User(name=name, role=role, password_hash=hashed(password) if password else None, created_at=now)
    session.add(user)
    session.flush()
    audit.record(session, now, actor, "user.added", name, {"role": role})
    return identity_of(user)


def find_user(session: Session, name: str) -> Identity | None:
    user = session.scalar(select(User).where(User.name == name, User.disabled_at.is_(None)))
    return identity_of(user) if user else None


def enabled_user(session: Session, name: str) -> Identity:
    """The user of this name. Raises NotFound, or Conflict for one who is disabled."""
    user = account_of(session, name)
    if user.disabled_at is not None:
        raise Conflict("user_disabled", f"{name} is disabled. `screening user enable {name}` gives access back.")
    return identity_of(user)


def get_user(session: Session, user_id: int) -> Identity | None:
    user = session.scalar(select(User).where(User.id == user_id, User.disabled_at.is_(None)))
    return identity_of(user) if user else None


def all_accounts(session: Session) -> Sequence[User]:
    """Every user by name, those who are disabled too."""
    return session.scalars(select(User).order_by(User.name)).all()


def has_account(session: Session, name: str) -> bool:
    """Whether there is a user of this name, disabled or not."""
    return session.scalar(select(User.id).where(User.name == name)) is not None


def account_of(session: Session, name: str) -> User:
    """The user of this name, disabled or not. Raises NotFound."""
    user = session.scalar(select(User).where(User.name == name))
    if user is None:
        raise NotFound("unknown_user", f"There is no user {name}. Add one with `screening user add {name}`.")
    return user


def account_with_id(session: Session, user_id: int) -> User:
    """The user with this id, disabled or not. Raises NotFound."""
    user = session.get(User, min(user_id, LARGEST_ID))
    if user is None:
        raise NotFound("unknown_user", "There is no such user.")
    return user


def check_password(session: Session, name: str, password: str) -> Identity | None:
    """The user, where name and password fit; None otherwise, after the same time."""
    user = session.scalar(select(User).where(User.name == name, User.disabled_at.is_(None)))
    try:
        _hasher.verify(user.password_hash if user and user.password_hash else _nobodys_hash(), password)
    except (Argon2Error, InvalidHashError):
        return None
    return identity_of(user) if user and user.password_hash else None


def check_role(role: str) -> None:
    """Raises Refused."""
    if role not in ROLES:
        raise Refused("unknown_role", f"The role {role!r} is not known. Choose one of {', '.join(ROLES)}.")


def check_length(password: str) -> None:
    """Raises Refused."""
    if len(password) < SHORTEST_PASSWORD:
        raise Refused("short_password", f"A password has at least {SHORTEST_PASSWORD} characters.")
    if len(password) > LONGEST_PASSWORD:
        raise Refused("long_password", f"A password has at most {LONGEST_PASSWORD} characters.")
