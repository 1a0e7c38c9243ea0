"""The system page: processes, queues, database, storage; and for administrators the audit trail."""

from flask import Blueprint, render_template, request
from sqlalchemy import func, select

from screening import audit, workers
from screening.archives.registry import all_archives
from screening.checkpoints import all_checkpoints
from screening.database.states import WorkState
from screening.database.tables import Container, Rendition
from screening.upkeep.capacity import oldest_waiting_s
from web import current
from web.access import needs_role
from web.broker import queue_depths
from web.row_numbers import row_number
from web.watching import latest_drift, latest_totals

blueprint = Blueprint("status-pages", __name__, url_prefix="/system")

EVENTS_PER_PAGE = 100


@blueprint.get("")
def status() -> str:
    system = current.system()
    settings = system.settings
    with system.database.read() as session:
        renditions = session.scalar(
            select(func.count()).select_from(Rendition).where(Rendition.state == WorkState.WAITING)
        )
        containers = session.scalar(
            select(func.count()).select_from(Container).where(Container.state == WorkState.WAITING)
        )
        return render_template(
            "system.html",
            workers=workers.alive(session, system.clock()),
            names={checkpoint.id: checkpoint.name for checkpoint in all_checkpoints(session)},
            depths=queue_depths(settings.redis_url),
            waiting={"renditions": renditions, "containers": containers},
            totals=latest_totals(),
            database=system.database.url.get_backend_name(),
            storage="S3" if settings.storage_url.startswith("s3") else "a local folder",
            space=system.capacity.space(),
            oldest_waiting=oldest_waiting_s(session, system.clock()),
            settings=settings,
            drift=latest_drift(),
            archives=all_archives(session),
        )


@blueprint.get("/audit")
@needs_role("administrator")
def audit_trail() -> str:
    """Who did what to what, the newest first."""
    search = request.args.get("search", "").strip()
    before = row_number("before")
    with current.system().database.read() as session:
        found = audit.recent(session, EVENTS_PER_PAGE + 1, before, search)
    page = found[:EVENTS_PER_PAGE]
    return render_template(
        "audit.html",
        events=page,
        search=search,
        before=before,
        next=page[-1].id if len(found) > len(page) else None,
    )
