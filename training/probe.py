"""How much weights know before they are taught: `python -m training.probe --data DIR --out DIR [--weights FILE]`.

A linear probe (Alain and Bengio, 2016): the network's last features are pooled over the picture and stay as they are,
and a logistic regression on them is cross-validated by group. Without --weights it is an EfficientNet-Lite as ImageNet
left it: lite2, which the shipped pretraining learns from, or what --network names. The outputs are kept as
training.cross_validate keeps them, so that training.compare takes the folder, as NAME=DIR:torch.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from training.cross_validate import NOT_DEPLOYED, as_line, summary
from training.data.manifest import DatasetError, Example, read_dataset
from training.data.splits import fold_parts
from training.learning.devices import Device
from training.learning.distil import Onlooker
from training.learning.initial import build_network
from training.learning.material import in_batches, judged_pictures
from training.learning.networks import Backbone
from training.learning.recipe import LITES, Recipe
from training.release.out_of_fold import OutOfFold, outputs_path
from training.train import add_device_options, device_from, say_on_terminal

STRENGTHS = tuple(10.0**power for power in range(-5, 0))
"""Inverse strengths of the L2 penalty, of which each fold's other groups choose one."""


def probe(recipe: Recipe, weights: Path | None, examples: list[Example], out: Path, device: Device) -> None:
    """Cross-validate the features of the recipe's network, beginning with these weights."""
    squares = judged_pictures(recipe, examples, out / "cache", say_on_terminal)
    features = pooled_features(build_network(recipe, weights), squares, device)
    labels, groups = np.array([e.fractured for e in examples]), np.array([e.group for e in examples])
    for fold in range(recipe.folds):
        parts = fold_parts(examples, recipe.folds, fold, recipe.seed, selection_folds=0)
        search = GridSearchCV(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
            {"logisticregression__C": STRENGTHS},
            cv=GroupKFold(4),
            scoring="roc_auc",
        )
        search.fit(features[parts.train], labels[parts.train], groups=groups[parts.train])
        logits = search.decision_function(features[parts.test])
        outputs = OutOfFold.of_fold([examples[i] for i in parts.test], fold, logits)
        outputs.save(outputs_path(out, fold, NOT_DEPLOYED))
        recipe.write(out / f"fold-{fold}" / "recipe.json")


def pooled_features(
    network: Backbone, squares: NDArray[np.uint8], device: Device, batch: int = 32
) -> NDArray[np.float32]:
    """(n, 2 * channels): means and largest values over positions of the last features, of squares (n, side, side)."""
    onlooker, pooled = Onlooker(network, device), []
    batches = in_batches(squares, batch, device.torch_device)
    for pictures in tqdm(batches, total=-(-len(squares) // batch), desc="features", mininterval=10):
        last = onlooker.stages(pictures).last
        pooled.append(torch.cat([last.mean((2, 3)), last.amax((2, 3))], 1).cpu())
    return torch.cat(pooled).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.probe", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of a data set in one of the FracAtlas layouts")
    parser.add_argument("--out", type=Path, required=True, help="folder for the outputs of all folds")
    parser.add_argument("--weights", type=Path, help="of a ResNet-18: .pt or .safetensors")
    parser.add_argument("--network", choices=LITES, default="lite2", help="what is probed where no weights are given")
    parser.add_argument("--side", type=int, default=256, help="pixels of the renditions")
    add_device_options(parser)
    given = parser.parse_args()
    try:
        device = device_from(given)
        begun = Recipe(init="file") if given.weights else Recipe(network=given.network)
        recipe = replace(begun, rendition_side=given.side)
        examples = read_dataset(given.data, progress=say_on_terminal)
        probe(recipe, given.weights, examples, given.out, device)
        figures = summary(recipe, given.out, examples, NOT_DEPLOYED)
    except (DatasetError, ValueError, OSError) as error:
        sys.exit(f"The features cannot be probed: {error}")
    sys.stdout.write(as_line("linear probe", figures) + "\n")


if __name__ == "__main__":
    main()
