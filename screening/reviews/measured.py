"""A checkpoint as its readers measure it: PPV of what it flags, sensitivity by the random sample, readers' agreement.

Flagged scans are all read, scans that are not flagged only where the random sample brings them, at the rate r. Each
sampled scan therefore stands for 1/r scans (inverse-probability weighting: Horvitz and Thompson, JASA 1952; for a test
whose negatives are verified in part, Begg and Greenes, Biometrics 1983). With T fractures among the reviewed flagged
scans and F among the sampled ones the sensitivity is estimated as

    s = T / (T + F / r).

The rate is that of the moment of the review: where it was changed, each of the F fractures has its own weight w = 1/r.

A fracture is seen among the flagged with probability s and in the sample with probability (1 - s) r, so of the T + F
that were seen the share among the flagged is q = s / (s + (1 - s) r), a plain proportion. Its 95% interval (Wilson)
is carried over by s = q r / (1 - q + q r), which rises with q; it holds for F = 0, too, where the estimate is 1. Under
several rates F and r are replaced by (sum w)^2 / sum w^2 and sum w / sum w^2, which keep the mean and the variance of
the weighted sum, and for the lower end one more fracture of the largest weight is taken as missed: a rare fracture of a
small rate may be unseen while those of a large one are seen (after Fay and Feuer, Statistics in Medicine 1997).

The estimate assumes that of the flagged and of the sampled scans the same share was read; the reading queue mixes them,
so that a queue that is not read to its end bends it little, and upwards at most by the order of the flagged.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, aliased

from screening.comparison.statistics import cohens_kappa, wilson_interval
from screening.comparison.summary import Rate
from screening.database.review_tables import Review
from screening.reviews.sampling import assumed_rate

_SIDES_95 = 1.959964
FRACTURE, NO_FRACTURE = "fracture", "no_fracture"
UNDONE_WITHIN = timedelta(seconds=15)
"""The viewer offers to undo a verdict for ten seconds, and shows no other reader's meanwhile."""


@dataclass(frozen=True)
class Sensitivity:
    """Estimated from fractures that were seen: among flagged scans, and in the sample of those not flagged."""

    flagged_fractures: int
    sampled_fractures: int
    rate: float
    """Of the sample, over 0 to 1: the smallest one by which a scan of the sample was read. 0 where none is known."""
    rates: tuple[float, ...] = ()
    """By which each fracture of the sample was found; empty where it was `rate` for all of them."""
    several: bool = False
    """Whether scans of the sample were read at more than one rate."""

    @property
    def estimate(self) -> float | None:
        """None where no fracture was seen, or nothing is sampled."""
        if self.rate == 0 or self.flagged_fractures + self.sampled_fractures == 0:
            return None
        return self.flagged_fractures / (self.flagged_fractures + math.fsum(self._weights))

    @property
    def interval_95(self) -> tuple[float, float]:
        if self.rate == 0 or self.flagged_fractures + self.sampled_fractures == 0:
            return 0.0, 1.0
        unseen = [1 / self.rate] if self.several else []
        return self._carried(self._weights + unseen)[0], self._carried(self._weights)[1]

    @property
    def _weights(self) -> list[float]:
        return [1 / rate for rate in self.rates or (self.rate,) * self.sampled_fractures]

    def _carried(self, weights: list[float]) -> tuple[float, float]:
        """The interval of the share of the seen fractures that were flagged, as one of the share of all fractures."""
        total, squares = math.fsum(weights), math.fsum(weight**2 for weight in weights)
        seen, rate = (total**2 / squares, total / squares) if weights else (0.0, self.rate)

        def of_all(share_of_seen: float) -> float:
            weighted = share_of_seen * rate
            return weighted / (1 - share_of_seen + weighted)

        low, high = wilson_interval(self.flagged_fractures, self.flagged_fractures + seen)
        return of_all(low), of_all(high)


@dataclass(frozen=True)
class Agreement:
    """Of two readers, on scans that both called fracture or no fracture."""

    readers: tuple[str, str]
    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def raw(self) -> Rate:
        return Rate(self.both + self.neither, self.both + self.only_first + self.only_second + self.neither)

    @property
    def kappa(self) -> float | None:
        return cohens_kappa(self.both, self.only_first, self.only_second, self.neither)

    @property
    def kappa_interval_95(self) -> tuple[float, float] | None:
        """Kappa +- 1.96 sqrt(a (1 - a) / (n (1 - c)^2)), with a agreed and c by chance (Cohen, 1960), cut to [-1, 1].

        None where kappa is, and where all agree: this formula knows no error then.
        """
        kappa, agreed = self.kappa, self.raw.share
        if kappa is None or agreed is None or agreed == 1:
            return None
        half = _SIDES_95 * (1 - kappa) * math.sqrt(agreed / (self.raw.scans * (1 - agreed)))
        return max(-1.0, kappa - half), min(1.0, kappa + half)


@dataclass(frozen=True)
class Measured:
    checkpoint: str
    since: datetime | None
    until: datetime | None
    reviews: int
    """In force, of this checkpoint's results, in the period; of one reader and scan the latest."""
    ppv: Rate
    """Of flagged scans that were decided, those with a fracture."""
    sampled: Rate
    """Of sampled scans that were decided, those with a fracture: what is missed among those not flagged."""
    sensitivity: Sensitivity
    undecided: int
    """Scans without a decision: unsure, poor quality, or as many readers for as against a fracture."""
    agreement: Sequence[Agreement]
    """Of every two readers with scans in common, those with most first; by the first verdict of each, which was given
    before the other's was shown."""
    agreed: Rate
    """Over all of them together."""
    assumed_rates: int = 0
    """Scans of the sample that were read before its rate was kept: `sensitivity.rate` is taken for them."""
    thresholds: tuple[float, ...] = ()
    """By which these scans counted as flagged or not, rising: those in force when they were reviewed."""
    outside_fractures: int = 0
    """Scans that readers call fractured and that were neither flagged nor sampled: known misses that stand for an
    unknown number of scans, so that they do not enter the estimate."""


@dataclass(frozen=True)
class _Scan:
    """As it stood at its first review."""

    flagged: bool
    sampled: bool
    sample_rate: float | None
    threshold: float
    verdicts: Mapping[str, str]
    """The latest of each reader."""
    first_verdicts: Mapping[str, str]
    """Of each reader the first of all, where it lies in the period."""

    @property
    def fractured(self) -> bool | None:
        """What most readers decided; None where nobody decided or both are equally many."""
        verdicts = list(self.verdicts.values())
        more = verdicts.count(FRACTURE) - verdicts.count(NO_FRACTURE)
        return None if more == 0 else more > 0


def measured(
    session: Session, checkpoint: str, rate: float, since: datetime | None = None, until: datetime | None = None
) -> Measured:
    """From the reviews in force of what this checkpoint said, made from `since` on and before `until`.

    A scan counts as flagged by the threshold that was in force when it was reviewed. rate: of the random sample today;
    it, or the smallest rate that is known if that is smaller, is taken for reviews that did not keep theirs.
    """
    scans = _scans(_reviews(session, checkpoint, since, until), _taken_back(session))
    decided = [scan for scan in scans if scan.fractured is not None]
    flagged = [scan.fractured for scan in decided if scan.flagged]
    sampled = [scan for scan in decided if scan.sampled]
    pairs = _agreement(scans)
    return Measured(
        checkpoint=checkpoint,
        since=since,
        until=until,
        reviews=sum(len(scan.verdicts) for scan in scans),
        ppv=Rate(sum(map(bool, flagged)), len(flagged)),
        sampled=Rate(sum(bool(scan.fractured) for scan in sampled), len(sampled)),
        sensitivity=_sensitivity(sum(map(bool, flagged)), sampled, rate),
        undecided=len(scans) - len(decided),
        agreement=pairs,
        agreed=Rate(sum(pair.raw.hits for pair in pairs), sum(pair.raw.scans for pair in pairs)),
        assumed_rates=sum(scan.sample_rate is None for scan in sampled),
        thresholds=tuple(sorted({scan.threshold for scan in scans})),
        outside_fractures=sum(bool(scan.fractured) and not scan.flagged and not scan.sampled for scan in decided),
    )


def _sensitivity(flagged_fractures: int, sampled: Sequence[_Scan], today: float) -> Sensitivity:
    kept = {scan.sample_rate for scan in sampled if scan.sample_rate is not None}
    assumed = assumed_rate(kept, today)
    rates = [assumed if scan.sample_rate is None else scan.sample_rate for scan in sampled]
    fractured = tuple(rate for rate, scan in zip(rates, sampled, strict=True) if scan.fractured)
    smallest = min(rates, default=assumed)
    return Sensitivity(flagged_fractures, len(fractured), smallest, fractured, len(set(rates)) > 1)


def _reviews(session: Session, checkpoint: str, since: datetime | None, until: datetime | None) -> Iterable[Any]:
    earlier = aliased(Review)
    has_earlier = exists().where(
        earlier.scan_id == Review.scan_id,
        earlier.reader == Review.reader,
        earlier.withdrawn_at.is_(None),
        earlier.id < Review.id,
    )
    statement = (
        select(
            Review.id,
            Review.scan_id,
            Review.reader,
            Review.verdict,
            Review.probability,
            Review.threshold,
            Review.sampled,
            Review.sample_rate,
            has_earlier.label("has_earlier"),
        )
        .where(Review.checkpoint_id == checkpoint, Review.withdrawn_at.is_(None))
        .order_by(Review.id)
    )
    if since is not None:
        statement = statement.where(Review.reviewed_at >= since)
    if until is not None:
        statement = statement.where(Review.reviewed_at < until)
    return session.execute(statement.execution_options(yield_per=1000))


def _taken_back(session: Session) -> dict[tuple[str, str], int]:
    """By scan and reader, the first review that stood long enough for others' to be shown before it was withdrawn.

    One that was undone at once, as after a wrong key, is as if it had not been made.
    """
    withdrawn = (
        select(Review.id, Review.scan_id, Review.reader, Review.reviewed_at, Review.withdrawn_at)
        .where(Review.withdrawn_at.is_not(None))
        .order_by(Review.id)
    )
    taken_back: dict[tuple[str, str], int] = {}
    for row in session.execute(withdrawn):
        if row.withdrawn_at - row.reviewed_at > UNDONE_WITHIN:
            taken_back.setdefault((row.scan_id, row.reader), row.id)
    return taken_back


def _scans(rows: Iterable[Any], taken_back: Mapping[tuple[str, str], int]) -> list[_Scan]:
    stood: dict[str, tuple[bool, bool, float | None, float]] = {}
    latest: dict[str, dict[str, str]] = defaultdict(dict)
    first: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        flagged = row.probability >= row.threshold
        stood.setdefault(row.scan_id, (flagged, row.sampled, row.sample_rate, row.threshold))
        latest[row.scan_id][row.reader] = row.verdict
        if not row.has_earlier and row.id <= taken_back.get((row.scan_id, row.reader), row.id):
            first[row.scan_id][row.reader] = row.verdict
    return [_Scan(*stood[scan], said, first.get(scan, {})) for scan, said in latest.items()]


def _agreement(scans: Iterable[_Scan]) -> list[Agreement]:
    tables: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for scan in scans:
        said = scan.first_verdicts
        decided = {name: one == FRACTURE for name, one in said.items() if one in (FRACTURE, NO_FRACTURE)}
        for one, other in combinations(sorted(decided), 2):
            place = 2 * (not decided[one]) + (not decided[other])
            tables[one, other][place] += 1
    pairs = [Agreement(readers, *table) for readers, table in tables.items()]
    return sorted(pairs, key=lambda pair: (-pair.raw.scans, pair.readers))
