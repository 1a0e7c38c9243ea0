"""The OpenVINO engine for CPUs: lanes that share the processor's threads and take a batch in small parts.

Every arrangement costs about the same CPU time per image (ResNet-18 at 256 px on 2 cores: one lane of two threads or
two lanes of one, parts of 2 to 8, within 3%). They differ when something else needs a core for a moment, as loading and
recording do: the threads of one lane wait for each other at every layer, while the next part of a batch goes to
whichever lane is free. With a neighbour that takes a tenth of a core, two lanes lost 10% and 7% of their speed in two
runs, one lane of two threads 14% and 8% (int8).

A lane is a compiled model with its own copy of the weights, hence no more than four: streams of one model would share
them, but OpenVINO 2026.4 answers wrongly where a graph with filters stored in 8 bits and a dynamic batch runs on many.
Small parts keep activations small: two fp32 forms take 520 MiB with parts of 2, 576 with parts of 4. Dynamic shapes
need no padding. No pinning leaves room for the prepare workers on the same machine. Compiling takes 0.1-0.3 s, so
compiled models are not cached on disk.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from screening.inference.bundle import Bundle, BundleError
from screening.inference.engine import Precision, Predictions, check_batch, to_predictions
from screening.inference.openvino_core import openvino_core

LARGEST_PART, SMALLEST_PART = 4, 2
"""Renditions in one inference call; the last of a batch may be alone. A lane of one thread takes no more than the
smallest part, as it gains nothing from larger ones."""
MOST_LANES = 4

_BINDINGS = threading.Lock()
"""Held around calls that hand arrays over: in OpenVINO 2026.4, two threads that do so for the first time in a process
can wait for each other for ever, one for the interpreter's lock, one for a value that is made once. Inference itself
goes on outside it."""

Answers = dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Logits and maps of parts of a batch, by the row that a part begins with."""


class OpenVinoEngine:
    """One form of a bundle, compiled for this machine's CPU. See the protocol `Engine`."""

    name = "openvino"

    def __init__(self, bundle: Bundle, form: str, threads: int) -> None:
        """threads: how many CPU threads inference may use, at least 1. Raises BundleError for an unusable graph."""
        self.side = bundle.rendition.side
        path = bundle.folder / f"{form}.xml"
        shares = shared_out(threads)
        self._lanes = [_Lane(path, self.side, share) for share in shares]
        self._largest_part = min(LARGEST_PART, SMALLEST_PART * min(shares))
        self._threads = ThreadPoolExecutor(len(self._lanes), thread_name_prefix="infer")
        self.precision: Precision = "int8" if form == "int8" else "fp32"
        self.device = f"{openvino_core().get_property('CPU', 'FULL_DEVICE_NAME')}, {threads} threads"

    def predict(self, batch: NDArray[np.uint8]) -> Predictions:
        """See `Engine.predict`."""
        check_batch(batch, self.side)
        # An iterator over a list is advanced by one thread at a time, so that each part goes to one lane.
        parts = iter(parts_of(len(batch), len(self._lanes), self._largest_part))
        answers: Answers = {}
        working = [self._threads.submit(lane.answer, batch, parts) for lane in self._lanes]
        wait(working)  # All of them, so that no lane is still at work when one has failed.
        for lane in working:
            answers |= lane.result()
        logits, maps = zip(*(answers[start] for start in sorted(answers)), strict=True)
        return to_predictions(np.concatenate(logits), np.concatenate(maps), len(batch))


class _Lane:
    """One compiled model and its only request."""

    def __init__(self, path: Path, side: int, threads: int) -> None:
        # Without the hint, CPUs with AVX512-BF16 or AMX silently compute in bf16, and probabilities move by over 1e-3.
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,
        }
        try:
            compiled = openvino_core().compile_model(path, "CPU", options)
            self._logits, self._maps = (compiled.output(name) for name in ("logits", "maps"))
            shape = compiled.input("renditions").partial_shape
        except RuntimeError as error:
            raise BundleError(f"OpenVINO cannot use {path} ({error}); export the bundle again") from error
        if not shape.compatible(ov.PartialShape([-1, 1, side, side])):
            raise BundleError(f"{path} takes {shape}, its card says side {side}; export the bundle again")
        self._request = compiled.create_infer_request()

    def answer(self, batch: NDArray[np.uint8], parts: Iterator[slice]) -> Answers:
        """Take part after part of a batch (n, side, side) while there are any that no other lane took."""
        answers: Answers = {}
        for part in parts:
            with _BINDINGS:
                self._request.start_async({"renditions": batch[part, None]})
            self._request.wait()
            with _BINDINGS:
                # The request reuses its output buffers, hence the copies.
                logits, maps = (self._request.get_tensor(output).data.copy() for output in (self._logits, self._maps))
            answers[part.start] = logits, maps
        return answers


def shared_out(threads: int) -> list[int]:
    """Threads of each lane: as equal as can be, on as many lanes as there may be."""
    lanes = min(threads, MOST_LANES)
    return [threads // lanes + (lane < threads % lanes) for lane in range(lanes)]


def parts_of(count: int, lanes: int, largest: int) -> list[slice]:
    """Rows of a batch of `count` in parts of `largest` that become smaller, so that all lanes end at nearly the same
    time (guided self-scheduling: Polychronopoulos and Kuck, IEEE Transactions on Computers, 1987)."""
    parts, start = [], 0
    while start < count:
        size = min(largest, max(SMALLEST_PART, (count - start) // (2 * lanes)))
        parts.append(slice(start, min(count, start + size)))
        start += size
    return parts
