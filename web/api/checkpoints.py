"""Checkpoints: which are known, which one new runs use, and from which probability on they flag."""

from typing import Any

from flask_smorest import Blueprint
from sqlalchemy.orm import Session

from screening import checkpoints
from screening.activation import left_behind, put_to_use
from screening.database.tables import Checkpoint
from screening.rescreening import candidates
from screening.reviews.measured import measured
from screening.threshold_choice import choices
from web import current
from web.access import needs_role
from web.api.measured import MeasuredDocument, PeriodQuery, ThresholdChoices
from web.api.schemas import (
    Activation,
    CheckpointDocument,
    Checkpoints,
    LeftBehindDocument,
    NewOperatingPoint,
    OpenedDocument,
    Problem,
)
from web.left_behind import open_for_the_rest
from web.watching import latest_scores

blueprint = Blueprint("checkpoints", __name__, url_prefix="/api/v1/checkpoints", description="Trained networks.")


@blueprint.get("")
@blueprint.response(200, Checkpoints)
def list_checkpoints() -> Any:
    """Every registered checkpoint with its card and its operating point in force."""
    with current.system().database.read() as session:
        return {"items": [_document(session, row) for row in checkpoints.all_checkpoints(session)]}


@blueprint.post("/<string:checkpoint_id>/activate")
@blueprint.arguments(Activation)
@blueprint.response(200, CheckpointDocument)
@blueprint.alt_response(403, schema=Problem)
@blueprint.alt_response(404, schema=Problem)
@blueprint.alt_response(
    409, schema=Problem, description="`leaves_unscreened`: unread flagged scans or runs are left to a former one."
)
@needs_role("administrator")
def activate(given: dict[str, Any], checkpoint_id: str) -> Any:
    """Make this checkpoint the one that new runs use and the worklist shows. See `left-behind` before."""
    system = current.system()
    who = current.identity().name
    put_to_use(system.database, system.clock(), checkpoint_id, who, given["reason"], given["leave_unscreened"])
    with system.database.read() as session:
        return _document(session, checkpoints.get(session, checkpoint_id))


@blueprint.get("/<string:checkpoint_id>/left-behind")
@blueprint.response(200, LeftBehindDocument)
@blueprint.alt_response(404, schema=Problem)
def get_left_behind(checkpoint_id: str) -> Any:
    """What only former checkpoints have screened, or would have if this one were put to use."""
    with current.system().database.read() as session:
        return left_behind(session, checkpoint_id)


@blueprint.post("/screen-rest")
@blueprint.response(200, OpenedDocument)
@blueprint.alt_response(403, schema=Problem)
@blueprint.alt_response(409, schema=Problem, description="Nothing is left to be screened, or a run does so already.")
@needs_role("operator")
def screen_rest() -> Any:
    """Open a run of the lane archive over what the active checkpoint has not screened yet."""
    return open_for_the_rest()


@blueprint.post("/<string:checkpoint_id>/nominate")
@blueprint.response(200, CheckpointDocument)
@blueprint.alt_response(403, schema=Problem)
@blueprint.alt_response(404, schema=Problem)
@blueprint.alt_response(409, schema=Problem, description="It is the active checkpoint.")
@needs_role("administrator")
def nominate(checkpoint_id: str) -> Any:
    """Make this checkpoint the candidate, which schedules try on the archive while another is active."""
    system = current.system()
    with system.database.write() as session:
        chosen = candidates.nominate(session, system.clock(), checkpoint_id, current.identity().name)
        return _document(session, chosen)


@blueprint.delete("/candidate")
@blueprint.response(204)
@blueprint.alt_response(403, schema=Problem)
@needs_role("administrator")
def withdraw() -> None:
    """Have no candidate: schedules that use it do nothing until there is one again."""
    system = current.system()
    with system.database.write() as session:
        candidates.withdraw(session, system.clock(), current.identity().name)


@blueprint.put("/<string:checkpoint_id>/operating-point")
@blueprint.arguments(NewOperatingPoint)
@blueprint.response(200, CheckpointDocument)
@blueprint.alt_response(400, schema=Problem, description="A threshold is out of range, or the reason is empty.")
@blueprint.alt_response(403, schema=Problem)
@blueprint.alt_response(404, schema=Problem)
@needs_role("administrator")
def set_operating_point(given: dict[str, Any], checkpoint_id: str) -> Any:
    """Put another operating point in force; lists are ranked by it at once."""
    system = current.system()
    with system.database.write() as session:
        checkpoints.set_operating_point(
            session,
            system.clock(),
            checkpoint_id,
            given["threshold"],
            given["likely_threshold"],
            given["reason"],
            current.identity().name,
        )
        return _document(session, checkpoints.get(session, checkpoint_id))


@blueprint.get("/<string:checkpoint_id>/thresholds")
@blueprint.response(200, ThresholdChoices)
@blueprint.alt_response(404, schema=Problem)
def thresholds(checkpoint_id: str) -> Any:
    """Thresholds to choose from: what the card measured at each, and what each would mean in this installation."""
    with current.system().database.read() as session:
        checkpoint = checkpoints.get(session, checkpoint_id)
        scores = latest_scores(checkpoint_id)
        offered = choices(session, checkpoint, scores)
    return {"items": offered, "screened": scores.screened, "scans_a_day": scores.scans_a_day}


@blueprint.get("/<string:checkpoint_id>/measured")
@blueprint.arguments(PeriodQuery, location="query")
@blueprint.response(200, MeasuredDocument)
@blueprint.alt_response(404, schema=Problem)
def measured_in_use(period: dict[str, Any], checkpoint_id: str) -> Any:
    """The checkpoint as its readers measure it: PPV, sensitivity by the random sample, agreement; 95% intervals."""
    system = current.system()
    with system.database.read() as session:
        checkpoints.get(session, checkpoint_id)
        rate = system.settings.review_sample_rate
        return measured(session, checkpoint_id, rate, period["since"], period["until"])


def _document(session: Session, row: Checkpoint) -> dict[str, Any]:
    return {
        **{column.key: getattr(row, column.key) for column in Checkpoint.__table__.columns},
        "operating_point": checkpoints.operating_point_facts(session, row.id),
    }
