"""The whole way in small: train on phantoms, survive a kill, distil, export, and serve what was exported."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from screening.inference.bundle import read_bundle
from training.card import model_card
from training.dataset import Example, square_renditions
from training.deployed import run_form
from training.eight_bit import eight_bit_filters, snap_to_eight_bits
from training.evaluate import evaluate
from training.export import export
from training.networks import GreyLite0, GreyResNet18
from training.recipe import Distillation, Phase, Recipe
from training.splits import train_calibration_test
from training.train import still_visible, train

# OpenVINO converts torch modules by tracing, which torch 2.15 calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")

TINY = Recipe(
    rendition_side=64,
    source_side=64,
    phases=(Phase(1, 32, 0.5), Phase(2, 64, 1.0)),
    batch=8,
    folds=4,
    warmup_steps=2,
    ema_decay=0.5,
    distillation=Distillation(view_side=64),
)


@pytest.fixture(scope="module")
def run(phantoms: list[Example], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The out folder of a finished tiny training run."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    train(TINY, phantoms, out, quiet=True)
    return out


def test_every_epoch_is_recorded_with_the_figures_that_select(run: Path) -> None:
    history = json.loads((run / "history.json").read_text())
    assert [record["epoch"] for record in history] == [1, 2, 3]
    assert all(0 <= record["selection"] <= 1 for record in history)
    assert Recipe.read(run / "recipe.json") == TINY


def test_a_killed_run_ends_as_an_undisturbed_one(run: Path, phantom_data: Path, phantoms: list[Example]) -> None:
    out = run.parent / "killed"
    recipe = run / "recipe.json"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "training.train", "--recipe", recipe, "--data", phantom_data),
            *("--out", out, "--threads", "1"),
        ],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (out / "state.pt").exists():
        assert process.poll() is None and time.monotonic() < deadline, "the run did not reach its first epoch"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    train(TINY, phantoms, out, quiet=True)
    undisturbed = torch.load(run / "last.pt", weights_only=True)
    resumed = torch.load(out / "last.pt", weights_only=True)
    for name, expected in undisturbed.items():
        torch.testing.assert_close(resumed[name], expected, rtol=1e-4, atol=1e-5)


def test_a_started_run_refuses_another_recipe(run: Path, phantoms: list[Example]) -> None:
    with pytest.raises(ValueError, match="started with another recipe"):
        train(dataclasses.replace(TINY, seed=2), phantoms, run, quiet=True)


def test_an_unknown_choice_in_a_recipe_is_refused() -> None:
    with pytest.raises(ValueError, match="learning_rat"):
        Recipe.from_dict({"learning_rat": 1})


def test_an_exported_bundle_is_read_and_served(run: Path, phantoms: list[Example], tmp_path: Path) -> None:
    bundle = export(run, phantoms, tmp_path / "phantom-1", forms=("fp32",))
    assert read_bundle(tmp_path / "phantom-1").identity("fp32") == bundle.identity("fp32")
    assert [p.name for p in bundle.forms["fp32"].operating_points] == ["strict", "recall-first", "widest"]

    golden = load_file(bundle.folder / "golden.safetensors")
    outputs = run_form(bundle.folder / "fp32.xml", golden["renditions"].numpy())
    np.testing.assert_allclose(outputs.probabilities, golden["fp32.probabilities"].numpy(), atol=1e-4)

    weights = load_file(bundle.folder / "model.safetensors")
    network = GreyResNet18(float(weights.pop("input.mean")), float(weights.pop("input.std")))
    network.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    with torch.inference_mode():
        logits = network.eval()(golden["renditions"].unsqueeze(1).float())
    np.testing.assert_allclose(torch.sigmoid(logits).numpy(), outputs.probabilities, atol=1e-4)
    np.testing.assert_allclose(outputs.maps.mean((1, 2)) + network.fc.bias.item(), logits.numpy(), atol=1e-3)


def test_the_card_repeats_what_evaluation_finds(run: Path, phantoms: list[Example], tmp_path: Path) -> None:
    bundle = export(run, phantoms, tmp_path / "phantom-1", forms=("fp32",))
    *_, test = train_calibration_test(phantoms, TINY.folds, TINY.test_fold, TINY.seed)
    report = evaluate(bundle, "fp32", [phantoms[i] for i in test], tmp_path / "cache")
    stated = bundle.forms["fp32"]
    assert report["figures"]["auc"] == pytest.approx(stated.figures["auc"])
    assert report["figures"]["n"] == len(test)
    for found, point in zip(report["operating_points"], stated.operating_points, strict=True):
        assert found["sensitivity"] == pytest.approx(point.sensitivity)
        assert found["sensitivity_lower_95"] == pytest.approx(point.sensitivity_lower_95)
    page = model_card(bundle)
    assert f"| ROC AUC | {stated.figures['auc']:.3f} |" in page
    assert bundle.identity("fp32") in page
    assert all(limit in page for limit in bundle.card["limits"])


def test_a_student_learns_from_a_teacher(phantoms: list[Example], run: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="the training extra is not installed")
    from training.distil import Teacher

    torch.manual_seed(0)
    teacher = Teacher(GreyLite0(pretrained=False))
    out = run.parent / "student"
    train(dataclasses.replace(TINY, phases=(Phase(1, 32, 0.5),)), phantoms, out, teacher, quiet=True)
    assert len(json.loads((out / "history.json").read_text())) == 1


def test_snapped_filters_are_eight_bit_even_after_channels_are_rescaled() -> None:
    torch.manual_seed(0)
    network = GreyResNet18(0.0, 1.0)
    before = network.layer1[0].conv1.weight.detach().clone()
    snap_to_eight_bits(network)
    after = network.layer1[0].conv1.weight.detach()
    assert torch.equal(after, after.half().float())
    assert float((after - before).abs().max() / before.abs().max()) < 0.006
    rescaled = (after * torch.rand(64, 1, 1, 1)).numpy()
    whole, step = eight_bit_filters(rescaled)
    np.testing.assert_allclose(whole * step, rescaled, rtol=1e-5)


def test_filters_that_were_not_snapped_are_refused() -> None:
    with pytest.raises(ValueError, match="not on an 8-bit grid"):
        eight_bit_filters(np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32))


def test_a_crop_without_its_fracture_is_not_fractured() -> None:
    before, after = torch.zeros(3, 1, 8, 8), torch.zeros(3, 1, 8, 8)
    before[0, 0, 2, 2] = before[1, 0, 2, 2] = 255  # the third has no boxes: nothing is known of where
    after[0, 0, 4, 4] = 1
    assert still_visible(before, after).tolist() == [1, 0, 1]


def test_renditions_hold_every_phantom(phantoms: list[Example], run: Path) -> None:
    squares = square_renditions(phantoms, TINY.rendition, run.parent / "cache")
    assert squares.shape == (64, 64, 64)
    assert (squares.reshape(64, -1).max(1) > 200).all()
