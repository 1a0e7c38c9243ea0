"""Filters stored in eight bits and computed in 32: half the size of fp16, and the same function to rounding."""

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import torch
from numpy.typing import NDArray
from torch import nn

from training.learning.networks import GreyResNet18


def snap_to_eight_bits(network: GreyResNet18) -> None:
    """Move every filter onto its own symmetric 8-bit grid: each value is -127..127 times one step per output channel.

    The state dict and the OpenVINO form can then both store them in 8 bits and still be one function: folding batch
    normalisation into a convolution scales whole output channels, which keeps them on such a grid. A step has 4
    significant bits, so that 7 bits times 4 bits fit the 11 of fp16 without rounding, on a GPU too.
    """
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                finest = module.weight.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-4) / 127
                mantissa, exponent = torch.frexp(finest)
                step = torch.ldexp(torch.ceil(mantissa * 16) / 16, exponent)
                module.weight.copy_(torch.round(module.weight / step) * step)


def eight_bit_filters(filters: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """(whole, step) with filters == whole * step, for filters (out, in, h, w) that `snap_to_eight_bits` prepared.

    The largest value of a channel is 112 to 127 steps; the right count is the one that leaves no remainder.
    """
    largest = np.maximum(np.abs(filters).max(axis=(1, 2, 3), keepdims=True), 1e-20)
    best = np.full_like(largest, np.inf)
    step = largest.copy()
    for count in range(112, 128):
        scaled = filters / largest * count
        remainder = np.abs(scaled - np.rint(scaled)).max(axis=(1, 2, 3), keepdims=True)
        step = np.where(remainder < best, largest / count, step)
        best = np.minimum(best, remainder)
    if best.max() > 0.01:
        raise ValueError("a filter is not on an 8-bit grid; snap the network before converting it")
    return np.rint(filters / step).astype(np.int8), step.astype(np.float32)


def settle(network: GreyResNet18) -> dict[str, torch.Tensor]:
    """Move a trained network onto what can be stored, once, and return its state dict as it is stored.

    Every form is made of the settled network, so that they are one function. Filters become int8 with `NAME.step`
    (out, 1, 1, 1) beside them; everything else is rounded to fp16, in the network too. `input.mean` and `input.std`
    are the normalisation, `pool.peak` is the weight of the map's largest value beside its mean. Counters of batch
    normalisation are left out: they serve training only.
    """
    snap_to_eight_bits(network)
    stored: dict[str, torch.Tensor] = {}
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 4:
            whole, step = eight_bit_filters(tensor.numpy())
            stored[name], stored[f"{name}.step"] = torch.from_numpy(whole), torch.from_numpy(step)
        elif tensor.dtype.is_floating_point:
            stored[name] = tensor.half().contiguous()
            tensor.copy_(stored[name])
    stored["input.mean"] = torch.tensor(network.mean)
    stored["input.std"] = torch.tensor(network.std)
    stored["pool.peak"] = torch.tensor(network.peak)
    return stored


def store_filters_in_eight_bits(model: ov.Model) -> None:
    """Store each convolution's filters as 8-bit integers and a step per output channel, to be computed in 32 bits."""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Convolution":
            constant = node.input_value(1).get_node()
            whole, step = eight_bit_filters(constant.get_data())
            scaled = ops.multiply(ops.convert(ops.constant(whole), "f32"), ops.constant(step))
            node.input(1).replace_source_output(scaled.output(0))
