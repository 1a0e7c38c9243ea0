"""Two checkpoints compared over the scans that both have screened: a page, the numbers, and all of it as CSV."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate
from sqlalchemy.orm import Session

from screening.bands import BANDS
from screening.comparison.pairs import KINDS, MOVED, Comparison, Kind, Scope, open_comparison
from screening.comparison.ranking import LARGEST_PAGE, comparison_page, whole_comparison
from screening.comparison.summary import Rate, RightOrWrong, Summary, summarise
from screening.comparison.words import TOLD_FROM, may_be_told, sentences
from screening.system import System
from web import current
from web.api.schemas import Problem, Query, moment
from web.comparing import remembered
from web.spreadsheets import PIECE, at_one_moment, csv_pieces, csv_response

blueprint = Blueprint("comparisons", __name__, url_prefix="/api/v1", description="What another checkpoint changes.")

COLUMNS = (
    "scan",
    "file_name",
    "kind",
    "before",
    "after",
    "change",
    "band_before",
    "band_after",
    "fractured",
    "body_part",
    "view",
    "laterality",
    "study",
    "received_at",
    "reviewed",
    "kept_back",
)


class ComparisonQuery(Query):
    before = fields.String(required=True, metadata={"description": "Id of the checkpoint to compare with."})
    after = fields.String(required=True, metadata={"description": "Id of the other checkpoint."})
    run = fields.Integer(load_default=None, metadata={"description": "Only scans of this run."})
    body_part = fields.String(load_default=None)
    since = moment(load_default=None, metadata={"description": "Only scans received at this time or later."})
    until = moment(load_default=None, metadata={"description": "Only scans received before this time."})
    moved = fields.Float(
        load_default=MOVED,
        validate=validate.Range(0, 1),
        metadata={"description": "A scan of the same band has moved if its probability changed by more than this."},
    )


class ComparisonExportQuery(ComparisonQuery):
    kind = fields.String(load_default=None, validate=validate.OneOf(KINDS))


class ComparisonPageQuery(ComparisonExportQuery):
    limit = fields.Integer(load_default=100, validate=validate.Range(1, LARGEST_PAGE))
    cursor = fields.String(load_default=None)


class ComparedSide(Schema):
    checkpoint = fields.String()
    name = fields.String()
    form = fields.String()
    active = fields.Boolean()
    threshold = fields.Float()
    likely_threshold = fields.Float()


class ComparedItem(Schema):
    scan = fields.String()
    file_name = fields.String()
    kind = fields.String(validate=validate.OneOf(KINDS))
    before = fields.Float(metadata={"description": "Probability by the checkpoint before."})
    after = fields.Float()
    change = fields.Float(metadata={"description": "After less before."})
    band_before = fields.String(validate=validate.OneOf(BANDS))
    band_after = fields.String(validate=validate.OneOf(BANDS))
    reviewed = fields.Boolean(metadata={"description": "Whether a reader has reviewed it already."})
    fractured = fields.Boolean(
        allow_none=True,
        metadata={"description": "What its readers decided; null where nobody did, they disagree, or it is kept back."},
    )
    kept_back = fields.Boolean(
        metadata={"description": "What its readers decided is shown to you after your own review."}
    )
    body_part = fields.String(allow_none=True)
    view = fields.String(allow_none=True)
    laterality = fields.String(allow_none=True)
    study = fields.String(allow_none=True)
    received_at = moment()


class ComparisonDocument(Schema):
    before = fields.Nested(ComparedSide)
    after = fields.Nested(ComparedSide)
    items = fields.List(fields.Nested(ComparedItem))
    next = fields.String(allow_none=True)


class RateDocument(Schema):
    hits = fields.Integer()
    scans = fields.Integer()
    share = fields.Float(allow_none=True)
    interval_95 = fields.List(fields.Float(), metadata={"description": "Wilson's interval: [low, high]."})


class PairedRates(Schema):
    before = fields.Nested(RateDocument)
    after = fields.Nested(RateDocument)
    only_before = fields.Integer(metadata={"description": "Scans that only the checkpoint before was right about."})
    only_after = fields.Integer()
    p_value = fields.Float(
        allow_none=True, metadata={"description": "Always null: no test holds for scans that were not read at random."}
    )


class FlaggedByOneDocument(Schema):
    scans = fields.Integer(metadata={"description": "That only this one of the two flags, reviewed or not."})
    decided = fields.Integer(metadata={"description": "By readers, out of the queue: flagged when read, or sampled."})
    fractured = fields.Integer()
    share = fields.Float(
        allow_none=True,
        metadata={"description": "Fractured, estimated: each scan weighs 1 / its chance of being read."},
    )
    interval_95 = fields.List(fields.Float())
    fractures = fields.Float(allow_none=True, metadata={"description": "Among all of `scans`, estimated."})
    fractures_interval_95 = fields.List(fields.Float())


class ReviewedDocument(Schema):
    decided = fields.Integer()
    chosen = fields.Integer(metadata={"description": "Neither flagged nor sampled when read: they weigh nothing."})
    only_before = fields.Nested(FlaggedByOneDocument)
    only_after = fields.Nested(FlaggedByOneDocument)


class BandChange(Schema):
    before = fields.String(validate=validate.OneOf(BANDS))
    after = fields.String(validate=validate.OneOf(BANDS))
    scans = fields.Integer()


class SummaryDocument(Schema):
    before = fields.Nested(ComparedSide)
    after = fields.Nested(ComparedSide)
    scans = fields.Integer(metadata={"description": "Scans that both have screened; only these are compared."})
    only_before = fields.Integer(metadata={"description": "Scans that only this checkpoint has screened: left out."})
    only_after = fields.Integer()
    counts = fields.Dict(
        keys=fields.String(validate=validate.OneOf(KINDS)),
        values=fields.Integer(),
        metadata={"description": "Scans of each kind; every compared scan is of exactly one."},
    )
    bands = fields.List(fields.Nested(BandChange))
    flagged_before = fields.Integer()
    flagged_after = fields.Integer()
    agreement = fields.Float(allow_none=True, metadata={"description": "Share that both flag or both do not flag."})
    kappa = fields.Float(allow_none=True, metadata={"description": "Cohen's kappa of flagged or not."})
    reviewed = fields.Integer()
    readers = fields.Nested(
        ReviewedDocument,
        allow_none=True,
        metadata={
            "description": "What reviews say without the bias of what was chosen to be read. This, sensitivity and "
            f"specificity are null from 1 to {TOLD_FROM - 1} reviewed scans, but for administrators: so few would tell "
            "single verdicts to who has still to read."
        },
    )
    sensitivity = fields.Nested(
        PairedRates,
        allow_none=True,
        metadata={
            "description": "Plain counts over reviewed scans with a fracture. Biased: readers look mainly at what the "
            "checkpoint in use flags, which favours it. Use `readers`."
        },
    )
    specificity = fields.Nested(
        PairedRates,
        allow_none=True,
        metadata={"description": "Plain counts over reviewed scans without a fracture. Biased against the one in use."},
    )
    sentences = fields.List(fields.String(), metadata={"description": "The same for people."})


@blueprint.get("/comparisons")
@blueprint.arguments(ComparisonPageQuery, location="query")
@blueprint.response(200, ComparisonDocument)
@blueprint.alt_response(400, schema=Problem, description="Both are the same, or the cursor is not understood.")
@blueprint.alt_response(404, schema=Problem)
def comparisons(query: dict[str, Any]) -> Any:
    """Every scan that both have screened, the largest change first. Follow `next` until it is null."""
    with current.system().database.read() as session:
        comparison = _asked(session, query)
        page = comparison_page(
            session,
            comparison,
            query["kind"],
            query["limit"],
            query["cursor"],
            remembered().ranked_after,
            current.identity().name,
        )
    return {"before": comparison.before, "after": comparison.after, "items": page.items, "next": page.next}


@blueprint.get("/comparisons/summary")
@blueprint.arguments(ComparisonQuery, location="query")
@blueprint.response(200, SummaryDocument)
@blueprint.alt_response(400, schema=Problem)
@blueprint.alt_response(404, schema=Problem)
def summary(query: dict[str, Any]) -> Any:
    """How many scans change and how, how far both agree, and how both do on reviewed scans."""
    system = current.system()
    with system.database.read() as session:
        rate = system.settings.review_sample_rate
        return _document(summarise(session, _asked(session, query), remembered().count, rate))


@blueprint.get("/comparisons.csv")
@blueprint.arguments(ComparisonExportQuery, location="query")
@blueprint.response(200, content_type="text/csv")
@blueprint.alt_response(400, schema=Problem)
@blueprint.alt_response(404, schema=Problem)
def export(query: dict[str, Any]) -> Response:
    """The whole comparison as CSV, sent as it is read."""
    system = current.system()
    with system.database.read() as session:
        # Refused here, where an answer with a status is still possible, and not in the middle of the file.
        comparison = _asked(session, query)
    name = f"comparison-{comparison.before.checkpoint}-{comparison.after.checkpoint}.csv"
    return csv_response(name, _lines(system, comparison, query["kind"], current.identity().name))


def _lines(system: System, comparison: Comparison, kind: Kind | None, reader: str) -> Iterator[str]:
    with system.database.read() as session:
        whole = at_one_moment(csv_pieces(COLUMNS, whole_comparison(session, comparison, kind, reader)))
    with whole:
        yield from iter(partial(whole.read, PIECE), "")


def _asked(session: Session, query: dict[str, Any]) -> Comparison:
    scope = Scope(query["run"], query["body_part"], query["since"], query["until"])
    return open_comparison(session, query["before"], query["after"], scope, query["moved"])


def _document(found: Summary) -> dict[str, Any]:
    all_reviews = current.identity().is_told_every_review
    told = may_be_told(found, all_reviews)
    return {
        "before": found.comparison.before,
        "after": found.comparison.after,
        "scans": found.scans,
        "only_before": found.only_before,
        "only_after": found.only_after,
        "counts": found.counts,
        "bands": [{"before": b, "after": a, "scans": number} for (b, a), number in sorted(found.bands.items())],
        "flagged_before": found.flagged_before,
        "flagged_after": found.flagged_after,
        "agreement": found.agreement,
        "kappa": found.kappa,
        "reviewed": found.reviewed,
        "readers": found.readers if told else None,
        "sensitivity": _paired(found.sensitivity) if told else None,
        "specificity": _paired(found.specificity) if told else None,
        "sentences": sentences(found, all_reviews),
    }


def _paired(group: RightOrWrong) -> dict[str, Any]:
    return {
        "before": _rate(group.before),
        "after": _rate(group.after),
        "only_before": group.only_before,
        "only_after": group.only_after,
        "p_value": None,
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {"hits": rate.hits, "scans": rate.scans, "share": rate.share, "interval_95": list(rate.interval_95)}
