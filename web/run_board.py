"""How every run goes on that somebody watches: counted seldom, asked for often, so that open pages cost little.

A poll costs one short statement that tells whether anything of the run moved. Only then, and at most every two seconds
for a run, its jobs are counted again, for all the pages that show it.
"""

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from screening.database.base import LARGEST_ID
from screening.database.states import WorkState
from screening.database.tables import Job, Receipt, Rendition, Run
from screening.rescreening.pauses import Pause, pause_of
from screening.runs.lifecycle import get_run, unknown_run
from screening.runs.progress import Progress, problem_jobs, progress_of
from screening.runs.receipts import receipts_of
from screening.system import System
from screening.worklist import Filters, WorklistItem, worklist_page
from web import current

EXTENSION = "screening-run-board"
MOVING_STANDS_S = 2.0
"""How long the counts of a run stand in which jobs end."""
STILL_STANDS_S = 5.0
"""How long they stand while nothing ends: files may have come, and renditions may have become ready."""
LONGEST_STANDS_S = 30.0
"""They stand twice as long each time that the same was counted again, up to this, unless files may still come."""
MOST_KEPT = 500
FIRST_RESULTS = 8
PROBLEMS_SHOWN = 12

Revision = tuple[Any, ...]
_REVISION = select(
    select(func.max(Job.finished_at)).where(Job.run_id == bindparam("run")).scalar_subquery(),
    Run.name,
    Run.lane,
    Run.state,
    Run.submitted_at,
    Run.finished_at,
    Run.paused_by,
).where(Run.id == bindparam("run"))


@dataclass(frozen=True)
class Problem:
    """A file of the run that has no result."""

    name: str
    reason: str | None
    scan: str | None
    picture: bool
    """Whether the scan has a rendition to show."""


@dataclass(frozen=True)
class RunView:
    """What the page of a run shows."""

    run: Run
    progress: Progress
    first: Sequence[WorklistItem]
    problems: Sequence[Problem]
    pause: Pause | None
    tag: str
    """Changes with everything above but the ages, which the page counts on by itself."""

    @property
    def percent(self) -> int:
        total = self.progress.total
        return int(100 * (total - self.progress.unfinished) / total) if total else 0


@dataclass(frozen=True)
class _Kept:
    view: RunView
    row: Revision
    moved: Any
    counted_at: float
    still_s: float

    def stands(self, row: Revision, moved: Any) -> bool:
        age = time.monotonic() - self.counted_at
        return row == self.row and age < (self.still_s if moved == self.moved else MOVING_STANDS_S)

    def again(self, view: RunView) -> float:
        """How long a count stands that found this view after the kept one."""
        if view.tag != self.view.tag or view.run.submitted_at is None:
            return STILL_STANDS_S
        return min(2 * self.still_s, LONGEST_STANDS_S)


class RunBoard:
    """The latest view of each run that was asked for; the least recently asked for are forgotten."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._lock = threading.Lock()
        self._counting: dict[int, threading.Lock] = {}
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._rendered: OrderedDict[tuple[int, str], str] = OrderedDict()
        self._any_token = secrets.token_hex(16)

    def view(self, run_id: int) -> RunView:
        """Raises NotFound."""
        with self._system.database.read() as session:
            found = session.execute(_REVISION, {"run": run_id}).first() if run_id <= LARGEST_ID else None
            if found is None:
                raise unknown_run(run_id)
        moved, row = found[0], tuple(found[1:])
        kept = self._kept.get(run_id)
        if kept is not None and kept.stands(row, moved):
            return kept.view
        with self._lock:
            counting = self._counting.setdefault(run_id, threading.Lock())
        # While one thread counts, the others show what was counted before, unless something was done to the run since.
        if not counting.acquire(blocking=kept is None or kept.row != row) and kept is not None:
            return kept.view
        try:
            kept = self._kept.get(run_id)
            if kept is not None and kept.stands(row, moved):
                return kept.view
            return self._count(run_id, row, moved, kept)
        finally:
            counting.release()

    def _count(self, run_id: int, row: Revision, moved: Any, kept: _Kept | None) -> RunView:
        with self._system.database.read() as session:
            view = _look(session, self._system.clock(), get_run(session, run_id))
        still_s = kept.again(view) if kept else STILL_STANDS_S
        with self._lock:
            self._kept[run_id] = _Kept(view, row, moved, time.monotonic(), still_s)
            self._kept.move_to_end(run_id)
            while len(self._kept) > MOST_KEPT:
                forgotten, _ = self._kept.popitem(last=False)
                self._counting.pop(forgotten, None)
        return view

    def rendered(self, run_id: int, tag: str, own_token: str, render: Callable[[], str]) -> str:
        """What `render` gives, called once for each tag of a run, however many pages show it.

        own_token: of the session that asks; in what was rendered for another session it takes the place of theirs.
        """
        key = (run_id, tag)
        found = self._rendered.get(key)
        if found is None:
            found = render().replace(own_token, self._any_token)
            with self._lock:
                self._rendered[key] = found
                while len(self._rendered) > MOST_KEPT:
                    self._rendered.popitem(last=False)
        return found.replace(self._any_token, own_token)


def run_board() -> RunBoard:
    extensions = current_app.extensions
    board: RunBoard = extensions.setdefault(EXTENSION, RunBoard(current.system()))
    return board


def _look(session: Session, now: datetime, run: Run) -> RunView:
    progress = progress_of(session, now, run)
    first = worklist_page(session, Filters(run=run.id, band="flagged"), FIRST_RESULTS).items
    problems = _problems(session, run)
    pause = pause_of(session, now, run)
    steady = [value for name, value in vars(progress).items() if name != "oldest_waiting_s"]
    facts: list[Any] = [run.name, run.state, run.lane, run.remark, run.submitted_at, run.finished_at, pause, steady]
    facts += [*map(astuple, first), *map(astuple, problems)]
    return RunView(run, progress, first, problems, pause, hashlib.sha256(repr(facts).encode()).hexdigest()[:32])


def _problems(session: Session, run: Run) -> list[Problem]:
    jobs = problem_jobs(session, run.id, PROBLEMS_SHOWN)
    pictured = set(
        session.scalars(
            select(Rendition.scan_id).where(
                Rendition.scan_id.in_([job.scan_id for job in jobs]), Rendition.state == WorkState.READY
            )
        )
    )
    refused: Sequence[Receipt] = receipts_of(session, run.id, 0, PROBLEMS_SHOWN, "rejected")
    return [
        *(Problem(job.file_name, job.problem, job.scan_id, job.scan_id in pictured) for job in jobs),
        *(Problem(receipt.file_name, receipt.reason, None, False) for receipt in refused),
    ][:PROBLEMS_SHOWN]
