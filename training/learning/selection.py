"""Which epoch of a run is taken: the latest whose selection score is within one standard error of the best.

A selection part holds a few dozen fractured scans, so that the best of thirty scores is mostly luck. Among epochs that
these scans cannot tell apart, the latest is the one whose rate has come down and whose average is the longest (the
one-standard-error rule of Breiman et al., Classification and Regression Trees, 1984, which takes the simplest there).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.measuring.bootstrap import group_weights
from training.measuring.figures import sweep

SENSITIVITIES = np.linspace(0.80, 0.96, 9)
DRAWS = 200


def specificity_score(
    logits: NDArray[np.float64], fractured: NDArray[np.bool_], groups: Sequence[str]
) -> tuple[float, float]:
    """What epochs are selected by, the mean specificity over target sensitivities 0.80 to 0.96, and its standard error
    over draws of groups.

    The promise to users is a sensitivity, so its price in specificity is what must fall. One target alone hangs on a
    single scan; the mean over neighbouring targets is its smooth form.
    """
    drawn = _mean_specificity(logits, fractured, group_weights(groups, DRAWS))
    return float(_mean_specificity(logits, fractured)[0]), float(np.nanstd(drawn))


def _mean_specificity(
    logits: NDArray[np.float64], fractured: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    every = sweep(logits, fractured, weights)
    return np.mean([every.specificity_at(target) for target in SENSITIVITIES], axis=0)


def selected(history: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The record that is taken; where the best one knows no error of its score, it is that one."""
    best = max(history, key=lambda record: float(record["selection"]))
    error = float(best.get("selection_error", 0.0))
    if not error:
        return best
    return [record for record in history if record["selection"] >= best["selection"] - error][-1]
