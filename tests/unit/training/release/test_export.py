"""The whole way in small: a trained network becomes a bundle that is read, served, and says what was measured."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from screening.database.tables import Checkpoint
from screening.inference.bundle import Bundle, read_bundle
from screening.inference.choice import open_engine
from screening.watching.drift import card_histogram
from screening.watching.statistics import BINS
from tests.unit.training.tiny import TINY, train_tiny
from training.card import model_card
from training.cross_validate import keep_outputs, run_fold, summary
from training.data.manifest import Example
from training.data.pictures import square_renditions
from training.data.splits import fold_parts, group_folds
from training.deployed import run_form
from training.evaluate import evaluate
from training.export import export
from training.learning.augment import Augmentation
from training.learning.devices import choose_device
from training.learning.networks import GreyResNet18
from training.learning.recipe import Phase
from training.learning.run_folder import claim_folder
from training.measuring.operating_point import choose_threshold
from training.release.evidence import PARTS_OF_A_FOLD
from training.release.out_of_fold import OutOfFold, finished_folds, outputs_path, pooled

# OpenVINO converts torch modules by tracing, which torch 2.15 calls deprecated; NNCF warns of small calibration sets.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore::DeprecationWarning")

QUICK = replace(
    TINY, phases=(Phase(6, 64, 1.0),), augmentation=Augmentation(scale_low=0.95, scale_high=1.05, noise=1.0)
)


@pytest.fixture(scope="module")
def run(phantoms: list[Example], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The out folder of a finished tiny training run that kept fold 0 away."""
    out = tmp_path_factory.mktemp("runs") / "run"
    train_tiny(QUICK, phantoms, out)
    return out


@pytest.fixture(scope="module")
def bundle(run: Path, phantoms: list[Example]) -> Bundle:
    return export(run, phantoms, run.parent / "phantom-1")


@pytest.fixture(scope="module")
def validation(phantoms: list[Example], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-validation of which two folds of four are finished."""
    out = tmp_path_factory.mktemp("runs") / "validation"
    for fold in (1, 3):
        run_fold(QUICK, fold, phantoms, out, choose_device("cpu", threads=1), quiet=True)
    return out


def test_an_exported_bundle_is_read_and_both_engines_serve_it(bundle: Bundle) -> None:
    assert read_bundle(bundle.folder).identity("int8") == bundle.identity("int8")
    golden = load_file(bundle.folder / "golden.safetensors")
    for engine_name, form in (("openvino", "fp32"), ("openvino", "int8"), ("torch", "fp32")):
        engine = open_engine(engine_name, bundle, form, threads=1)  # its self-check compares with the golden tensors
        said = engine.predict(golden["renditions"])
        tolerance = 2e-2 if form == "int8" else 1e-4
        np.testing.assert_allclose(said.probabilities, golden[f"{form}.probabilities"], atol=tolerance)


def test_the_card_brings_the_spread_that_later_weeks_are_compared_with(bundle: Bundle) -> None:
    for name in bundle.forms:
        spread = card_histogram(Checkpoint(card=bundle.card, form=name))
        assert spread is not None
        assert len(spread) == BINS
        assert sum(spread) == pytest.approx(1, abs=1e-3)
        measured = bundle.forms[name].figures["n"]
        counts = [share * measured for share in spread]
        assert counts == pytest.approx([round(count) for count in counts], abs=1e-3), "whole scans, each in one bin"


def test_points_promise_more_and_flag_more(bundle: Bundle) -> None:
    for form in bundle.forms.values():
        thresholds = {p.name: p.threshold for p in form.operating_points}
        assert thresholds["strict"] >= thresholds["recall-first"] >= thresholds["widest"]
        assert form.likely.threshold >= form.default_point.threshold


def test_the_card_repeats_what_evaluation_finds(bundle: Bundle, phantoms: list[Example]) -> None:
    test = fold_parts(phantoms, QUICK.folds, QUICK.test_fold, QUICK.seed, QUICK.selection_folds).test
    report = evaluate(bundle, "fp32", [phantoms[i] for i in test], bundle.folder.parent / "cache")
    stated = bundle.forms["fp32"]
    assert report["figures"]["auc"] == pytest.approx(stated.figures["auc"], abs=1e-6)
    assert report["figures"]["n"] == len(test)
    page = model_card(bundle)
    assert bundle.identity("fp32") in page
    assert all(limit in page for limit in bundle.card["limits"])


def test_each_scan_is_measured_at_a_threshold_that_other_groups_chose(bundle: Bundle, phantoms: list[Example]) -> None:
    parts = fold_parts(phantoms, QUICK.folds, QUICK.test_fold, QUICK.seed, QUICK.selection_folds)
    tested = [phantoms[i] for i in parts.test]
    squares = square_renditions(tested, QUICK.rendition, bundle.folder.parent / "cache")
    probabilities = run_form(bundle.folder / "fp32.xml", squares).probabilities
    labels = np.array([example.fractured for example in tested])
    folds = group_folds(tested, PARTS_OF_A_FOLD, QUICK.seed)
    for point in bundle.forms["fp32"].operating_points:
        caught = 0
        for fold in range(PARTS_OF_A_FOLD):
            own = folds == fold
            threshold = choose_threshold(probabilities[~own], labels[~own], point.target_sensitivity)
            caught += int((probabilities[own & labels] >= threshold).sum())
        assert point.sensitivity == pytest.approx(caught / labels.sum())


def test_a_run_on_all_data_needs_a_cross_validation(phantoms: list[Example], tmp_path: Path) -> None:
    everything = replace(QUICK, test_fold=None, selection_folds=0, phases=(Phase(1, 32, 0.5),))
    train_tiny(everything, phantoms, tmp_path / "all")
    with pytest.raises(ValueError, match="cross-validation"):
        export(tmp_path / "all", phantoms, tmp_path / "phantom-2")


def test_no_fold_is_judged_by_a_network_that_saw_it(validation: Path, phantoms: list[Example]) -> None:
    assert finished_folds(validation, "fp32", QUICK.folds) == [1, 3]
    outputs = pooled(validation, "fp32", QUICK.folds)
    for fold in (1, 3):
        parts = fold_parts(phantoms, QUICK.folds, fold, QUICK.seed, QUICK.selection_folds)
        judged = {i for i, f in zip(outputs.image_ids, outputs.folds, strict=True) if f == fold}
        assert judged == {phantoms[i].image_id for i in parts.test}
        recipe = json.loads((validation / f"fold-{fold}" / "recipe.json").read_text())
        assert recipe["test_fold"] == fold


def test_a_finished_fold_is_left_alone_and_a_lost_output_is_made_again(
    validation: Path, phantoms: list[Example]
) -> None:
    path = outputs_path(validation, 1, "int8")
    before = OutOfFold.load(path)
    stamp = (validation / "fold-1" / "best.pt").stat().st_mtime_ns
    path.unlink()
    run_fold(QUICK, 1, phantoms, validation, choose_device("cpu", threads=1), quiet=True)
    np.testing.assert_allclose(OutOfFold.load(path).logits, before.logits, atol=1e-3)
    assert (validation / "fold-1" / "best.pt").stat().st_mtime_ns == stamp


def test_a_release_on_all_data_is_measured_out_of_fold(
    validation: Path, phantoms: list[Example], tmp_path: Path
) -> None:
    everything = replace(QUICK, test_fold=None, selection_folds=0)
    train_tiny(everything, phantoms, tmp_path / "all")
    bundle = export(tmp_path / "all", phantoms, tmp_path / "phantom-3", cross_validation=validation)
    report = summary(QUICK, validation, phantoms, "int8")
    assert bundle.forms["int8"].figures["auc"] == pytest.approx(report["auc"])
    assert bundle.forms["int8"].figures["n"] == len(pooled(validation, "int8", QUICK.folds).image_ids)
    assert bundle.card["training"]["split"]["cross_validated_folds"] == [1, 3]
    for form in bundle.forms.values():
        assert "out of fold: each scan of folds 1, 3 (2 of 4) by" in form.figures["measured_on"]
    page = model_card(bundle)
    assert "measured out of fold on folds 1, 3 (2 of 4)." in page
    assert "none is left to select an epoch: the last one is taken" in page


def test_a_release_is_measured_by_its_own_recipe_on_the_same_folds_in_every_form(
    validation: Path, phantoms: list[Example], tmp_path: Path
) -> None:
    other = replace(QUICK, test_fold=None, selection_folds=0, positive_weight=9.0)
    claim_folder(tmp_path / "other", other)
    claim_folder(tmp_path / "same", replace(other, positive_weight=QUICK.positive_weight))
    for name in ("other", "same"):
        torch.save(GreyResNet18(44.0, 59.0).state_dict(), tmp_path / name / "best.pt")
    with pytest.raises(ValueError, match="fold-1 is of another recipe"):
        export(tmp_path / "other", phantoms, tmp_path / "phantom-4", cross_validation=validation)
    with pytest.raises(ValueError, match="fold-1 is of another recipe"):
        run_fold(other, 1, phantoms, validation, choose_device("cpu", threads=1), quiet=True)
    half = shutil.copytree(validation, tmp_path / "half")
    outputs_path(half, 3, "int8").unlink()
    with pytest.raises(ValueError, match=r"folds \[1, 3\] of fp32 and \[1\] of int8"):
        export(tmp_path / "same", phantoms, tmp_path / "phantom-5", cross_validation=half)


def test_folds_of_different_splits_are_not_pooled(validation: Path, phantoms: list[Example], tmp_path: Path) -> None:
    for fold in (0, 1):
        OutOfFold(("a", "b"), np.zeros(2, np.int64), np.zeros(2), np.zeros((2, 0, 0), np.float32)).save(
            outputs_path(tmp_path, fold, "fp32")
        )
    with pytest.raises(ValueError, match="different splits"):
        pooled(tmp_path, "fp32", 4)


def test_the_original_recipe_is_cross_validated_without_forms(phantoms: list[Example], tmp_path: Path) -> None:
    original = replace(QUICK, network="resnet18-deep-head", squash=True, phases=(Phase(1, 32, 1.0),), test_fold=2)
    train_tiny(original, phantoms, tmp_path / "fold-2", cache=tmp_path / "cache")
    keep_outputs(original, 2, phantoms, tmp_path)
    parts = fold_parts(phantoms, QUICK.folds, 2, QUICK.seed, QUICK.selection_folds)
    assert pooled(tmp_path, "torch", QUICK.folds).image_ids == tuple(phantoms[i].image_id for i in parts.test)
