"""Filters in eight bits: one function in the state dict, in OpenVINO and in the network, and a third of the size."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from screening.inference.torch_engine import read_state_dict
from training.learning.networks import GreyResNet18
from training.release.eight_bit import eight_bit_filters, settle, snap_to_eight_bits


def test_snapped_filters_are_eight_bit_even_after_channels_are_rescaled() -> None:
    torch.manual_seed(0)
    network = GreyResNet18(0.0, 1.0)
    before = network.layer1[0].conv1.weight.detach().clone()
    snap_to_eight_bits(network)
    after = network.layer1[0].conv1.weight.detach()
    assert torch.equal(after, after.half().float())
    assert float((after - before).abs().max() / before.abs().max()) < 0.006
    rescaled = (after * torch.rand(64, 1, 1, 1)).numpy()
    whole, step = eight_bit_filters(rescaled)
    np.testing.assert_allclose(whole * step, rescaled, rtol=1e-5)


def test_filters_that_were_not_snapped_are_refused() -> None:
    with pytest.raises(ValueError, match="not on an 8-bit grid"):
        eight_bit_filters(np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32))


def test_stored_weights_are_those_of_the_network_in_a_third_of_their_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = GreyResNet18(44.0, 59.0)
    stored = settle(network)
    path = tmp_path / "model.safetensors"
    save_file(stored, path)
    assert path.stat().st_size < 12_000_000
    held = read_state_dict(path)
    assert (float(held.pop("input.mean")), float(held.pop("input.std"))) == (44.0, 59.0)
    for name, tensor in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(held[name], tensor, rtol=1e-6, atol=1e-9)
