"""Recipes: every choice is stored, unknown ones are refused, and a teacher never sees more than its student."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from screening.inference.bundle import file_digest
from tests.unit.training.tiny import TINY
from training.learning.initial import PRETRAINED, build_network
from training.learning.networks import GreyResNet18
from training.learning.recipe import Distillation, Recipe
from training.train import RECIPES, chosen_recipe


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.json")), ids=lambda p: p.stem)
def test_a_shipped_recipe_is_read_and_stored_whole(path: Path, tmp_path: Path) -> None:
    recipe = Recipe.read(path)
    recipe.write(tmp_path / "again.json")
    assert Recipe.read(tmp_path / "again.json") == recipe


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"learning_rat": 1}, "learning_rat"),
        ({"network": "resnet50"}, "resnet18"),
        ({"select_by": "accuracy"}, "specificity or recall"),
        ({"init": "distil"}, "distillation"),
        ({"init": "before"}, "need each other"),
        ({"before": {}}, "need each other"),
        ({"phases": [{"epochs": 1, "size": 64}]}, "size"),
        ({"before": 5}, "not understood"),
        ({"teacher": "absent.json"}, "absent.json"),
        ({"teacher": "recipe.json"}, "names itself"),
        ({"init": "before", "before": {"teacher": "recipe.json"}}, "names itself"),
    ],
)
def test_an_unknown_choice_is_refused_by_name(values: dict[str, object], complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match=complaint) as refused:
        Recipe.read(path)
    assert str(path) in str(refused.value)


def test_a_teacher_is_trained_on_the_parts_of_its_student() -> None:
    student = replace(TINY, init="distil", distillation=Distillation())
    teacher = student.on_same_parts(Recipe(network="lite0", seed=9))
    parts = ("folds", "test_fold", "selection_folds", "seed")
    assert all(getattr(teacher, name) == getattr(student, name) for name in parts)


def test_a_recipe_may_name_the_files_of_its_teacher_and_of_what_comes_before(tmp_path: Path) -> None:
    student, teacher, pretraining = (
        Recipe.read(RECIPES / f"{name}.json") for name in ("student", "teacher", "pretrain")
    )
    assert (student.teacher, student.before) == (teacher, pretraining)
    assert (student.first.network, student.first.init) == ("resnet18", "distil")
    (tmp_path / "far").mkdir()
    Recipe(seed=7).write(tmp_path / "far" / "last.json")
    (tmp_path / "far" / "middle.json").write_text(json.dumps({"teacher": "last.json", "seed": 6}))
    (tmp_path / "first.json").write_text(json.dumps({"teacher": {"teacher": "far/middle.json"}}))
    read = Recipe.read(tmp_path / "first.json")
    assert read == Recipe(teacher=Recipe(teacher=Recipe(seed=6, teacher=Recipe(seed=7))))


def test_the_shipped_weights_take_the_place_of_the_pretraining(tmp_path: Path) -> None:
    digest = file_digest(PRETRAINED)
    student = chosen_recipe(RECIPES / "student.json", "pretrained")[0]
    assert (student.init, student.before, student.init_digest) == ("pretrained", None, digest)
    by_name, weights = chosen_recipe(None, "pretrained")
    assert (by_name, weights) == (replace(Recipe.read(RECIPES / "direct.json"), init_digest=digest), PRETRAINED)
    by_name.write(tmp_path / "recipe.json")
    assert chosen_recipe(tmp_path / "recipe.json", None) == (by_name, PRETRAINED)
    assert isinstance(build_network(by_name, weights), GreyResNet18)


def test_init_chooses_the_recipe_that_goes_with_it(tmp_path: Path) -> None:
    assert chosen_recipe(None, None)[0] == chosen_recipe(None, "distil")[0]
    assert chosen_recipe(None, "random")[0].before is None
    assert chosen_recipe(None, "imagenet")[0].init == "imagenet"
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"some weights")
    recipe, path = chosen_recipe(None, str(weights))
    assert (recipe.init, path) == ("file", weights)
    assert recipe.init_digest.startswith("a0c7")
    with pytest.raises(ValueError, match="neither pretrained"):
        chosen_recipe(None, str(tmp_path / "absent.pt"))
