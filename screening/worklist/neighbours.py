"""From one scan to the next through a filtered list, whether or not the scan itself still stands in it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from screening.database.states import NOT_SCREENED
from screening.database.tables import Job, Prediction
from screening.reviews.holds import holders
from screening.reviews.sampling import in_sample
from screening.reviews.verdicts import decided_by
from screening.worklist.filters import Filters
from screening.worklist.parts import Key, Row, around, forward
from screening.worklist.sections import Listed, listed, must_look_job, sample_rank

AHEAD = 2
_LOOKED_AT = 20
"""How many rows are looked at each way: other names of the same scan, and in the queue scans that others hold, are
passed over."""


@dataclass(frozen=True)
class Neighbours:
    """Scan ids. `following` has at most two, the nearest first, so that a viewer can fetch them ahead."""

    previous: str | None
    following: tuple[str, ...]


def neighbours(session: Session, filters: Filters, scan: str, now: datetime, place: str | None = None) -> Neighbours:
    """What stands before and behind this scan. In the reading queue, scans that another reader holds are passed over.

    A scan keeps its place by its key, so the way goes on from a scan that was just reviewed and so left the queue.
    `place` is the scan of the list from which the reader looked aside at this one, another view of its study: the way
    goes on there, and back to it first while this reader has not decided about it. From a scan that stands nowhere in
    the list the way leads to the first one that is unread. Raises as worklist_page does.
    """
    found = listed(session, filters)
    aside = place is not None and place != scan
    start = place if place is not None and aside else scan
    here = _place_of(session, found, start)
    if here is None:
        return Neighbours(None, _first_unread(session, filters, scan, now))
    before, behind = around(session, found.sections, here, _LOOKED_AT, _LOOKED_AT)
    passed = {scan, start} | _held(session, filters, (*before, *behind), now)
    earlier = [row.scan for row in before if row.scan not in passed]
    later = [row.scan for row in behind if row.scan not in passed]
    if aside and not decided_by(session, filters.reader, {start}):
        later = [start, *later]
    return Neighbours(earlier[0] if earlier else None, tuple(dict.fromkeys(later))[:AHEAD])


def _first_unread(session: Session, filters: Filters, scan: str, now: datetime) -> tuple[str, ...]:
    unread = filters if filters.to_read or filters.reviewed else replace(filters, reviewed="unreviewed")
    rows, _ = forward(session, listed(session, unread).sections, _LOOKED_AT, None)
    passed = {scan} | _held(session, filters, rows, now)
    return tuple(dict.fromkeys(row.scan for row in rows if row.scan not in passed))[:AHEAD]


def _held(session: Session, filters: Filters, rows: Iterable[Row], now: datetime) -> set[str]:
    """In the reading queue, the scans among these that others hold."""
    if not filters.to_read:
        return set()
    held = holders(session, now, {row.scan for row in rows})
    return {scan for scan, hold in held.items() if hold.reader != filters.reader}


def _place_of(session: Session, found: Listed, scan: str) -> Row | None:
    filters, last = found.filters, 0 if found.filters.band else 1
    probability = session.scalar(
        select(Prediction.probability).where(Prediction.scan_id == scan, Prediction.checkpoint_id == found.checkpoint)
    )
    job = _job_of(session, found, scan, screened=probability is not None)
    if probability is None:
        if job is None or filters.band not in (None, "must_look"):
            return _place_among_former(session, found, scan)
        return Row(0, 0, (job,), -float(job), scan, job, None)
    if filters.band == "must_look" or (filters.run is not None and job is None):
        return None
    of_job: Key = () if filters.run is None else (job,)
    if filters.to_read and probability < found.point.threshold:
        if not in_sample(scan, filters.sample_rate):
            return None
        rank = sample_rank(scan, filters.sample_rate, found.point.threshold)
        return Row(last, 1, (scan, *of_job), rank, scan, job, probability)
    return Row(last, 0, (probability, scan, *of_job), probability, scan, job, probability)


def _place_among_former(session: Session, found: Listed, scan: str) -> Row | None:
    """Where the last of the former checkpoints that flagged it put it, at the end of the reading queue."""
    of_scan = select(Prediction.checkpoint_id, Prediction.probability).where(Prediction.scan_id == scan)
    probabilities = dict(session.execute(of_scan).all()) if found.formers else {}
    for part, former in enumerate(found.formers):
        if former.checkpoint in probabilities:
            probability = probabilities[former.checkpoint]
            if probability < former.point.threshold:
                return None
            return Row(len(found.sections) - 1, part, (probability, scan), probability, scan, None, probability)
    return None


def _job_of(session: Session, found: Listed, scan: str, *, screened: bool) -> int | None:
    """The job that speaks for the scan here: over all runs, or of its names in the run the one that the list has first,
    so that nothing between two of them is passed over."""
    if found.filters.run is not None:
        in_run = select(Job.id).where(Job.scan_id == scan, Job.run_id == found.filters.run)
        first = (Job.id.desc(),) if screened else (Job.state.not_in(NOT_SCREENED), Job.id)
        return session.scalar(in_run.order_by(*first).limit(1))
    return session.scalar(select(must_look_job(found.checkpoint, None, scan)))
