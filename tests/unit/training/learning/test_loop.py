"""The loop: what it keeps, and that a kill at any moment changes nothing but the time it takes."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from tests.unit.training.tiny import TINY, train_tiny
from training.data.manifest import Example
from training.learning import loop
from training.learning.augment import augment
from training.learning.devices import Device
from training.learning.distil import Teacher
from training.learning.loop import write_whole
from training.learning.networks import MASK_STRIDE, GreyLite, GreyResNet18, Stages
from training.learning.objective import still_visible, training_loss
from training.learning.recipe import Distillation, Phase, Recipe

# OpenVINO converts torch modules by tracing, which torch 2.15 calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")


@pytest.fixture(scope="module")
def run(phantoms: list[Example], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The out folder of a finished tiny training run."""
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    train_tiny(TINY, phantoms, out)
    return out


def test_every_epoch_is_recorded_with_the_figures_that_select(run: Path) -> None:
    history = json.loads((run / "history.json").read_text())
    assert [record["epoch"] for record in history] == [1, 2, 3]
    assert all(0 <= record["selection"] <= 1 for record in history)
    assert Recipe.read(run / "recipe.json") == TINY


@pytest.mark.parametrize("epochs_before", [0, 1, 2])
def test_a_killed_run_ends_as_an_undisturbed_one(
    run: Path, phantom_data: Path, phantoms: list[Example], epochs_before: int
) -> None:
    out = run.parent / f"killed-after-{epochs_before}"
    command = [
        *(sys.executable, "-m", "training.train", "--recipe", run / "recipe.json", "--data", phantom_data),
        *("--out", out, "--threads", "1", "--device", "cpu"),
    ]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[4], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    awaited = out / ("history.json" if epochs_before else "recipe.json")
    while not awaited.exists() or (epochs_before and len(json.loads(awaited.read_text())) < epochs_before):
        assert process.poll() is None and time.monotonic() < deadline, "the run did not come to the moment of the kill"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    train_tiny(TINY, phantoms, out)
    undisturbed = torch.load(run / "last.pt", weights_only=True)
    resumed = torch.load(out / "last.pt", weights_only=True)
    for name, expected in undisturbed.items():
        torch.testing.assert_close(resumed[name], expected, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(
        json.loads((out / "history.json").read_text()), json.loads((run / "history.json").read_text()), strict=True
    ):
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_a_run_that_is_killed_before_it_stores_its_last_state_ends_with_a_whole_history(
    run: Path, phantoms: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(state: dict[str, Any], path: Path) -> None:
        if path.name == "state.pt" and len(state["history"]) == TINY.epochs:
            raise KeyboardInterrupt
        write_whole(state, path)

    with monkeypatch.context() as dying:
        dying.setattr(loop, "write_whole", killed)
        with pytest.raises(KeyboardInterrupt):
            train_tiny(TINY, phantoms, tmp_path / "run")
    train_tiny(TINY, phantoms, tmp_path / "run")
    ours, theirs = (json.loads((folder / "history.json").read_text()) for folder in (tmp_path / "run", run))
    assert [record["epoch"] for record in ours] == [record["epoch"] for record in theirs]


def test_masks_lie_on_what_the_student_sees_also_where_its_teacher_sees_it_larger(
    phantoms: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every picture is its own mask in grey: after all changes of size they must still agree."""
    (tmp_path / "teacher").mkdir()
    torch.save(GreyResNet18(44.0, 59.0).state_dict(), tmp_path / "teacher" / "best.pt")
    TINY.write(tmp_path / "teacher" / "recipe.json")
    seen: list[torch.Tensor] = []

    def shown(pictures: torch.Tensor, masks: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, torch.Tensor]:
        _, masks = augment(pictures, masks, *rest)
        return functional.interpolate(masks * 255, scale_factor=MASK_STRIDE), masks

    def remembered(self: GreyResNet18, pictures: torch.Tensor) -> Stages:
        if self.training:
            seen.append(pictures.detach())
        return stages(self, pictures)

    def compared(*arguments: Any) -> torch.Tensor:
        masks = arguments[3]
        assert masks.shape[-1] * MASK_STRIDE == seen[-1].shape[-1]
        grey = functional.avg_pool2d(seen[-1], MASK_STRIDE) / 255
        torch.testing.assert_close(masks, grey, atol=0.15, rtol=0)
        return training_loss(*arguments)

    stages = GreyResNet18.stages
    monkeypatch.setattr(loop, "augment", shown)
    monkeypatch.setattr(loop, "training_loss", compared)
    monkeypatch.setattr(GreyResNet18, "stages", remembered)
    follows = dataclasses.replace(
        TINY, init="distil", distillation=Distillation(view=1.5), phases=(Phase(1, 64, 1.0),), box_weight=0.5
    )
    train_tiny(follows, phantoms, tmp_path / "student", teachers=(tmp_path / "teacher",))
    assert max(float(pictures.max()) for pictures in seen) > 200, "no box was seen"


def test_a_started_run_refuses_another_recipe(run: Path, phantoms: list[Example]) -> None:
    with pytest.raises(ValueError, match="started with another recipe"):
        train_tiny(dataclasses.replace(TINY, seed=2), phantoms, run)


def test_without_a_selection_part_the_last_epoch_is_taken(phantoms: list[Example], tmp_path: Path) -> None:
    everything = dataclasses.replace(TINY, test_fold=None, selection_folds=0, phases=(Phase(2, 32, 0.5),))
    assert train_tiny(everything, phantoms, tmp_path / "all")["epoch"] == 2
    best, last = (torch.load(tmp_path / "all" / name, weights_only=True) for name in ("best.pt", "last.pt"))
    assert all(torch.equal(best[name], last[name]) for name in last)


def test_the_original_recipe_runs(phantoms: list[Example], tmp_path: Path) -> None:
    original = dataclasses.replace(
        TINY, network="resnet18-deep-head", squash=True, ema_decay=0.0, select_by="recall", box_weight=0.0
    )
    assert 0 <= train_tiny(original, phantoms, tmp_path / "original")["selection"] <= 1


def test_a_student_follows_its_teachers(
    phantoms: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The distilled part alone, without labels, draws the student's logits towards the teachers'."""
    torch.manual_seed(0)
    sure, unsure = GreyResNet18(44.0, 59.0), GreyResNet18(44.0, 59.0)
    with torch.no_grad():
        sure.fc.bias.fill_(4.0)
        unsure.fc.bias.fill_(2.0)
    teachers = []
    for name, network in (("sure", sure), ("unsure", unsure)):
        (tmp_path / name).mkdir()
        torch.save(network.state_dict(), tmp_path / name / "best.pt")
        TINY.write(tmp_path / name / "recipe.json")
        teachers.append(tmp_path / name)
    pictures = torch.rand(2, 1, 64, 64) * 255
    expected = (sure.eval()(pictures) + unsure.eval()(pictures)) / 2

    def said() -> torch.Tensor:
        return Teacher.read(teachers).stages(pictures, 64, sure).logits

    # With the arithmetic of this processor, bf16 keeps eight bits of every number.
    torch.testing.assert_close(said(), expected, rtol=2**-7, atol=2**-7)
    with monkeypatch.context() as plain:
        plain.setattr(Device, "has_bf16", False)
        torch.testing.assert_close(said(), expected, rtol=1e-3, atol=1e-3)

    distillation = Distillation(logit=1.0, maps=0.3, features=0.1, view=2.0)
    student = dataclasses.replace(
        TINY,
        init="distil",
        distillation=distillation,
        label_weight=0.0,
        box_weight=0.0,
        mixup=0.5,
        learning_rate=3e-3,
        phases=(Phase(4, 32, 0.5),),
    )
    train_tiny(student, phantoms, tmp_path / "student", teachers=tuple(teachers))
    trained = GreyResNet18(44.0, 59.0)
    trained.load_state_dict(torch.load(tmp_path / "student" / "last.pt", weights_only=True))
    with torch.inference_mode():
        assert float(trained.eval()(pictures).mean()) > 1.0, "a network without teachers stays near zero"


def test_weights_from_a_file_follow_a_teacher_too(phantoms: list[Example], tmp_path: Path) -> None:
    """The label says nothing here and the teacher is sure: only following it moves the answers up."""
    sure = GreyResNet18(44.0, 59.0)
    with torch.no_grad():
        sure.fc.weight.zero_()
        sure.fc.bias.fill_(3.0)
    (tmp_path / "teacher").mkdir()
    torch.save(sure.state_dict(), tmp_path / "teacher" / "best.pt")
    TINY.write(tmp_path / "teacher" / "recipe.json")
    begun = GreyResNet18(44.0, 59.0)
    torch.save(begun.state_dict(), tmp_path / "begun.pt")
    further = dataclasses.replace(
        TINY,
        init="file",
        distillation=Distillation(logit=1.0, view=2.0),
        label_weight=0.0,
        box_weight=0.0,
        learning_rate=3e-3,
        phases=(Phase(4, 32, 0.5),),
    )
    train_tiny(
        further, phantoms, tmp_path / "further", teachers=(tmp_path / "teacher",), init_file=tmp_path / "begun.pt"
    )
    trained = GreyResNet18(44.0, 59.0)
    trained.load_state_dict(torch.load(tmp_path / "further" / "last.pt", weights_only=True))
    pictures = torch.rand(2, 1, 64, 64) * 255
    with torch.inference_mode():
        assert float(trained.eval()(pictures).mean()) > 1.0


def test_a_recipe_with_a_teacher_in_it_trains_the_teacher_first(phantoms: list[Example], tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="the training extra is not installed")
    short = (Phase(1, 32, 0.5),)
    recipe = dataclasses.replace(
        TINY,
        init="distil",
        distillation=Distillation(features=0.3, view=2.0),
        phases=short,
        teacher=dataclasses.replace(TINY, network="lite0", phases=short, frozen_blocks=3),
    )
    train_tiny(recipe, phantoms, tmp_path / "student")
    assert Recipe.read(tmp_path / "student" / "teacher" / "recipe.json").network == "lite0"
    noted = [(tmp_path / "student" / name / "data.json").read_text() for name in (".", "teacher")]
    assert noted[0] == noted[1], "both say what they have seen"
    assert (tmp_path / "student" / "best.pt").exists()


def test_pretraining_learns_what_imagenet_sees_and_never_a_label(phantoms: list[Example], tmp_path: Path) -> None:
    """A teacher of no epochs is as ImageNet left it, and with other labels the same weights come out."""
    recipe = dataclasses.replace(
        TINY,
        init="distil",
        phases=(Phase(epochs=3, side=64, scale=0.7),),
        label_weight=0.0,
        box_weight=0.0,
        selection_folds=0,
        distillation=Distillation(logit=0.0, features=1.0, view=1.0),
        teacher=dataclasses.replace(TINY, network="lite0", phases=()),
    )
    unlike = [dataclasses.replace(example, fractured=not example.fractured, boxes=()) for example in phantoms]
    for name, examples in (("as-they-are", phantoms), ("unlike", unlike)):
        train_tiny(recipe, examples, tmp_path / name)
    taught = torch.load(tmp_path / "as-they-are" / "teacher" / "best.pt", weights_only=True)
    imagenet = GreyLite("lite0").state_dict()
    assert all(torch.equal(taught[name], value) for name, value in imagenet.items() if "_fc" not in name)
    losses = [record["loss"] for record in json.loads((tmp_path / "as-they-are" / "history.json").read_text())]
    assert losses[-1] < losses[0]
    ours, theirs = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("as-they-are", "unlike"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_recipe_begins_with_the_last_weights_of_the_one_before(phantoms: list[Example], tmp_path: Path) -> None:
    """Without a learning rate the second stage keeps what it begins with."""
    stages = dataclasses.replace(
        TINY, init="before", before=dataclasses.replace(TINY, seed=9, test_fold=None), learning_rate=0.0, ema_decay=0.0
    )
    train_tiny(stages, phantoms, tmp_path / "whole")
    stored = Recipe.read(tmp_path / "whole" / "before" / "recipe.json")
    assert (stored.seed, stored.test_fold) == (TINY.seed, TINY.test_fold), "the same scans are kept away"
    before, after = (torch.load(tmp_path / "whole" / name, weights_only=True) for name in ("before/last.pt", "best.pt"))
    torch.testing.assert_close(after["layer4.1.conv2.weight"], before["layer4.1.conv2.weight"])
    train_tiny(dataclasses.replace(TINY, learning_rate=0.0, ema_decay=0.0), phantoms, tmp_path / "alone")
    alone = torch.load(tmp_path / "alone" / "best.pt", weights_only=True)
    assert not torch.allclose(alone["layer4.1.conv2.weight"], before["layer4.1.conv2.weight"])


def test_what_a_recipe_begins_with_may_have_a_teacher_of_its_own(phantoms: list[Example], tmp_path: Path) -> None:
    """Features are learnt from ImageNet first, then a teacher that knows the labels is followed."""
    pytest.importorskip("efficientnet_lite_pytorch", reason="the training extra is not installed")
    short = (Phase(1, 32, 0.5),)
    teacher = dataclasses.replace(TINY, network="lite0", phases=short, frozen_blocks=3)
    follows = dataclasses.replace(TINY, phases=short, distillation=Distillation(features=0.3, view=2.0))
    features = dataclasses.replace(follows, init="distil", teacher=dataclasses.replace(teacher, phases=()))
    train_tiny(
        dataclasses.replace(follows, init="before", before=features, teacher=teacher), phantoms, tmp_path / "run"
    )
    imagenet = GreyLite("lite0").state_dict()["net._blocks.15._project_conv.weight"]
    for folder, as_imagenet_left_it in (("before/teacher", True), ("teacher", False)):
        weights = torch.load(tmp_path / "run" / folder / "best.pt", weights_only=True)
        assert torch.equal(weights["net._blocks.15._project_conv.weight"], imagenet) is as_imagenet_left_it


def test_maps_average_to_the_logit() -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="the training extra is not installed")
    pictures = torch.rand(2, 1, 96, 96) * 255
    for network in (GreyResNet18(44.0, 59.0), GreyLite("lite0", pretrained=False)):
        with torch.inference_mode():
            stages = network.eval().stages(pictures)
        assert stages.maps.shape == (2, 3, 3)
        torch.testing.assert_close(stages.maps.mean((1, 2)), stages.logits, rtol=1e-4, atol=1e-4)


def test_a_crop_without_its_fracture_is_not_fractured() -> None:
    before, after = torch.zeros(3, 1, 8, 8), torch.zeros(3, 1, 8, 8)
    before[0, 0, 2, 2] = before[1, 0, 2, 2] = 255  # the third has no boxes: nothing is known of where
    after[0, 0, 4, 4] = 1
    assert still_visible(before, after).tolist() == [1, 0, 1]


def test_frozen_blocks_keep_the_filters_that_they_begin_with(phantoms: list[Example], tmp_path: Path) -> None:
    torch.manual_seed(4)
    begun = GreyResNet18(44.0, 59.0).state_dict()
    torch.save(begun, tmp_path / "begun.pt")
    recipe = dataclasses.replace(TINY, init="file", frozen_blocks=4, phases=(Phase(1, 32, 0.5),))
    train_tiny(recipe, phantoms, tmp_path / "run", init_file=tmp_path / "begun.pt")
    trained = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    changed = {name for name, value in begun.items() if value.ndim == 4 and not torch.equal(trained[name], value)}
    assert changed == {name for name, value in begun.items() if value.ndim == 4 and name[:6] in ("layer3", "layer4")}
