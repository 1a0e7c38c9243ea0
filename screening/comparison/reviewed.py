"""What readers say of the scans that only one of two checkpoints flags, without the bias of what they chose to read.

Readers see what the checkpoint in use flags, and of the rest a random sample. Counted over all reviewed scans, its
sensitivity would look far better than it is, and its specificity far worse (verification bias: Begg and Greenes,
Biometrics 1983). What both flag or both do not flag says nothing of which one is better. So only the scans that one
of the two flags are looked at: there the share that readers call fractured is estimated with each scan weighted by one
over its chance of being read (Horvitz and Thompson, JASA 1952), which is 1 for what was flagged when it was read and
the rate of the sample for the rest. A scan that a reader chose outside of both stands for nobody knows how many, and is
left out.

The 95% interval is Wilson's with the effective number of scans (sum w)^2 / sum w^2 (Kish, Survey Sampling 1965).
"""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import Select, and_, case, func, or_, select
from sqlalchemy.orm import Session

from screening.comparison.pairs import Comparison, Pairs
from screening.comparison.statistics import wilson_interval
from screening.database.review_tables import Review
from screening.reviews.sampling import assumed_rate
from screening.reviews.truth import reviewed

_CHOSEN = -1.0


@dataclass(frozen=True)
class FlaggedByOne:
    """The scans that one of the two flags and the other does not."""

    scans: int
    """All of them, reviewed or not."""
    decided: int = 0
    """Those that readers decided about and that weigh in; see the module."""
    fractured: int = 0
    """Those of them that readers call fractured."""
    weight: float = 0.0
    weight_fractured: float = 0.0
    weight_squares: float = 0.0

    @property
    def share(self) -> float | None:
        """Estimated share that is fractured; None where nothing is decided."""
        return self.weight_fractured / self.weight if self.weight else None

    @property
    def interval_95(self) -> tuple[float, float]:
        if self.share is None:
            return 0.0, 1.0
        effective = self.weight**2 / self.weight_squares
        return wilson_interval(min(1.0, self.share) * effective, effective)

    @property
    def fractures(self) -> float | None:
        """Estimated number of fractures among all of them."""
        return None if self.share is None else self.share * self.scans

    @property
    def fractures_interval_95(self) -> tuple[float, float]:
        low, high = self.interval_95
        return low * self.scans, high * self.scans


@dataclass(frozen=True)
class Reviewed:
    """Of a comparison: what its readers decided."""

    decided: int
    """Compared scans with a decision, whatever the two checkpoints say."""
    chosen: int
    """Those of them that were neither flagged nor sampled when they were read; they weigh nothing."""
    only_before: FlaggedByOne
    only_after: FlaggedByOne


def reviewed_pairs(session: Session, comparison: Comparison, lost: int, new: int, sample_rate: float) -> Reviewed:
    """lost, new: how many scans only the checkpoint before or after flags.

    sample_rate: of the random sample today; it, or the smallest one that is known if that is smaller, is taken for
    reviews that did not keep theirs.
    """
    pairs = Pairs(comparison)
    truth, first = reviewed().subquery(), _first_review().subquery()
    flags = (pairs.before >= comparison.before.threshold, pairs.after >= comparison.after.threshold)
    groups = (truth.c.fractured, *flags, first.c.rate)
    rows = session.execute(
        pairs.select(*groups, func.count())
        .join(truth, truth.c.scan_id == pairs.scan)
        .join(first, first.c.scan_id == pairs.scan)
        .where(truth.c.fractured.is_not(None))
        .group_by(*groups)
    ).all()
    known = [rate for *_, rate, _ in rows if rate is not None and 0 < rate < 1]
    assumed = assumed_rate(known, sample_rate) or 1.0
    tallies: dict[tuple[bool, bool], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    decided = chosen = 0
    for fractured, before, after, rate, scans in rows:
        decided += scans
        if rate == _CHOSEN:
            chosen += scans
            continue
        weight, tally = 1 / (assumed if rate is None else rate), tallies[bool(before), bool(after)]
        tally["decided"] += scans
        tally["weight"] += scans * weight
        tally["weight_squares"] += scans * weight**2
        if fractured:
            tally["fractured"] += scans
            tally["weight_fractured"] += scans * weight

    def of(scans: int, tally: dict[str, float]) -> FlaggedByOne:
        return FlaggedByOne(
            scans=scans,
            decided=int(tally["decided"]),
            fractured=int(tally["fractured"]),
            weight=tally["weight"],
            weight_fractured=tally["weight_fractured"],
            weight_squares=tally["weight_squares"],
        )

    return Reviewed(decided, chosen, of(lost, tallies[True, False]), of(new, tallies[False, True]))


def _first_review() -> Select[str, float | None]:
    """A statement of (scan_id, rate): by which chance a scan came to its first reader. NULL for a sampled scan whose
    rate was not kept; _CHOSEN where it was neither flagged nor sampled."""
    first = select(func.min(Review.id)).where(Review.withdrawn_at.is_(None)).group_by(Review.scan_id)
    listed = or_(Review.probability.is_(None), Review.probability >= Review.threshold)
    chosen = and_(~listed, ~Review.sampled)
    rate = case((chosen, _CHOSEN), (listed, 1.0), else_=Review.sample_rate)
    return select(Review.scan_id, rate.label("rate")).where(Review.id.in_(first))
