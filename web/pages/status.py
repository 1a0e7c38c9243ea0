"""The system page: processes, queues, database, storage, and for administrators the audit trail."""

from flask import Blueprint, render_template
from sqlalchemy import func, select

from screening import audit, workers
from screening.database.states import WorkState
from screening.database.tables import Container, Job, Prediction, Rendition, Scan
from screening.upkeep.capacity import oldest_waiting_s
from web import current
from web.access import may
from web.broker import queue_depths
from web.watching import latest_drift

blueprint = Blueprint("status-pages", __name__, url_prefix="/system")

EVENTS_SHOWN = 50


@blueprint.get("")
def status() -> str:
    system = current.system()
    settings = system.settings
    with system.database.read() as session:
        totals = {
            "scans": session.scalar(select(func.count()).select_from(Scan)),
            "predictions": session.scalar(select(func.count()).select_from(Prediction)),
        }
        jobs = dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())
        renditions = session.scalar(
            select(func.count()).select_from(Rendition).where(Rendition.state == WorkState.WAITING)
        )
        containers = session.scalar(
            select(func.count()).select_from(Container).where(Container.state == WorkState.WAITING)
        )
        return render_template(
            "system.html",
            workers=workers.alive(session, system.clock()),
            depths=queue_depths(settings.redis_url),
            jobs=jobs,
            waiting={"renditions": renditions, "containers": containers},
            totals=totals,
            database=system.database.url.get_backend_name(),
            storage="S3" if settings.storage_url.startswith("s3") else "local folder",
            space=system.capacity.space(),
            oldest_waiting=oldest_waiting_s(session, system.clock()),
            settings=settings,
            drift=latest_drift(),
            events=audit.recent(session, EVENTS_SHOWN) if may("administrator") else [],
        )
