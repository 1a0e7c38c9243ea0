"""What the portal adds to the audit trail: by whom, and from which address."""

from typing import Any

import structlog
from flask import current_app, request
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from screening import audit
from web import current

log = structlog.get_logger()

LONGEST_VALUE = 200
MOST_REMEMBERED = 10_000
"""So many views that were told already need not be asked of the database again."""


def address() -> str:
    """The client's address, as the trusted proxies tell it."""
    return request.remote_addr or "unknown"


def record_in(
    session: Session, action: str, subject: str, detail: dict[str, Any] | None = None, actor: str | None = None
) -> None:
    """Add an event to a transaction; the actor is who is asking, unless another is named."""
    detail = {**(detail or {}), "address": address()}
    audit.record(session, current.system().clock(), actor or current.identity().name, action, subject, detail)


def exported(name: str) -> None:
    """A file with data of patients leaves: its name, and what was asked for."""
    if request.method != "GET":
        return
    asked = {key[:LONGEST_VALUE]: value[:LONGEST_VALUE] for key, value in request.args.items()}
    with current.system().database.write() as session:
        record_in(session, "export.made", name, {"asked": asked} if asked else None)


def viewed(scan_id: str) -> None:
    """Somebody looks at a scan; told once for each person, scan and hour. Reading goes on where it cannot be noted."""
    system = current.system()
    now, reader = system.clock(), current.identity().name
    told: set[tuple[str, str, str]] = current_app.extensions.setdefault("screening-views", set())
    view = (reader, scan_id, f"{now:%Y-%m-%dT%H}")
    if view in told:
        return
    try:
        with system.database.write() as session:
            audit.record_hourly(session, now, reader, "scan.viewed", scan_id, {"address": address()})
    except SQLAlchemyError as error:
        log.error("a view was not added to the audit trail", scan=scan_id, reader=reader, error=str(error))
        return
    if len(told) >= MOST_REMEMBERED:
        told.clear()
    told.add(view)
