"""Scans that could not be prepared, by reason; tried again on an operator's word, after a limit or a release changed.

Nothing does so by itself: what a file was rejected for stays true until somebody changes something.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.orm import Session

from screening import audit
from screening.database.engine import Database
from screening.database.states import Lane, WorkState
from screening.database.tables import Rendition, Scan
from screening.database.transactions import committed
from screening.ledger.lanes import settle_lanes
from screening.ledger.reviving import revive_renditions
from screening.upkeep.taking_back import go_on_with_jobs

AT_ONCE = 500


def rejected_by_reason(database: Database) -> dict[str, int]:
    """How many renditions were rejected for each reason, of scans whose original is there; the most frequent first."""
    count = func.count()
    with database.read() as session:
        rows = session.execute(
            select(Rendition.problem_code, count)
            .join(Scan, Scan.id == Rendition.scan_id)
            .where(*_rejected())
            .group_by(Rendition.problem_code)
            .order_by(count.desc(), Rendition.problem_code)
        ).all()
    return {str(code): number for code, number in rows}


def try_again(database: Database, now: datetime, codes: Collection[str], actor: str) -> int:
    """Have scans prepared again that were rejected with one of the codes, and their runs go on. Returns how many.

    Each scan is taken once, also where it is rejected again meanwhile.
    """
    done, last = 0, ("", "")

    def next_ones(session: Session) -> list[tuple[str, str]]:
        return _revive_some(session, now, codes, last)

    while some := committed(database, next_ones):
        done, last = done + len(some), some[-1]
    detail = {"codes": sorted(codes), "scans": done}
    committed(database, lambda session: audit.record(session, now, actor, "rejected.tried_again", "scans", detail))
    return done


def _revive_some(
    session: Session, now: datetime, codes: Collection[str], after: tuple[str, str]
) -> list[tuple[str, str]]:
    key = (Rendition.scan_id, Rendition.spec)
    some = [
        (row.scan_id, row.spec)
        for row in session.execute(
            select(*key)
            .join(Scan, Scan.id == Rendition.scan_id)
            .where(*_rejected(), Rendition.problem_code.in_(codes), tuple_(*key) > after)
            .order_by(*key)
            .limit(AT_ONCE)
            .with_for_update(of=Rendition)
        )
    ]
    for spec in sorted({spec for _, spec in some}):
        scan_ids = [scan_id for scan_id, of_spec in some if of_spec == spec]
        these = (Rendition.spec == spec, Rendition.scan_id.in_(scan_ids))
        revive_renditions(session, now, Lane.ARCHIVE, codes, *these)
        go_on_with_jobs(session, spec, scan_ids, codes)
        settle_lanes(session, *these)
    return some


def _rejected() -> tuple[ColumnElement[bool], ...]:
    return (Rendition.state == WorkState.REJECTED, Scan.original_removed_at.is_(None))
