"""Where the cells of networks lie: targets and teachers must speak of the place that a cell looks at."""

import math

import numpy as np
import pytest
import torch

from training.data.phantoms import make_phantom
from training.learning.distil import on_cells_of
from training.learning.networks import Backbone, GreyLite, GreyResNet18, Stages, cells_of
from training.learning.recipe import LITES


@pytest.fixture(scope="module")
def networks() -> dict[str, Backbone]:
    pytest.importorskip("efficientnet_lite_pytorch", reason="the training extra is not installed")
    return {"resnet18": GreyResNet18(44.0, 59.0), **{name: GreyLite(name) for name in LITES}}


@pytest.mark.parametrize("stride", [16, 32])
@pytest.mark.parametrize("name", ["resnet18", *LITES])
def test_a_box_belongs_to_the_cell_that_is_centred_on_it(networks: dict[str, Backbone], name: str, stride: int) -> None:
    first = networks[name].first_cells[stride]
    for cell in range(1, 128 // stride - 1):
        centre = first + cell * stride
        masks = torch.zeros(1, 1, 32, 32)
        masks[0, 0, centre // 4, centre // 4] = 1
        assert cells_of(masks, stride, first)[0, 0].nonzero().tolist() == [[cell, cell]]


@pytest.mark.parametrize("ratio", [1.0, 1.5])
@pytest.mark.parametrize("name", ["resnet18", *LITES])
def test_a_teacher_tells_each_cell_of_the_student_what_lies_there(
    networks: dict[str, Backbone], name: str, ratio: float
) -> None:
    """A teacher whose maps hold the pixel that each of its cells is centred on, in the student's pixels."""
    side, teacher = 128, networks[name]

    def places(stride: int) -> torch.Tensor:
        cells = torch.arange(round(side * ratio) // stride)
        across = (cells * stride + teacher.first_cells[stride]) / ratio
        return across.expand(1, 1, len(cells), -1).float()

    said = Stages(places(16), places(32), places(32)[:, 0], torch.zeros(1))
    seen = on_cells_of(networks["resnet18"], side, said, teacher, ratio)
    for maps, stride in ((seen.middle[0, 0], 16), (seen.last[0, 0], 32), (seen.maps[0], 32)):
        expected = torch.arange(side // stride) * stride
        inner = (expected >= places(stride).min()) & (expected <= places(stride).max())
        assert inner.sum() >= len(expected) - 2
        torch.testing.assert_close(maps[0][inner], expected[inner].float())


@pytest.mark.parametrize("name", LITES)
def test_cells_look_where_they_are_said_to_lie(networks: dict[str, Backbone], name: str) -> None:
    """Read from the ImageNet weights: the maps of pictures agree with those of their flips best after a shift by twice
    as much as the middle cell looks beside the middle."""
    squares = np.stack([make_phantom(seed, seed % 2 == 0, 320, 320).picture for seed in range(8)])
    pictures = torch.from_numpy(squares).unsqueeze(1).float()
    with torch.inference_mode():
        seen, flipped = (networks[name].eval().stages(p) for p in (pictures, pictures.flip(-1)))
    for stride, maps, others in ((16, seen.middle, flipped.middle), (32, seen.last, flipped.last)):
        moves = np.arange(-1.5, 1.51, 0.125)
        move = max(moves, key=lambda move: agreement(maps, others.flip(-1), move))
        looks_at = (stride - 1 - move * stride) / 2
        assert looks_at == pytest.approx(networks[name].first_cells[stride], abs=stride / 4)


def agreement(maps: torch.Tensor, others: torch.Tensor, move: float) -> float:
    """The correlation of maps (n, c, h, w) that are moved apart across by so many cells, away from the edges."""
    one, other = (across(m - m.mean((0, 2, 3), keepdim=True), by) for m, by in ((maps, move / 2), (others, -move / 2)))
    return float((one * other).mean() / (one.square().mean() * other.square().mean()).sqrt())


def across(maps: torch.Tensor, by: float) -> torch.Tensor:
    """The values that lie so many cells to the right, between cells linearly; two cells at each edge are left out."""
    whole = math.floor(by)
    left = maps.roll(-whole, -1)
    return torch.lerp(left, left.roll(-1, -1), by - whole)[..., 2:-2]
