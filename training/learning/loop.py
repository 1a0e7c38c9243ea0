"""The loop that turns a recipe into weights, whole after each epoch and resumable from there.

Every epoch draws its randomness from (seed, epoch), and the state is written beside and renamed, so a run that was
killed goes on from its last finished epoch and ends where an undisturbed one ends.
"""

import copy
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from screening.whole_files import whole_file, write_json_whole
from training.learning.augment import augment, lay_over
from training.learning.devices import Device
from training.learning.distil import Teacher
from training.learning.initial import build_network
from training.learning.material import Material, in_batches
from training.learning.networks import MASK_STRIDE
from training.learning.objective import Trainee, parameter_groups, still_visible, training_loss, update_average
from training.learning.recipe import Recipe
from training.learning.run_folder import claim_folder
from training.learning.selection import selected, specificity_score
from training.measuring.figures import average_precision, roc_auc, specificity_at


def train(
    recipe: Recipe,
    material: Material,
    out: Path,
    device: Device,
    teacher: Teacher | None = None,
    init_file: Path | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train to the end of the recipe, or go on from where `out` stands. Returns the selected epoch's record.

    Writes `out/recipe.json`, `out/state.pt` (to resume), `out/history.json`, and averaged backbone weights: of the
    selected epoch in `out/best.pt`, of the last one in `out/last.pt`. Raises ValueError if `out` was started with
    another recipe.
    """
    claim_folder(out, recipe)
    torch.manual_seed(recipe.seed)
    backbone = build_network(recipe, init_file)
    where = device.torch_device
    trainee = Trainee(backbone, teacher).to(where, memory_format=torch.channels_last)
    average = copy.deepcopy(trainee.backbone)
    optimizer = torch.optim.AdamW(parameter_groups(trainee, recipe.weight_decay), lr=recipe.learning_rate)
    history: list[dict[str, Any]] = []
    if (out / "state.pt").exists():
        state = torch.load(out / "state.pt", map_location=where, weights_only=True)
        trainee.load_state_dict(state["trainee"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        history = state["history"]
        if not quiet:
            sys.stderr.write(f"going on after epoch {len(history)} of {recipe.epochs}\n")
    if not recipe.epochs:
        write_whole(average.state_dict(), out / "best.pt")
        return {}
    material = material.to(where)
    loop = _Loop(recipe, material, trainee, average, optimizer, teacher, device, quiet)
    for epoch in range(len(history), recipe.epochs):
        record: dict[str, Any] = {"epoch": epoch + 1, "loss": loop.run_epoch(epoch)}
        record |= judge(average, recipe, material, device) if len(material.selection) else {"selection": epoch}
        history.append(record)
        if not quiet:
            sys.stderr.write(json.dumps(record) + "\n")
        if selected(history) is record:
            write_whole(average.state_dict(), out / "best.pt")
        write_whole(average.state_dict(), out / "last.pt")
        state = {
            "trainee": trainee.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "history": history,
        }
        # The state last: a run that is killed before it trains this epoch again, and writes the rest anew.
        write_json_whole(out / "history.json", history)
        write_whole(state, out / "state.pt")
    return selected(history)


@dataclass
class _Loop:
    recipe: Recipe
    material: Material
    trainee: Trainee
    average: nn.Module
    optimizer: torch.optim.Optimizer
    teacher: Teacher | None
    device: Device
    quiet: bool

    def __post_init__(self) -> None:
        stages = self.trainee.backbone.stages
        self._stages = torch.compile(stages) if self.device.compiled else stages

    def run_epoch(self, epoch: int) -> float:
        """One pass over the train part; the mean loss."""
        recipe, side = self.recipe, self.recipe.phase_of(epoch).side
        count = len(self.material.targets)
        steps = max(1, count // recipe.batch)
        seed = recipe.seed * 100_003 + epoch
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        self.trainee.train()
        total = torch.zeros((), device=self.device.torch_device)
        bar = tqdm(
            minibatches(self.draw(seed), recipe.batch),
            total=steps,
            desc=f"epoch {epoch + 1}/{recipe.epochs} at {side} px",
            disable=self.quiet,
            mininterval=10,
        )
        for step, chosen in enumerate(bar):
            done = epoch * steps + step
            factor = 1.0 if recipe.constant_rate else rate_factor(done, recipe.epochs * steps, recipe.warmup_steps)
            for group in self.optimizer.param_groups:
                group["lr"] = recipe.learning_rate * factor
            loss = self._loss(epoch, chosen, generator)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.trainee.parameters(), 5.0)
            self.optimizer.step()
            # A short memory at first: the average must not remember the random start.
            decay = min(recipe.ema_decay, (done + 1) / (done + 11))
            update_average(self.average, self.trainee.backbone, decay)
            total += loss.detach()
        return float(total) / steps

    def draw(self, seed: int) -> Tensor:
        """The scans of an epoch, in order: each once, or drawn with repetition, fractured ones more often."""
        generator, targets = torch.Generator().manual_seed(seed), self.material.targets.cpu()
        if self.recipe.fractured_draws == 1:
            return torch.randperm(len(targets), generator=generator)
        weights = torch.where(targets > 0, self.recipe.fractured_draws, 1.0)
        return torch.multinomial(weights, len(targets), replacement=True, generator=generator)

    def _loss(self, epoch: int, chosen: Tensor, generator: torch.Generator) -> Tensor:
        recipe, phase = self.recipe, self.recipe.phase_of(epoch)
        follow = recipe.distillation if self.teacher else None
        view_side = round(phase.side * follow.view) if follow else phase.side
        chosen = chosen.to(self.device.torch_device)
        before, targets = self.material.masks[chosen], self.material.targets[chosen]
        scale = phase.scale * view_side / phase.side
        view, masks = augment(self.material.pictures[chosen], before, view_side, scale, recipe.augmentation, generator)
        targets = targets * still_visible(before, masks)
        if recipe.mixup and float(torch.rand(1, generator=generator)) < recipe.mixup:
            view, masks, targets = lay_over(view, masks, targets, generator)
        taught = self.teacher.stages(view, phase.side, self.trainee.backbone) if self.teacher else None
        pictures = view
        if phase.side != view_side:
            pictures, masks = (
                functional.interpolate(seen, side, mode="bilinear", antialias=True)
                for seen, side in ((view, phase.side), (masks, phase.side // MASK_STRIDE))
            )
        with self.device.mixed_precision():
            stages = self._stages(pictures.contiguous(memory_format=torch.channels_last))
            return training_loss(self.trainee, recipe, stages, masks, targets, taught)


def minibatches(order: Tensor, batch: int) -> Iterator[Tensor]:
    """An epoch's scans in batches; a last part that does not fill a batch is left for another epoch."""
    yield from order[: max(batch, len(order) - len(order) % batch)].split(batch)


def rate_factor(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then half a cosine down to one hundredth."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


@torch.inference_mode()
def predict(network: nn.Module, squares: NDArray[np.uint8], device: Device, batch: int = 32) -> NDArray[np.float64]:
    """Logits (n,) of square renditions (n, side, side)."""
    network.eval()
    logits = []
    for pictures in in_batches(squares, batch, device.torch_device):
        logits.append(network(pictures.contiguous(memory_format=torch.channels_last)).cpu())
    return torch.cat(logits).double().numpy()


def judge(network: nn.Module, recipe: Recipe, material: Material, device: Device) -> dict[str, float]:
    """What one epoch is judged by; `selection` decides, the others inform."""
    logits, labels = predict(network, material.selection, device), material.selection_labels
    judged = {
        "auc": roc_auc(logits, labels),
        "average_precision": average_precision(logits, labels),
        "specificity_at_90": specificity_at(logits, labels, 0.90),
    }
    if recipe.select_by == "recall":
        return {"selection": float((logits[labels] >= 0).mean()), **judged}
    score, error = specificity_score(logits, labels, material.selection_groups)
    return {"selection": score, "selection_error": error, **judged}


def write_whole(state: dict[str, Any], path: Path) -> None:
    """Store a state so that a kill leaves the old file or the new one."""
    with whole_file(path) as stream:
        torch.save(state, stream)
