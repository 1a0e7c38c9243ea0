"""Checkpoints: which are known, and which one new runs use."""

from typing import Any

from flask_smorest import Blueprint
from sqlalchemy.orm import Session

from screening import checkpoints
from screening.database.tables import Checkpoint
from web import current
from web.access import needs_role
from web.api.schemas import CheckpointDocument, Checkpoints, Problem

blueprint = Blueprint("checkpoints", __name__, url_prefix="/api/v1/checkpoints", description="Trained networks.")


@blueprint.get("")
@blueprint.response(200, Checkpoints)
def list_checkpoints() -> Any:
    """Every registered checkpoint with its card and its operating point in force."""
    with current.system().database.read() as session:
        return {"items": [_document(session, row) for row in checkpoints.all_checkpoints(session)]}


@blueprint.post("/<string:checkpoint_id>/activate")
@blueprint.response(200, CheckpointDocument)
@blueprint.alt_response(403, schema=Problem)
@blueprint.alt_response(404, schema=Problem)
@needs_role("administrator")
def activate(checkpoint_id: str) -> Any:
    """Make this checkpoint the one that new runs use and the worklist shows."""
    system = current.system()
    with system.database.write() as session:
        chosen = checkpoints.activate(session, system.clock(), checkpoint_id, current.identity().name)
        return _document(session, chosen)


def _document(session: Session, row: Checkpoint) -> dict[str, Any]:
    return {
        **{column.key: getattr(row, column.key) for column in Checkpoint.__table__.columns},
        "operating_point": checkpoints.operating_point_facts(session, row.id),
    }
