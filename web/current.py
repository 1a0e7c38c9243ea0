"""What a view may ask for: the system that serves it, and who is asking."""

from typing import cast

from flask import current_app, g

from screening.accounts import Identity
from screening.system import System

EXTENSION = "screening"


def system() -> System:
    return cast(System, current_app.extensions[EXTENSION])


def identity() -> Identity:
    """Who is asking. Only views that need no sign-in may be called without one, and they do not call this."""
    return cast(Identity, g.identity)
