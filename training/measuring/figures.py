"""Figures of merit of a ranking, in plain numpy: what training selects by and what evaluation reports.

Scans are sorted once; a measure is then taken under any number of weightings of the scans at a time, so that a
thousand bootstrap draws cost a few matrix sums. scikit-learn, which measures one weighting at a time, checks the
figures in the tests.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDING = 1e-9
"""Slack in "at least", so that 0.9 x 10 counts as 9."""


@dataclass(frozen=True)
class Sweep:
    """What every distinct threshold flags, from the highest threshold down, under d weightings of the scans.

    Each measure gives one figure for each weighting, (d,); nan where a weighting leaves out a class.
    """

    hits: NDArray[np.float64]
    """(d, thresholds): weight of the fractured scans at or over the threshold"""
    alarms: NDArray[np.float64]
    """(d, thresholds): weight of the other scans at or over the threshold"""

    @property
    def sensitivity(self) -> NDArray[np.float64]:
        return _share(self.hits, self.hits[:, -1:])

    @property
    def false_positive_rate(self) -> NDArray[np.float64]:
        return _share(self.alarms, self.alarms[:, -1:])

    @property
    def precision(self) -> NDArray[np.float64]:
        """0 at thresholds that flag nothing."""
        return np.nan_to_num(_share(self.hits, self.hits + self.alarms))

    def roc_auc(self) -> NDArray[np.float64]:
        """Area under the ROC curve: the chance that a fractured scan scores over one that is not; ties count half."""
        gained = np.diff(self.hits, prepend=0.0, axis=1)
        area = (np.diff(self.alarms, prepend=0.0, axis=1) * (self.hits - gained / 2)).sum(1)
        return _share(area, self.hits[:, -1] * self.alarms[:, -1])

    def average_precision(self) -> NDArray[np.float64]:
        """Sum over thresholds of precision times the gain in recall (no interpolation)."""
        gained = np.diff(self.hits, prepend=0.0, axis=1)
        return self._valid(_share((self.precision * gained).sum(1), self.hits[:, -1]))

    def precision_at_recall(self, recall: float) -> NDArray[np.float64]:
        """The best precision among thresholds that reach this recall."""
        return self._valid(np.where(self._reaches(recall), self.precision, 0.0).max(1))

    def recall_at_precision(self, precision: float) -> NDArray[np.float64]:
        """The best recall among thresholds that reach this precision; 0 if none does."""
        reached = np.where(self.precision >= precision - ROUNDING, self.hits, 0.0).max(1)
        return self._valid(_share(reached, self.hits[:, -1]))

    def specificity_at(self, sensitivity: float) -> NDArray[np.float64]:
        """The specificity of the highest threshold that reaches this sensitivity on these very scans."""
        first = self._reaches(sensitivity).argmax(1)
        return self._valid(1 - self.false_positive_rate[np.arange(len(first)), first])

    def _reaches(self, sensitivity: float) -> NDArray[np.bool_]:
        reaches: NDArray[np.bool_] = self.hits >= sensitivity * self.hits[:, -1:] - ROUNDING
        return reaches

    def _valid(self, figures: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where((self.hits[:, -1] > 0) & (self.alarms[:, -1] > 0), figures, np.nan)


MEASURES: dict[str, Callable[[Sweep], NDArray[np.float64]]] = {
    "auc": Sweep.roc_auc,
    "average_precision": Sweep.average_precision,
    "precision_at_recall_75": lambda sweep: sweep.precision_at_recall(0.75),
    "recall_at_precision_49": lambda sweep: sweep.recall_at_precision(0.49),
    "specificity_at_sensitivity_90": lambda sweep: sweep.specificity_at(0.90),
}
"""The five measures that every ranking is reported with, by their names in cards and JSON."""


def sweep(scores: ArrayLike, fractured: ArrayLike, weights: NDArray[np.float64] | None = None) -> Sweep:
    """Sort n scans by falling score, merge ties, and count. weights: (d, n), how often each scan counts; else once."""
    values, labels = np.asarray(scores, np.float64), np.asarray(fractured, np.bool_)
    order = np.argsort(-values, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    counted = np.ones((1, len(values))) if weights is None else weights[:, order]
    return Sweep(
        hits=np.cumsum(counted * labels[order], axis=1)[:, last_of_tie],
        alarms=np.cumsum(counted * ~labels[order], axis=1)[:, last_of_tie],
    )


def roc_auc(scores: ArrayLike, fractured: ArrayLike) -> float:
    return float(sweep(scores, fractured).roc_auc()[0])


def average_precision(scores: ArrayLike, fractured: ArrayLike) -> float:
    return float(sweep(scores, fractured).average_precision()[0])


def specificity_at(scores: ArrayLike, fractured: ArrayLike, sensitivity: float) -> float:
    return float(sweep(scores, fractured).specificity_at(sensitivity)[0])


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        share: NDArray[np.float64] = part / whole
    return share
