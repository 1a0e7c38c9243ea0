"""Schedules: when the archive is screened again, by which checkpoint, and what came of each firing."""

from typing import Any

from flask import url_for
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate
from sqlalchemy.orm import Session

from screening.database.schedule_tables import Firing, Schedule
from screening.queue import QueueName
from screening.rescreening import schedules
from screening.rescreening.notes import NOTES
from screening.rescreening.schedules import CANDIDATE, Plan
from screening.system import System
from web import current
from web.api.schemas import ROW, Lenient, Problem, Query, moment
from web.plain_text import KEPT, kept_inside

blueprint = Blueprint(
    "schedules", __name__, url_prefix="/api/v1/schedules", description="Overnight re-screening of the archive."
)
MOST_FIRINGS = 500


class NewSchedule(Lenient):
    name = fields.String(required=True, validate=KEPT, metadata={"description": "1 to 100 characters."})
    cron = fields.String(
        required=True, metadata={"description": "Minute, hour, day of the month, month, day of the week."}
    )
    time_zone = fields.String(
        load_default="UTC", metadata={"description": "An IANA name; `cron` and `window_end` are times there."}
    )
    window_end = fields.String(
        load_default="06:00", metadata={"description": "HH:MM. The run pauses then and goes on at the next firing."}
    )
    checkpoint = fields.String(
        load_default=CANDIDATE, validate=KEPT, metadata={"description": "The id of a checkpoint, or `candidate`."}
    )
    selection = fields.Dict(
        load_default=dict,
        validate=kept_inside,
        metadata={
            "description": "Which scans, by any of `min_age_days`, `max_age_days`, `body_part`, `band`, `run`, "
            "`study`, `not_screened_since` (a day). Every one that is given must hold; none means all scans."
        },
    )
    most_scans = fields.Integer(
        load_default=None, allow_none=True, metadata={"description": "So many scans of a night at most."}
    )


class Window(Schema):
    start = moment(metadata={"description": "When it fires."})
    until = moment(metadata={"description": "When its window ends."})


class FiringDocument(Schema):
    id = fields.Integer()
    scheduled_for = moment()
    window_until = moment()
    fired_at = moment()
    late = fields.Boolean(metadata={"description": "It was missed and caught up."})
    asked_by = fields.String(allow_none=True, metadata={"description": "Who had it run now."})
    run = fields.Integer(attribute="run_id", allow_none=True)
    jobs = fields.Integer(
        allow_none=True, metadata={"description": "Of the run that it opened; null where it went on."}
    )
    renditions = fields.Integer(allow_none=True, metadata={"description": "How many renditions had to be made anew."})
    remark = fields.String(
        allow_none=True, metadata={"description": "Which selected scans the run left out, and why, for people."}
    )
    screened = fields.Integer(
        allow_none=True,
        metadata={
            "description": "Jobs of the run that were screened while this firing was open; `rejected` and `failed` "
            "likewise. Null until it is over for two minutes, and where it had no run."
        },
    )
    rejected = fields.Integer(allow_none=True)
    failed = fields.Integer(allow_none=True)
    ended_at = moment(allow_none=True)
    note = fields.String(allow_none=True, metadata={"description": "Why it ended: " + ", ".join(NOTES)})
    reason = fields.Function(lambda firing: NOTES.get(firing.note or ""), metadata={"type": "string"})


class ScheduleDocument(Schema):
    id = fields.Integer()
    name = fields.String()
    cron = fields.String()
    time_zone = fields.String()
    window_end = fields.String()
    checkpoint = fields.String()
    selection = fields.Dict()
    most_scans = fields.Integer(allow_none=True)
    paused = fields.Boolean()
    created_by = fields.String()
    created_at = moment()
    next = fields.List(fields.Nested(Window), metadata={"description": "The next five windows; none while paused."})
    latest = fields.Nested(FiringDocument, allow_none=True)


class Schedules(Schema):
    items = fields.List(fields.Nested(ScheduleDocument))


class PreviewQuery(Query):
    cron = fields.String(required=True)
    time_zone = fields.String(load_default="UTC")
    window_end = fields.String(load_default="06:00")


class Preview(Schema):
    items = fields.List(fields.Nested(Window))


class FiringsQuery(Query):
    limit = fields.Integer(load_default=50, validate=validate.Range(1, MOST_FIRINGS))
    before = fields.Integer(load_default=None, validate=ROW, metadata={"description": "Only firings older than it."})


class Firings(Schema):
    items = fields.List(fields.Nested(FiringDocument))
    next = fields.Integer(allow_none=True, metadata={"description": "Give it as `before` for the next page."})


def schedule_document(session: Session, system: System, schedule: Schedule) -> dict[str, Any]:
    latest = schedules.firings_of(session, schedule.id, 1)
    return {
        **{column.key: getattr(schedule, column.key) for column in Schedule.__table__.columns},
        "checkpoint": schedule.checkpoint_id or CANDIDATE,
        "next": [] if schedule.paused else windows(schedule, system),
        "latest": latest[0] if latest else None,
    }


def windows(plan: Schedule | Plan, system: System) -> list[dict[str, Any]]:
    """The next five windows of a plan. Raises Refused."""
    return [{"start": start, "until": until} for start, until in schedules.preview(plan, system.clock())]


@blueprint.get("")
@blueprint.response(200, Schedules)
def list_schedules() -> Any:
    """Every schedule with its next windows and its latest firing."""
    system = current.system()
    with system.database.read() as session:
        return {"items": [schedule_document(session, system, row) for row in schedules.all_schedules(session)]}


@blueprint.post("")
@blueprint.arguments(NewSchedule)
@blueprint.response(201, ScheduleDocument)
@blueprint.alt_response(400, schema=Problem)
def add(given: dict[str, Any]) -> tuple[Any, int, dict[str, str]]:
    """Make a schedule."""
    system = current.system()
    with system.database.write() as session:
        made = schedules.add_schedule(session, system.clock(), Plan(**given), current.identity().name)
        document = schedule_document(session, system, made)
    return document, 201, {"Location": url_for("schedules.get_schedule", schedule_id=made.id)}


@blueprint.get("/preview")
@blueprint.arguments(PreviewQuery, location="query")
@blueprint.response(200, Preview)
@blueprint.alt_response(400, schema=Problem)
def preview(query: dict[str, Any]) -> Any:
    """When a schedule with these times would fire next; nothing is made."""
    return {"items": windows(Plan(name="preview", **query), current.system())}


@blueprint.get("/<int:schedule_id>")
@blueprint.response(200, ScheduleDocument)
@blueprint.alt_response(404, schema=Problem)
def get_schedule(schedule_id: int) -> Any:
    """One schedule."""
    return _document(schedule_id)


@blueprint.put("/<int:schedule_id>")
@blueprint.arguments(NewSchedule)
@blueprint.response(200, ScheduleDocument)
@blueprint.alt_response(400, schema=Problem)
@blueprint.alt_response(404, schema=Problem)
def change(given: dict[str, Any], schedule_id: int) -> Any:
    """Put another plan in the place of this one.

    A run that is under way goes on as it was opened, until its window ends by the new plan. Where `selection` or
    `most_scans` differ, the next firing ends that run and opens another.
    """
    system = current.system()
    with system.database.write() as session:
        changed = schedules.change_schedule(
            session, system.clock(), schedule_id, Plan(**given), current.identity().name
        )
        return schedule_document(session, system, changed)


@blueprint.delete("/<int:schedule_id>")
@blueprint.response(204)
@blueprint.alt_response(404, schema=Problem)
def delete(schedule_id: int) -> None:
    """Fire no more. The history and the runs stay; a run that is under way is paused."""
    system = current.system()
    with system.database.write() as session:
        schedules.delete_schedule(session, system.clock(), schedule_id, current.identity().name)


@blueprint.get("/<int:schedule_id>/firings")
@blueprint.arguments(FiringsQuery, location="query")
@blueprint.response(200, Firings)
@blueprint.alt_response(404, schema=Problem)
def list_firings(query: dict[str, Any], schedule_id: int) -> Any:
    """The history of a schedule, the latest firing first."""
    with current.system().database.read() as session:
        schedules.get_schedule(session, schedule_id)
        found: list[Firing] = list(schedules.firings_of(session, schedule_id, query["limit"] + 1, query["before"]))
    page = found[: query["limit"]]
    return {"items": page, "next": page[-1].id if len(found) > len(page) else None}


@blueprint.post("/<int:schedule_id>/pause")
@blueprint.response(200, ScheduleDocument)
@blueprint.alt_response(404, schema=Problem)
def pause(schedule_id: int) -> Any:
    """Fire no more until it is resumed, and pause the run that is under way."""
    return _steered(schedule_id, "pause")


@blueprint.post("/<int:schedule_id>/resume")
@blueprint.response(200, ScheduleDocument)
@blueprint.alt_response(404, schema=Problem)
def resume(schedule_id: int) -> Any:
    """Fire again, from the next time that is due."""
    return _steered(schedule_id, "resume")


@blueprint.post("/<int:schedule_id>/run-now")
@blueprint.response(202, ScheduleDocument)
@blueprint.alt_response(404, schema=Problem)
@blueprint.alt_response(409, schema=Problem, description="It is at work already.")
def run_now(schedule_id: int) -> Any:
    """Fire at once: the run is opened, or goes on, within seconds and until the window next ends. A paused run of a
    window that is open is resumed."""
    return _steered(schedule_id, "run-now")


def steer(schedule_id: int, action: str) -> None:
    """Pause, resume or run now. Raises NotFound, Conflict; KeyError for anything else."""
    deed = {
        "pause": schedules.pause_schedule,
        "resume": schedules.resume_schedule,
        "run-now": schedules.run_now,
    }[action]
    system = current.system()
    with system.database.write() as session:
        deed(session, system.clock(), schedule_id, current.identity().name)
    system.waker.wake(QueueName.PREPARE, QueueName.SCREEN)


def _steered(schedule_id: int, action: str) -> Any:
    steer(schedule_id, action)
    return _document(schedule_id)


def _document(schedule_id: int) -> dict[str, Any]:
    system = current.system()
    with system.database.read() as session:
        return schedule_document(session, system, schedules.get_schedule(session, schedule_id))
