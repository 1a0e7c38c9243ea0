"""Distillation: teachers look at the same augmented crops, sharper; the student matches what they compute."""

from collections.abc import Sequence
from pathlib import Path

import openvino as ov
import torch
from torch import Tensor, nn
from torch.nn import functional

from screening.inference.openvino_core import openvino_core
from training.learning.devices import Device, choose_device
from training.learning.initial import trained_network
from training.learning.networks import Backbone, Stages
from training.learning.recipe import Recipe


class Onlooker:
    """A trained network that only looks. On a processor it runs in OpenVINO, four times as fast as in torch."""

    def __init__(self, network: Backbone, device: Device) -> None:
        self.network = network.eval().to(device.torch_device, memory_format=torch.channels_last)
        self._device = device
        self._compiled = None if device.is_gpu else _compiled(network, device)

    @torch.no_grad()
    def stages(self, pictures: Tensor) -> Stages:
        """What the network computes of pictures (n, 1, side, side) on its device, in fp32."""
        if self._compiled is None:
            with self._device.mixed_precision():
                return Stages(*(t.float() for t in self.network.stages(pictures)))
        result = self._compiled([pictures.contiguous().numpy()])
        return Stages(*(torch.from_numpy(result[index].copy()) for index in range(len(Stages._fields))))


class Teacher:
    """One or more trained networks. Several of them are an ensemble: their maps and logits are averaged, and features
    are those of the first."""

    def __init__(self, networks: Sequence[Backbone], device: Device | None = None) -> None:
        if not networks:
            raise ValueError("a teacher needs at least one network")
        self.middle_channels, self.last_channels = networks[0].middle_channels, networks[0].last_channels
        device = device or choose_device("cpu")
        self._onlookers = [Onlooker(network, device) for network in networks]

    @classmethod
    def read(cls, folders: Sequence[Path], device: Device | None = None) -> "Teacher":
        """Load from out folders of training runs. Raises ValueError for one that holds no finished network."""
        networks = [trained_network(Recipe.read(folder / "recipe.json"), folder / "best.pt") for folder in folders]
        return cls(networks, device)

    @torch.no_grad()
    def stages(self, pictures: Tensor, side: int, student: Backbone) -> Stages:
        """What the teacher computes of pictures (n, 1, own side, own side), on the cells of a student that sees the
        same pictures at `side` pixels."""
        ratio = pictures.shape[-1] / side
        seen = [
            on_cells_of(student, side, onlooker.stages(pictures), onlooker.network, ratio)
            for onlooker in self._onlookers
        ]
        return Stages(
            seen[0].middle,
            seen[0].last,
            torch.stack([s.maps for s in seen]).mean(0),
            torch.stack([s.logits for s in seen]).mean(0),
        )


def on_cells_of(student: Backbone, side: int, said: Stages, teacher: Backbone, ratio: float) -> Stages:
    """A teacher's maps resampled onto a student's cells. Networks centre their cells on different pixels, by up to a
    whole cell: without this the student would learn at each place what belongs beside it."""

    def moved(maps: Tensor, stride: int) -> Tensor:
        cells = torch.arange(side // stride, device=maps.device) * stride + student.first_cells[stride]
        place = (cells * ratio - teacher.first_cells[stride]) / stride
        place = 2 * place / max(1, maps.shape[-1] - 1) - 1
        grid = torch.stack(torch.meshgrid(place, place, indexing="xy"), -1)
        grid = grid.expand(len(maps), -1, -1, -1)
        return functional.grid_sample(maps, grid, padding_mode="border", align_corners=True)

    maps = moved(said.maps[:, None], 32)[:, 0]
    return Stages(moved(said.middle, 16), moved(said.last, 32), maps, said.logits)


class _Stages(nn.Module):
    def __init__(self, network: Backbone) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network.stages(pictures))


def _compiled(network: Backbone, device: Device) -> ov.CompiledModel:
    example = torch.zeros(2, 1, 64, 64)
    model = ov.convert_model(_Stages(network.eval()), example_input=example, input=[-1, 1, -1, -1])
    precision = "bf16" if device.has_bf16 else "f32"
    hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    return openvino_core().compile_model(model, "CPU", hints)


class FeatureMatch(nn.Module):
    """How far the student's features, linearly mapped, are from the teacher's standardised ones, at both strides."""

    def __init__(self, student: Backbone, teacher: Teacher) -> None:
        super().__init__()
        self.middle = _projection(student.middle_channels, teacher.middle_channels)
        self.last = _projection(student.last_channels, teacher.last_channels)
        # Batch normalisation without weights standardises each teacher channel by its running scale.
        self.middle_target = nn.BatchNorm2d(teacher.middle_channels, affine=False)
        self.last_target = nn.BatchNorm2d(teacher.last_channels, affine=False)

    def forward(self, student: Stages, teacher: Stages) -> Tensor:
        """Both on the student's cells, as `Teacher.stages` gives them."""
        total = student.logits.new_zeros(())
        for project, standardise, ours, theirs in (
            (self.middle, self.middle_target, student.middle, teacher.middle),
            (self.last, self.last_target, student.last, teacher.last),
        ):
            total = total + functional.mse_loss(project(ours), standardise(theirs))
        return total


def _projection(channels: int, wanted: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, wanted, 1, bias=False), nn.BatchNorm2d(wanted))
