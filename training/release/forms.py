"""The deployed forms of a network: OpenVINO files for fp32 and int8, and running them."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.learning.networks import GreyResNet18
from training.measuring.calibration import Calibration
from training.release.eight_bit import store_filters_in_eight_bits

FORMS = ("fp32", "int8")
INT8_SUBSET = 300


class Served(nn.Module):
    """What is exported: uint8 renditions (n, 1, side, side) in, logits (n,) and maps (n, h, w) out.

    A map says what each position speaks for. The logit is its mean, plus `network.peak` times its largest value, plus
    the bias of the last layer.
    """

    def __init__(self, network: GreyResNet18) -> None:
        super().__init__()
        self.network = network

    def forward(self, renditions: Tensor) -> tuple[Tensor, Tensor]:
        last = self.network.stages(renditions.float()).last
        maps = torch.einsum("nchw,c->nhw", last, self.network.fc.weight[0])
        return maps.mean((1, 2)) + self.network.peak * maps.amax((1, 2)) + self.network.fc.bias, maps


def fold_calibration(network: GreyResNet18, calibration: Calibration) -> None:
    """Make sigmoid of the served logit the calibrated probability. Maps are scaled by the slope."""
    network.peak = calibration.peak / calibration.slope
    with torch.no_grad():
        network.fc.weight.mul_(calibration.slope)
        network.fc.bias.mul_(calibration.slope).add_(calibration.offset)


def save_forms(
    network: GreyResNet18, side: int, typical: NDArray[np.uint8], folder: Path, forms: Sequence[str] = FORMS
) -> None:
    """Write `folder/FORM.xml` and `.bin` for each form of a settled network (see `eight_bit.settle`).

    typical: (n, side, side) uint8 training renditions, from which int8 takes the ranges of activations.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for form in forms:
        model = openvino_model(network, side)
        if form == "int8":
            model = quantised(model, typical)
        else:
            store_filters_in_eight_bits(model)
        ov.save_model(model, folder / f"{form}.xml", compress_to_fp16=False)


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
    """An int8 model by post-training quantisation, ranges taken from these renditions.

    A range reaches to the largest activation that any rendition gave. NNCF's default, the mean over renditions of each
    one's largest, cuts off the rare strong ones, which fractures give: on 640 scans that trained nothing it cost 0.008
    of ROC AUC, and this costs 0.002.
    """
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    logging.getLogger("nncf").setLevel(logging.WARNING)
    return nncf.quantize(
        model,
        nncf.Dataset(list(squares[:, None, None])),
        subset_size=len(squares),
        preset=nncf.QuantizationPreset.MIXED,
        advanced_parameters=AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
        ),
    )


def typical_indices(train: Sequence[int], seed: int) -> NDArray[np.int64]:
    """Which training examples int8 is calibrated on: drawn by the seed, in order."""
    chosen = np.random.default_rng(seed).permutation(np.asarray(train, np.int64))[:INT8_SUBSET]
    return np.sort(chosen)
