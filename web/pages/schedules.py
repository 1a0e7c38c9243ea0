"""Schedules: the list with the next windows, the form, the history of firings."""

from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound as NoPage

from screening import checkpoints
from screening.bands import BAND_FILTERS
from screening.database.schedule_tables import Schedule
from screening.database.tables import Checkpoint
from screening.errors import Refused
from screening.rescreening import schedules
from screening.rescreening.candidates import candidate
from screening.rescreening.notes import NOTES
from screening.rescreening.schedules import CANDIDATE, Plan
from screening.rescreening.tallies import comparisons_of
from web import current
from web.access import needs_role
from web.api.schedules import schedule_document, steer, windows

blueprint = Blueprint("schedules-pages", __name__, url_prefix="/schedules")

FIRINGS_SHOWN = 60
_NUMBERS = ("min_age_days", "max_age_days", "run")
_TEXTS = ("body_part", "band", "study", "not_screened_since")
_DONE = {
    "pause": "The schedule is paused.",
    "resume": "The schedule fires again, from the next time that is due.",
    "run-now": "The run begins within seconds.",
}
_NEW = {"name": "", "cron": "0 22 * * *", "time_zone": "", "window_end": "06:00", "checkpoint": CANDIDATE}


@blueprint.get("")
def list_schedules() -> str:
    system = current.system()
    with system.database.read() as session:
        rows = [schedule_document(session, system, row) for row in schedules.all_schedules(session)]
        names = {row.id: row.name for row in checkpoints.all_checkpoints(session)}
        at_work = {row["id"] for row in rows if schedules.is_at_work(session, row["id"])}
        held = {row["id"]: schedules.held_run(session, row["id"]) for row in rows}
        return render_template(
            "schedules.html",
            schedules=rows,
            names=names,
            candidate=candidate(session),
            at_work=at_work,
            held=held,
            notes=NOTES,
        )


@blueprint.get("/new")
@needs_role("operator")
def new() -> str:
    return _form(None, {**_NEW, "selection": {}, "most_scans": None})


@blueprint.post("")
def add() -> str | Response:
    return _save(None)


@blueprint.get("/<int:schedule_id>")
def schedule(schedule_id: int) -> str:
    with current.system().database.read() as session:
        found = schedules.get_schedule(session, schedule_id)
    return _form(found, schedules.facts_of(found))


@blueprint.post("/<int:schedule_id>")
def change(schedule_id: int) -> str | Response:
    return _save(schedule_id)


@blueprint.post("/<int:schedule_id>/<string:action>")
def act(schedule_id: int, action: str) -> Response:
    if action == "delete":
        system = current.system()
        with system.database.write() as session:
            schedules.delete_schedule(session, system.clock(), schedule_id, current.identity().name)
        flash("The schedule is deleted. Its runs stay; one that was under way is paused.")
        return redirect(url_for("schedules-pages.list_schedules"))  # type: ignore[return-value]
    if action not in _DONE:
        raise NoPage
    steer(schedule_id, action)
    flash(_DONE[action])
    return redirect(url_for("schedules-pages.schedule", schedule_id=schedule_id))  # type: ignore[return-value]


def _save(schedule_id: int | None) -> str | Response:
    """Keep what the form holds, or show it again with what is wrong; the button Preview keeps nothing."""
    system = current.system()
    former = None
    if schedule_id is not None:
        with system.database.read() as session:
            former = schedules.get_schedule(session, schedule_id)
    given = _sent()
    try:
        plan = Plan(**given)
        if request.form.get("action") == "preview":
            return _form(former, given, preview=windows(plan, system))
        with system.database.write() as session:
            who = current.identity().name
            if schedule_id is None:
                kept = schedules.add_schedule(session, system.clock(), plan, who)
            else:
                kept = schedules.change_schedule(session, system.clock(), schedule_id, plan, who)
            holds = schedules.what_holds(session, kept)
    except Refused as error:
        return _form(former, given, problem=str(error))
    flash(f"The schedule is saved.{holds}")
    return redirect(url_for("schedules-pages.schedule", schedule_id=kept.id))  # type: ignore[return-value]


def _sent() -> dict[str, Any]:
    """The form as a plan. A number that is none stays text, which the selection refuses with a sentence."""
    form = {name: value.strip() for name, value in request.form.items()}
    selection: dict[str, Any] = {name: form[name] for name in _TEXTS if form.get(name)}
    selection |= {name: _number(form[name]) for name in _NUMBERS if form.get(name)}
    most = _number(form.get("most_scans", ""))
    return {
        "name": form.get("name", ""),
        "cron": form.get("cron", ""),
        "time_zone": form.get("time_zone") or "UTC",
        "window_end": form.get("window_end", ""),
        "checkpoint": form.get("checkpoint", CANDIDATE),
        "selection": selection,
        "most_scans": most if isinstance(most, int) else 0 if most else None,
    }


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else text


def _form(
    row: Schedule | None, given: dict[str, Any], problem: str | None = None, preview: list[dict[str, Any]] | None = None
) -> str:
    system = current.system()
    with system.database.read() as session:
        known: list[Checkpoint] = list(checkpoints.all_checkpoints(session))
        firings = schedules.firings_of(session, row.id, FIRINGS_SHOWN) if row else []
        if preview is None and row is not None and problem is None:
            preview = windows(row, system)
        return render_template(
            "schedule.html",
            schedule=row,
            given=given,
            problem=problem,
            windows=preview or [],
            checkpoints=known,
            candidate=candidate(session),
            firings=firings,
            compared=comparisons_of(session, firings),
            at_work=row is not None and schedules.is_at_work(session, row.id),
            held=schedules.held_run(session, row.id) if row else None,
            notes=NOTES,
            bands=BAND_FILTERS,
        )
