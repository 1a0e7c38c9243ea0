"""Small statistics of paired yes-or-no answers, with the standard library alone."""

import math
from statistics import NormalDist

_SIDES_95 = NormalDist().inv_cdf(0.975)


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95% interval of a proportion (Wilson, JASA 1927). (0, 1) without trials; ValueError for impossible counts."""
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials is impossible; check the counts")
    if trials == 0:
        return 0.0, 1.0
    share, square = successes / trials, _SIDES_95**2
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = _SIDES_95 / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    # At the ends the formula gives exactly 0 and 1 but for rounding.
    return (max(0.0, middle - half) if successes else 0.0), (min(1.0, middle + half) if successes < trials else 1.0)


def mcnemar_exact(only_before: int, only_after: int) -> float:
    """Two-sided exact p-value of McNemar's test (Psychometrika 1947).

    The arguments count the scans that only one of the two was right about. Without a difference, both would be right
    alone equally often, so the smaller count follows Binomial(their sum, 1/2). 1 where there is no such scan.
    """
    if only_before < 0 or only_after < 0:
        raise ValueError("counts cannot be negative; check them")
    trials, smaller = only_before + only_after, min(only_before, only_after)
    # Summed in logarithms: the binomial coefficients of thousands of scans fit no float.
    constant = math.lgamma(trials + 1) - trials * math.log(2)
    tail = math.fsum(math.exp(constant - math.lgamma(k + 1) - math.lgamma(trials - k + 1)) for k in range(smaller + 1))
    return min(1.0, 2 * tail)


def cohens_kappa(both: int, only_before: int, only_after: int, neither: int) -> float | None:
    """Agreement beyond chance (Cohen, 1960), from -1 to 1. None where chance alone explains everything."""
    total = both + only_before + only_after + neither
    if total == 0:
        return None
    agreed = (both + neither) / total
    before, after = (both + only_before) / total, (both + only_after) / total
    chance = before * after + (1 - before) * (1 - after)
    return None if chance == 1 else (agreed - chance) / (1 - chance)
