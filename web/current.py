"""What a view may ask for: the system that serves it, and who is asking."""

from typing import cast

from flask import current_app, g

from screening.accounts import Identity, OpenSession
from screening.system import System

EXTENSION = "screening"


def system() -> System:
    return cast(System, current_app.extensions[EXTENSION])


def identity() -> Identity:
    """Who is asking. Only views that need no sign-in may be called without one, and they do not call this."""
    return cast(Identity, g.identity)


def opened() -> OpenSession | None:
    """The session of the browser that is asking; None for a program that sends an API token with each request."""
    return cast(OpenSession | None, g.opened)


def signed_in_as_person() -> bool:
    """Whether a password or a sign-in link opened this session, and no API token."""
    session = opened()
    return session is not None and session.token_id is None
