"""Thresholds to choose from, and what each would mean here: fractures caught by the card, reads by the installation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from screening.card_points import curve_points
from screening.checkpoints import operating_point
from screening.database.tables import Checkpoint, Prediction, Scan
from screening.watching.drift import score_bin
from screening.watching.statistics import BINS

DAYS = 28
_SAME = 1e-9


@dataclass(frozen=True)
class Scores:
    """How a checkpoint scored everything that it has screened here."""

    checkpoint: str
    counts: tuple[int, ...]
    """Scans in BINS bins of equal width from 0 to 1."""
    scans_a_day: float
    """Received a day over the last four weeks, or since the first scan where that is shorter."""

    @property
    def screened(self) -> int:
        return sum(self.counts)

    def share_from(self, threshold: float) -> float | None:
        """The share at or over a threshold; within a bin, scans are taken as evenly spread. None without scans."""
        if not self.screened:
            return None
        place = min(max(threshold, 0.0), 1.0) * BINS
        whole = min(int(place + _SAME), BINS - 1)
        under = [0, *accumulate(self.counts)][whole] + self.counts[whole] * max(0.0, place - whole)
        return max(0.0, 1 - under / self.screened)


@dataclass(frozen=True)
class Choice:
    """A threshold, what the card measured at it, and what it would mean here."""

    threshold: float
    name: str | None
    """Of the card's operating point, or None for a point of its curve."""
    sensitivity: float
    sensitivity_lower_95: float
    specificity: float
    flagged_share: float | None
    more_reads_a_day: float | None
    """Against the threshold in force; negative for fewer."""
    in_force: bool


def scores_of(session: Session, now: datetime, checkpoint: str) -> Scores:
    """Counted in SQL over all predictions of the checkpoint, which is too much for every look at a page."""
    counts = [0] * BINS
    binned = select(score_bin(session, Prediction.probability).label("part"), func.count().label("scans"))
    for row in session.execute(binned.where(Prediction.checkpoint_id == checkpoint).group_by("part")):
        counts[row.part] = row.scans
    since = now - timedelta(days=DAYS)
    lately = session.scalar(select(func.count()).select_from(Scan).where(Scan.received_at > since)) or 0
    first = session.scalar(select(func.min(Scan.received_at))) or now
    days = min(float(DAYS), max(1.0, (now - first) / timedelta(days=1)))
    return Scores(checkpoint, tuple(counts), lately / days)


def choices(session: Session, checkpoint: Checkpoint, scores: Scores) -> Sequence[Choice]:
    """The card's operating points and the points of its curve up to the likely threshold, the highest first.

    Of neighbours that catch the same share, only the highest threshold is offered: it flags least for the same promise.
    """
    form = checkpoint.card["forms"][checkpoint.form]
    point = operating_point(session, checkpoint.id)
    named = {p["threshold"]: p for p in form["operating_points"]}
    curve = [p for p in curve_points(form) if p["threshold"] > 0 and p["threshold"] not in named]
    offered = sorted((*named.values(), *curve), key=lambda p: -p["threshold"])
    here = scores.share_from(point.threshold)
    made: list[Choice] = []
    for measured in offered:
        threshold = measured["threshold"]
        is_kept = threshold in named or threshold == point.threshold
        if threshold > point.likely_threshold or (
            made and not is_kept and measured["sensitivity"] <= made[-1].sensitivity
        ):
            continue
        share = scores.share_from(threshold)
        more = None if share is None or here is None else (share - here) * scores.scans_a_day
        made.append(
            Choice(
                threshold=threshold,
                name=measured.get("name"),
                sensitivity=measured["sensitivity"],
                sensitivity_lower_95=measured["sensitivity_lower_95"],
                specificity=measured["specificity"],
                flagged_share=share,
                more_reads_a_day=more,
                in_force=threshold == point.threshold,
            )
        )
    return made
