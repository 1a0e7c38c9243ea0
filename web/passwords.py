"""Checking passwords, one at a time, and slowing down who guesses them."""

import secrets
import threading

from flask import Response, current_app, request
from itsdangerous import BadSignature, URLSafeSerializer

from screening.accounts import Identity, check_password
from web import current

TRIES_PER_ADDRESS = "30 per minute; 300 per hour"
FAILURES_PER_NAME = "6 per minute; 60 per hour"
NAMES_REMEMBERED = 8
"""People who share a browser."""
A_YEAR_S = 365 * 24 * 3600
# Checking a password takes 64 MiB for a moment; one at a time keeps a burst of tries from taking all the memory.
_one_password = threading.Lock()


def owner_of_password(name: str, password: str) -> Identity | None:
    """The user, where name and password fit."""
    with _one_password, current.system().database.read() as session:
        return check_password(session, name, password)


def failed(response: Response) -> bool:
    """What counts as a try of a password that did not fit."""
    return response.status_code in (400, 401)


def guesser(name: str) -> str:
    """Whose failures are counted: those of a browser in which this user has signed in before, or of all others.

    So a stranger who fails again and again under somebody's name keeps other strangers out, and not that person.
    """
    known = _remembered()
    plain = _plain(name)
    return f"browser {known['id']} as {plain}" if plain in known["names"] else f"name {plain}"


def remember_browser(response: Response, name: str) -> None:
    """This user has signed in here with their password."""
    known = _remembered()
    names = [_plain(name), *(other for other in known["names"] if other != _plain(name))][:NAMES_REMEMBERED]
    response.set_cookie(
        _cookie(),
        _signer().dumps({"id": known["id"], "names": names}),
        max_age=A_YEAR_S,
        httponly=True,
        samesite="Lax",
        secure=current.system().settings.https,
    )


def _remembered() -> dict[str, str | list[str]]:
    try:
        known: dict[str, str | list[str]] = _signer().loads(request.cookies.get(_cookie(), ""))
    except BadSignature:
        return {"id": secrets.token_urlsafe(16), "names": []}
    return known


def _plain(name: str) -> str:
    return name.strip().lower()


def _cookie() -> str:
    return f"screening_known_{current.system().settings.port}"


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.config["SECRET_KEY"], salt="known browser")
