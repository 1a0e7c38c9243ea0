"""What the worklist's API takes and gives, field by field. Fields are only ever added."""

from marshmallow import Schema, fields, validate

from screening.bands import BAND_FILTERS, BANDS
from screening.reviews.decisions import REVIEWED
from screening.worklist import LARGEST_PAGE
from web.api.schemas import Query, moment, operating_point


class ExportQuery(Query):
    run = fields.Integer(load_default=None)
    band = fields.String(
        load_default=None,
        validate=validate.OneOf(BAND_FILTERS),
        metadata={"description": "`flagged` is likely and possible together."},
    )
    view = fields.String(
        load_default=None,
        validate=validate.OneOf(["to_read"]),
        metadata={"description": "The reading queue: must look, flagged and the random sample, as far as unreviewed."},
    )
    received_from = fields.String(
        load_default=None, data_key="from", metadata={"description": "A day of UTC: received on it or later."}
    )
    received_to = fields.String(
        load_default=None, data_key="to", metadata={"description": "A day of UTC: received on it or earlier."}
    )
    body_part = fields.String(load_default=None)
    reviewed = fields.String(
        load_default=None,
        validate=validate.OneOf(REVIEWED),
        metadata={
            "description": "`fracture` and `no_fracture` are what those readers agree on who decided; `undecided` has "
            "been reviewed without that. An administrator is told these three of every scan, everybody else of scans "
            "that they have reviewed themselves."
        },
    )
    search = fields.String(load_default=None, metadata={"description": "A part of the file name."})
    group = fields.String(
        load_default=None,
        validate=validate.OneOf(["study"]),
        metadata={"description": "One item for each study: its screened scan of highest probability."},
    )


class WorklistQuery(ExportQuery):
    limit = fields.Integer(load_default=100, validate=validate.Range(1, LARGEST_PAGE))
    cursor = fields.String(load_default=None)


class NeighboursQuery(ExportQuery):
    scan = fields.String(required=True)
    place = fields.String(
        load_default=None,
        metadata={
            "description": "The scan of the list from which the reader looked aside at this one: the way goes on "
            "there, and back to it first while the reader has not decided about it."
        },
    )


class NeighboursDocument(Schema):
    previous = fields.String(allow_none=True)
    following = fields.List(fields.String(), metadata={"description": "At most two, the nearest first."})


class ItemReview(Schema):
    reader = fields.String()
    verdict = fields.String()
    reviewed_at = moment()


class Item(Schema):
    scan = fields.String()
    run = fields.Integer()
    file_name = fields.String()
    band = fields.String(validate=validate.OneOf(BANDS))
    probability = fields.Float(allow_none=True)
    reason = fields.String(allow_none=True)
    code = fields.String(allow_none=True)
    body_part = fields.String(allow_none=True)
    view = fields.String(allow_none=True)
    laterality = fields.String(allow_none=True)
    study = fields.String(allow_none=True)
    received_at = moment()
    views = fields.Integer(metadata={"description": "Screened scans of the study, where grouped by study; else 1."})
    held_by = fields.String(allow_none=True, metadata={"description": "The reader who has the scan open now."})
    held_since = moment(allow_none=True)
    reviews = fields.List(
        fields.Nested(ItemReview),
        metadata={"description": "The latest of each reader; those of others only after your own."},
    )
    kept_back = fields.Integer(metadata={"description": "Reviews of others that are shown to you only after your own."})
    checkpoint = fields.String(
        allow_none=True,
        metadata={"description": "Whose probability this is: in the view `to_read` a former one's at the end."},
    )


class Worklist(Schema):
    items = fields.List(fields.Nested(Item))
    next = fields.String(allow_none=True)
    operating_point = operating_point()
