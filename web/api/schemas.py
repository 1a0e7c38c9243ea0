"""What the API takes and gives, field by field. Fields are only ever added."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, pre_load, validate

from screening.bands import BANDS
from screening.database.base import LARGEST_ID
from screening.database.states import RunState
from screening.runs.receipts import CHOICES
from web.plain_text import KEPT

MOST_HASHES = 10_000
MOST_RUNS = 200
ROW = validate.Range(0, LARGEST_ID)
SHA256 = validate.Regexp(r"\A[0-9a-f]{64}\Z", error="A SHA-256 has 64 lower-case hex digits.")


class _Moment(fields.AwareDateTime):
    """Given in any zone, kept in UTC. What has no place in the calendar of UTC is no moment."""

    def _deserialize(self, *given: Any, **more: Any) -> datetime:
        found: datetime = super()._deserialize(*given, **more)
        try:
            return found.astimezone(UTC)
        except OverflowError:
            raise self.make_error("invalid", input=given[0], obj_type=self.OBJ_TYPE) from None


def moment(**more: Any) -> fields.AwareDateTime:
    return _Moment(format="iso", default_timezone=UTC, **more)


def operating_point() -> fields.Dict:
    return fields.Dict(
        metadata={
            "description": "`threshold` (flagged from here on) and `likely_threshold` in force, and what the card "
            "measured for them; `likely` is null where the card did not measure the likely threshold."
        }
    )


class Lenient(Schema):
    """Takes and ignores fields that it does not know, so that newer clients work with an older server."""

    class Meta:
        unknown = EXCLUDE


class Query(Lenient):
    """Parameters of an address. An empty one counts as not given."""

    @pre_load
    def drop_empty(self, given: Any, **_: Any) -> dict[str, Any]:
        return {name: given[name] for name in given if given[name] != ""}


class Problem(Schema):
    type = fields.String()
    title = fields.String()
    status = fields.Integer()
    detail = fields.String(metadata={"description": "A sentence for people: what is wrong and what to do."})
    code = fields.String(metadata={"description": "Stable, for programs."})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={"description": "Only where values are not valid: what is wrong with each."},
    )


class NewRun(Lenient):
    name = fields.String(
        load_default="", validate=KEPT, metadata={"description": "At most 200 characters. Default: the time."}
    )
    lane = fields.String(load_default="routine", metadata={"description": "urgent, routine or archive"})


class NewLane(Lenient):
    lane = fields.String(required=True, metadata={"description": "urgent, routine or archive"})


class Counts(Schema):
    total = fields.Integer(metadata={"description": "Jobs of the run: scans to be screened."})
    preparing = fields.Integer()
    queued = fields.Integer()
    screening = fields.Integer()
    screened = fields.Integer()
    rejected = fields.Integer(metadata={"description": "Scans that cannot be screened."})
    failed = fields.Integer()
    cancelled = fields.Integer()
    likely = fields.Integer()
    possible = fields.Integer()
    flagged = fields.Integer(metadata={"description": "Likely and possible together."})
    refused = fields.Integer(metadata={"description": "Files refused at the door; they are not jobs."})
    unpacking = fields.Integer(metadata={"description": "Zip and tar files that are not unpacked yet."})


class RunHead(Schema):
    id = fields.Integer()
    name = fields.String()
    lane = fields.String()
    state = fields.String(validate=validate.OneOf(list(RunState)))
    checkpoint = fields.String()
    created_by = fields.String()
    created_at = moment()
    submitted_at = moment(allow_none=True)
    finished_at = moment(allow_none=True)
    paused_by = fields.String(allow_none=True)
    remark = fields.String(allow_none=True, metadata={"description": "What is special in this run, for people."})


class RunDocument(RunHead):
    counts = fields.Nested(Counts)
    rate_per_s = fields.Float(allow_none=True)
    eta_s = fields.Float(allow_none=True)
    oldest_waiting_s = fields.Float(allow_none=True)


class RunsQuery(Query):
    limit = fields.Integer(load_default=50, validate=validate.Range(1, MOST_RUNS))
    before = fields.Integer(load_default=None, validate=ROW, metadata={"description": "Only runs older than this one."})
    search = fields.String(load_default="")
    state = fields.String(load_default=None, validate=validate.OneOf(list(RunState)))


class Runs(Schema):
    items = fields.List(fields.Nested(RunHead))
    next = fields.Integer(allow_none=True, metadata={"description": "Give it as `before` for the next page."})


class Hashes(Lenient):
    sha256 = fields.List(fields.String(validate=SHA256), required=True, validate=validate.Length(max=MOST_HASHES))


class Missing(Schema):
    missing = fields.List(fields.String())


class KnownFile(Lenient):
    name = fields.String(required=True)
    sha256 = fields.String(required=True, validate=SHA256)


class KnownFiles(Lenient):
    files = fields.List(fields.Nested(KnownFile), required=True, validate=validate.Length(max=MOST_HASHES))


class FileReceipt(Schema):
    name = fields.String()
    sha256 = fields.String(allow_none=True)
    status = fields.String(validate=validate.OneOf(CHOICES))
    code = fields.String(allow_none=True)
    reason = fields.String(allow_none=True)


class FileReceipts(Schema):
    files = fields.List(fields.Nested(FileReceipt))


class Admitted(FileReceipts):
    missing = fields.List(
        fields.String(), metadata={"description": "Hashes the server does not have: send these files."}
    )


class KeptReceipt(FileReceipt):
    id = fields.Integer()
    size_bytes = fields.Integer()
    scan = fields.String(attribute="scan_id", allow_none=True)
    received_at = moment()
    name = fields.String(attribute="file_name")
    outcome = fields.String(
        allow_none=True,
        metadata={"description": "State of the job that the file became; null for archives and rejected files."},
    )
    problem = fields.String(allow_none=True, metadata={"description": "Why that job has no result."})


class ReceiptsQuery(Query):
    after = fields.Integer(load_default=0, validate=ROW)
    limit = fields.Integer(load_default=500, validate=validate.Range(1, 5000))
    status = fields.String(load_default=None, validate=validate.OneOf(CHOICES))


class KeptReceipts(Schema):
    items = fields.List(fields.Nested(KeptReceipt))
    counts = fields.Dict(metadata={"description": "How many receipts of the run are accepted, duplicate, rejected."})
    next = fields.Integer(allow_none=True, metadata={"description": "Give it as `after` for the next page."})


class ScanPrediction(Schema):
    checkpoint = fields.String()
    checkpoint_name = fields.String()
    form = fields.String()
    active = fields.Boolean()
    probability = fields.Float()
    threshold = fields.Float()
    likely_threshold = fields.Float()
    flagged = fields.Boolean()
    band = fields.String(validate=validate.OneOf(BANDS))
    engine = fields.String()
    worker = fields.String()
    created_at = moment()


class ScanRendition(Schema):
    spec = fields.String()
    state = fields.String()
    width = fields.Integer(allow_none=True)
    height = fields.Integer(allow_none=True)
    code = fields.String(attribute="problem_code", allow_none=True)
    reason = fields.String(attribute="problem", allow_none=True)


class ScanJob(Schema):
    run = fields.Integer(attribute="run_id")
    file_name = fields.String()
    state = fields.String()
    code = fields.String(attribute="problem_code", allow_none=True)
    reason = fields.String(attribute="problem", allow_none=True)
    created_at = moment()
    finished_at = moment(allow_none=True)


class ScanDocument(Schema):
    id = fields.String()
    sha256 = fields.String()
    size_bytes = fields.Integer()
    media_type = fields.String()
    file_name = fields.String()
    received_at = moment()
    study = fields.String(allow_none=True)
    modality = fields.String(allow_none=True)
    body_part = fields.String(allow_none=True)
    view = fields.String(allow_none=True)
    laterality = fields.String(allow_none=True)
    facts = fields.Dict()
    predictions = fields.List(fields.Nested(ScanPrediction))
    renditions = fields.List(fields.Nested(ScanRendition))
    jobs = fields.List(fields.Nested(ScanJob))


class PictureQuery(Query):
    checkpoint = fields.String(load_default=None, metadata={"description": "Default: the active checkpoint."})


class CheckpointDocument(Schema):
    id = fields.String()
    name = fields.String()
    form = fields.String()
    active = fields.Boolean()
    candidate = fields.Boolean(metadata={"description": "Schedules may try it on the archive."})
    rendition_spec = fields.String()
    registered_at = moment()
    activated_at = moment(allow_none=True)
    operating_point = operating_point()
    card = fields.Dict()


class Activation(Lenient):
    reason = fields.String(
        load_default="", validate=KEPT, metadata={"description": "Why; it is kept in the audit trail."}
    )
    leave_unscreened = fields.Boolean(
        load_default=False,
        metadata={"description": "Go on although unread flagged scans, or runs, are left to a former checkpoint."},
    )


class LeftBehindDocument(Schema):
    checkpoint = fields.String()
    scans = fields.Integer(
        metadata={"description": "That only former checkpoints have screened; 10,001 stands for more than 10,000."}
    )
    flagged_unread = fields.Integer(metadata={"description": "Those of them that are flagged and unread."})
    runs = fields.Integer(metadata={"description": "That go on under a former checkpoint."})
    screened_by = fields.Integer(
        allow_none=True, metadata={"description": "The run that screens them by this checkpoint, while it goes on."}
    )
    sentence = fields.String(allow_none=True, metadata={"description": "The same for people."})


class OpenedDocument(Schema):
    run_id = fields.Integer()
    jobs = fields.Integer(metadata={"description": "Scans that the run screens."})
    renditions = fields.Integer(metadata={"description": "For how many of them a rendition is made first."})


class NewOperatingPoint(Lenient):
    threshold = fields.Float(required=True, metadata={"description": "Scans at or over it are flagged."})
    likely_threshold = fields.Float(
        load_default=None,
        metadata={"description": "Flagged scans at or over it are likely. Default: the one in force."},
    )
    reason = fields.String(
        required=True, validate=KEPT, metadata={"description": "Why; it is kept in the audit trail."}
    )


class Checkpoints(Schema):
    items = fields.List(fields.Nested(CheckpointDocument))


class WorkerDocument(Schema):
    name = fields.String()
    kind = fields.String()
    started_at = moment()
    seen_at = moment()
    details = fields.Dict()


class Workers(Schema):
    items = fields.List(fields.Nested(WorkerDocument))
