"""What every inference engine promises, and what they share in keeping the promise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Precision = Literal["fp32", "half", "int8"]


class EngineError(Exception):
    """An engine that cannot be opened here; the message says what is missing and what to do."""


class NotFiniteError(Exception):
    """The network's answer for some rows of a batch is not a number."""

    def __init__(self, rows: Sequence[int]) -> None:
        self.rows = tuple(rows)
        """Positions in the batch, from 0. The other rows were answered and can be screened again without these."""
        named = ", ".join(str(row) for row in self.rows)
        super().__init__(f"the network gave no number for row {named} of the batch; screen the others without it")


class OutOfDeviceMemory(Exception):
    """A batch does not fit into the memory of the device; a smaller one may."""


@dataclass(frozen=True)
class Predictions:
    """What an engine says about a batch, in the batch's order."""

    probabilities: NDArray[np.float32]
    """(n,) probability of a fracture, 0 to 1."""
    maps: NDArray[np.float32]
    """(n, h, w) class activation maps in logit units: the logit is their mean over positions, plus `pool.peak` times
    their largest value, plus the bias."""


class Engine(Protocol):
    """A checkpoint form ready to screen. For one thread at a time; `predict` lets other threads run meanwhile."""

    @property
    def name(self) -> str:
        """`openvino` or `torch`."""

    @property
    def device(self) -> str:
        """What it runs on, for people."""

    @property
    def side(self) -> int:
        """Side of the square input in pixels."""

    @property
    def precision(self) -> Precision:
        """Arithmetic in use; it decides how closely golden tensors must be reproduced."""

    def predict(self, batch: NDArray[np.uint8]) -> Predictions:
        """Screen (n, side, side) uint8 renditions, n >= 1.

        Raises ValueError for a batch of another shape or type, NotFiniteError when rows have no answer,
        OutOfDeviceMemory when the batch is too large for the device; then the engine can be used on.
        """


def check_batch(batch: NDArray[np.uint8], side: int) -> None:
    """Raise ValueError unless the batch is (n, side, side) uint8 with n >= 1."""
    if batch.dtype != np.uint8 or batch.ndim != 3 or batch.shape[1:] != (side, side) or not len(batch):
        raise ValueError(
            f"a batch of {batch.dtype} {batch.shape} was given; this checkpoint takes uint8 (n, {side}, {side}), n >= 1"
        )


def to_predictions(logits: NDArray[np.float32], maps: NDArray[np.float32], count: int) -> Predictions:
    """Turn an engine's raw outputs into predictions for `count` rows; wrong counts and non-numbers are refused."""
    if logits.shape != (count,) or maps.ndim != 3 or len(maps) != count:
        raise ValueError(
            f"{count} renditions gave logits {logits.shape} and maps {maps.shape}; export the checkpoint again"
        )
    unusable = ~(np.isfinite(logits) & np.isfinite(maps).all(axis=(1, 2)))
    if unusable.any():
        raise NotFiniteError([int(row) for row in np.flatnonzero(unusable)])
    # A logit under -709 makes exp infinite and the probability 0, which is what it should be.
    with np.errstate(over="ignore"):
        probabilities = 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))
    return Predictions(probabilities.astype(np.float32), np.ascontiguousarray(maps, np.float32))
