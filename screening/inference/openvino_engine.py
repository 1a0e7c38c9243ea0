"""The OpenVINO engine for CPUs: one stream that takes a batch in small parts.

Measured with ResNet-18 at 256 px, fp32, on 2 cores: every arrangement costs 28-30 ms of CPU per image, be it one
stream of two threads or two streams, dynamic or fixed shapes, parts of 4 to 32. Hence the arrangement is chosen for
other reasons. One stream, because OpenVINO 2026.4 answers wrongly when a graph with filters stored in 8 bits and a
dynamic batch runs on several (a machine with many cores runs several workers instead). Parts of 8 keep activations
small: 0.27 GB resident instead of 0.41 GB. Dynamic shapes need no padding. No pinning leaves room for the prepare
workers on the same machine. Compiling takes 0.1-0.3 s, so compiled models are not cached on disk.
"""

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from screening.inference.bundle import Bundle, BundleError
from screening.inference.engine import Precision, Predictions, check_batch, to_predictions

LARGEST_PART = 8
"""Renditions in one inference call."""


class OpenVinoEngine:
    """One form of a bundle, compiled for this machine's CPU. See the protocol `Engine`."""

    name = "openvino"

    def __init__(self, bundle: Bundle, form: str, threads: int) -> None:
        """threads: how many CPU threads inference may use, at least 1. Raises BundleError for an unusable graph."""
        path = bundle.folder / f"{form}.xml"
        self.side = bundle.rendition.side
        core = ov.Core()
        # Without the hint, CPUs with AVX512-BF16 or AMX silently compute in bf16, and probabilities move by over 1e-3.
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,
        }
        try:
            compiled = core.compile_model(path, "CPU", options)
            self._logits, self._maps = (compiled.output(name) for name in ("logits", "maps"))
            shape = compiled.input("renditions").partial_shape
        except RuntimeError as error:
            raise BundleError(f"OpenVINO cannot use {path} ({error}); export the bundle again") from error
        if not shape.compatible(ov.PartialShape([-1, 1, self.side, self.side])):
            raise BundleError(f"{path} takes {shape}, its card says side {self.side}; export the bundle again")
        self.precision: Precision = "int8" if form == "int8" else "fp32"
        self.device = f"{core.get_property('CPU', 'FULL_DEVICE_NAME')}, {threads} threads"
        self._request = compiled.create_infer_request()

    def predict(self, batch: NDArray[np.uint8]) -> Predictions:
        """See `Engine.predict`."""
        check_batch(batch, self.side)
        logits: list[NDArray[np.float32]] = []
        maps: list[NDArray[np.float32]] = []
        for start in range(0, len(batch), LARGEST_PART):
            self._request.infer({"renditions": batch[start : start + LARGEST_PART, None]})
            # The request reuses its output buffers, hence the copies.
            logits.append(self._request.get_tensor(self._logits).data.copy())
            maps.append(self._request.get_tensor(self._maps).data.copy())
        return to_predictions(np.concatenate(logits), np.concatenate(maps), len(batch))
