"""The table of ways: same scans for all, the whole cross-validation where it is finished, differences to the first."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.tiny import TINY
from training.compare import Way, compare, with_earlier
from training.data.manifest import Example
from training.data.splits import fold_parts
from training.release.out_of_fold import OutOfFold, outputs_path


def keep(folder: Path, examples: list[Example], folds: range, how_right: float) -> Path:
    """Outputs of a made-up network: the label, scaled, in noise."""
    random = np.random.default_rng(0)
    for fold in folds:
        tested = [examples[i] for i in fold_parts(examples, TINY.folds, fold, TINY.seed, TINY.selection_folds).test]
        logits = np.array([how_right * e.fractured for e in tested]) + random.normal(size=len(tested))
        ids = tuple(e.image_id for e in tested)
        outputs = OutOfFold(ids, np.full(len(ids), fold), logits, np.zeros((len(ids), 0, 0), np.float32))
        outputs.save(outputs_path(folder, fold, "fp32"))
        replace(TINY, test_fold=fold).write(folder / f"fold-{fold}" / "recipe.json")
    return folder


def test_ways_are_compared_on_one_fold_and_over_all_that_are_finished(phantoms: list[Example], tmp_path: Path) -> None:
    base = keep(tmp_path / "base", phantoms, range(4), 0.0)
    good = keep(tmp_path / "good", phantoms, range(4), 4.0)
    begun = keep(tmp_path / "begun", phantoms, range(2), 2.0)
    table = compare([Way("base", base, "fp32"), Way.parse(f"good={good}"), Way("begun", begun, "fp32")], phantoms)
    assert [(row["folds"], row["way"]) for row in table["rows"]] == [
        ("fold 0", "base"),
        ("fold 0", "good"),
        ("fold 0", "begun"),
        ("all 4, out of fold", "base"),
        ("all 4, out of fold", "good"),
    ]
    whole = {row["way"]: row for row in table["rows"] if row["folds"] != "fold 0"}
    assert whole["good"]["n"] == len(phantoms)
    against = whole["good"]["against_first"]["auc"]
    assert against["difference"] == pytest.approx(whole["good"]["figures"]["auc"] - whole["base"]["figures"]["auc"])
    assert against["interval_95"][0] > 0


def test_rows_of_an_earlier_card_stand_behind_the_baseline_and_those_told_anew_keep_their_place(
    phantoms: list[Example], tmp_path: Path
) -> None:
    base = Way("base", keep(tmp_path / "base", phantoms, range(4), 0.0), "fp32")
    good = Way("good", keep(tmp_path / "good", phantoms, range(4), 4.0), "fp32")
    table = compare([base, good], phantoms)
    base_on_one, good_on_one, base_on_all, good_on_all = table["rows"]
    lost = {"way": "lost", "form": "torch", "folds": "fold 0", "figures": {"auc": 0.7}}
    old = {**good_on_one, "figures": {"auc": 0.6}}
    card = tmp_path / "card.json"
    compared = {**lost, "against_first": {"auc": {"difference": 0.1}}}  # to a way that is not the first one here
    card.write_text(json.dumps({"training": {"cross_validation": {"folds": 4, "rows": [compared, old]}}}))
    assert with_earlier(table, card)["rows"] == [base_on_one, base_on_all, lost, good_on_one, good_on_all]
    card.write_text(json.dumps({"training": {"cross_validation": {"folds": 4, "rows": [old, lost]}}}))
    assert with_earlier(table, card)["rows"] == [base_on_one, base_on_all, good_on_one, lost, good_on_all]
    card.write_text(json.dumps({"training": {"cross_validation": {"folds": 5, "rows": [lost]}}}))
    with pytest.raises(ValueError, match="no ways over 4 folds"):
        with_earlier(table, card)


def test_a_way_that_is_none_is_refused(phantoms: list[Example], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="write NAME=FOLDER"):
        Way.parse("nothing")
    mixed = keep(tmp_path / "mixed", phantoms, range(2), 1.0)
    replace(TINY, test_fold=1, learning_rate=0.5).write(mixed / "fold-1" / "recipe.json")
    with pytest.raises(ValueError, match="fold-1 is of another recipe"):
        compare([Way("of two recipes", mixed, "fp32")], phantoms)
    folder = keep(tmp_path / "forms", phantoms, range(1), 1.0)
    with pytest.raises(ValueError, match="no finished fold of the form int8"):
        compare([Way("of another form", folder, "int8")], phantoms)
    with pytest.raises(ValueError, match="holds no cross-validation"):
        compare([Way("empty", tmp_path / "empty", "fp32")], phantoms)
