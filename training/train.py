"""Train one network by one recipe: `python -m training.train --recipe R --data DIR --out DIR [--teacher FILE]`.

The state is written whole after each epoch and every epoch draws its randomness from (seed, epoch), so a run that was
killed goes on from its last finished epoch and ends where an undisturbed one ends.
"""

import argparse
import copy
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from screening.radiographs.rendition import RenditionSpec
from training.augment import augment
from training.dataset import DatasetError, Example, box_masks, read_dataset, square_renditions
from training.distil import FeatureMatch, Teacher
from training.figures import average_precision, roc_auc, selection_score, specificity_at
from training.networks import BoxHeads, GreyLite0, GreyResNet18
from training.recipe import Recipe
from training.splits import train_calibration_test

GREY_MEAN, GREY_STD = 44.0, 59.0
"""Mean and standard deviation of grey values over the training renditions on their squares, rounded."""
MASK_STRIDE = 4


class Trainee(nn.Module):
    """A backbone with the heads that only training needs."""

    def __init__(self, recipe: Recipe, teacher: Teacher | None) -> None:
        super().__init__()
        self.backbone = build_network(recipe)
        self.boxes = BoxHeads(self.backbone.middle_channels, self.backbone.last_channels)
        self.match = FeatureMatch(self.backbone, teacher) if teacher else None


def build_network(recipe: Recipe) -> GreyResNet18 | GreyLite0:
    if recipe.network == "resnet18":
        return GreyResNet18(GREY_MEAN, GREY_STD)
    if recipe.network == "lite0":
        return GreyLite0(recipe.frozen_blocks)
    raise ValueError(f"network {recipe.network!r} is not known; choose resnet18 or lite0")


@torch.inference_mode()
def predict(network: nn.Module, squares: NDArray[np.uint8], batch: int = 32) -> NDArray[np.float64]:
    """Logits (n,) of square renditions (n, side, side)."""
    network.eval()
    logits = [
        network(torch.from_numpy(np.array(squares[start : start + batch])).unsqueeze(1).float())
        for start in range(0, len(squares), batch)
    ]
    return torch.cat(logits).double().numpy()


def learning_rate_factor(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then half a cosine down to one hundredth."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def update_average(average: nn.Module, current: nn.Module, decay: float) -> None:
    """Exponential moving average of weights; counters are copied."""
    with torch.no_grad():
        for held, new in zip(average.state_dict().values(), current.state_dict().values(), strict=True):
            if held.dtype.is_floating_point:
                held.lerp_(new, 1 - decay)
            else:
                held.copy_(new)


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay on matrices and filters only; biases and normalisation go free."""
    trained = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def minibatches(count: int, batch: int, seed: int) -> Iterator[Tensor]:
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    yield from order[: count - count % batch].split(batch)


@dataclass(frozen=True)
class Parts:
    """What a run reads: pictures and masks (n, 1, side, side) uint8 and targets (n,) of the train part, and squares
    (n, side, side) and labels (n,) of the calibration part."""

    pictures: Tensor
    masks: Tensor
    targets: Tensor
    calibration: NDArray[np.uint8]
    calibration_labels: NDArray[np.bool_]


def prepare(recipe: Recipe, examples: list[Example], cache: Path, say: Callable[[str], None]) -> Parts:
    labels = np.array([e.fractured for e in examples])
    train_part, calibration_part, _ = train_calibration_test(examples, recipe.folds, recipe.test_fold, recipe.seed)
    source = RenditionSpec(side=recipe.source_side)
    pictures = square_renditions([examples[i] for i in train_part], source, cache, say)
    masks = box_masks([examples[i] for i in train_part], recipe.source_side, MASK_STRIDE)
    return Parts(
        pictures=torch.from_numpy(np.array(pictures)).unsqueeze(1),
        masks=torch.from_numpy(masks).unsqueeze(1),
        targets=torch.from_numpy(labels[train_part]).float(),
        calibration=np.array(square_renditions([examples[i] for i in calibration_part], recipe.rendition, cache, say)),
        calibration_labels=labels[calibration_part],
    )


def train(
    recipe: Recipe, examples: list[Example], out: Path, teacher: Teacher | None = None, quiet: bool = False
) -> dict[str, Any]:
    """Train to the end of the recipe, or go on from where `out` stands. Returns the selected epoch's record.

    Writes `out/recipe.json`, `out/state.pt` (to resume), `out/history.json`, and averaged backbone weights: of the
    selected epoch in `out/best.pt`, of the last one in `out/last.pt`. Raises ValueError if `out` was started with
    another recipe.
    """
    out.mkdir(parents=True, exist_ok=True)
    stored = out / "recipe.json"
    if stored.exists() and Recipe.read(stored) != recipe:
        raise ValueError(f"{out} was started with another recipe; name an empty folder or pass {stored}")
    stored.write_text(json.dumps(recipe.as_dict(), indent=2) + "\n", "utf-8")

    def say(text: str) -> None:
        if not quiet:
            sys.stderr.write(text + "\n")

    parts = prepare(recipe, examples, out.parent / "cache", say)
    torch.manual_seed(recipe.seed)
    trainee = Trainee(recipe, teacher).to(memory_format=torch.channels_last)
    average = copy.deepcopy(trainee.backbone)
    optimizer = torch.optim.AdamW(parameter_groups(trainee, recipe.weight_decay), lr=recipe.learning_rate)
    history: list[dict[str, Any]] = []
    if (out / "state.pt").exists():
        state = torch.load(out / "state.pt", weights_only=True)
        trainee.load_state_dict(state["trainee"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        history = state["history"]
        say(f"going on after epoch {len(history)} of {recipe.epochs}")

    for epoch in range(len(history), recipe.epochs):
        loss = train_epoch(epoch, recipe, parts, trainee, average, optimizer, teacher, quiet)
        record = {"epoch": epoch + 1, "loss": loss, **calibration_figures(average, parts)}
        best = max((r["selection"] for r in history), default=-1.0)
        history.append(record)
        say(json.dumps(record))
        if record["selection"] > best:
            write_whole(average.state_dict(), out / "best.pt")
        write_whole(average.state_dict(), out / "last.pt")
        state = {
            "trainee": trainee.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "history": history,
        }
        write_whole(state, out / "state.pt")
        (out / "history.json").write_text(json.dumps(history, indent=1) + "\n", "utf-8")
    return max(history, key=lambda r: float(r["selection"]))


def train_epoch(
    epoch: int,
    recipe: Recipe,
    parts: Parts,
    trainee: Trainee,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    teacher: Teacher | None,
    quiet: bool,
) -> float:
    """One pass over the train part; the mean loss."""
    phase = recipe.phase_of(epoch)
    view_side = recipe.distillation.view_side if teacher else phase.side
    view_scale = phase.scale * view_side / phase.side
    steps = len(parts.targets) // recipe.batch
    seed = recipe.seed * 100_003 + epoch
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    trainee.train()
    total = 0.0
    bar = tqdm(
        minibatches(len(parts.targets), recipe.batch, seed),
        total=steps,
        desc=f"epoch {epoch + 1}/{recipe.epochs} at {phase.side} px",
        disable=quiet,
        mininterval=10,
    )
    for step, chosen in enumerate(bar):
        done = epoch * steps + step
        factor = learning_rate_factor(done, recipe.epochs * steps, recipe.warmup_steps)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * factor
        before = parts.masks[chosen]
        view, masks = augment(parts.pictures[chosen], before, view_side, view_scale, recipe.augmentation, generator)
        targets = parts.targets[chosen] * still_visible(before, masks)
        loss = training_loss(trainee, recipe, phase.side, view, masks, targets, teacher)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trainee.parameters(), 5.0)
        optimizer.step()
        # A short memory at first: the average must not remember the random start.
        update_average(average, trainee.backbone, min(recipe.ema_decay, (done + 1) / (done + 11)))
        total += float(loss.detach())
        bar.set_postfix(loss=f"{total / (step + 1):.3f}", refresh=False)
    return total / steps


def calibration_figures(network: nn.Module, parts: Parts) -> dict[str, float]:
    """What one epoch is judged by; `selection` decides, the others inform."""
    logits, labels = predict(network, parts.calibration), parts.calibration_labels
    return {
        "selection": selection_score(logits, labels),
        "auc": roc_auc(logits, labels),
        "average_precision": average_precision(logits, labels),
        "specificity_at_90": specificity_at(logits, labels, 0.90),
    }


def still_visible(before: Tensor, after: Tensor) -> Tensor:
    """(n,) 0 where a crop left out every fracture box of a picture that has boxes, else 1."""
    had_boxes, has_boxes = before.flatten(1).amax(1) > 0, after.flatten(1).amax(1) > 0.1
    return (~had_boxes | has_boxes).float()


def training_loss(
    trainee: Trainee, recipe: Recipe, side: int, view: Tensor, masks: Tensor, targets: Tensor, teacher: Teacher | None
) -> Tensor:
    """Weighted cross-entropy, where-is-it at two strides, and following the teacher on the very same crops.

    view: (n, 1, view side, view side); the network in training sees it reduced to `side`, the teacher as it is.
    """
    pictures = view if side == view.shape[-1] else functional.interpolate(view, side, mode="bilinear", antialias=True)
    stages = trainee.backbone.stages(pictures.contiguous(memory_format=torch.channels_last))
    loss = functional.binary_cross_entropy_with_logits(
        stages.logits, targets, pos_weight=torch.tensor(recipe.positive_weight)
    )
    loss = loss + recipe.box_weight * trainee.boxes.loss(stages, masks)
    if teacher is not None and trainee.match is not None:
        taught = teacher.stages(view)
        loss = loss + recipe.distillation.logit * functional.mse_loss(stages.logits, taught.logits)
        loss = loss + recipe.distillation.features * trainee.match(stages, taught)
    return loss


def write_whole(state: dict[str, Any], path: Path) -> None:
    """Write beside and rename, so that a kill leaves the old file or the new one."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--recipe", type=Path, required=True, help="a JSON file of training/recipes")
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv and images/")
    parser.add_argument("--out", type=Path, required=True, help="folder for state and result; a started one goes on")
    parser.add_argument("--teacher", type=Path, help="out folder of a trained teacher to distil from")
    parser.add_argument("--threads", type=int, help="processor threads; all by default")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    try:
        recipe = Recipe.read(given.recipe)
        examples = read_dataset(given.data)
        teacher = Teacher.read(given.teacher) if given.teacher else None
        best = train(recipe, examples, given.out, teacher)
    except (DatasetError, ValueError, OSError) as error:
        sys.exit(f"Training cannot start: {error}")
    sys.stdout.write(json.dumps(best) + "\n")


if __name__ == "__main__":
    main()
