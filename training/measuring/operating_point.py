"""Operating points: choosing thresholds for a target, and the exact bound of what was reached."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def choose_threshold(probabilities: ArrayLike, fractured: ArrayLike, target_sensitivity: float) -> float:
    """The highest threshold that flags at least the target share of the fractured scans.

    A scan is flagged when its probability is at or over the threshold. The threshold lies halfway between the lowest
    probability that must be flagged and the next lower one seen, so that rounding on another device does not tip a
    scan. Raises ValueError without fractured scans, for a target outside (0, 1], or for probabilities not in [0, 1].
    """
    values, labels = _checked(probabilities, fractured)
    if not 0 < target_sensitivity <= 1:
        raise ValueError(f"target sensitivity {target_sensitivity} is out of range; choose a value over 0, at most 1")
    positive = np.sort(values[labels])[::-1]
    if not len(positive):
        raise ValueError("no fractured scan is among these; a threshold for a sensitivity needs some")
    needed = math.ceil(target_sensitivity * len(positive) - 1e-9)
    lowest_flagged = float(positive[needed - 1])
    below = values[values < lowest_flagged]
    return (lowest_flagged + (float(below.max()) if len(below) else 0.0)) / 2


def choose_likely_threshold(probabilities: ArrayLike, fractured: ArrayLike, target_specificity: float = 0.95) -> float:
    """The lowest threshold under which at least the target share of the scans that are not fractured stays.

    It lies halfway between the highest probability that must stay under it and the next higher one seen. Raises
    ValueError without scans that are not fractured, for a target outside (0, 1], for probabilities not in [0, 1], and
    where so many scans that are not fractured have probability 1 that no threshold can reach the target.
    """
    values, labels = _checked(probabilities, fractured)
    if not 0 < target_specificity <= 1:
        raise ValueError(f"target specificity {target_specificity} is out of range; choose a value over 0, at most 1")
    negative = np.sort(values[~labels])
    if not len(negative):
        raise ValueError("every scan among these is fractured; a threshold for a specificity needs some that are not")
    highest_under = float(negative[math.ceil(target_specificity * len(negative) - 1e-9) - 1])
    if highest_under == 1:
        raise ValueError(f"no threshold reaches specificity {target_specificity} here; choose a lower target")
    above = values[values > highest_under]
    return (highest_under + (float(above.min()) if len(above) else 1.0)) / 2


def clopper_pearson_lower(successes: int, trials: int, confidence: float = 0.95) -> float:
    """Exact one-sided lower confidence bound of a proportion (Clopper and Pearson, Biometrika 1934).

    It is the p at which seeing this many successes or more has probability 1 - confidence. 0 for no success or trial.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials is impossible; check the counts")
    if successes == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _upper_tail(successes, trials, middle) > 1 - confidence:
            high = middle
        else:
            low = middle
    return low


def _upper_tail(successes: int, trials: int, p: float) -> float:
    """P(X >= successes) for X ~ Binomial(trials, p), summed in logarithms."""
    if p <= 0 or p >= 1:
        return float(p >= 1 or successes == 0)
    log_p, log_q = math.log(p), math.log1p(-p)
    constant = math.lgamma(trials + 1)
    return math.fsum(
        math.exp(constant - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * log_p + (trials - k) * log_q)
        for k in range(successes, trials + 1)
    )


def _checked(probabilities: ArrayLike, fractured: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, labels = np.asarray(probabilities, np.float64), np.asarray(fractured, np.bool_)
    if values.ndim != 1 or values.shape != labels.shape:
        raise ValueError(f"probabilities {values.shape} and labels {labels.shape} must be equally long lists")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("probabilities must lie between 0 and 1")
    return values, labels
