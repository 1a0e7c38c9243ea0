"""A comparison in numbers: how many scans of each kind, how far both agree, and how both do on reviewed scans."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from screening.bands import Band
from screening.comparison.pairs import KINDS, Comparison, Kind, Pairs, Side, in_scope
from screening.comparison.statistics import cohens_kappa, mcnemar_exact, wilson_interval
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
    """Reviewed scans of one truth: which of the two checkpoints was right about how many."""

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

    @property
    def p_value(self) -> float:
        """Of McNemar's exact test for a difference between the two."""
        return mcnemar_exact(self.only_before, self.only_after)


@dataclass(frozen=True)
class Summary:
    comparison: Comparison
    counts: dict[Kind, int]
    bands: dict[tuple[Band, Band], int]
    """(band before, band after): scans. Pairs of bands that no scan has are left out."""
    only_before: int
    """Scans in scope that only the checkpoint before has screened; they are not compared."""
    only_after: int
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
        return self.sensitivity.scans + self.specificity.scans


def summarise(session: Session, comparison: Comparison) -> Summary:
    """Count a comparison in SQL: one pass over the pairs, one over the reviewed ones, one count for each checkpoint."""
    pairs = Pairs(comparison)
    before, after = _band(pairs.before, comparison.before), _band(pairs.after, comparison.after)
    counted = pairs.select(
        before.label("earlier"), after.label("later"), case((pairs.moved, 1), else_=0).label("moved")
    ).subquery()
    counts: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    bands: dict[tuple[Band, Band], int] = {}
    for row in session.execute(select(*counted.c, func.count().label("scans")).group_by(*counted.c)):
        counts[comparison.kind_of_bands(row.earlier, row.later, bool(row.moved))] += row.scans
        bands[row.earlier, row.later] = bands.get((row.earlier, row.later), 0) + row.scans
    both = sum(counts.values())
    sensitivity, specificity = _reviewed(session, pairs)
    return Summary(
        comparison=comparison,
        counts=counts,
        bands=bands,
        only_before=_screened(session, comparison, comparison.before) - both,
        only_after=_screened(session, comparison, comparison.after) - both,
        sensitivity=sensitivity,
        specificity=specificity,
    )


def _band(probability: InstrumentedAttribute[float], side: Side) -> ColumnElement[str]:
    return case(
        (probability < side.threshold, "not_flagged"),
        (probability < side.likely_threshold, "possible"),
        else_="likely",
    )


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
