"""What every inference engine promises, and the choice between them.

Engines are imported only when chosen: a CPU worker never loads torch, a GPU worker never loads OpenVINO.
"""

import ctypes
import importlib.util
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from screening.inference.bundle import Bundle

EngineKind = Literal["auto", "openvino", "torch"]
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


@dataclass(frozen=True)
class Predictions:
    """What an engine says about a batch, in the batch's order."""

    probabilities: NDArray[np.float32]
    """(n,) probability of a fracture, 0 to 1."""
    maps: NDArray[np.float32]
    """(n, h, w) class activation maps in logit units: their mean over positions plus the bias is the logit."""


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

        Raises ValueError for a batch of another shape or type, NotFiniteError when rows have no answer.
        """


def open_engine(kind: EngineKind, bundle: Bundle, form: str, threads: int = 0) -> Engine:
    """Load one form of a bundle into an engine.

    kind: `auto` takes torch for the fp32 form where CUDA works, OpenVINO otherwise.
    threads: CPU threads; 0 means every core that this process may use.
    Raises EngineError when the engine or the form is missing, BundleError when the bundle's files are not usable.
    """
    if form not in bundle.forms:
        raise EngineError(f"{bundle.name} has no form {form}; choose one of {', '.join(sorted(bundle.forms))}")
    if threads < 0:
        raise EngineError(f"{threads} threads are not possible; give a positive number, or 0 for every usable core")
    threads = threads or usable_cores()
    if kind == "torch" or (kind == "auto" and form == "fp32" and _cuda_works()):
        if form != "fp32":
            raise EngineError(f"the torch engine runs the form fp32, not {form}; activate that form or use openvino")
        _require(("torch", "torchvision"), "torch", "install the extra `gpu`, or set the engine to openvino")
        try:
            from screening.inference.torch_engine import TorchEngine
        except (ImportError, OSError) as error:
            raise EngineError(f"torch is installed here but does not load ({error}); install it again") from error
        return TorchEngine(bundle, threads)
    if kind not in ("auto", "openvino"):
        raise EngineError(f"there is no engine {kind}; choose auto, openvino or torch")
    _require(("openvino",), "openvino", "install this package with its dependencies, or set the engine to torch")
    from screening.inference.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(bundle, form, threads)


def usable_cores() -> int:
    """Cores that this process may use: its affinity, further limited by a container's CPU quota (cgroup 1 and 2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota(Path("/sys/fs/cgroup"))
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


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


def _require(packages: Sequence[str], engine: str, next_step: str) -> None:
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise EngineError(f"the {engine} engine needs {' and '.join(missing)}, not installed here; {next_step}")


def _cuda_works() -> bool:
    """Whether torch can use a GPU, found out without loading torch where there is no driver."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("torchvision") is None:
        return False
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    import torch

    return bool(torch.cuda.is_available())


def _cgroup_quota(root: Path) -> float | None:
    """CPUs that a container may use, or None where there is no quota."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (root / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return None if quota in ("max", "-1") else int(quota) / int(period)
