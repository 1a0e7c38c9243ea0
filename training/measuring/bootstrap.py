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
    labels = np.array([e.fractured for e in examples])
    weights = group_weights([e.group for e in examples], draws, seed)
    take = MEASURES[measure]
    a, b = (float(take(sweep(p, labels))[0]) for p in (probabilities_a, probabilities_b))
    drawn = take(sweep(probabilities_a, labels, weights)) - take(sweep(probabilities_b, labels, weights))
    return {"measure": measure, "a": a, "b": b, "difference": a - b, "interval_95": interval_95(drawn)}
