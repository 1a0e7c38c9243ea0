"""Evidence for thresholds: what a form said of scans that did not train it, cut so that no scan is measured by
thresholds that it chose."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from training.data.manifest import Example
from training.data.splits import group_folds
from training.learning.recipe import Recipe
from training.measuring.calibration import Calibration
from training.measuring.points import Point
from training.measuring.ranking import measure_ranking
from training.release.out_of_fold import OutOfFold, shared_calibration
from training.release.thresholds import DEFAULT_POINT, points_from_other_folds

PARTS_OF_A_FOLD = 5
"""Into so many parts, by group, scans are cut that all come from one fold."""


@dataclass(frozen=True)
class Evidence:
    """Outputs of at least two folds or parts, and their scans in the same order."""

    outputs: OutOfFold
    examples: list[Example]
    recipe: Recipe

    @classmethod
    def of(cls, outputs: OutOfFold, known: Sequence[Example], recipe: Recipe) -> "Evidence":
        """Raises ValueError for outputs of scans that are not among the known examples."""
        examples = outputs.examples(known)
        if len(np.unique(outputs.folds)) < 2:
            outputs = replace(outputs, folds=group_folds(examples, PARTS_OF_A_FOLD, recipe.seed))
        return cls(outputs, examples, recipe)

    @property
    def calibration(self) -> Calibration:
        """Over all of these scans."""
        return shared_calibration(self.outputs, self.examples)

    def figures(self, calibration: Calibration) -> dict[str, Any]:
        """Everything that is measured of the calibrated outputs, each scan at thresholds that others chose."""
        probabilities, maps = self.outputs.calibrated(calibration)
        seen = {"maps": maps, "side": self.recipe.rendition_side} if maps.size else {}
        labels = np.array([e.fractured for e in self.examples])
        points: list[Point] = points_from_other_folds(probabilities, labels, self.outputs.folds)
        return measure_ranking(probabilities, self.examples, points, default=DEFAULT_POINT, **seen)
