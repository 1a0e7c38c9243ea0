"""Running a deployed form (an OpenVINO file) over many renditions, so that figures are measured on what is served."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from screening.inference.openvino_core import openvino_core


class Outputs(NamedTuple):
    """logits (n,) float64 and class activation maps (n, h, w) float32, in logits."""

    logits: NDArray[np.float64]
    maps: NDArray[np.float32]

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(n,)"""
        return 1 / (1 + np.exp(-self.logits))


def run_form(xml: Path, squares: NDArray[np.uint8], batch: int = 16) -> Outputs:
    """Screen square renditions (n, side, side) with the form in this file, in plain 32-bit arithmetic."""
    compiled = openvino_core().compile_model(xml, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    logits, maps = [], []
    for start in range(0, len(squares), batch):
        result = compiled([np.ascontiguousarray(squares[start : start + batch])[:, None]])
        logits.append(result["logits"].copy())
        maps.append(result["maps"].copy())
    return Outputs(np.concatenate(logits).astype(np.float64), np.concatenate(maps))
