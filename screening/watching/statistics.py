"""How far one distribution of probabilities lies from another. Histograms in, standard library only.

A histogram counts probabilities in `BINS` bins of equal width from 0 to 1; the last bin holds 1 as well.
"""

import math
from collections.abc import Sequence
from itertools import accumulate

BINS = 200
PARTS = 10
_HALF = 0.5


def population_stability_index(reference: Sequence[float], counts: Sequence[float]) -> float:
    """PSI of a histogram against a reference one: the sum over ten parts of (share - expected) ln(share / expected).

    The parts hold about a tenth of the reference each, as is usual for it (Siddiqi, Credit Risk Scorecards, 2006).
    Half a scan is added to every part of `counts`, so that an empty one counts as rare and not as infinitely far; the
    reference may be counts or shares. Raises ValueError for histograms of other lengths or without scans.
    """
    _check(reference, counts)
    parts = equal_parts(reference)
    expected, found = _shares(reference, parts, 0), _shares(counts, parts, _HALF)
    return math.fsum((share - rare) * math.log(share / rare) for share, rare in zip(found, expected, strict=True))


def kolmogorov_smirnov(reference: Sequence[float], counts: Sequence[float]) -> float:
    """The largest distance between both cumulative shares, from 0 to 1, looked at between the bins.

    Within a bin it may be larger by at most what the bin holds. Raises ValueError as the index does.
    """
    _check(reference, counts)
    whole, others = sum(reference), sum(counts)
    return max(
        abs(one / whole - other / others) for one, other in zip(accumulate(reference), accumulate(counts), strict=True)
    )


def equal_parts(reference: Sequence[float]) -> list[range]:
    """Neighbouring bins joined into at most ten parts, cut at the tenths of the reference; none of them is empty."""
    tenth = sum(reference) / PARTS
    parts, start = [], 0
    for place, (count, held) in enumerate(zip(reference, accumulate(reference), strict=True)):
        # A little leniency, because tenths are not exact in floating point.
        reached = int(held / tenth + 1e-9)
        if count and reached > int((held - count) / tenth + 1e-9) and reached < PARTS:
            parts.append(range(start, place + 1))
            start = place + 1
    if any(reference[start:]):
        return [*parts, range(start, len(reference))]
    return [*parts[:-1], range(parts[-1].start, len(reference))]


def _shares(counts: Sequence[float], parts: Sequence[range], added: float) -> list[float]:
    held = [sum(counts[place] for place in part) + added for part in parts]
    whole = sum(held)
    return [number / whole for number in held]


def _check(reference: Sequence[float], counts: Sequence[float]) -> None:
    if len(reference) != BINS or len(counts) != BINS:
        raise ValueError(f"a histogram has {BINS} bins; these have {len(reference)} and {len(counts)}")
    if sum(reference) <= 0 or sum(counts) <= 0:
        raise ValueError("a histogram without scans cannot be compared; wait until some are screened")
