"""The torch engine on whatever device is here: its answers, its parts, its refusals."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from screening.inference import torch_engine, uploads
from screening.inference.bundle import WEIGHTS, Bundle, BundleError
from screening.inference.choice import open_engine
from screening.inference.engine import EngineError
from screening.inference.uploads import Uploads
from tests.bundles import random_renditions

Alter = Callable[[Callable[[Path], None]], Bundle]


def test_torch_and_openvino_agree(bundle: Bundle) -> None:
    engine = open_engine("openvino", bundle, "fp32", threads=2)
    reference = open_engine("torch", bundle, "fp32", threads=1)
    batch = random_renditions(17, 64, np.random.default_rng(6))
    ours, theirs = engine.predict(batch), reference.predict(batch)
    assert ours.probabilities.std() > 0.05
    tolerance = 1e-3 if reference.precision == "fp32" else 1e-2
    np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=tolerance)
    np.testing.assert_allclose(ours.maps, theirs.maps, atol=tolerance * float(np.abs(ours.maps).max()))


def test_a_bundle_without_a_weight_for_the_peak_pools_the_mean_alone(bundle: Bundle, altered: Alter) -> None:
    def drop(folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        del weights["pool.peak"]
        save_file(weights, folder / WEIGHTS)

    bias = float(load_file(bundle.folder / WEIGHTS)["fc.bias"][0])
    batch = random_renditions(5, 64, np.random.default_rng(9))
    said = torch_engine.TorchEngine(altered(drop), threads=1).predict(batch)
    logits = said.maps.mean((1, 2)) + bias
    np.testing.assert_allclose(said.probabilities, 1 / (1 + np.exp(-logits)), atol=1e-2)


def test_a_batch_of_many_parts_is_answered_row_by_row(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_engine, "PART", 4)
    engine = open_engine("torch", bundle, "fp32", threads=1)
    batch = random_renditions(4 * 3 + 1, 64, np.random.default_rng(8))
    together, alone = engine.predict(batch), [engine.predict(row[None]) for row in batch]
    tolerance = 1e-5 if engine.precision == "fp32" else 1e-2
    for row, answer in enumerate(alone):
        np.testing.assert_allclose(together.probabilities[row], answer.probabilities[0], atol=tolerance)
        np.testing.assert_allclose(together.maps[row], answer.maps[0], atol=tolerance * np.abs(answer.maps).max())


def test_a_buffer_is_filled_again_only_after_its_copy_and_its_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order that a GPU is asked to keep, written down by streams and events that do nothing else."""
    said: list[tuple[str, str, int]] = []
    before_filling: list[tuple[Any, Any]] = []
    made = iter(range(9))

    class Event:
        def __init__(self) -> None:
            self.number = next(made)

        def record(self, stream: "Stream") -> None:
            said.append((stream.name, "records", self.number))

        def synchronize(self) -> None:
            said.append(("host", "waits", self.number))
            before_filling.append((lines._here[self.number].tolist(), lines._there[self.number].tolist()))

    class Stream:
        def __init__(self, name: str = "copies") -> None:
            self.name = name

        def wait_event(self, event: Event) -> None:
            said.append((self.name, "waits", event.number))

    network = Stream("network")
    streams = SimpleNamespace(
        Event=Event, Stream=Stream, stream=lambda _: nullcontext(), current_stream=lambda: network
    )
    monkeypatch.setattr(uploads.torch, "cpu", streams)
    lines = Uploads(torch.device("cpu"), rows=2, side=3)
    parts = [np.full((2, 3, 3), number, np.uint8) for number in range(3)]
    for part in parts:
        with lines.uploaded(part) as there:
            assert there.tolist() == part.tolist()
    of_one_part = len(said) // len(parts)
    arrived, read = 0, 2
    expected: list[Any] = [
        ("host", "waits", arrived),
        ("copies", "waits", read),
        ("copies", "records", arrived),
        ("network", "waits", arrived),
        ("network", "records", read),
    ]
    first, second, third = (said[start : start + of_one_part] for start in range(0, len(said), of_one_part))
    assert first == third == expected
    assert second == [(who, what, number + 1) for who, what, number in expected]
    assert before_filling[2] == (parts[0].tolist(), parts[0].tolist()), "it waits before it fills, not after"


def test_a_device_without_room_for_the_network_is_told(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch_engine, "Uploads", full)
    with pytest.raises(EngineError, match=r"has no room for .* stop what else uses this device"):
        open_engine("torch", bundle, "fp32", threads=1)


def test_torch_refuses_weights_with_a_layer_missing(altered: Alter) -> None:
    def drop(folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        del weights["layer3.0.bn1.bias"]
        save_file(weights, folder / WEIGHTS)

    with pytest.raises(BundleError, match="layer3"):
        open_engine("torch", altered(drop), "fp32", threads=1)
