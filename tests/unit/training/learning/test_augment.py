"""Augmentation: pictures and masks move together, and what serving never shows is never made."""

import torch

from training.learning.augment import Augmentation, augment, lay_over

STILL = Augmentation(
    scale_low=1,
    scale_high=1.0001,
    rotation_degrees=0,
    shift=0,
    gamma=0,
    contrast=0,
    brightness=0,
    noise=0,
    blur_probability=0,
)


def bright_corner() -> tuple[torch.Tensor, torch.Tensor]:
    """64 pictures with a bright upper left quarter, and the mask of that quarter."""
    pictures = torch.full((64, 1, 64, 64), 40, dtype=torch.uint8)
    pictures[:, :, 8:24, 8:24] = 240
    masks = torch.zeros(64, 1, 16, 16, dtype=torch.uint8)
    masks[:, :, 2:6, 2:6] = 255
    return pictures, masks


def test_shapes_and_ranges() -> None:
    pictures, masks = bright_corner()
    varied, moved = augment(pictures, masks, 32, 0.6, Augmentation(), torch.Generator().manual_seed(0))
    assert varied.shape == (64, 1, 32, 32)
    assert moved.shape == (64, 1, 8, 8)
    assert float(varied.min()) >= 0
    assert float(varied.max()) <= 255
    assert float(moved.min()) >= 0
    assert float(moved.max()) <= 1


def test_masks_move_with_pictures() -> None:
    pictures, masks = bright_corner()
    how = Augmentation(gamma=0, contrast=0, brightness=0, noise=0, blur_probability=0)
    varied, moved = augment(pictures, masks, 64, 1.0, how, torch.Generator().manual_seed(1))
    bright = (torch.nn.functional.avg_pool2d(varied, 4) > 140).float()
    overlap = (bright * (moved > 0.5)).sum() / (moved > 0.5).sum()
    assert float(overlap) > 0.85


def test_flips_are_left_right_only() -> None:
    pictures, masks = bright_corner()
    varied, _ = augment(pictures, masks, 64, 1.0, STILL, torch.Generator().manual_seed(2))
    upper, lower = varied[:, :, :32], varied[:, :, 32:]
    assert bool((upper.mean((1, 2, 3)) > lower.mean((1, 2, 3))).all())
    left_brighter = varied[..., :32].mean((1, 2, 3)) > varied[..., 32:].mean((1, 2, 3))
    assert 10 < int(left_brighter.sum()) < 54


def test_padding_stays_black() -> None:
    pictures = torch.zeros(16, 1, 64, 64, dtype=torch.uint8)
    pictures[:, :, :, 16:48] = 200
    masks = torch.zeros(16, 1, 16, 16, dtype=torch.uint8)
    how = Augmentation(scale_low=1, scale_high=1.0001, rotation_degrees=0, shift=0, brightness=25, noise=6)
    varied, _ = augment(pictures, masks, 64, 1.0, how, torch.Generator().manual_seed(3))
    assert float(varied[..., :12].abs().max()) == 0


def test_the_generator_decides_everything() -> None:
    pictures, masks = bright_corner()
    first, _ = augment(pictures, masks, 32, 0.6, Augmentation(), torch.Generator().manual_seed(4))
    again, _ = augment(pictures, masks, 32, 0.6, Augmentation(), torch.Generator().manual_seed(4))
    other, _ = augment(pictures, masks, 32, 0.6, Augmentation(), torch.Generator().manual_seed(5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_mixture_has_labels_and_masks_in_the_proportion_of_its_pictures() -> None:
    pictures = torch.stack([torch.zeros(1, 8, 8), torch.full((1, 8, 8), 200.0)])
    masks = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
    mixed, where, labels = lay_over(pictures, masks, torch.tensor([0.0, 1.0]), torch.Generator().manual_seed(0))
    torch.testing.assert_close(mixed[:, 0, 0, 0] / 200, labels)
    torch.testing.assert_close(where[:, 0, 0, 0], labels)
    assert 0 < float(labels[0]) < 1
