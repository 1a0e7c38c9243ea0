"""Reviews of one scan: what readers decided about it."""

from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from screening.database.review_tables import Review
from screening.reviews import holds, verdicts
from screening.scans import get_scan
from web import current
from web.access import needs_role
from web.api.schemas import Lenient, Problem, moment
from web.plain_text import KEPT

blueprint = Blueprint(
    "reviews", __name__, url_prefix="/api/v1/scans/<string:scan_id>/reviews", description="What readers decided."
)


class NewReview(Lenient):
    verdict = fields.String(required=True, validate=validate.OneOf(verdicts.VERDICTS))
    comment = fields.String(
        load_default=None, allow_none=True, validate=[validate.Length(max=verdicts.LONGEST_COMMENT), KEPT]
    )
    checkpoint = fields.String(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "Whose result the reader was shown; empty where none was. Default: the active one, or else "
            "the latest."
        },
    )


class ReviewDocument(Schema):
    id = fields.Integer()
    scan = fields.String(attribute="scan_id")
    reader = fields.String()
    verdict = fields.String(validate=validate.OneOf(verdicts.VERDICTS))
    comment = fields.String(allow_none=True)
    checkpoint = fields.String(attribute="checkpoint_id", allow_none=True)
    probability = fields.Float(allow_none=True, metadata={"description": "As the reader was shown it."})
    threshold = fields.Float(allow_none=True, metadata={"description": "In force when the reader decided."})
    sampled = fields.Boolean(metadata={"description": "It was not flagged and is in the random sample."})
    reviewed_at = moment()
    withdrawn_at = moment(allow_none=True)


class Reviews(Schema):
    items = fields.List(fields.Nested(ReviewDocument))
    kept_back = fields.Integer(metadata={"description": "Reviews of others that are shown to you only after your own."})


@blueprint.get("")
@blueprint.response(200, Reviews)
@blueprint.alt_response(404, schema=Problem)
def list_reviews(scan_id: str) -> Any:
    """Of every reader the latest review; those of others only after your own, so that readers decide independently."""
    with current.system().database.read() as session:
        get_scan(session, scan_id)
        shown, kept_back = verdicts.seen_by(verdicts.reviews_of(session, scan_id), current.identity().name)
    return {"items": shown, "kept_back": kept_back}


@blueprint.post("")
@blueprint.arguments(NewReview)
@blueprint.response(201, ReviewDocument)
@blueprint.alt_response(400, schema=Problem)
@blueprint.alt_response(404, schema=Problem)
@needs_role("reader")
def add(given: dict[str, Any], scan_id: str) -> Any:
    """Record your verdict. A later one takes the place of an earlier one; your hold on the scan ends."""
    return decide(scan_id, given["verdict"], given["comment"], given["checkpoint"])


def decide(scan_id: str, verdict: str, comment: str | None, checkpoint: str | None) -> Review:
    """Record the verdict of whoever is asking. Raises NotFound, Refused."""
    system, reader = current.system(), current.identity().name
    rate = system.settings.review_sample_rate
    with system.database.write() as session:
        made = verdicts.record(session, system.clock(), scan_id, reader, verdict, comment, rate, checkpoint)
        holds.release(session, scan_id, reader)
    return made


@blueprint.delete("/<int:review_id>")
@blueprint.response(200, ReviewDocument)
@blueprint.alt_response(404, schema=Problem)
@blueprint.alt_response(409, schema=Problem, description="It is withdrawn already, or you decided again later.")
@needs_role("reader")
def withdraw(scan_id: str, review_id: int) -> Any:
    """Take back your own latest verdict. It stays in the audit trail."""
    return take_back(scan_id, review_id)


def take_back(scan_id: str, review_id: int) -> Review:
    """Withdraw the verdict of whoever is asking. Raises NotFound, Conflict."""
    system = current.system()
    with system.database.write() as session:
        return verdicts.withdraw(session, system.clock(), scan_id, review_id, current.identity().name)
