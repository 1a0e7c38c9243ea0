"""Out-of-fold outputs: what networks said of the scans that were kept away from them, fold by fold and pooled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from screening.whole_files import whole_file
from training.data.manifest import Example
from training.measuring.calibration import Calibration, fit_calibration


@dataclass(frozen=True)
class OutOfFold:
    """Of n scans: image ids, the fold that kept each away, raw logits (n,), and maps (n, h, w) in the same units.

    A network whose form has no maps leaves them out: (n, 0, 0).
    """

    image_ids: tuple[str, ...]
    folds: NDArray[np.int64]
    logits: NDArray[np.float64]
    maps: NDArray[np.float32]

    @classmethod
    def of_fold(
        cls,
        examples: Sequence[Example],
        fold: int | None,
        logits: NDArray[np.float64],
        maps: NDArray[np.float32] | None = None,
    ) -> "OutOfFold":
        """What was said of the examples that one fold kept away, in their order."""
        count = len(examples)
        maps = np.zeros((count, 0, 0), np.float32) if maps is None else maps
        return cls(tuple(e.image_id for e in examples), np.full(count, fold), logits, maps)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as stream:
            np.savez(stream, ids=np.array(self.image_ids), folds=self.folds, logits=self.logits, maps=self.maps)

    @classmethod
    def load(cls, path: Path) -> "OutOfFold":
        with np.load(path) as held:
            return cls(tuple(held["ids"].tolist()), held["folds"], held["logits"], held["maps"])

    @property
    def largest(self) -> NDArray[np.float64]:
        """(n,) the largest value of each map; 0 where there are no maps."""
        return self.maps.max((1, 2)).astype(np.float64) if self.maps.size else np.zeros(len(self.logits))

    def calibrated(self, calibration: Calibration) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """(probabilities, maps) as the calibrated network would have given them."""
        scaled = calibration.slope * self.logits + calibration.peak * self.largest + calibration.offset
        return 1 / (1 + np.exp(-scaled)), (calibration.slope * self.maps).astype(np.float32)

    def examples(self, known: Sequence[Example]) -> list[Example]:
        """The examples of these scans, in their order. Raises ValueError when one is not among the known ones."""
        by_id = {example.image_id: example for example in known}
        strange = [image_id for image_id in self.image_ids if image_id not in by_id]
        if strange:
            raise ValueError(f"{strange[0]} was cross-validated and is not in this data set; name the same data")
        return [by_id[image_id] for image_id in self.image_ids]


def outputs_path(folder: Path, fold: int, form: str) -> Path:
    return folder / f"fold-{fold}" / f"outputs-{form}.npz"


def finished_folds(folder: Path, form: str, folds: int) -> list[int]:
    """Which folds of a cross-validation in this folder have outputs of this form."""
    return [fold for fold in range(folds) if outputs_path(folder, fold, form).exists()]


def pooled(folder: Path, form: str, folds: int) -> OutOfFold:
    """The outputs of all finished folds. Raises ValueError when there are none, or they are of different splits."""
    held = [OutOfFold.load(outputs_path(folder, fold, form)) for fold in finished_folds(folder, form, folds)]
    if not held:
        raise ValueError(f"{folder} has no fold with outputs of {form}; run training.cross_validate first")
    ids = tuple(image_id for part in held for image_id in part.image_ids)
    if len(set(ids)) != len(ids):
        raise ValueError(f"folds of {folder} share scans, so they are of different splits; start it anew")
    return OutOfFold(
        ids,
        np.concatenate([part.folds for part in held]),
        np.concatenate([part.logits for part in held]),
        np.concatenate([part.maps for part in held]),
    )


def released_calibration(folder: Path, form: str, folds: int, known: Sequence[Example]) -> Calibration:
    """Of a release of these folds, in every form: by what fp32 said, or by this form where there is none."""
    outputs = pooled(folder, "fp32" if finished_folds(folder, "fp32", folds) else form, folds)
    return shared_calibration(outputs, outputs.examples(known))


def shared_calibration(outputs: OutOfFold, examples: Sequence[Example]) -> Calibration:
    """One for all pooled scans: networks of one recipe give logits and maps on one scale."""
    return fit_calibration(outputs.logits, outputs.largest, np.array([e.fractured for e in examples]))
