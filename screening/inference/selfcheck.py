"""Before it serves, an engine reproduces the golden tensors of its checkpoint, or it is refused."""

from dataclasses import dataclass

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from screening.inference.bundle import GOLDEN, Bundle, BundleError
from screening.inference.engine import Engine, Precision

PROBABILITY_TOLERANCE: dict[Precision, float] = {"fp32": 1e-3, "half": 1e-2, "int8": 2e-2}
"""Largest allowed difference in probability.

fp32 differs only by the order of sums: under 1e-5 between engines and instruction sets. half keeps 11 bits through 18
layers. int8 saturates differently on CPUs without VNNI instructions: 0.013 measured between AVX2 and AVX512-VNNI.
"""
MAP_TOLERANCE: dict[Precision, float] = {"fp32": 1e-2, "half": 5e-2, "int8": 0.25}
"""Largest allowed difference of a map's cell, as a share of the golden maps' largest magnitude.

Wider than for probabilities, which average the cells; a flipped, shifted or mis-scaled map is still far over it.
"""


@dataclass(frozen=True)
class SelfCheck:
    """How closely an engine reproduced the golden tensors."""

    difference: float
    """Largest difference in probability."""
    map_difference: float
    """Largest difference of a map's cell, as a share of the golden maps' largest magnitude."""
    renditions: int


def check_against_golden(engine: Engine, bundle: Bundle, form: str) -> SelfCheck:
    """Run the golden renditions through the engine. Raises BundleError when the answers differ too much."""
    try:
        golden = load_file(bundle.folder / GOLDEN)
        renditions = golden["renditions"]
        probabilities, maps = golden[f"{form}.probabilities"], golden[f"{form}.maps"]
    except (OSError, KeyError, SafetensorError) as error:
        raise BundleError(f"{bundle.folder / GOLDEN} is not usable ({error!r}); export the bundle again") from error
    try:
        answer = engine.predict(renditions)
    except ValueError as error:
        raise BundleError(f"{bundle.folder / GOLDEN} does not fit the engine: {error}") from error
    if answer.probabilities.shape != probabilities.shape or answer.maps.shape != maps.shape:
        raise BundleError(
            f"{bundle.folder / GOLDEN} has other shapes than the {engine.name} engine's answer; export again"
        )
    difference = float(np.max(np.abs(answer.probabilities - probabilities)))
    map_difference = float(np.max(np.abs(answer.maps - maps)) / max(float(np.max(np.abs(maps))), 1e-6))
    # Written so that a comparison with something that is not a number counts as a failure.
    if not (
        difference <= PROBABILITY_TOLERANCE[engine.precision] and map_difference <= MAP_TOLERANCE[engine.precision]
    ):
        raise BundleError(
            f"the {engine.name} engine on {engine.device} does not reproduce {bundle.name} ({form}): probabilities "
            f"differ by {difference:.2g}, maps by {map_difference:.2g}; copy the bundle again, or choose another engine"
        )
    return SelfCheck(difference, map_difference, len(renditions))
