"""The torch engine: for CUDA devices, and on CPUs the reference that other engines are compared with."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import ResNet, resnet18
from torchvision.models.resnet import BasicBlock

from screening.inference.bundle import WEIGHTS, Bundle, BundleError
from screening.inference.engine import (
    EngineError,
    OutOfDeviceMemory,
    Precision,
    Predictions,
    check_batch,
    to_predictions,
)
from screening.inference.uploads import Uploads

PART = 128
"""Renditions that go to the device together: enough to keep a GPU busy for longer than starting its kernels takes."""


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The fp32 state dict of a bundle's safetensors file, with `input.mean`, `input.std` and `pool.peak` among it.

    Filters are stored as int8 `NAME` (out, in, h, w) with `NAME.step` (out, 1, 1, 1): the filter is their product.
    """
    stored = load_file(path)
    return {
        name: value.float() * stored[f"{name}.step"].float() if value.dtype == torch.int8 else value.float()
        for name, value in stored.items()
        if not name.endswith(".step")
    }


def fold_normalisations(network: ResNet) -> ResNet:
    """The network in evaluation mode with each batch normalisation folded into the convolution before it: the same
    answers but for rounding, with half the layers to start on a GPU."""
    network.eval()
    network.conv1, network.bn1 = fuse_conv_bn_eval(network.conv1, network.bn1), nn.Identity()
    for block in (module for module in network.modules() if isinstance(module, BasicBlock)):
        block.conv1, block.bn1 = fuse_conv_bn_eval(block.conv1, block.bn1), nn.Identity()
        block.conv2, block.bn2 = fuse_conv_bn_eval(block.conv2, block.bn2), nn.Identity()
        if block.downsample is not None:
            block.downsample = nn.Sequential(fuse_conv_bn_eval(block.downsample[0], block.downsample[1]))
    return network


class TorchEngine:
    """The fp32 form of a bundle, on the first CUDA device if there is one, else on the CPU. See `Engine`."""

    name = "torch"

    def __init__(self, bundle: Bundle, threads: int) -> None:
        """threads: CPU threads of this whole process.

        Raises BundleError for unusable weights, EngineError where the device has no room for them.
        """
        torch.set_num_threads(threads)
        self.side = bundle.rendition.side
        self._cuda = torch.cuda.is_available()
        self.device = torch.cuda.get_device_name() if self._cuda else f"CPU, {threads} threads"
        self.precision: Precision = "half" if self._cuda else "fp32"
        self._device = torch.device("cuda" if self._cuda else "cpu")
        path = bundle.folder / WEIGHTS
        try:
            weights = read_state_dict(path)
            mean, std = weights.pop("input.mean"), weights.pop("input.std")
            peak = weights.pop("pool.peak", torch.tensor(0.0))  # bundles before fracture-resnet18-5 have none
            network = resnet18(weights=None, num_classes=1)
            network.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
            network.load_state_dict(weights)
        except (SafetensorError, KeyError, RuntimeError) as error:
            raise BundleError(f"torch cannot use {path} ({error}); export the bundle again") from error
        # fp16 rather than bf16: three more bits of mantissa, and an overflow is caught as not finite.
        self._dtype = torch.float16 if self._cuda else torch.float32
        try:
            self._mean, self._std, self._peak = (value.to(self._device) for value in (mean, std, peak))
            self._filter = network.fc.weight.detach()[:, :, None, None].to(self._device, copy=True)
            self._bias = network.fc.bias.detach().to(self._device, copy=True)
            folded = fold_normalisations(network)
            self._network = folded.to(self._device, self._dtype, memory_format=torch.channels_last)
            self._uploads = Uploads(self._device, PART, self.side)
        except torch.cuda.OutOfMemoryError as error:
            reason = f"{self.device} has no room for {bundle.name} ({error}); stop what else uses this device"
            raise EngineError(reason) from error

    def predict(self, batch: NDArray[np.uint8]) -> Predictions:
        """See `Engine.predict`."""
        check_batch(batch, self.side)
        try:
            return self._answers(batch)
        except torch.cuda.OutOfMemoryError as error:
            reason = str(error)
        # After the handler, which holds on to what the failed try had allocated.
        torch.cuda.empty_cache()
        raise OutOfDeviceMemory(f"{len(batch)} renditions are too many for {self.device}: {reason}")

    def _answers(self, batch: NDArray[np.uint8]) -> Predictions:
        renditions = np.ascontiguousarray(batch)
        answers = []
        with torch.inference_mode():
            for start in range(0, len(renditions), PART):
                with self._uploads.uploaded(renditions[start : start + PART]) as part:
                    features = self._features(part.unsqueeze(1))
                # The linear layer comes before the pooling, so that the maps are what is pooled, and almost free.
                maps = functional.conv2d(features.float(), self._filter).squeeze(1)
                answers.append((maps.mean(dim=(1, 2)) + self._peak * maps.amax(dim=(1, 2)) + self._bias, maps))
            # Only here the host waits for the device.
            logits, maps = (torch.cat(parts).cpu().numpy() for parts in zip(*answers, strict=True))
        return to_predictions(logits, maps, len(batch))

    def _features(self, renditions: Tensor) -> Tensor:
        """(n, 1, side, side) uint8 -> (n, 512, h, w)."""
        net = self._network
        x = ((renditions.float() - self._mean) / self._std).to(self._dtype, memory_format=torch.channels_last)
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        features: Tensor = net.layer4(net.layer3(net.layer2(net.layer1(x))))
        return features
