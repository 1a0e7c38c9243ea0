"""Who was just looked up, so that a burst of requests asks the database once in a few seconds."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import Flask, current_app

TRUSTED_FOR_S = 5.0
"""How long an answer is believed before the database is asked again: access that was taken away lasts no longer."""
MOST_REMEMBERED = 1000
EXTENSION = "screening-identities"
T = TypeVar("T")


class IdentityCache:
    """Answers of the database by who asked: sessions and API tokens, each under a key of its own kind."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Any]] = {}
        self._lock = threading.Lock()

    def look_up(self, key: str, find: Callable[[], T | None]) -> T | None:
        """Only positive answers are kept: a new token works at once."""
        known = self._known.get(key)
        if known is not None and time.monotonic() - known[0] < TRUSTED_FOR_S:
            return cast(T, known[1])
        asked_at = time.monotonic()
        found = find()
        with self._lock:
            self._known.pop(key, None)
            if found is not None:
                if len(self._known) >= MOST_REMEMBERED:
                    self._known.clear()
                self._known[key] = (asked_at, found)
        return found

    def keep(self, key: str, answer: object) -> None:
        """Believe this answer from now on, as if the database had given it."""
        with self._lock:
            self._known[key] = (time.monotonic(), answer)

    def forget(self, key: str | None = None) -> None:
        """Ask the database again at the next request: for this key, or for all."""
        with self._lock:
            if key is None:
                self._known.clear()
            else:
                self._known.pop(key, None)


def register_identities(app: Flask) -> None:
    app.extensions[EXTENSION] = IdentityCache()


def identities() -> IdentityCache:
    return cast(IdentityCache, current_app.extensions[EXTENSION])


def forget_identities() -> None:
    """After a change of rights: this process asks the database again at once, the others within seconds."""
    identities().forget()
