"""A recipe: every choice of one training run, stored as JSON beside what it made."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from screening.radiographs.rendition import RenditionSpec
from training.augment import Augmentation


@dataclass(frozen=True)
class Phase:
    """Epochs at one input side. Small inputs first: they cost less and teach the coarse things."""

    epochs: int
    side: int
    scale: float
    """How large bone appears relative to the source pictures: side / source side keeps the whole picture in view."""


@dataclass(frozen=True)
class Distillation:
    """How much a student follows its teacher. The weights multiply the parts of the loss."""

    logit: float = 0.3
    features: float = 1.0
    view_side: int = 224
    """The side at which the teacher sees a crop; the student sees the same crop, reduced to the side of its phase."""


@dataclass(frozen=True)
class Recipe:
    """Defaults are those of the released student."""

    network: str = "resnet18"
    """resnet18 (served) or lite0 (teacher)"""
    rendition_side: int = 256
    """The side that is served, and at which epochs are judged."""
    source_side: int = 256
    """The side of the pictures that crops are cut from: the served one or larger, so that crops keep their detail."""
    phases: tuple[Phase, ...] = (Phase(epochs=8, side=160, scale=0.65),)
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 60
    ema_decay: float = 0.99
    positive_weight: float = 2.5
    """How much more a fractured scan weighs in the loss than one that is not (they are 1 in 5.6)."""
    box_weight: float = 0.5
    distillation: Distillation = field(default_factory=Distillation)
    augmentation: Augmentation = field(default_factory=Augmentation)
    frozen_blocks: int = 0
    """Blocks of lite0 whose weights stay as ImageNet left them; their gradients are not computed."""
    folds: int = 10
    test_fold: int = 0
    seed: int = 1

    @property
    def rendition(self) -> RenditionSpec:
        return RenditionSpec(side=self.rendition_side)

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)

    def phase_of(self, epoch: int) -> Phase:
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase
            epoch -= phase.epochs
        raise IndexError(f"the recipe has {self.epochs} epochs, there is no epoch {epoch}")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Recipe":
        """Raises ValueError for a name that is not a choice of a recipe."""
        try:
            values = dict(values)
            if "phases" in values:
                values["phases"] = tuple(Phase(**phase) for phase in values["phases"])
            for name, kind in (("distillation", Distillation), ("augmentation", Augmentation)):
                if name in values:
                    values[name] = kind(**values[name])
            return cls(**values)
        except TypeError as error:
            raise ValueError(
                f"the recipe is not understood ({error}); see training/recipe.py for its fields"
            ) from error

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        return cls.from_dict(json.loads(path.read_text("utf-8")))
