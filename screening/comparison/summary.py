"""A comparison in numbers: how many scans of each kind, how far both agree, and how both do on reviewed scans."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from screening.bands import Band
from screening.comparison.pairs import KINDS, Comparison, Kind, Pairs, Side, in_scope
from screening.comparison.reviewed import Reviewed, reviewed_pairs
from screening.comparison.statistics import cohens_kappa, wilson_interval
from screening.database.tables import Prediction
from screening.reviews.truth import reviewed


@dataclass(frozen=True)
class Rate:
    """A share of counted scans with its 95% interval (Wilson). `share` is None without scans."""

    hits: int
    scans: int

    @property
    def share(self) -> float | None:
        return self.hits / self.scans if self.scans else None

    @property
    def interval_95(self) -> tuple[float, float]:
        return wilson_interval(self.hits, self.scans)


@dataclass(frozen=True)
class RightOrWrong:
    """Reviewed scans of one truth: which of the two checkpoints was right about how many.

    Plain counts, from which neither is to be judged: readers look mainly at what the checkpoint in use flags, so that
    what it misses is missing here, too. `screening/comparison/reviewed.py` says what can be said without that bias.
    """

    both: int = 0
    only_before: int = 0
    only_after: int = 0
    neither: int = 0

    @property
    def scans(self) -> int:
        return self.both + self.only_before + self.only_after + self.neither

    @property
    def before(self) -> Rate:
        return Rate(self.both + self.only_before, self.scans)

    @property
    def after(self) -> Rate:
        return Rate(self.both + self.only_after, self.scans)


@dataclass(frozen=True)
class Counts:
    """Of a comparison, without what readers say of it."""

    counts: dict[Kind, int]
    bands: dict[tuple[Band, Band], int]
    """(band before, band after): scans. Pairs of bands that no scan has are left out."""
    only_before: int
    """Scans in scope that only the checkpoint before has screened; they are not compared."""
    only_after: int


Counter = Callable[[Session, Comparison], Counts]


@dataclass(frozen=True)
class Summary(Counts):
    comparison: Comparison
    readers: Reviewed
    sensitivity: RightOrWrong
    """Over the reviewed scans with a fracture: right is flagged."""
    specificity: RightOrWrong
    """Over the reviewed scans without: right is not flagged."""

    @property
    def scans(self) -> int:
        """How many are compared: those that both have screened."""
        return sum(self.counts.values())

    @property
    def flagged_before(self) -> int:
        return sum(number for (before, _), number in self.bands.items() if before != "not_flagged")

    @property
    def flagged_after(self) -> int:
        return sum(number for (_, after), number in self.bands.items() if after != "not_flagged")

    @property
    def likely_to_possible(self) -> int:
        return self.bands.get(("likely", "possible"), 0)

    @property
    def possible_to_likely(self) -> int:
        return self.bands.get(("possible", "likely"), 0)

    @property
    def agreement(self) -> float | None:
        """Share of the scans that both flag or both do not flag; None without scans."""
        differing = self.counts["newly_flagged"] + self.counts["no_longer_flagged"]
        return 1 - differing / self.scans if self.scans else None

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa of flagged or not; None where it has no meaning."""
        lost, new = self.counts["no_longer_flagged"], self.counts["newly_flagged"]
        both = self.flagged_before - lost
        return cohens_kappa(both, lost, new, self.scans - both - lost - new)

    @property
    def reviewed(self) -> int:
        return self.readers.decided


def count(session: Session, comparison: Comparison) -> Counts:
    """One pass over the pairs, and one count for each checkpoint.

    A sum for each pair of bands, and not GROUP BY: databases cannot tell how few groups such expressions have, and
    PostgreSQL would sort a million rows for them.
    """
    pairs = Pairs(comparison)
    of_before, of_after = _in_bands(pairs.before, comparison.before), _in_bands(pairs.after, comparison.after)
    groups = [
        (before, after, moved, and_(of_before[before], of_after[after], *([pairs.moved] if moved else [])))
        for before in of_before
        for after in of_after
        for moved in ((False, True) if before == after else (False,))
    ]
    row = session.execute(pairs.select(*(func.count().filter(condition) for *_, condition in groups))).one()
    counts: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    bands: dict[tuple[Band, Band], int] = {}
    for (before, after, moved, _), scans in zip(groups, row, strict=True):
        if moved:
            counts["moved"] += scans
            counts["unchanged"] -= scans
        elif scans:
            counts[comparison.kind_of_bands(before, after, moved=False)] += scans
            bands[before, after] = scans
    both = sum(counts.values())
    return Counts(
        counts=counts,
        bands=bands,
        only_before=_screened(session, comparison, comparison.before) - both,
        only_after=_screened(session, comparison, comparison.after) - both,
    )


def summarise(session: Session, comparison: Comparison, counter: Counter = count, sample_rate: float = 0.0) -> Summary:
    """A comparison in numbers: counted in SQL, or taken from `counter`, and what readers say of it at this moment.

    sample_rate: of the random sample, for reviews that did not keep theirs; 0 where it is not known.
    """
    found = counter(session, comparison)
    lost, new = found.counts["no_longer_flagged"], found.counts["newly_flagged"]
    sensitivity, specificity = _reviewed(session, Pairs(comparison))
    return Summary(
        counts=found.counts,
        bands=found.bands,
        only_before=found.only_before,
        only_after=found.only_after,
        comparison=comparison,
        readers=reviewed_pairs(session, comparison, lost, new, sample_rate),
        sensitivity=sensitivity,
        specificity=specificity,
    )


def _in_bands(probability: InstrumentedAttribute[float], side: Side) -> dict[Band, ColumnElement[bool]]:
    return {
        "not_flagged": probability < side.threshold,
        "possible": and_(probability >= side.threshold, probability < side.likely_threshold),
        "likely": probability >= side.likely_threshold,
    }


def _screened(session: Session, comparison: Comparison, side: Side) -> int:
    return (
        session.scalar(
            select(func.count()).where(
                Prediction.checkpoint_id == side.checkpoint, *in_scope(Prediction.scan_id, comparison.scope)
            )
        )
        or 0
    )


def _reviewed(session: Session, pairs: Pairs) -> tuple[RightOrWrong, RightOrWrong]:
    """(decided scans with a fracture, those without)."""
    truth = reviewed().subquery()
    flagged = (
        pairs.before >= pairs.comparison.before.threshold,
        pairs.after >= pairs.comparison.after.threshold,
    )
    counted = (
        pairs.select(truth.c.fractured, *flagged, func.count())
        .join(truth, truth.c.scan_id == pairs.scan)
        .where(truth.c.fractured.is_not(None))
        .group_by(truth.c.fractured, *flagged)
    )
    tally = {
        (fractured, before == fractured, after == fractured): scans
        for fractured, before, after, scans in session.execute(counted)
    }

    def of(fractured: bool) -> RightOrWrong:
        return RightOrWrong(
            both=tally.get((fractured, True, True), 0),
            only_before=tally.get((fractured, True, False), 0),
            only_after=tally.get((fractured, False, True), 0),
            neither=tally.get((fractured, False, False), 0),
        )

    return of(True), of(False)
