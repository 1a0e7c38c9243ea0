"""A run folder knows its recipe and its data: nothing goes on with others, or learns from what is kept away."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.training.tiny import TINY, train_tiny
from training.data.manifest import Example
from training.data.splits import Parts, fold_parts
from training.learning.recipe import Distillation, Phase, Recipe
from training.learning.run_folder import check_data, check_folds, check_unseen, claim_data, claim_folder, digest_of

QUICK = replace(TINY, phases=(Phase(1, 32, 0.5),))


def parts_of(recipe: Recipe, examples: list[Example]) -> Parts:
    return fold_parts(examples, recipe.folds, recipe.test_fold, recipe.seed, recipe.selection_folds)


def test_one_row_less_cuts_other_folds_and_is_other_data(phantoms: list[Example]) -> None:
    fewer = phantoms[1:]
    kept = {phantoms[i].image_id for i in parts_of(TINY, phantoms).test}
    assert kept != {fewer[i].image_id for i in parts_of(TINY, fewer).test} | {phantoms[0].image_id} & kept
    digest = digest_of(phantoms)
    assert digest == digest_of(list(phantoms))
    for changed in (
        fewer,
        phantoms[::-1],
        [replace(phantoms[0], fractured=not phantoms[0].fractured), *fewer],
        [replace(phantoms[0], group="of another"), *fewer],
        [replace(phantoms[0], body_part="hip"), *fewer],
    ):
        assert digest_of(changed) != digest


def test_a_run_goes_on_with_its_own_data_alone(phantoms: list[Example], tmp_path: Path) -> None:
    train_tiny(QUICK, phantoms, tmp_path / "run")
    with pytest.raises(ValueError, match="started with other data than these 63 scans"):
        train_tiny(QUICK, phantoms[1:], tmp_path / "run")
    (tmp_path / "run" / "data.json").unlink()
    check_data(tmp_path / "run", phantoms[1:])  # A run of before: nothing was noted.


def test_folds_of_another_recipe_other_weights_or_other_data_are_refused(
    phantoms: list[Example], tmp_path: Path
) -> None:
    begun = replace(TINY, init="pretrained", init_digest="1f")
    for fold in (0, 2):
        claim_folder(tmp_path / f"fold-{fold}", replace(begun, test_fold=fold))
        claim_data(tmp_path / f"fold-{fold}", phantoms, parts_of(begun, phantoms))
    check_folds(tmp_path, begun, phantoms)
    check_folds(tmp_path, replace(begun, test_fold=None, selection_folds=0), phantoms)
    for other in (replace(begun, learning_rate=1.0), replace(begun, init_digest="2e"), replace(begun, seed=2)):
        with pytest.raises(ValueError, match="fold-0 is of another recipe"):
            check_folds(tmp_path, other, phantoms)
    with pytest.raises(ValueError, match="started with other data"):
        check_folds(tmp_path, begun, phantoms[1:])


@pytest.mark.parametrize(
    ("teacher", "refused"),
    [
        (TINY, False),
        (replace(TINY, test_fold=1), True),
        (replace(TINY, test_fold=None), True),
        (replace(TINY, seed=5), True),
        (replace(TINY, test_fold=None, selection_folds=0, label_weight=0.0, box_weight=0.0), False),
        (replace(TINY, test_fold=None, label_weight=0.0, box_weight=0.0, teacher=TINY), True),
        (replace(TINY, test_fold=None, network="lite0", phases=()), False),
    ],
    ids=["same parts", "another fold", "all data", "another seed", "no labels", "a teacher with labels", "no epochs"],
)
def test_what_has_learnt_from_scans_that_are_kept_away_teaches_none(
    phantoms: list[Example], tmp_path: Path, teacher: Recipe, refused: bool
) -> None:
    claim_folder(tmp_path, teacher)
    for noted in (False, True):  # A run of before noted nothing.
        if noted:
            claim_data(tmp_path, phantoms, parts_of(teacher, phantoms))
        with pytest.raises(ValueError, match="cannot be a teacher") if refused else nullcontext():
            check_unseen(tmp_path, parts_of(TINY, phantoms), phantoms, "a teacher")


def test_a_teacher_has_learnt_from_the_pictures_that_trained_it_whatever_other_rows_there_are(
    phantoms: list[Example], tmp_path: Path
) -> None:
    claim_folder(tmp_path, TINY)
    claim_data(tmp_path, phantoms, parts_of(TINY, phantoms))
    fewer = phantoms[1:]  # Cuts other folds: the same fold is another one now.
    with pytest.raises(ValueError, match="has learnt from"):
        check_unseen(tmp_path, parts_of(TINY, fewer), fewer, "a teacher")
    others = [replace(example, image_id=f"other-{example.image_id}") for example in phantoms]
    check_unseen(tmp_path, parts_of(replace(TINY, test_fold=2), others), others, "a teacher")
    check_unseen(tmp_path / "nothing", parts_of(TINY, phantoms), phantoms, "a teacher")


def test_a_run_refuses_teachers_and_first_weights_that_saw_its_fold(phantoms: list[Example], tmp_path: Path) -> None:
    train_tiny(replace(QUICK, test_fold=None), phantoms, tmp_path / "all")
    follows = replace(QUICK, init="distil", distillation=Distillation())
    with pytest.raises(ValueError, match=r"all has learnt from \d+ of the scans .* cannot be a teacher"):
        train_tiny(follows, phantoms, tmp_path / "student", teachers=(tmp_path / "all",))
    with pytest.raises(ValueError, match="cannot be what the weights begin with"):
        train_tiny(replace(QUICK, init="file"), phantoms, tmp_path / "further", init_file=tmp_path / "all" / "best.pt")
    assert not (tmp_path / "student").exists() and not (tmp_path / "further").exists()
