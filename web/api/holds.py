"""The hold on one scan: who has it open."""

from datetime import datetime
from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, fields

from screening.reviews import holds
from screening.reviews.holds import Held
from screening.scans import get_scan
from web import current, trail
from web.access import background, needs_role
from web.api.schemas import Problem, moment

blueprint = Blueprint(
    "holds", __name__, url_prefix="/api/v1/scans/<string:scan_id>/hold", description="Who has a scan open."
)


class HoldDocument(Schema):
    reader = fields.String(allow_none=True, metadata={"description": "Null: nobody has it open."})
    yours = fields.Boolean()
    held_for_s = fields.Float(allow_none=True)
    held_since = moment(allow_none=True)
    held_until = moment(allow_none=True)


@blueprint.get("")
@blueprint.response(200, HoldDocument)
@blueprint.alt_response(404, schema=Problem)
def get_hold(scan_id: str) -> Any:
    """Who has the scan open."""
    system = current.system()
    now = system.clock()
    with system.database.read() as session:
        get_scan(session, scan_id)
        return _document(holds.holder(session, now, scan_id), now)


@blueprint.put("")
@blueprint.response(200, HoldDocument)
@blueprint.alt_response(404, schema=Problem)
@needs_role("reader")
@background
def take(scan_id: str) -> Any:
    """Take or renew your hold. Where another reader came first, theirs is the answer; you may read all the same."""
    system = current.system()
    now = system.clock()
    with system.database.write() as session:
        held = holds.take(session, now, scan_id, current.identity().name, system.settings.hold_s)
    # The viewer takes a hold of every scan that it shows, and of none that it has only fetched ahead.
    trail.viewed(scan_id)
    return _document(held, now)


@blueprint.delete("")
@blueprint.response(204)
@needs_role("reader")
def release(scan_id: str) -> None:
    """Let go of the scan. Nothing happens where you do not hold it."""
    with current.system().database.write() as session:
        holds.release(session, scan_id, current.identity().name)


def _document(held: Held | None, now: datetime) -> dict[str, Any]:
    if held is None:
        return {"reader": None, "yours": False, "held_for_s": None, "held_since": None, "held_until": None}
    return {
        "reader": held.reader,
        "yours": held.reader == current.identity().name,
        "held_for_s": (now - held.held_since).total_seconds(),
        "held_since": held.held_since,
        "held_until": held.held_until,
    }
