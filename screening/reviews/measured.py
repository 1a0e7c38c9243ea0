"""A checkpoint as its readers measure it: PPV of what it flags, sensitivity by the random sample, readers' agreement.

Flagged scans are all read, scans that are not flagged only where the random sample brings them, at the rate r. Each
sampled scan therefore stands for 1/r scans (inverse-probability weighting: Horvitz and Thompson, JASA 1952; for a test
whose negatives are verified in part, Begg and Greenes, Biometrics 1983). With T fractures among the reviewed flagged
scans and F among the sampled ones the sensitivity is estimated as

    s = T / (T + F / r).

A fracture is seen among the flagged with probability s and in the sample with probability (1 - s) r, so of the T + F
that were seen the share among the flagged is q = s / (s + (1 - s) r), a plain proportion. Its 95% interval (Wilson)
is carried over by s = q r / (1 - q + q r), which rises with q; it holds for F = 0, too, where the estimate is 1.

The estimate assumes that of the flagged and of the sampled scans the same share was read; the reading queue mixes them,
so that a queue that is not read to its end bends it little, and upwards at most by the order of the flagged.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from screening.comparison.statistics import cohens_kappa, wilson_interval
from screening.comparison.summary import Rate
from screening.database.review_tables import Review

_SIDES_95 = 1.959964
FRACTURE, NO_FRACTURE = "fracture", "no_fracture"


@dataclass(frozen=True)
class Sensitivity:
    """Estimated from fractures that were seen: among flagged scans, and in the sample of those not flagged."""

    flagged_fractures: int
    sampled_fractures: int
    rate: float
    """Of the sample."""

    @property
    def estimate(self) -> float | None:
        """None where no fracture was seen, or nothing is sampled."""
        if self.rate == 0 or self.flagged_fractures + self.sampled_fractures == 0:
            return None
        return self.flagged_fractures / (self.flagged_fractures + self.sampled_fractures / self.rate)

    @property
    def interval_95(self) -> tuple[float, float]:
        seen = self.flagged_fractures + self.sampled_fractures
        if self.rate == 0 or seen == 0:
            return 0.0, 1.0
        low, high = wilson_interval(self.flagged_fractures, seen)
        return self._of_all(low), self._of_all(high)

    def _of_all(self, share_of_seen: float) -> float:
        """From the share of the seen fractures that were flagged to the share of all fractures."""
        weighted = share_of_seen * self.rate
        return weighted / (1 - share_of_seen + weighted)


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
    """Of every two readers with scans in common, those with most first."""
    agreed: Rate
    """Over all of them together."""


@dataclass(frozen=True)
class _Scan:
    flagged: bool
    sampled: bool
    verdicts: Mapping[str, str]

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

    A scan counts as flagged by the threshold that was in force when it was reviewed. rate: of the random sample.
    """
    scans = _scans(_reviews(session, checkpoint, since, until))
    flagged = [scan.fractured for scan in scans if scan.flagged and scan.fractured is not None]
    sampled = [scan.fractured for scan in scans if scan.sampled and scan.fractured is not None]
    pairs = _agreement(scans)
    return Measured(
        checkpoint=checkpoint,
        since=since,
        until=until,
        reviews=sum(len(scan.verdicts) for scan in scans),
        ppv=Rate(sum(flagged), len(flagged)),
        sampled=Rate(sum(sampled), len(sampled)),
        sensitivity=Sensitivity(sum(flagged), sum(sampled), rate),
        undecided=sum(scan.fractured is None for scan in scans),
        agreement=pairs,
        agreed=Rate(sum(pair.raw.hits for pair in pairs), sum(pair.raw.scans for pair in pairs)),
    )


def _reviews(session: Session, checkpoint: str, since: datetime | None, until: datetime | None) -> Iterable[Any]:
    statement = (
        select(Review.scan_id, Review.reader, Review.verdict, Review.probability, Review.threshold, Review.sampled)
        .where(Review.checkpoint_id == checkpoint, Review.withdrawn_at.is_(None))
        .order_by(Review.id)
    )
    if since is not None:
        statement = statement.where(Review.reviewed_at >= since)
    if until is not None:
        statement = statement.where(Review.reviewed_at < until)
    return session.execute(statement.execution_options(yield_per=1000))


def _scans(rows: Iterable[Any]) -> list[_Scan]:
    """Each scan with the latest verdict of each reader, and with how it stood at its first review."""
    first: dict[str, tuple[bool, bool]] = {}
    verdicts: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        first.setdefault(row.scan_id, (row.probability >= row.threshold, row.sampled))
        verdicts[row.scan_id][row.reader] = row.verdict
    return [_Scan(*first[scan], said) for scan, said in verdicts.items()]


def _agreement(scans: Iterable[_Scan]) -> list[Agreement]:
    tables: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for scan in scans:
        decided = {name: said == FRACTURE for name, said in scan.verdicts.items() if said in (FRACTURE, NO_FRACTURE)}
        for one, other in combinations(sorted(decided), 2):
            place = 2 * (not decided[one]) + (not decided[other])
            tables[one, other][place] += 1
    pairs = [Agreement(readers, *table) for readers, table in tables.items()]
    return sorted(pairs, key=lambda pair: (-pair.raw.scans, pair.readers))
