"""Where weights begin: random numbers, torchvision's ImageNet weights, the shipped pretraining, or a file."""

from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import ResNet18_Weights

from screening.inference.torch_engine import read_state_dict
from training.learning.networks import Backbone, GreyLite, GreyResNet18, GreyResNet18DeepHead
from training.learning.recipe import LITES, Recipe

GREY_MEAN, GREY_STD = 44.0, 59.0
"""Mean and standard deviation of grey values over FracAtlas' renditions on their squares, rounded."""

PRETRAINED = Path(__file__).parents[1] / "weights" / "pretrained.safetensors"
"""Of recipes/pretrain.json: what ImageNet's filters see in radiographs, for one grey channel, without a last layer."""


def build_network(recipe: Recipe, init_file: Path | None = None) -> Backbone:
    """The recipe's network with the weights that it begins with. Raises ValueError for weights that do not fit."""
    if recipe.network in LITES:
        return GreyLite(recipe.network, recipe.frozen_blocks)
    network = _resnet(recipe)
    if recipe.init == "imagenet":
        _load(network, grey_imagenet(GREY_MEAN, GREY_STD), "torchvision's ImageNet weights")
    elif recipe.init in ("pretrained", "file", "before"):
        if init_file is None:
            raise ValueError("this recipe begins with a file; name it with --init FILE")
        _load(network, read_weights(init_file), str(init_file))
    return network


def trained_network(recipe: Recipe, weights: Path) -> Backbone:
    """The recipe's network with the weights that a run wrote. Raises ValueError for a file that holds others."""
    if recipe.network in LITES:
        network: Backbone = GreyLite(recipe.network, pretrained=False)
    else:
        network = _resnet(recipe)
    try:
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"{weights} holds no trained {recipe.network} ({error}); name the out folder of a run"
        ) from error
    return network.eval()


def trained_resnet(recipe: Recipe, weights: Path) -> GreyResNet18:
    """The trained network of a recipe for what is served. Raises ValueError for any other recipe, too."""
    network = trained_network(recipe, weights)
    if recipe.network != "resnet18" or not isinstance(network, GreyResNet18):
        raise ValueError(f"a {recipe.network} is not served; name a run of a resnet18")
    return network


def _resnet(recipe: Recipe) -> GreyResNet18:
    network = GreyResNet18 if recipe.network == "resnet18" else GreyResNet18DeepHead
    return network(GREY_MEAN, GREY_STD, recipe.frozen_blocks)


def read_weights(path: Path) -> dict[str, Tensor]:
    """A state dict from .safetensors, or from what torch saved (tensors only). Raises ValueError."""
    try:
        if path.suffix == ".safetensors":
            return {
                name: value for name, value in read_state_dict(path).items() if not name.startswith(("input.", "pool."))
            }
        weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        return weights
    except Exception as error:
        raise ValueError(f"{path} holds no weights that can be read ({error}); name a .pt or .safetensors") from error


def grey_imagenet(mean: float, std: float) -> dict[str, Tensor]:
    """torchvision's ImageNet weights of ResNet-18 for one grey channel. They are downloaded; raises ValueError offline.

    Three equal channels meet three filters. Their sum, scaled from torchvision's normalisation (per channel, 0..1) to
    ours (one mean and deviation, 0..255), is the filter for one channel; what the means differ by is a constant per
    filter, which the running mean of the normalisation behind it takes up.
    """
    try:
        weights: dict[str, Tensor] = dict(ResNet18_Weights.IMAGENET1K_V1.get_state_dict(progress=False))
    except OSError as error:
        raise ValueError(
            f"torchvision's weights cannot be downloaded ({error}); use --init FILE with a copy, or --init distil"
        ) from error
    means, deviations = (torch.tensor(v).view(1, 3, 1, 1) * 255 for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    filters = weights["conv1.weight"] / deviations
    weights["conv1.weight"] = filters.sum(1, keepdim=True) * std
    constant = (filters * (mean - means)).sum((1, 2, 3))
    weights["bn1.running_mean"] = weights["bn1.running_mean"] - constant
    return {name: value for name, value in weights.items() if not name.startswith("fc.")}


def _load(network: GreyResNet18, weights: dict[str, Tensor], source: str) -> None:
    """Everything but the last layer must be there and fit; the last layer is taken where it fits."""
    expected = network.state_dict()
    kept = {k: v.float() if v.is_floating_point() else v for k, v in weights.items() if k in expected}
    head = {k for k in expected if k.startswith("fc.")}
    kept = {k: v for k, v in kept.items() if k not in head or v.shape == expected[k].shape}
    missing = [k for k in expected if k not in kept and k not in head and not k.endswith("num_batches_tracked")]
    wrong = [k for k, v in kept.items() if v.shape != expected[k].shape]
    if missing or wrong:
        raise ValueError(f"{source} is no one-channel ResNet-18 (first misfit: {(missing + wrong)[0]}); name another")
    network.load_state_dict(kept, strict=False)
