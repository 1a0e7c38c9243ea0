"""Processes that are alive."""

from typing import Any

from flask_smorest import Blueprint

from screening import workers
from web import current
from web.api.schemas import Workers

blueprint = Blueprint("status", __name__, url_prefix="/api/v1", description="The system itself.")


@blueprint.get("/workers")
@blueprint.response(200, Workers)
def list_workers() -> Any:
    """Processes seen within the last 30 seconds, with the engine and the device that they use."""
    system = current.system()
    with system.database.read() as session:
        return {"items": workers.alive(session, system.clock())}
