"""Checkpoint bundles with random weights, made in about a second and without torch, for tests that need an engine."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops
from safetensors.numpy import save_file

from screening.inference.bundle import (
    CARD,
    CARD_FORMAT,
    GOLDEN,
    WEIGHTS,
    Bundle,
    LikelyPoint,
    OperatingPoint,
    file_digest,
    read_bundle,
)
from screening.inference.openvino_core import openvino_core
from screening.radiographs.rendition import RenditionSpec

Weights = dict[str, NDArray[np.float16]]

STAGES = ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))
"""(channels in, channels out, stride) of ResNet-18's four stages of two basic blocks."""
LEVELS_PER_DEVIATION = 32
EPSILON = 1e-5
"""torchvision's batch normalisation default."""


def make_random_bundle(folder: Path, side: int = 64, seed: int = 0, forms: Sequence[str] = ("fp32",)) -> Bundle:
    """Write a complete bundle whose probabilities spread over 0..1 on its golden renditions, and read it back.

    side must be a multiple of 32; maps are (side / 32, side / 32). Every form holds the same fp32 graph.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    golden = random_renditions(6, side, rng)
    weights = _random_weights(rng)
    # A random network answers nearly the same for every picture; the last layer is rescaled until answers spread.
    maps = _run(_graph(weights, side), golden)["maps"]
    weights["fc.weight"] = (weights["fc.weight"] * (1.5 / maps.mean(axis=(1, 2)).std())).astype(np.float16)
    logits = _run(_graph(weights, side), golden)["logits"]
    weights["fc.bias"] = np.array([-logits.mean()], np.float16)
    graph = _graph(weights, side)
    answer = _run(graph, golden)
    probabilities = 1 / (1 + np.exp(-answer["logits"]))
    tensors: dict[str, NDArray[Any]] = {"renditions": golden}
    for form in forms:
        ov.save_model(graph, folder / f"{form}.xml", compress_to_fp16=False)
        tensors |= {f"{form}.probabilities": probabilities, f"{form}.maps": answer["maps"]}
    save_file(tensors, folder / GOLDEN)
    save_file(weights, folder / WEIGHTS)
    write_card(folder, RenditionSpec(side=side), forms)
    return read_bundle(folder)


def write_card(folder: Path, rendition: RenditionSpec, forms: Sequence[str] = ("fp32",)) -> None:
    """Write card.json for whatever files lie in the folder; call it again after altering one on purpose."""
    points = [
        OperatingPoint(f"sensitivity-{round(target * 100)}", target, threshold, target, target - 0.08, 0.7, 0.4, 0.95)
        for target, threshold in ((0.80, 0.6), (0.90, 0.5), (0.95, 0.3))
    ]
    form = {
        "operating_points": [asdict(point) for point in points],
        "default_operating_point": "sensitivity-90",
        "likely": asdict(LikelyPoint(0.75, 0.95, 0.55, 0.94, 0.7, 0.88)),
        "figures": {"auc": 0.5, "note": "random weights"},
    }
    card = {
        "format": CARD_FORMAT,
        "name": f"random-{rendition.side}",
        "rendition": rendition.as_dict(),
        "forms": dict.fromkeys(forms, form),
        "default_form": forms[0],
        "files": {path.name: file_digest(path) for path in sorted(folder.iterdir()) if path.name != CARD},
    }
    (folder / CARD).write_text(json.dumps(card, indent=2), "utf-8")


def random_renditions(count: int, side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Pictures with coarse structure of very different brightness and contrast: (count, side, side)."""
    coarse = rng.random((count, side // 8, side // 8)) * rng.random((count, 1, 1)) * 255
    return np.kron(coarse, np.ones((1, 8, 8))).astype(np.uint8)


def _random_weights(rng: np.random.Generator) -> Weights:
    weights: Weights = {}

    def conv(name: str, into: int, out: int, kernel: int) -> None:
        # Filters lie on an 8-bit grid, as the exporter leaves them, so that the graph can store them in 8 bits.
        step = 2.0 ** np.round(np.log2(np.sqrt(2 / (into * kernel * kernel)) / LEVELS_PER_DEVIATION))
        whole = np.rint(rng.standard_normal((out, into, kernel, kernel), np.float32) * LEVELS_PER_DEVIATION)
        weights[f"{name}.weight"] = (np.clip(whole, -127, 127) * step).astype(np.float16)

    def norm(name: str, channels: int, gain: float) -> None:
        weights[f"{name}.weight"] = (gain * rng.uniform(0.8, 1.2, channels)).astype(np.float16)
        weights[f"{name}.bias"] = rng.normal(0, 0.2, channels).astype(np.float16)
        weights[f"{name}.running_mean"] = rng.normal(0, 0.2, channels).astype(np.float16)
        weights[f"{name}.running_var"] = rng.uniform(0.7, 1.4, channels).astype(np.float16)

    conv("conv1", 1, 64, 7)
    norm("bn1", 64, 1.0)
    for stage, (into, out, stride) in enumerate(STAGES, start=1):
        for block in range(2):
            name = f"layer{stage}.{block}"
            conv(f"{name}.conv1", into if block == 0 else out, out, 3)
            norm(f"{name}.bn1", out, 1.0)
            conv(f"{name}.conv2", out, out, 3)
            norm(f"{name}.bn2", out, 0.5)
            if block == 0 and stride == 2:
                conv(f"{name}.downsample.0", into, out, 1)
                norm(f"{name}.downsample.1", out, 1.0)
    weights["fc.weight"] = rng.normal(0, 0.05, (1, 512)).astype(np.float16)
    weights["fc.bias"] = np.zeros(1, np.float16)
    weights["input.mean"] = np.array(60.0, np.float16)
    weights["input.std"] = np.array(50.0, np.float16)
    weights["pool.peak"] = np.array(0.25, np.float16)
    return weights


def _graph(weights: Weights, side: int) -> ov.Model:
    """ResNet-18 as the exporter makes it: `renditions` u8 (?, 1, side, side) -> `logits` (?,), `maps` (?, h, w)."""
    values = {name: value.astype(np.float32) for name, value in weights.items()}

    def unit(x: Any, conv: str, norm: str, stride: int) -> Any:
        kernel = values[f"{conv}.weight"]
        pad = [kernel.shape[-1] // 2] * 2
        step = np.abs(kernel[kernel != 0]).min()
        whole = ops.convert(ops.constant(np.rint(kernel / step).astype(np.int8)), "f32")
        filters = ops.multiply(whole, ops.constant(np.full((len(kernel), 1, 1, 1), step, np.float32)))
        gain = values[f"{norm}.weight"] / np.sqrt(values[f"{norm}.running_var"] + EPSILON)
        shift = values[f"{norm}.bias"] - values[f"{norm}.running_mean"] * gain
        x = ops.convolution(x, filters, [stride] * 2, pad, pad, [1, 1])
        return ops.add(ops.multiply(x, gain.reshape(1, -1, 1, 1)), shift.reshape(1, -1, 1, 1))

    renditions = ops.parameter(ov.PartialShape([-1, 1, side, side]), np.uint8, name="renditions")
    renditions.output(0).set_names({"renditions"})
    x = ops.divide(ops.subtract(ops.convert(renditions, "f32"), values["input.mean"]), values["input.std"])
    x = ops.relu(unit(x, "conv1", "bn1", 2))
    x = ops.max_pool(x, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)
    for stage, (_, _, stride) in enumerate(STAGES, start=1):
        for block in range(2):
            name, step = f"layer{stage}.{block}", stride if block == 0 else 1
            y = ops.relu(unit(x, f"{name}.conv1", f"{name}.bn1", step))
            y = unit(y, f"{name}.conv2", f"{name}.bn2", 1)
            if f"{name}.downsample.0.weight" in values:
                x = unit(x, f"{name}.downsample.0", f"{name}.downsample.1", step)
            x = ops.relu(ops.add(y, x))
    cam = ops.convolution(x, values["fc.weight"].reshape(1, 512, 1, 1), [1, 1], [0, 0], [0, 0], [1, 1])
    maps = ops.squeeze(cam, [1])
    peaks = ops.multiply(ops.reduce_max(maps, [1, 2]), values["pool.peak"])
    logits = ops.add(ops.add(ops.reduce_mean(maps, [1, 2]), peaks), values["fc.bias"])
    maps.output(0).set_names({"maps"})
    logits.output(0).set_names({"logits"})
    return ov.Model([logits, maps], [renditions], "resnet18")


def _run(graph: ov.Model, renditions: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    compiled = openvino_core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = compiled(renditions[:, None])
    return {name: np.array(answer[name]) for name in ("logits", "maps")}
