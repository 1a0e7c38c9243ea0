"""Augmentation of whole batches on the training device: geometry shared by pictures and box masks, then grey values.

No vertical flips: radiographs have an up, and serving never shows one upside down.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """How strongly a batch is varied. Scales multiply the scale of the phase."""

    scale_low: float = 0.8
    scale_high: float = 1.15
    rotation_degrees: float = 12.0
    shift: float = 0.06
    """Largest shift as a fraction of the output side."""
    gamma: float = 0.35
    """Gamma is drawn log-uniformly from [1 - gamma, 1 / (1 - gamma)]."""
    contrast: float = 0.25
    brightness: float = 25.0
    """Largest offset in grey levels of 255."""
    noise: float = 6.0
    """Largest standard deviation of additive noise in grey levels."""
    blur_probability: float = 0.15


def augment(
    pictures: Tensor, masks: Tensor, side: int, scale: float, how: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Vary a batch.

    pictures: (n, 1, S, S) uint8; masks: (n, 1, s, s) uint8, 255 in a fracture box; side: pixels of the output;
    scale: how large bone appears relative to the given pictures, before the random part.
    generator lives on the processor, so that one seed gives the same geometry on every device.
    Returns pictures (n, 1, side, side) float32 in 0..255 and masks (n, 1, side / 4, side / 4) float32 in 0..1.
    """
    count, full, device = len(pictures), pictures.shape[-1], pictures.device

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    zoom = scale * torch.exp(uniform(math.log(how.scale_low), math.log(how.scale_high)))
    stretch = torch.exp(uniform(-0.06, 0.06))
    angle = uniform(-how.rotation_degrees, how.rotation_degrees) * (math.pi / 180)
    flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    extent = side / (full * zoom)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = extent * stretch * torch.cos(angle) * flip
    theta[:, 0, 1] = -extent * torch.sin(angle)
    theta[:, 1, 0] = extent * torch.sin(angle) * flip
    theta[:, 1, 1] = extent / stretch * torch.cos(angle)
    # A crop smaller than the square may lie anywhere inside it; a larger one only moves by `shift`.
    room = (1 - extent).clamp(min=0) * 0.6 + how.shift
    theta[:, 0, 2] = uniform(-1, 1) * room
    theta[:, 1, 2] = uniform(-1, 1) * room

    theta = theta.to(device)
    grid = functional.affine_grid(theta, [count, 1, side, side], align_corners=False)
    varied = functional.grid_sample(pictures.float(), grid, align_corners=False)
    mask_grid = functional.affine_grid(theta, [count, 1, side // 4, side // 4], align_corners=False)
    moved = functional.grid_sample(masks.float() / 255, mask_grid, align_corners=False)
    return _vary_grey(varied, how, generator), moved


def _vary_grey(pictures: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    count, device = len(pictures), pictures.device

    def uniform(low: float, high: float) -> Tensor:
        return (torch.rand(count, 1, 1, 1, generator=generator) * (high - low) + low).to(device)

    content = pictures > 0
    edge = math.log(1 / (1 - how.gamma))
    pictures = (pictures / 255).clamp(0, 1).pow(torch.exp(uniform(-edge, edge))) * 255
    pictures = pictures * uniform(1 - how.contrast, 1 + how.contrast) + uniform(-how.brightness, how.brightness)
    blurred = functional.avg_pool2d(functional.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    pictures = torch.where(uniform(0, 1) < how.blur_probability, blurred, pictures)
    on_device = torch.Generator(device).manual_seed(int(torch.randint(1 << 31, (1,), generator=generator)))
    pictures = pictures + torch.randn(pictures.shape, generator=on_device, device=device) * uniform(0, how.noise)
    # Padding stays black, as fit_input makes it at serving.
    return torch.where(content, pictures.clamp(0, 255), 0.0)


def lay_over(
    pictures: Tensor, masks: Tensor, targets: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Mixup (Zhang et al., ICLR 2018): pictures laid over their neighbours in the batch, labels in the same proportion.

    A teacher judges the mixture itself, which makes many more different pictures to learn its function from (Beyer et
    al., Knowledge distillation: a good teacher is patient and consistent, CVPR 2022: uniform proportions).
    """
    share = torch.rand(len(pictures), generator=generator).to(pictures.device)
    wide = share[:, None, None, None]
    return (
        wide * pictures + (1 - wide) * pictures.roll(1, 0),
        wide * masks + (1 - wide) * masks.roll(1, 0),
        share * targets + (1 - share) * targets.roll(1, 0),
    )
