"""Giving access and taking it away: passwords, roles, users who may come no longer."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from screening import audit
from screening.accounts.sessions import end_sessions_of
from screening.accounts.tokens import void_sign_in_links
from screening.accounts.users import check_length, check_role, hashed
from screening.database.tables import User
from screening.errors import Conflict


def set_password(
    session: Session, now: datetime, user: User, password: str, actor: str, staying: int | None = None
) -> None:
    """Give a user another password: whoever knew the former one is out. API tokens go on.

    staying: the id of the session that does not end by it, that of a user who changes their own. Raises Refused.
    """
    check_length(password)
    user.password_hash = hashed(password)
    _shut_out(session, now, user, staying)
    audit.record(session, now, actor, "user.password_set", user.name)


def change_role(session: Session, now: datetime, user: User, role: str, actor: str) -> None:
    """What a user may do from now on. Raises Refused, or Conflict for the last administrator."""
    check_role(role)
    if role == user.role:
        return
    _keep_an_administrator(session, user)
    former, user.role = user.role, role
    audit.record(session, now, actor, "user.role_changed", user.name, {"role": role, "former": former})


def disable_user(session: Session, now: datetime, user: User, actor: str) -> None:
    """Take a user's access away: sessions end, links are void, tokens are refused. Raises Conflict."""
    if user.disabled_at is not None:
        return
    _keep_an_administrator(session, user)
    user.disabled_at = now
    _shut_out(session, now, user, None)
    audit.record(session, now, actor, "user.disabled", user.name)


def enable_user(session: Session, now: datetime, user: User, actor: str) -> None:
    """Give the access back: password and tokens work as before, as far as they have not expired meanwhile."""
    if user.disabled_at is None:
        return
    user.disabled_at = None
    audit.record(session, now, actor, "user.enabled", user.name)


def _keep_an_administrator(session: Session, user: User) -> None:
    """Locks every administrator's row, so that of two who take each other's role away only the first does."""
    session.flush()
    administrators = session.scalars(
        select(User.id)
        .where(User.role == "administrator", User.disabled_at.is_(None))
        .order_by(User.id)
        .with_for_update()
    ).all()
    if list(administrators) == [user.id]:
        raise Conflict(
            "last_administrator",
            f"{user.name} is the last administrator, and somebody has to look after the others. "
            "Make another user administrator first.",
        )


def _shut_out(session: Session, now: datetime, user: User, staying: int | None) -> None:
    """End what was opened in this user's name: sessions, and links that wait to be used."""
    end_sessions_of(session, user.id, staying)
    void_sign_in_links(session, now, user.id)
