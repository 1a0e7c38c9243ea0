"""API tokens of programs, and links that sign a person in once. Both are kept as a hash only."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from screening import audit
from screening.accounts.secret import digest_of, new_secret
from screening.accounts.users import Identity, get_user, identity_of
from screening.database.base import LARGEST_ID
from screening.database.tables import Token, User
from screening.errors import NotFound

TOKEN_LIFETIME = timedelta(days=365)
SIGN_IN_LINK_LIFETIME = timedelta(hours=12)


def issue_token(
    session: Session,
    now: datetime,
    user: Identity,
    name: str,
    actor: str,
    lifetime: timedelta | None = TOKEN_LIFETIME,
) -> str:
    """Make an API token and return its secret, which is shown once. Without a lifetime it works until it is revoked."""
    secret = f"scr_{new_secret()}"
    expires_at = now + lifetime if lifetime is not None else None
    session.add(
        Token(
            user_id=user.user_id,
            kind="api",
            name=name,
            digest=digest_of(secret),
            created_at=now,
            expires_at=expires_at,
        )
    )
    detail = {"user": user.name, "expires_at": expires_at.isoformat() if expires_at else None}
    audit.record(session, now, actor, "token.issued", name, detail)
    return secret


def issue_sign_in_link(session: Session, now: datetime, user: Identity, actor: str) -> str:
    """Make the secret of a link that signs this user in once, within twelve hours."""
    secret = new_secret()
    session.add(
        Token(
            user_id=user.user_id,
            kind="sign_in",
            name="one-time link",
            digest=digest_of(secret),
            created_at=now,
            expires_at=now + SIGN_IN_LINK_LIFETIME,
        )
    )
    audit.record(session, now, actor, "link.issued", user.name)
    return secret


def identify_token(session: Session, now: datetime, secret: str) -> Identity | None:
    """Whose API token this is; None for an unknown, expired or revoked one."""
    user = session.scalar(
        select(User)
        .join(Token, Token.user_id == User.id)
        .where(Token.digest == digest_of(secret), is_valid(now), User.disabled_at.is_(None))
    )
    return identity_of(user) if user else None


def is_valid(now: datetime) -> ColumnElement[bool]:
    """Whether a row of Token is an API token in use."""
    return (Token.kind == "api") & Token.revoked_at.is_(None) & (Token.expires_at.is_(None) | (Token.expires_at > now))


def id_of_token(session: Session, secret: str) -> int | None:
    return session.scalar(select(Token.id).where(Token.digest == digest_of(secret)))


def redeem_sign_in_link(session: Session, now: datetime, secret: str) -> Identity | None:
    """Whose link this is, and use it up; None for one that is unknown, used or expired."""
    user_id = session.scalar(
        update(Token)
        .where(
            Token.digest == digest_of(secret),
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


def revoke_token(session: Session, now: datetime, user: Identity, token_id: int, actor: str) -> None:
    """Revoke a token of this user. Raises NotFound where they have no such token in use."""
    token = session.scalar(
        update(Token)
        .where(Token.id == min(token_id, LARGEST_ID), Token.user_id == user.user_id, Token.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(Token.name)
    )
    if token is None:
        raise NotFound("unknown_token", "There is no such token in use.")
    audit.record(session, now, actor, "token.revoked", token, {"user": user.name})


def revoke_every_token(session: Session, now: datetime, actor: str) -> int:
    """Revoke the API tokens of everybody; how many were in use."""
    revoked = update(Token).where(is_valid(now)).values(revoked_at=now).returning(Token.id)
    count = len(session.scalars(revoked).all())
    audit.record(session, now, actor, "token.revoked", "every token", {"count": count})
    return count


def void_sign_in_links(session: Session, now: datetime, user_id: int | None = None) -> None:
    """Links that were not used yet work no longer: those of a user, or of everybody."""
    statement = update(Token).where(Token.kind == "sign_in", Token.used_at.is_(None), Token.revoked_at.is_(None))
    if user_id is not None:
        statement = statement.where(Token.user_id == user_id)
    session.execute(statement.values(revoked_at=now))
