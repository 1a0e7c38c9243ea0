"""Pairs: what two checkpoints said of the same scan. One statement that the list, the counts and the export share.

The thresholds in force of both checkpoints are compared when the pairs are read, so new ones apply at once. Every pair
is of exactly one kind.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from screening.bands import Band, band_of
from screening.checkpoints import get, operating_point
from screening.database.tables import Job, Prediction, Scan
from screening.errors import Refused
from screening.runs.lifecycle import get_run

Kind = Literal["newly_flagged", "no_longer_flagged", "band_changed", "moved", "unchanged"]
KINDS: tuple[Kind, ...] = ("newly_flagged", "no_longer_flagged", "band_changed", "moved", "unchanged")
"""band_changed: flagged by both, but likely by one and possible by the other. moved: in the same band, but by more than
the given distance. unchanged: the rest."""

MOVED = 0.2
_ROUNDING = 1e-9
"""0.9 - 0.7 is a little over 0.2 in floating point; that much is no move of more than 0.2."""


@dataclass(frozen=True)
class Side:
    """One of the two checkpoints, with its thresholds in force."""

    checkpoint: str
    name: str
    form: str
    active: bool
    threshold: float
    likely_threshold: float

    def band(self, probability: float) -> Band:
        return band_of(probability, self.threshold, self.likely_threshold)


@dataclass(frozen=True)
class Scope:
    """Which scans are compared: those of a run, of a body part, received in [since, until); None leaves out none."""

    run: int | None = None
    body_part: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Comparison:
    """Which checkpoints are compared, over which scans, and from which change of probability on a scan has moved."""

    before: Side
    after: Side
    scope: Scope
    moved: float

    def kind(self, before: float, after: float) -> Kind:
        """The kind of a pair of probabilities."""
        earlier, later = self.before.band(before), self.after.band(after)
        return self.kind_of_bands(earlier, later, abs(after - before) > self.moved + _ROUNDING)

    @staticmethod
    def kind_of_bands(before: Band, after: Band, moved: bool) -> Kind:
        if before == after:
            return "moved" if moved else "unchanged"
        if before == "not_flagged":
            return "newly_flagged"
        return "no_longer_flagged" if after == "not_flagged" else "band_changed"


def open_comparison(
    session: Session, before: str, after: str, scope: Scope | None = None, moved: float = MOVED
) -> Comparison:
    """Look up both checkpoints. Raises NotFound for an unknown one or an unknown run, Refused for bad values."""
    if before == after:
        raise Refused("same_checkpoint", "A checkpoint is not compared with itself. Choose two different ones.")
    if not 0 <= moved <= 1:
        raise Refused("bad_moved", "A change of probability lies between 0 and 1. Give such a value, 0.2 for example.")
    scope = scope or Scope()
    if scope.run is not None:
        get_run(session, scope.run)
    return Comparison(_side(session, before), _side(session, after), scope, moved)


def _side(session: Session, checkpoint_id: str) -> Side:
    row, point = get(session, checkpoint_id), operating_point(session, checkpoint_id)
    return Side(row.id, row.name, row.form, row.active, point.threshold, point.likely_threshold)


class Pairs:
    """The columns of the pairs of a comparison, and statements over them."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self._earlier, self._later = aliased(Prediction), aliased(Prediction)
        self.scan = self._earlier.scan_id
        self.before, self.after = self._earlier.probability, self._later.probability
        self.change: ColumnElement[float] = func.abs(self.after - self.before)

    def select(self, *columns: Any) -> Select[*tuple[Any, ...]]:
        """A statement over every scan in scope that both have screened."""
        return (
            select(*columns)
            .select_from(self._earlier)
            .join(
                self._later,
                and_(
                    self._later.scan_id == self._earlier.scan_id,
                    self._later.checkpoint_id == self.comparison.after.checkpoint,
                ),
            )
            .where(
                self._earlier.checkpoint_id == self.comparison.before.checkpoint,
                *in_scope(self._earlier.scan_id, self.comparison.scope),
            )
        )

    @property
    def moved(self) -> ColumnElement[bool]:
        return self.change > self.comparison.moved + _ROUNDING

    def of_kind(self, kind: Kind) -> ColumnElement[bool]:
        """The pairs of a kind as ranges of both probabilities, so that a database can use its indexes."""
        first, second = self.comparison.before, self.comparison.after
        if kind == "newly_flagged":
            return and_(self.before < first.threshold, self.after >= second.threshold)
        if kind == "no_longer_flagged":
            return and_(self.before >= first.threshold, self.after < second.threshold)
        likely_before, likely_after = self.before >= first.likely_threshold, self.after >= second.likely_threshold
        possible_before = and_(self.before >= first.threshold, self.before < first.likely_threshold)
        possible_after = and_(self.after >= second.threshold, self.after < second.likely_threshold)
        if kind == "band_changed":
            return or_(and_(likely_before, possible_after), and_(possible_before, likely_after))
        same_band = or_(
            and_(self.before < first.threshold, self.after < second.threshold),
            and_(possible_before, possible_after),
            and_(likely_before, likely_after),
        )
        return and_(same_band, self.moved if kind == "moved" else ~self.moved)


def in_scope(scan_id: InstrumentedAttribute[str], scope: Scope) -> list[ColumnElement[bool]]:
    """Conditions on the column that holds a scan's id."""
    conditions: list[ColumnElement[bool]] = []
    if scope.run is not None:
        conditions.append(scan_id.in_(select(Job.scan_id).where(Job.run_id == scope.run)))
    facts = []
    if scope.body_part is not None:
        facts.append(Scan.body_part == scope.body_part)
    if scope.since is not None:
        facts.append(Scan.received_at >= scope.since)
    if scope.until is not None:
        facts.append(Scan.received_at < scope.until)
    if facts:
        conditions.append(scan_id.in_(select(Scan.id).where(*facts)))
    return conditions
