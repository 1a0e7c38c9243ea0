"""Is the process alive, is the system ready? For supervisors and load balancers: no sign-in, no details."""

from typing import Any

import structlog
from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from screening.database.migrate import is_at_head
from screening.storage import StorageError
from screening.system import System
from web import current
from web.access import public
from web.broker import queue_depths
from web.problems import answer

log = structlog.get_logger()
blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public
def healthz() -> Response:
    """This process answers."""
    return jsonify(status="alive")


@blueprint.get("/readyz")
@public
def readyz() -> Response:
    """Uploads are accepted. Redis is reported but not needed: the sweeper sends lost wake-ups later."""
    system = current.system()
    wrong = _why_not_ready(system)
    redis = "ok" if queue_depths(system.settings.redis_url) is not None else "down"
    checks: dict[str, Any] = {"checks": {**wrong[1], "redis": redis}}
    if wrong[0]:
        return answer(503, "not_ready", wrong[0], more=checks)
    return jsonify(status="ready", **checks)


def _why_not_ready(system: System) -> tuple[str | None, dict[str, str]]:
    """(a sentence, or None when ready; what was checked and found)."""
    try:
        if not is_at_head(system.settings.resolved_database_url):
            return "The database is not migrated to this release.", {"database": "ok", "schema": "old"}
    except SQLAlchemyError as error:
        log.error("not ready: database", error=str(error))
        return "The database does not answer.", {"database": "down"}
    found = {"database": "ok", "schema": "ok"}
    try:
        system.storage.ping()
    except (StorageError, OSError) as error:
        log.error("not ready: storage", error=str(error))
        return "The storage does not answer.", {**found, "storage": "down"}
    return None, {**found, "storage": "ok"}
