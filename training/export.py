"""Make a checkpoint bundle: `python -m training.export --run DIR --data DIR --out checkpoints/NAME`.

Each form is built, run over the calibration part (which chooses its thresholds) and over the test part (which
measures them), so that every figure in the card is one of the very file that is served.
"""

import argparse
import dataclasses
import datetime
import json
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file as save_tensors
from torch import Tensor, nn

from screening.inference.bundle import CARD, GOLDEN, WEIGHTS, Bundle, file_digest, read_bundle
from screening.operating_point import choose_threshold
from screening.radiographs.rendition import fit_input, make_rendition
from training.calibration import fit_temperature_and_bias
from training.dataset import DatasetError, Example, read_dataset, square_renditions
from training.deployed import run_form
from training.eight_bit import snap_to_eight_bits, store_filters_in_eight_bits
from training.evaluate import measure, measured_point, pointing_game, subgroups
from training.networks import GreyResNet18
from training.phantoms import make_phantom
from training.recipe import Recipe
from training.splits import train_calibration_test
from training.train import GREY_MEAN, GREY_STD, predict

TARGETS = {"strict": 0.80, "recall-first": 0.90, "widest": 0.95}
"""The operating points and their target sensitivities."""
DEFAULT_POINT = "recall-first"
GOLDEN_COUNT = 8
INT8_SUBSET = 300

ATTRIBUTION = (
    "FracAtlas: Abedeen, I., Rahman, M. A., Prottyasha, F. Z. et al., FracAtlas: A Dataset for Fracture "
    "Classification, Localization and Segmentation of Musculoskeletal Radiographs, Scientific Data 10, 521 (2023), "
    "doi:10.6084/m9.figshare.22363012, CC BY 4.0"
)
INTENDED_USE = "Research: ordering a worklist so that radiographs with a likely bone fracture are read first."
LIMITS = (
    "Not a certified medical device. It never says that a fracture is absent, and it replaces no reader.",
    "Trained on one data set (hand, leg, hip, shoulder; three hospitals of one country); other body parts, children, "
    "casts and other equipment are untested.",
    "Probabilities are calibrated to a prevalence of about 18% fractured; elsewhere only their order holds.",
    "Grouping of patients is inferred, because the data set has no patient ids.",
)


class Served(nn.Module):
    """What is exported: uint8 renditions (n, 1, side, side) in, logits (n,) and maps (n, h, w) out.

    A map holds each position's share of the logit: its mean plus the bias of the last layer is the logit.
    """

    def __init__(self, network: GreyResNet18) -> None:
        super().__init__()
        self.network = network

    def forward(self, renditions: Tensor) -> tuple[Tensor, Tensor]:
        last = self.network.stages(renditions.float()).last
        maps = torch.einsum("nchw,c->nhw", last, self.network.fc.weight[0])
        return maps.mean((1, 2)) + self.network.fc.bias, maps


def fold_calibration(network: GreyResNet18, slope: float, offset: float) -> None:
    """Make sigmoid(logit) the calibrated probability: logit becomes slope * logit + offset."""
    with torch.no_grad():
        network.fc.weight.mul_(slope)
        network.fc.bias.mul_(slope).add_(offset)


def stored_half(network: GreyResNet18) -> dict[str, Tensor]:
    """Round the weights to fp16 in place, and return them as they are stored, with the input's normalisation.

    Counters of batch normalisation serve training only and are left out.
    """
    stored = {}
    for name, tensor in network.state_dict().items():
        if tensor.dtype.is_floating_point:
            stored[name] = tensor.half().contiguous()
            tensor.copy_(stored[name])
    stored["input.mean"] = torch.tensor(network.mean)
    stored["input.std"] = torch.tensor(network.std)
    return stored


def openvino_model(network: GreyResNet18, side: int) -> ov.Model:
    example = torch.zeros(2, 1, side, side, dtype=torch.uint8)
    model = ov.convert_model(
        Served(network.eval()), example_input=example, input=("renditions", [-1, 1, side, side], ov.Type.u8)
    )
    model.input(0).set_names({"renditions"})
    for output, name in zip(model.outputs, ("logits", "maps"), strict=True):
        output.set_names({name})
    return model


def quantised(model: ov.Model, squares: NDArray[np.uint8]) -> ov.Model:
    """An int8 model by post-training quantisation, ranges taken from training renditions."""
    import nncf

    logging.getLogger("nncf").setLevel(logging.WARNING)
    dataset = nncf.Dataset(list(squares[:, None, None]))
    return nncf.quantize(model, dataset, subset_size=len(squares), preset=nncf.QuantizationPreset.MIXED)


def golden_renditions(recipe: Recipe) -> NDArray[np.uint8]:
    """Renditions of generated phantoms, upright and wide, half of them fractured."""
    spec, squares = recipe.rendition, []
    for seed in range(GOLDEN_COUNT):
        size = (454, 373) if seed % 2 else (373, 454)
        phantom = make_phantom(seed, fractured=seed % 4 < 2, height=size[0], width=size[1])
        squares.append(fit_input(make_rendition(phantom.picture, spec), spec.side))
    return np.stack(squares)


def measured_form(
    xml: Path, calibration: tuple[NDArray[np.uint8], list[Example]], test: tuple[NDArray[np.uint8], list[Example]]
) -> dict[str, Any]:
    """Thresholds chosen on the calibration part and measured on the test part, and figures of the test part."""
    chosen_on = run_form(xml, calibration[0])
    measured_on = run_form(xml, test[0])
    labels = np.array([e.fractured for e in test[1]])
    points = {}
    for name, target in TARGETS.items():
        threshold = choose_threshold(chosen_on.probabilities, [e.fractured for e in calibration[1]], target)
        points[name] = measured_point(name, target, threshold, measured_on.probabilities, labels)
    return {
        "operating_points": [dataclasses.asdict(point) for point in points.values()],
        "default_operating_point": DEFAULT_POINT,
        "figures": {
            **measure(measured_on.probabilities, test[1]),
            "measured_on": "groups that neither trained the weights nor chose an epoch or a threshold",
            "subgroups": subgroups(measured_on.probabilities, test[1], points[DEFAULT_POINT].threshold),
            "localization": pointing_game(measured_on, test[1], test[0].shape[-1]),
        },
    }


def export(
    run: Path,
    examples: list[Example],
    folder: Path,
    forms: tuple[str, ...] = ("fp32",),
    notes: tuple[str, ...] = (),
) -> Bundle:
    """Write the bundle of a finished (or still running) training run, read it back, and return it.

    notes: sentences for the card about how the run differed from its recipe.
    """
    recipe = Recipe.read(run / "recipe.json")
    history = json.loads((run / "history.json").read_text("utf-8"))
    selected = max(history, key=lambda record: float(record["selection"]))
    network = GreyResNet18(GREY_MEAN, GREY_STD)
    network.load_state_dict(torch.load(run / "best.pt", weights_only=True))

    squares = square_renditions(examples, recipe.rendition, run.parent / "cache")
    parts = train_calibration_test(examples, recipe.folds, recipe.test_fold, recipe.seed)
    train_part, calibration_part, test_part = parts
    calibration = (squares[calibration_part], [examples[i] for i in calibration_part])
    test = (squares[test_part], [examples[i] for i in test_part])

    logits = predict(network, calibration[0])
    slope, offset = fit_temperature_and_bias(logits, np.array([e.fractured for e in calibration[1]]))
    fold_calibration(network, slope, offset)

    snap_to_eight_bits(network)

    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(stored_half(network), folder / WEIGHTS)
    golden = {"renditions": golden_renditions(recipe)}
    card_forms = {}
    for form in forms:
        model = openvino_model(network, recipe.rendition_side)
        if form == "int8":
            chosen = np.random.default_rng(recipe.seed).permutation(train_part)[:INT8_SUBSET]
            model = quantised(model, squares[np.sort(chosen)])
        else:
            store_filters_in_eight_bits(model)
        ov.save_model(model, folder / f"{form}.xml", compress_to_fp16=False)
        card_forms[form] = measured_form(folder / f"{form}.xml", calibration, test)
        outputs = run_form(folder / f"{form}.xml", golden["renditions"])
        golden[f"{form}.probabilities"] = outputs.probabilities.astype(np.float32)
        golden[f"{form}.maps"] = outputs.maps
    save_arrays(golden, folder / GOLDEN)

    files = [WEIGHTS, GOLDEN, *(f"{form}.{ending}" for form in forms for ending in ("xml", "bin"))]
    for name in files:
        (folder / name).chmod(0o644)  # safetensors writes for the owner only; a bundle is for everybody
    card = {
        "format": 1,
        "name": folder.name,
        "created": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "architecture": "ResNet-18 (torchvision), one input channel, one output, global average pooling",
        "rendition": recipe.rendition.as_dict(),
        "forms": card_forms,
        "default_form": forms[0],
        "files": {name: file_digest(folder / name) for name in files},
        "training": {
            "data": "FracAtlas, development part",
            "attribution": ATTRIBUTION,
            "split": {
                "folds": recipe.folds,
                "test_fold": recipe.test_fold,
                "seed": recipe.seed,
                "by": "group",
                "images": {
                    name: {
                        "n": len(part),
                        "fractured": sum(examples[i].fractured for i in part),
                        "groups": len({examples[i].group for i in part}),
                    }
                    for name, part in zip(("train", "calibration", "test"), parts, strict=True)
                },
            },
            "selected_epoch": selected,
            "epochs_trained": len(history),
            "calibration": {"slope": slope, "offset": offset},
            "recipe": recipe.as_dict(),
            "notes": list(notes),
        },
        "intended_use": INTENDED_USE,
        "limits": list(LIMITS),
    }
    (folder / CARD).write_text(json.dumps(card, indent=1, allow_nan=False) + "\n", "utf-8")
    return read_bundle(folder)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="out folder of training.train")
    parser.add_argument("--data", type=Path, required=True, help="the data set that it was trained on")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; its name names the checkpoint")
    parser.add_argument(
        "--forms", nargs="+", choices=("fp32", "int8"), default=["fp32"], help="the first is the default"
    )
    parser.add_argument("--note", action="append", default=[], help="a sentence for the card; may be given again")
    given = parser.parse_args()
    try:
        bundle = export(given.run, read_dataset(given.data), given.out, tuple(given.forms), tuple(given.note))
    except (DatasetError, ValueError, OSError) as error:
        sys.exit(f"The checkpoint cannot be exported: {error}")
    for form in bundle.forms.values():
        point = form.default_point
        sys.stdout.write(
            f"{bundle.name} {form.name} {bundle.identity(form.name)}: AUC {form.figures['auc']:.3f}, "
            f"sensitivity {point.sensitivity:.3f} (at least {point.sensitivity_lower_95:.3f}), "
            f"specificity {point.specificity:.3f} at {point.name}\n"
        )


if __name__ == "__main__":
    main()
