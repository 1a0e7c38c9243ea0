"""A backbone that is kept without its last layer begins another run, and a linear probe says what it knows."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.unit.training.tiny import TINY, train_tiny
from training.backbone import save_backbone
from training.compare import Way, compare
from training.data.manifest import Example
from training.learning.devices import choose_device
from training.learning.initial import build_network, trained_network
from training.learning.recipe import Recipe
from training.probe import probe
from training.release.out_of_fold import pooled


@pytest.fixture(scope="module")
def run(phantoms: list[Example], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("backbone") / "run"
    train_tiny(TINY, phantoms, out)
    return out


def test_a_kept_backbone_sees_what_the_run_saw(run: Path, tmp_path: Path) -> None:
    save_backbone(run, tmp_path / "new" / "backbone.safetensors")
    assert not any(name.startswith("fc.") for name in load_file(tmp_path / "new" / "backbone.safetensors"))
    begun = build_network(replace(TINY, init="file"), tmp_path / "new" / "backbone.safetensors").eval()
    trained = trained_network(TINY, run / "last.pt")
    pictures = torch.rand(2, 1, 64, 64) * 255
    with torch.inference_mode():
        ours, theirs = begun.stages(pictures).last, trained.stages(pictures).last
    assert float((ours - theirs).norm() / theirs.norm()) < 0.1, "eight bits a filter cost a few hundredths"
    assert not torch.equal(begun.fc.weight, trained.fc.weight)


def test_only_a_resnet_is_kept(run: Path, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes((run / "last.pt").read_bytes())
    replace(TINY, network="lite0").write(tmp_path / "recipe.json")
    with pytest.raises(ValueError, match="lite0"):
        save_backbone(tmp_path, tmp_path / "backbone.safetensors")


def test_a_probe_finds_what_features_know_and_its_outputs_are_compared_as_any_way(
    run: Path, phantoms: list[Example], tmp_path: Path
) -> None:
    recipe = Recipe(init="file", rendition_side=64, folds=4)
    probe(recipe, run / "last.pt", phantoms, tmp_path / "probe", choose_device("cpu", threads=1))
    outputs = pooled(tmp_path / "probe", "torch", recipe.folds)
    assert sorted(outputs.image_ids) == sorted(example.image_id for example in phantoms)
    row = compare([Way("probe", tmp_path / "probe", "torch")], phantoms)["rows"][-1]
    assert row["folds"] == "all 4, out of fold"
    assert row["figures"]["auc"] > 0.7, json.dumps(row)
