"""95% intervals by bootstrap over groups: images of one patient are not independent, so whole groups are drawn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.data.manifest import Example
from training.measuring.figures import MEASURES, sweep

DRAWS = 1000


def group_weights(groups: Sequence[str], draws: int = DRAWS, seed: int = 0) -> NDArray[np.float64]:
    """(draws, n): how often each of n images counts when as many groups as there are are drawn with replacement."""
    names, membership = np.unique(groups, return_inverse=True)
    chances = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(seed).multinomial(len(names), chances, size=draws)
    return drawn[:, membership].astype(np.float64)


def interval_95(drawn: NDArray[np.float64]) -> list[float] | None:
    """[low, high], the 2.5 and 97.5 percentiles.

    None where a figure could not be taken in half of the draws, and where all draws agree (7 of 7 are found in every
    draw): resampling shows nothing of what is uncertain there, and a lower bound must be read instead.
    """
    taken = drawn[~np.isnan(drawn)]
    if len(taken) < max(1, len(drawn) / 2) or taken.min() == taken.max():
        return None
    low, high = np.percentile(taken, (2.5, 97.5))
    return [float(low), float(high)]


def share_interval(part: NDArray[np.float64], whole: NDArray[np.float64]) -> list[float] | None:
    """The interval of a ratio whose parts (draws,) were drawn together."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return interval_95(part / whole)


def share_lower_95(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """The one-sided 95% lower bound of ratios: part (..., draws), drawn with whole (draws,), not all 0."""
    drawn = whole > 0
    bound: NDArray[np.float64] = np.percentile(part[..., drawn] / whole[drawn], 5, axis=-1)
    return bound


def paired_difference(
    probabilities_a: ArrayLike,
    probabilities_b: ArrayLike,
    examples: Sequence[Example],
    measure: str = "auc",
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """How much better way a ranks these examples than way b does, with its interval, drawing the same groups for both.

    measure: a name of `MEASURES`. A difference whose interval leaves out 0 is not a matter of which groups were at
    hand; what training anew would change is not in it.
    """
    return paired_differences(probabilities_a, probabilities_b, examples, (measure,), draws, seed)[measure]


def paired_differences(
    probabilities_a: ArrayLike,
    probabilities_b: ArrayLike,
    examples: Sequence[Example],
    measures: Sequence[str] = tuple(MEASURES),
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """`paired_difference` for several measures, over the same draws."""
    labels = np.array([e.fractured for e in examples])
    weights = group_weights([e.group for e in examples], draws, seed)
    both = (probabilities_a, probabilities_b)
    every, drawn = ([sweep(p, labels, w) for p in both] for w in (None, weights))
    found = {}
    for measure in measures:
        take = MEASURES[measure]
        a, b = (float(take(found_by)[0]) for found_by in every)
        interval = interval_95(take(drawn[0]) - take(drawn[1]))
        found[measure] = {"measure": measure, "a": a, "b": b, "difference": a - b, "interval_95": interval}
    return found


def order_measures(
    probabilities: ArrayLike, fractured: ArrayLike, weights: NDArray[np.float64]
) -> tuple[dict[str, float], dict[str, list[float] | None]]:
    """(every measure of `MEASURES`, its interval over these draws of groups)."""
    every, drawn = sweep(probabilities, fractured), sweep(probabilities, fractured, weights)
    values = {name: float(take(every)[0]) for name, take in MEASURES.items()}
    return values, {name: interval_95(take(drawn)) for name, take in MEASURES.items()}
