"""Subgroups: the same ranking and threshold within body parts, views, sizes and the like, with counts and intervals."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.manifest import Example
from training.measuring.bootstrap import interval_95, share_interval
from training.measuring.figures import sweep
from training.measuring.operating_point import clopper_pearson_lower
from training.measuring.points import none_if_nan

LARGE_OVER = 500
"""Pixels of the longest side. In FracAtlas large files are rare and more often fractured: a hint to look out for."""
TRAITS = {
    "hardware": "hardware",
    "frontal": "view: frontal",
    "lateral": "view: lateral",
    "oblique": "view: oblique",
    "multiscan": "several scans in one picture",
    "mixed": "several body parts in one picture",
}
"""Columns of the manifest, and what a row of the table is called."""


def subgroup_rows(
    probabilities: NDArray[np.float64],
    examples: Sequence[Example],
    flagged: NDArray[np.bool_],
    weights: NDArray[np.float64],
    sizes: NDArray[np.int64],
) -> list[dict[str, Any]]:
    """AUC, sensitivity and specificity within each subgroup that has scans, all scans first.

    flagged: (n,) at the operating point in question. Fractured scans with so many fractures are ranked against all
    that are not fractured, and have no specificity of their own.
    """
    labels = np.array([e.fractured for e in examples])
    groups = np.array([e.group for e in examples])
    rows = []
    for name, chosen, against_all in _subgroups(examples, labels, sizes):
        if not chosen.any():
            continue
        ranked = chosen | ~labels if against_all else chosen
        score = sweep(probabilities[ranked], labels[ranked])
        drawn = sweep(probabilities[ranked], labels[ranked], weights[:, ranked])
        hits, passed = flagged & labels & chosen, ~flagged & ~labels & chosen
        fractured, others = labels & chosen, ~labels & chosen
        rows.append(
            {
                "subgroup": name,
                "n": int(chosen.sum()),
                "fractured": int(fractured.sum()),
                "groups": len(np.unique(groups[chosen])),
                "auc": none_if_nan(score.roc_auc()[0]),
                "auc_interval_95": interval_95(drawn.roc_auc()),
                "sensitivity": float(hits.sum() / fractured.sum()) if fractured.any() else None,
                "sensitivity_interval_95": share_interval(weights @ hits, weights @ fractured),
                "sensitivity_lower_95": clopper_pearson_lower(int(hits.sum()), int(fractured.sum())),
                "specificity": float(passed.sum() / others.sum()) if others.any() else None,
            }
        )
    return rows


def _subgroups(
    examples: Sequence[Example], labels: NDArray[np.bool_], sizes: NDArray[np.int64]
) -> list[tuple[str, NDArray[np.bool_], bool]]:
    """(name, members (n,), whether its fractured scans are ranked against all that are not fractured)."""

    def those(holds: Callable[[Example], bool]) -> NDArray[np.bool_]:
        return np.array([holds(example) for example in examples])

    named = [("all", np.ones(len(examples), np.bool_), False)]
    named += [
        (f"body part: {part}", those(lambda e, part=part: e.body_part == part), False)  # type: ignore[misc]
        for part in sorted({e.body_part for e in examples})
    ]
    named += [(name, those(lambda e, trait=trait: e.traits.get(trait) == "1"), False) for trait, name in TRAITS.items()]  # type: ignore[misc]
    longest = sizes.max(1)
    named += [
        (f"file up to {LARGE_OVER} px", longest <= LARGE_OVER, False),
        (f"file over {LARGE_OVER} px", longest > LARGE_OVER, False),
    ]
    if any("fracture_count" in e.traits for e in examples):
        counts = np.array([int(e.traits.get("fracture_count") or 0) for e in examples])
        named += [
            ("one fracture", labels & (counts == 1), True),
            ("two fractures", labels & (counts == 2), True),
            ("three fractures or more", labels & (counts >= 3), True),
        ]
    return named
