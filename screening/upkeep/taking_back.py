"""Originals that are in storage again: their scans have them, and what was rejected for want of them goes on."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session

from screening.database.states import JobState, Lane, RunState, WorkState
from screening.database.tables import Job, Rendition, Run, Scan
from screening.ledger.lanes import settle_lanes
from screening.ledger.preparing import runs_with_spec
from screening.ledger.reviving import ANEW, ORIGINAL_MISSING_CODE, revive_renditions

_PLAIN: dict[str, Any] = {"synchronize_session": False}


def take_back(session: Session, now: datetime, gone: Sequence[tuple[str, datetime]]) -> None:
    """Scans that count as gone since then have their originals again, unless a clean-up has marked them anew."""
    back = session.scalars(
        update(Scan)
        .where(tuple_(Scan.id, Scan.original_removed_at).in_(gone))
        .values(original_removed_at=None, original_in_place=False)
        .returning(Scan.id),
        execution_options=_PLAIN,
    ).all()
    rejected = session.execute(
        select(Rendition.scan_id, Rendition.spec)
        .where(
            Rendition.scan_id.in_(back),
            Rendition.state == WorkState.REJECTED,
            Rendition.problem_code == ORIGINAL_MISSING_CODE,
        )
        .with_for_update()
    ).all()
    for spec in {row.spec for row in rejected}:
        scan_ids = [row.scan_id for row in rejected if row.spec == spec]
        these = (Rendition.spec == spec, Rendition.scan_id.in_(scan_ids))
        revive_renditions(session, now, Lane.ROUTINE, (ORIGINAL_MISSING_CODE,), *these)
        go_on_with_jobs(session, spec, scan_ids, (ORIGINAL_MISSING_CODE,))
        settle_lanes(session, *these)


def go_on_with_jobs(session: Session, spec: str, scan_ids: Sequence[str], codes: Collection[str]) -> None:
    """Jobs that were rejected with one of the codes begin anew, and their runs go on; cancelled runs stay as they are.

    Their renditions are waiting again by then.
    """
    lacking = (
        Job.scan_id.in_(scan_ids),
        Job.state == JobState.REJECTED,
        Job.problem_code.in_(codes),
        Job.run_id.in_(runs_with_spec(spec)),
    )
    session.execute(
        update(Run)
        .where(Run.id.in_(select(Job.run_id).where(*lacking)), Run.state == RunState.COMPLETE)
        .values(state=RunState.RUNNING, finished_at=None),
        execution_options=_PLAIN,
    )
    session.execute(
        update(Job).where(*lacking).values({"state": JobState.PREPARING, **ANEW}),
        execution_options=_PLAIN,
    )
