"""Is the process alive, is the system ready? For supervisors and load balancers: no sign-in, no details."""

import threading
import time
from dataclasses import dataclass, field

import structlog
from flask import Blueprint, Response, current_app, jsonify
from sqlalchemy.exc import SQLAlchemyError

from screening.database.migrate import has_newest_schema
from screening.storage import StorageError
from screening.system import System
from screening.upkeep.ownership import storage_is_anothers
from web import current
from web.access import public
from web.broker import queue_depths
from web.problems import answer

log = structlog.get_logger()
blueprint = Blueprint("health", __name__)

BELIEVED_FOR_S = 3.0
"""Anybody may ask, and a check writes to the storage: it is made once in so long, however many ask."""


@dataclass(frozen=True)
class Readiness:
    """What is wrong, as a sentence, or None when ready; and what was checked and found."""

    trouble: str | None
    checks: dict[str, str]


@dataclass
class _Latest:
    """The latest check of this process. Whoever asks while one is made gets the one before, and blocks no thread."""

    readiness: Readiness | None = None
    checked_at: float = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, system: System) -> Readiness:
        known = self.readiness
        if known is not None and time.monotonic() - self.checked_at < BELIEVED_FOR_S:
            return known
        if known is not None and self.lock.locked():
            return known
        with self.lock:
            found = _check(system)
            self.readiness, self.checked_at = found, time.monotonic()
        return found


@blueprint.get("/healthz")
@public
def healthz() -> Response:
    """This process answers."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
@public
def readyz() -> Response:
    """Uploads are accepted. Redis is reported but not needed: the sweeper sends lost wake-ups later."""
    latest: _Latest = current_app.extensions.setdefault("screening-readiness", _Latest())
    found = latest.of(current.system())
    if found.trouble:
        return answer(503, "not_ready", found.trouble, more={"checks": found.checks})
    return jsonify(status="ready", checks=found.checks)


def _check(system: System) -> Readiness:
    redis = {"redis": "ok" if queue_depths(system.settings.redis_url) is not None else "down"}
    try:
        if not has_newest_schema(system.database):
            return Readiness(
                "The database is not migrated to this release.", {"database": "ok", "schema": "old", **redis}
            )
    except SQLAlchemyError as error:
        log.error("not ready: database", error=str(error))
        return Readiness("The database does not answer.", {"database": "down", **redis})
    found = {"database": "ok", "schema": "ok"}
    try:
        system.storage.ping()
        if storage_is_anothers(system.database, system.storage):
            return Readiness(
                "The storage is not that of this installation; its disk may not be mounted.",
                {**found, "storage": "not its own", **redis},
            )
    except (StorageError, OSError) as error:
        log.error("not ready: storage", error=str(error))
        return Readiness("The storage does not answer.", {**found, "storage": "down", **redis})
    return Readiness(None, {**found, "storage": "ok", **redis})
