"""Drift: how the probabilities of one checkpoint are spread over weeks and sources, against its reference.

The reference is the distribution that the checkpoint's card brings, or else that of the first weeks that together hold
a thousand scans. A scan counts in the week in which it was received (ISO weeks of UTC), whenever it was screened, so
that a new checkpoint has its weeks as soon as the archive is re-screened. Its source is what it came as: the modality
of a DICOM file, which is known once it was decoded, DICOM without one, or a plain picture. Everything is counted in
SQL; a row for each week, source and bin comes back.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Integer, case, cast, func, select
from sqlalchemy.orm import Session

from screening.checkpoints import operating_point
from screening.database.states import WorkState
from screening.database.tables import Checkpoint, Prediction, Rendition, Scan
from screening.radiographs.sniff import Kind
from screening.watching.statistics import BINS, kolmogorov_smirnov, population_stability_index

WEEKS = 13
RECENT_WEEKS = 4
"""The last complete weeks and the present one, over which sources are told apart."""
FEWEST_SCANS = 200
FEWEST_IN_REFERENCE = 1000
PSI_LIMIT = 0.2
"""Between 0.1 and 0.25 a shift is commonly called moderate, over it large (Siddiqi 2006). By chance alone the index is
about (1/n + 1/m) times a chi-square value with 9 degrees of freedom (Yurdakul and Naranjo, Journal of Risk Model
Validation 2020): with 200 scans against a thousand it passes 0.2 about once in 8,500 weeks."""
PICTURES = "picture"
DICOM = "dicom"
"""DICOM files whose modality is not known: it is read with the picture, so one that is rejected has none."""
EVERYTHING = "all"

ReferenceOrigin = Literal["card", "first weeks"]


@dataclass
class Spread:
    """Scans of one week or source: the histogram of their probabilities, and how many were flagged or rejected."""

    counts: list[int] = field(default_factory=lambda: [0] * BINS)
    flagged: int = 0
    rejected: int = 0

    @property
    def screened(self) -> int:
        return sum(self.counts)

    @property
    def flag_rate(self) -> float | None:
        return self.flagged / self.screened if self.screened else None

    @property
    def rejected_rate(self) -> float | None:
        """Of the scans that a picture was to be made of, those that could not be decoded."""
        tried = self.screened + self.rejected
        return self.rejected / tried if tried else None

    def add(self, other: "Spread") -> None:
        self.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        self.flagged += other.flagged
        self.rejected += other.rejected


@dataclass(frozen=True)
class Watched:
    """One row of the watch. psi and ks are None without a reference, for its own weeks, and under 200 scans."""

    name: str
    """The Monday of a week (2026-11-16), or a source: CR, DX, RG, "picture" for what is not DICOM, "dicom" for what is
    and tells no modality, "all" for all."""
    screened: int
    flag_rate: float | None
    rejected_rate: float | None
    psi: float | None
    ks: float | None
    in_reference: bool
    """Whether these scans are those that the reference was learned from."""

    @property
    def drifts(self) -> bool:
        return self.psi is not None and self.psi > PSI_LIMIT


@dataclass(frozen=True)
class Drift:
    checkpoint: str
    threshold: float
    reference: ReferenceOrigin | None
    weeks: list[Watched]
    """The latest first; weeks without a scan are left out."""
    sources: list[Watched]
    """Of the recent weeks; "all" first, then by number of scans."""

    @property
    def warnings(self) -> list[str]:
        """A sentence for the latest week that could be compared and for each source, if it drifts; else empty."""
        compared = [week for week in self.weeks if week.psi is not None]
        said = [_warning(f"the week of {week.name}", week) for week in compared[:1] if week.drifts]
        return said + [_warning(_source_words(row.name), row) for row in self.sources if row.drifts]


def watch(session: Session, now: datetime) -> Drift | None:
    """The drift of the active checkpoint over the last 13 weeks. None where no checkpoint was registered yet."""
    checkpoint = session.scalar(select(Checkpoint).where(Checkpoint.active))
    if checkpoint is None:
        return None
    threshold = operating_point(session, checkpoint.id).threshold
    mondays = [_monday(now) - timedelta(weeks=back) for back in range(WEEKS)]
    histogram, origin, learned_until = _reference(session, checkpoint, mondays[0])
    by_week: dict[int, Spread] = defaultdict(Spread)
    by_source: dict[str, Spread] = defaultdict(Spread)
    spreads = _spreads(session, checkpoint, threshold, mondays)
    # What the reference was learned from is no news about it, so sources are counted from later weeks where there are.
    later = {week for week, _ in spreads if week <= RECENT_WEEKS and not _before(mondays[week], learned_until)}
    recent = later or set(range(RECENT_WEEKS + 1))
    for (week, source), spread in spreads.items():
        by_week[week].add(spread)
        if week in recent:
            by_source[source].add(spread)
            by_source[EVERYTHING].add(spread)
    return Drift(
        checkpoint=checkpoint.id,
        threshold=threshold,
        reference=origin,
        weeks=[
            _watched(f"{mondays[week]:%Y-%m-%d}", by_week[week], histogram, _before(mondays[week], learned_until))
            for week in sorted(by_week)
        ],
        sources=[
            _watched(name, by_source[name], histogram, not later)
            for name in sorted(by_source, key=lambda name: (name != EVERYTHING, -by_source[name].screened, name))
        ],
    )


def card_histogram(checkpoint: Checkpoint) -> list[float] | None:
    """`score_distribution.shares` of the form's part of the card: shares of equally wide bins from 0 to 1.

    Their number divides 200; each is spread evenly over its part of the 200 bins. None where the card has none.
    """
    forms = checkpoint.card.get("forms", {})
    shares: Sequence[float] = forms.get(checkpoint.form, {}).get("score_distribution", {}).get("shares", [])
    if not shares or BINS % len(shares) or sum(shares) <= 0:
        return None
    finer = BINS // len(shares)
    return [share / finer for share in shares for _ in range(finer)]


def _reference(
    session: Session, checkpoint: Checkpoint, this_monday: datetime
) -> tuple[list[float] | None, ReferenceOrigin | None, datetime | None]:
    """(histogram, where it comes from, until when scans were counted for it): the card's, or of the first weeks.

    The first weeks are fixed once they are over, so that a slow drift does not become its own reference.
    """
    carded = card_histogram(checkpoint)
    if carded:
        return carded, "card", None
    screened = (
        select(Scan.received_at)
        .join(Prediction, Prediction.scan_id == Scan.id)
        .where(Prediction.checkpoint_id == checkpoint.id)
    )
    enough_at = session.scalar(screened.order_by(Scan.received_at).offset(FEWEST_IN_REFERENCE - 1).limit(1))
    if enough_at is None or enough_at >= this_monday:
        return None, None, None
    until = _monday(enough_at) + timedelta(weeks=1)
    counts = [0.0] * BINS
    binned = screened.with_only_columns(score_bin(session, Prediction.probability).label("part"), func.count())
    for part, scans in session.execute(binned.where(Scan.received_at < until).group_by("part")):
        counts[part] = scans
    return counts, "first weeks", until


def _before(monday: datetime, learned_until: datetime | None) -> bool:
    return learned_until is not None and monday < learned_until


def _watched(name: str, spread: Spread, reference: Sequence[float] | None, in_reference: bool) -> Watched:
    compared = reference if spread.screened >= FEWEST_SCANS and not in_reference else None
    return Watched(
        name=name,
        screened=spread.screened,
        flag_rate=spread.flag_rate,
        rejected_rate=spread.rejected_rate,
        psi=population_stability_index(compared, spread.counts) if compared else None,
        ks=kolmogorov_smirnov(compared, spread.counts) if compared else None,
        in_reference=in_reference,
    )


def _spreads(
    session: Session, checkpoint: Checkpoint, threshold: float, mondays: Sequence[datetime]
) -> dict[tuple[int, str], Spread]:
    """By (weeks ago, source). Two statements; at most a row for each week, source and bin."""
    week = case(*((Scan.received_at >= monday, back) for back, monday in enumerate(mondays))).label("week")
    without = case((Scan.media_type == Kind.DICOM.media_type, DICOM), else_=PICTURES)
    source = func.coalesce(func.nullif(Scan.modality, ""), without).label("source")
    spreads: dict[tuple[int, str], Spread] = defaultdict(Spread)
    part = score_bin(session, Prediction.probability).label("part")
    flagged = func.sum(case((Prediction.probability >= threshold, 1), else_=0)).label("flagged")
    scored = (
        select(week, source, part, func.count().label("scans"), flagged)
        .join(Prediction, Prediction.scan_id == Scan.id)
        .where(Prediction.checkpoint_id == checkpoint.id, Scan.received_at >= mondays[-1])
        .group_by("week", "source", "part")
    )
    for row in session.execute(scored):
        spread = spreads[row.week, row.source]
        spread.counts[row.part] += row.scans
        spread.flagged += row.flagged
    rejected = (
        select(week, source, func.count().label("scans"))
        .join(Rendition, Rendition.scan_id == Scan.id)
        .where(
            Rendition.spec == checkpoint.rendition_spec,
            Rendition.state == WorkState.REJECTED,
            Scan.received_at >= mondays[-1],
        )
        .group_by("week", "source")
    )
    for row in session.execute(rejected):
        spreads[row.week, row.source].rejected += row.scans
    return spreads


def score_bin(session: Session, probability: Any) -> ColumnElement[int]:
    """The bin of a probability. A cast to an integer cuts in SQLite and rounds in PostgreSQL, which has floor."""
    scaled = probability * BINS
    cut = cast(scaled if session.get_bind().dialect.name == "sqlite" else func.floor(scaled), Integer)
    return case((probability >= 1, BINS - 1), else_=cut)


def _monday(now: datetime) -> datetime:
    """The beginning of the ISO week of UTC that this moment lies in."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


def _source_words(source: str) -> str:
    recent = f"the last {RECENT_WEEKS} weeks"
    if source == EVERYTHING:
        return recent
    if source == DICOM:
        return f"the DICOM files without a modality of {recent}"
    return f"the plain pictures of {recent}" if source == PICTURES else f"the {source} files of {recent}"


def _warning(what: str, row: Watched) -> str:
    return (
        f"The {row.screened:,} scans of {what} are not scored as the reference was: the population stability index is "
        f"{row.psi:.2f}, over {PSI_LIMIT:g}. Look at some of these scans, and do not rely on the promised sensitivity "
        "for them until you know why."
    )
