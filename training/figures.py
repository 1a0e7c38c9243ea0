"""Figures of merit of a ranking, in plain numpy: what training selects by and what evaluation reports."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def roc_auc(scores: ArrayLike, fractured: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a fractured scan scores over one that is not; ties count half."""
    values, labels = np.asarray(scores, np.float64), np.asarray(fractured, np.bool_)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive, negative = int(labels.sum()), int((~labels).sum())
    return float((ranks[labels].sum() - positive * (positive + 1) / 2) / (positive * negative))


def precision_recall(scores: ArrayLike, fractured: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(precision, recall) at every distinct threshold, from the highest threshold down."""
    values, labels = np.asarray(scores, np.float64), np.asarray(fractured, np.bool_)
    order = np.argsort(-values, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    hits = np.cumsum(labels[order])[last_of_tie]
    return hits / (last_of_tie + 1), hits / labels.sum()


def average_precision(scores: ArrayLike, fractured: ArrayLike) -> float:
    """Sum over thresholds of precision times the gain in recall (no interpolation)."""
    precision, recall = precision_recall(scores, fractured)
    return float((precision * np.diff(recall, prepend=0.0)).sum())


def specificity_at(scores: ArrayLike, fractured: ArrayLike, sensitivity: float) -> float:
    """The specificity of the highest threshold that reaches this sensitivity on these very scans."""
    values, labels = np.asarray(scores, np.float64), np.asarray(fractured, np.bool_)
    positive = np.sort(values[labels])[::-1]
    threshold = positive[int(np.ceil(sensitivity * len(positive) - 1e-9)) - 1]
    return float((values[~labels] < threshold).mean())


def precision_at_recall(scores: ArrayLike, fractured: ArrayLike, recall: float) -> float:
    """The best precision among thresholds that reach this recall."""
    precisions, recalls = precision_recall(scores, fractured)
    return float(precisions[recalls >= recall - 1e-9].max())


def recall_at_precision(scores: ArrayLike, fractured: ArrayLike, precision: float) -> float:
    """The best recall among thresholds that reach this precision; 0 if none does."""
    precisions, recalls = precision_recall(scores, fractured)
    reached = recalls[precisions >= precision - 1e-9]
    return float(reached.max()) if len(reached) else 0.0


SELECTION_SENSITIVITIES = np.linspace(0.80, 0.96, 9)


def selection_score(scores: ArrayLike, fractured: ArrayLike) -> float:
    """What epochs are selected by: the mean specificity over target sensitivities 0.80 to 0.96.

    The promise to users is a sensitivity, so its price in specificity is what must fall. One target alone hangs on a
    single scan when some sixty fractured ones are at hand; the mean over neighbouring targets is its smooth form.
    """
    return float(np.mean([specificity_at(scores, fractured, s) for s in SELECTION_SENSITIVITIES]))
