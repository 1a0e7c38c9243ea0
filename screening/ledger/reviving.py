"""What a file that is sent again brings back: its rendition, and the jobs that were rejected for want of it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from screening.database.states import UNFINISHED, JobState, WorkState
from screening.database.tables import Job, Rendition, Scan
from screening.ledger.lease import SET_ASIDE_CODE
from screening.radiographs.problems import MAY_PASS_LATER

ORIGINAL_MISSING_CODE = "original_missing"
ORIGINAL_MISSING_REASON = "The original is not in storage any more. Send the file again."
ORIGINAL_EXPIRED_CODE = "original_expired"
ORIGINAL_EXPIRED_REASON = "The original was removed after its time. Send the file again."
WITHOUT_ORIGINAL = (ORIGINAL_MISSING_CODE, ORIGINAL_EXPIRED_CODE)
"""What a rendition was rejected for that could not be made for want of the original: once that is back, it can be."""
TRIED_AGAIN_WHEN_SENT = (SET_ASIDE_CODE, *WITHOUT_ORIGINAL, *sorted(MAY_PASS_LATER))
"""What a rendition was rejected for, where the same bytes may do better another time. A person who sends them again
asks for that; no night does by itself, as it would ask the same of the same files for ever."""
ANEW: dict[str, Any] = {"attempts": 0, "finished_at": None, "problem_code": None, "problem": None}
"""What a rendition or a job that was rejected forgets when it begins anew."""
_PLAIN: dict[str, Any] = {"synchronize_session": False}


def note_missing_original(session: Session, now: datetime, scan_id: str) -> None:
    """From here on the bytes of this scan are asked for: nobody may vouch for what storage does not have."""
    session.execute(
        update(Scan).where(Scan.id == scan_id, Scan.original_removed_at.is_(None)).values(original_removed_at=now),
        execution_options=_PLAIN,
    )


def give_up_unneeded(session: Session, now: datetime, scan_ids: Sequence[str]) -> None:
    """Renditions of these scans that wait though no job needs them, as those of cancelled runs may: their originals go.

    Unlike what lost its original, they are not asked for again by visits of archives.
    """
    waiting = (Rendition.scan_id.in_(scan_ids), Rendition.state == WorkState.WAITING)
    # Locked first, so that whoever sends one of them at this moment is either seen here or sees what is recorded here.
    session.execute(select(Rendition.scan_id).where(*waiting).with_for_update())
    needed = exists().where(Job.scan_id == Rendition.scan_id, Job.state.in_(UNFINISHED))
    session.execute(
        update(Rendition)
        .where(*waiting, ~needed)
        .values(
            state=WorkState.REJECTED,
            problem_code=ORIGINAL_EXPIRED_CODE,
            problem=ORIGINAL_EXPIRED_REASON,
            finished_at=now,
        ),
        execution_options=_PLAIN,
    )


def revive_renditions(
    session: Session, now: datetime, lane: int, codes: Collection[str], *conditions: ColumnElement[bool]
) -> None:
    """Have these renditions made again where they were rejected with one of the codes."""
    session.execute(
        update(Rendition)
        .where(*conditions, Rendition.state == WorkState.REJECTED, Rendition.problem_code.in_(codes))
        .values(
            state=WorkState.WAITING,
            lane=lane,
            queued_at=now,
            **ANEW,
        ),
        execution_options=_PLAIN,
    )


def revive_jobs(session: Session, run_id: int, scan_id: str, values: dict[str, Any]) -> None:
    """Have the jobs of a scan that came again into the same run begin anew, in the state that these values name."""
    session.execute(
        update(Job)
        .where(
            Job.run_id == run_id,
            Job.scan_id == scan_id,
            Job.state == JobState.REJECTED,
            Job.problem_code.in_(TRIED_AGAIN_WHEN_SENT),
        )
        .values({**ANEW, **values}),
        execution_options=_PLAIN,
    )
