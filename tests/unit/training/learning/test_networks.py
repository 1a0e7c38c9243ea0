"""Where the cells of networks lie: targets and teachers must speak of the place that a cell looks at."""

import pytest
import torch
from torch import nn

from training.learning.distil import on_cells_of
from training.learning.networks import GreyLite0, GreyResNet18, Stages, cells_of, first_cell_centre


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    pytest.importorskip("efficientnet_lite_pytorch", reason="the training extra is not installed")
    return {"resnet18": GreyResNet18(44.0, 59.0), "lite0": GreyLite0(pretrained=False)}


@pytest.mark.parametrize("stride", [16, 32])
@pytest.mark.parametrize("name", ["resnet18", "lite0"])
def test_a_box_belongs_to_the_cell_that_is_centred_on_it(
    networks: dict[str, nn.Module], name: str, stride: int
) -> None:
    first = first_cell_centre(networks[name], stride)
    for cell in range(1, 128 // stride - 1):
        centre = first + cell * stride
        masks = torch.zeros(1, 1, 32, 32)
        masks[0, 0, centre // 4, centre // 4] = 1
        assert cells_of(masks, stride, first)[0, 0].nonzero().tolist() == [[cell, cell]]


@pytest.mark.parametrize("ratio", [1.0, 1.5])
@pytest.mark.parametrize("name", ["resnet18", "lite0"])
def test_a_teacher_tells_each_cell_of_the_student_what_lies_there(
    networks: dict[str, nn.Module], name: str, ratio: float
) -> None:
    """A teacher whose maps hold the pixel that each of its cells is centred on, in the student's pixels."""
    side, teacher = 128, networks[name]

    def places(stride: int) -> torch.Tensor:
        cells = torch.arange(round(side * ratio) // stride)
        across = (cells * stride + first_cell_centre(teacher, stride)) / ratio
        return across.expand(1, 1, len(cells), -1).float()

    said = Stages(places(16), places(32), places(32)[:, 0], torch.zeros(1))
    seen = on_cells_of(networks["resnet18"], side, said, teacher, ratio)
    for maps, stride in ((seen.middle[0, 0], 16), (seen.last[0, 0], 32), (seen.maps[0], 32)):
        expected = torch.arange(side // stride) * stride
        inner = (expected >= places(stride).min()) & (expected <= places(stride).max())
        assert inner.sum() >= len(expected) - 2
        torch.testing.assert_close(maps[0][inner], expected[inner].float())


def test_cells_look_where_they_are_said_to_lie(networks: dict[str, nn.Module]) -> None:
    """What lite0 answers about a place comes from half a picture's cell further than torchvision's padding puts it."""

    def seen_from(network: nn.Module, cell: int) -> float:
        pictures = torch.full((1, 1, 192, 192), 100.0, requires_grad=True)
        middle = network.eval().stages(pictures).middle
        (gradient,) = torch.autograd.grad(middle[0, :, 5, cell].square().sum(), pictures)
        weight = gradient[0, 0].abs().sum(0)
        return float((weight * torch.arange(192)).sum() / weight.sum())

    torch.manual_seed(0)
    further = [seen_from(networks["lite0"], cell) - seen_from(networks["resnet18"], cell) for cell in (4, 5, 6)]
    assert 6 < sum(further) / 3 < 18
