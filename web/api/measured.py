"""What the API tells of a checkpoint in use: thresholds to choose from, and what readers measured."""

from marshmallow import Schema, fields

from web.api.comparisons import RateDocument
from web.api.schemas import Query, moment


class PeriodQuery(Query):
    since = moment(load_default=None, metadata={"description": "Reviews made from then on."})
    until = moment(load_default=None, metadata={"description": "Reviews made before."})


class ThresholdChoice(Schema):
    threshold = fields.Float()
    name = fields.String(allow_none=True, metadata={"description": "Of an operating point of the card."})
    sensitivity = fields.Float()
    sensitivity_lower_95 = fields.Float()
    specificity = fields.Float()
    flagged_share = fields.Float(allow_none=True, metadata={"description": "Of what was screened here."})
    more_reads_a_day = fields.Float(allow_none=True, metadata={"description": "Against the threshold in force."})
    in_force = fields.Boolean()


class ThresholdChoices(Schema):
    items = fields.List(fields.Nested(ThresholdChoice))
    screened = fields.Integer(metadata={"description": "Scans; at most ten minutes old, as all counts here."})
    scans_a_day = fields.Float()


class SensitivityDocument(Schema):
    flagged_fractures = fields.Integer()
    sampled_fractures = fields.Integer()
    rate = fields.Float(
        metadata={"description": "The smallest one of the sample; each sampled scan stands for 1 / its own rate scans."}
    )
    several = fields.Boolean(metadata={"description": "Whether the sample was read at more than one rate."})
    estimate = fields.Float(allow_none=True)
    interval_95 = fields.List(fields.Float())


class AgreementDocument(Schema):
    readers = fields.List(fields.String())
    both = fields.Integer(metadata={"description": "Scans that both called a fracture."})
    only_first = fields.Integer()
    only_second = fields.Integer()
    neither = fields.Integer()
    raw = fields.Nested(RateDocument)
    kappa = fields.Float(allow_none=True, metadata={"description": "Cohen's."})
    kappa_interval_95 = fields.List(fields.Float(), allow_none=True)


class MeasuredDocument(Schema):
    checkpoint = fields.String()
    since = moment(allow_none=True)
    until = moment(allow_none=True)
    reviews = fields.Integer()
    ppv = fields.Nested(RateDocument)
    sampled = fields.Nested(RateDocument)
    sensitivity = fields.Nested(SensitivityDocument)
    undecided = fields.Integer()
    agreement = fields.List(
        fields.Nested(AgreementDocument),
        metadata={
            "description": "By each reader's first verdict, given before the other's was shown. Where it "
            "was withdrawn, and not at once, the reader is left out for this scan."
        },
    )
    agreed = fields.Nested(RateDocument)
    assumed_rates = fields.Integer(
        metadata={"description": "Sampled scans read before rates were kept; `sensitivity.rate` is taken for them."}
    )
    thresholds = fields.List(
        fields.Float(), metadata={"description": "By which these scans counted as flagged when they were reviewed."}
    )
    outside_fractures = fields.Integer(
        metadata={"description": "Fractures in scans neither flagged nor sampled; they cannot enter the estimate."}
    )
