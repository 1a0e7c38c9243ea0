"""Small statistics of paired yes-or-no answers, with the standard library alone."""

import math
from statistics import NormalDist

_SIDES_95 = NormalDist().inv_cdf(0.975)


def wilson_interval(successes: float, trials: float) -> tuple[float, float]:
    """95% interval of a proportion (Wilson, JASA 1927). (0, 1) without trials; ValueError for impossible counts.

    Counts may be effective ones of weighted observations, which are no whole numbers.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials is impossible; check the counts")
    if trials == 0:
        return 0.0, 1.0
    share, square = successes / trials, _SIDES_95**2
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = _SIDES_95 / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    # At the ends the formula gives exactly 0 and 1 but for rounding.
    return (max(0.0, middle - half) if successes else 0.0), (min(1.0, middle + half) if successes < trials else 1.0)


def cohens_kappa(both: int, only_before: int, only_after: int, neither: int) -> float | None:
    """Agreement beyond chance (Cohen, 1960), from -1 to 1. None where chance alone explains everything."""
    total = both + only_before + only_after + neither
    if total == 0:
        return None
    agreed = (both + neither) / total
    before, after = (both + only_before) / total, (both + only_after) / total
    chance = before * after + (1 - before) * (1 - after)
    return None if chance == 1 else (agreed - chance) / (1 - chance)
