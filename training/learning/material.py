"""What a training run reads: pictures, where their fractures lie, and labels, of the two parts that it may see."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from screening.radiographs.rendition import RenditionSpec, make_rendition
from training.data.manifest import Example
from training.data.pictures import box_masks, load_grey, square_renditions
from training.learning.networks import MASK_STRIDE
from training.learning.recipe import Recipe


@dataclass(frozen=True)
class Material:
    """What a run reads: pictures and masks (n, 1, side, side) uint8 and targets (n,) to train on, and squares
    (m, side, side), labels (m,) and groups of the part that selects the epoch; m may be 0."""

    pictures: Tensor
    masks: Tensor
    targets: Tensor
    selection: NDArray[np.uint8]
    selection_labels: NDArray[np.bool_]
    selection_groups: tuple[str, ...]

    def to(self, device: torch.device) -> "Material":
        """With everything that trains on this device; renditions of a whole data set fit a GPU many times over."""
        return replace(
            self, pictures=self.pictures.to(device), masks=self.masks.to(device), targets=self.targets.to(device)
        )


def gather(
    recipe: Recipe, train: list[Example], selection: list[Example], cache: Path, say: Callable[[str], None]
) -> Material:
    """Make or find the renditions of both parts."""
    if recipe.squash:
        pictures = squashed(train, recipe.source_side)
        masks = np.zeros((len(train), 1, 1), np.uint8)
    else:
        source = RenditionSpec(side=recipe.source_side)
        pictures = square_renditions(train, source, cache, say)
        masks = box_masks(train, recipe.source_side, MASK_STRIDE)
    return Material(
        pictures=torch.from_numpy(np.array(pictures)).unsqueeze(1),
        masks=torch.from_numpy(masks).unsqueeze(1),
        targets=torch.tensor([e.fractured for e in train]).float(),
        selection=np.array(judged_pictures(recipe, selection, cache, say)),
        selection_labels=np.array([e.fractured for e in selection], np.bool_),
        selection_groups=tuple(e.group for e in selection),
    )


def judged_pictures(
    recipe: Recipe, examples: list[Example], cache: Path, say: Callable[[str], None] = lambda _: None
) -> NDArray[np.uint8]:
    """(n, side, side): what a network of this recipe is judged on, at the side that is served."""
    if recipe.squash:
        return squashed(examples, recipe.rendition_side)
    return square_renditions(examples, recipe.rendition, cache, say)


def in_batches(squares: NDArray[np.uint8], batch: int, device: torch.device) -> Iterator[Tensor]:
    """Squares (n, side, side) as networks take them: (batch, 1, side, side), float, in order; the last may be fewer."""
    for start in range(0, len(squares), batch):
        yield torch.from_numpy(np.array(squares[start : start + batch])).unsqueeze(1).to(device).float()


def squashed(examples: list[Example], side: int) -> NDArray[np.uint8]:
    """Pictures squashed to the square, (n, side, side), as the original recipe saw them; greys as in renditions."""
    squares = np.empty((len(examples), side, side), np.uint8)
    for index, example in enumerate(examples):
        rendition = Image.fromarray(make_rendition(load_grey(example.path), RenditionSpec(side=side)))
        squares[index] = np.asarray(rendition.resize((side, side), Image.Resampling.BILINEAR))
    return squares
