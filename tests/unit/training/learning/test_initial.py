"""Weights to begin with: from ImageNet for one grey channel, from files, and a refusal of what does not fit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torchvision.models import ResNet18_Weights, resnet18

from training.learning.initial import GREY_MEAN, GREY_STD, build_network
from training.learning.recipe import Recipe


def test_imagenet_weights_see_grey_as_torchvision_sees_three_equal_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    original = resnet18().eval()
    original.bn1.running_mean.normal_()
    original.bn1.running_var.uniform_(0.5, 2)
    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", lambda *_, **__: original.state_dict())
    network = build_network(Recipe(init="imagenet")).eval()

    grey = torch.rand(2, 1, 64, 64) * 255
    means, deviations = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    three = (grey / 255 - means.view(1, 3, 1, 1)) / deviations.view(1, 3, 1, 1)
    with torch.inference_mode():
        theirs = original.bn1(original.conv1(three))
        ours = network.bn1(network.conv1((grey - GREY_MEAN) / GREY_STD))
    inner = (..., slice(2, -2), slice(2, -2))  # at the rim, padding is black in one and mean grey in the other
    torch.testing.assert_close(ours[inner], theirs[inner], rtol=1e-3, atol=1e-3)


def test_without_internet_the_refusal_says_what_else_can_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", offline)
    with pytest.raises(ValueError, match="--init FILE"):
        build_network(Recipe(init="imagenet"))


def test_weights_of_a_file_are_taken(tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = build_network(Recipe())
    torch.save(before.state_dict(), tmp_path / "weights.pt")
    after = build_network(Recipe(init="file"), tmp_path / "weights.pt")
    torch.testing.assert_close(after.layer4[1].conv2.weight, before.layer4[1].conv2.weight)
    torch.testing.assert_close(after.fc.weight, before.fc.weight)


def test_a_deep_head_begins_anew_on_weights_without_it(tmp_path: Path) -> None:
    before = build_network(Recipe())
    torch.save(before.state_dict(), tmp_path / "weights.pt")
    after = build_network(replace(Recipe(init="file"), network="resnet18-deep-head"), tmp_path / "weights.pt")
    torch.testing.assert_close(after.conv1.weight, before.conv1.weight)
    assert after(torch.zeros(2, 1, 64, 64)).shape == (2,)


@pytest.mark.parametrize("content", ["not weights", "three channels"])
def test_a_file_that_does_not_fit_is_refused_by_name(content: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    if content == "not weights":
        path.write_bytes(b"nothing of the kind")
    else:
        torch.save(resnet18().state_dict(), path)
    with pytest.raises(ValueError, match=r"weights\.pt"):
        build_network(Recipe(init="file"), path)
