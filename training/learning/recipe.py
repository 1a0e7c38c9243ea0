"""A recipe: every choice of one training run, stored as JSON beside what it made."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from screening.radiographs.rendition import RenditionSpec
from screening.whole_files import write_json_whole
from training.learning.augment import Augmentation

Lite = Literal["lite0", "lite2"]
"""The EfficientNet-Lites that may teach, by the names that their packages have, too."""
LITES: tuple[str, ...] = get_args(Lite)
Network = Literal["resnet18", "resnet18-deep-head", Lite]
Init = Literal["random", "imagenet", "pretrained", "file", "distil", "before"]
Selection = Literal["specificity", "recall"]


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
    logit_limit: float = 4.0
    """Teachers' logits are cut off here: how sure they are of an easy scan does not order the doubtful ones."""
    maps: float = 0.0
    """On the class activation maps, cell by cell: sixty-odd answers a picture where the logit is one."""
    features: float = 1.0
    view: float = 1.125
    """How much larger the teacher sees a crop than the student, whose side is that of the phase."""


@dataclass(frozen=True)
class Recipe:
    """Every choice of one run. A recipe with a teacher in it trains the teacher first, on the same parts."""

    network: Network = "resnet18"
    """resnet18 (served), resnet18-deep-head (the head 512-512-2 of the original recipe), lite0 or lite2
    (EfficientNet-Lites, teachers)"""
    init: Init = "random"
    """Where the weights begin: random; torchvision's ImageNet weights; `pretrained`, the shipped weights that know
    radiographs without a label (recipes/pretrain.json made them); a file; `distil` is random with a teacher.
    `before` is the last weights of the recipe that is trained before this one.
    A lite0 or lite2 always begins with the ImageNet weights of its package. Whatever they begin with, they follow a
    teacher where the recipe has a `distillation`."""
    init_digest: str = ""
    """SHA-256 of the file that the weights begin with, filled in when the run starts."""
    rendition_side: int = 256
    """The side that is served, and at which epochs are judged."""
    source_side: int = 256
    """The side of the pictures that crops are cut from: the served one or larger, so that crops keep their detail."""
    squash: bool = False
    """Squash pictures to the square instead of keeping their aspect: only to compare with the original recipe."""
    phases: tuple[Phase, ...] = (Phase(epochs=8, side=160, scale=0.65),)
    """None: the weights are taken as they begin, for a teacher of what ImageNet alone knows."""
    batch: int = 32
    learning_rate: float = 1e-3
    constant_rate: bool = False
    weight_decay: float = 0.05
    warmup_steps: int = 60
    ema_decay: float = 0.99
    """Weights are averaged exponentially over steps; 0 takes them as they are."""
    positive_weight: float = 2.5
    """How much more a fractured scan weighs in the loss than one that is not (they are 1 in 5.6)."""
    fractured_draws: float = 1.0
    """How many times as often a fractured scan is drawn as one that is not."""
    label_weight: float = 1.0
    """The part of the cross-entropy with the labels in the loss."""
    box_weight: float = 0.5
    mixup: float = 0.0
    """The share of batches in which pictures are laid over each other in pairs, in random proportion."""
    distillation: Distillation | None = None
    teacher: "Recipe | None" = None
    """In a file, `teacher` and `before` may be the name of another one in its folder; what is stored is whole."""
    before: "Recipe | None" = None
    """Trained first, on the same parts and under the same teacher: small inputs, say, whose weights a slow stage at the
    full side begins with."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    frozen_blocks: int = 0
    """The stem and so many blocks (lite0 has 16, lite2 21, ResNet-18 8) keep the weights that they begin with; their
    gradients, the dearest of all as their maps are the largest, are not computed."""
    select_by: Selection = "specificity"
    """specificity: its mean over sensitivities 0.80 to 0.96; recall: at probability 0.5, as the original recipe did."""
    folds: int = 5
    test_fold: int | None = None
    """The fold that is kept away from training, so that it can be tested on. None: all development data trains."""
    selection_folds: int = 10
    """One part in this many of what is not the test part selects the epoch. 0: none does, the last one is taken."""
    seed: int = 1

    def __post_init__(self) -> None:
        for name, kind in (("network", Network), ("init", Init), ("select_by", Selection)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} {getattr(self, name)!r} is not known; choose {' or '.join(get_args(kind))}")
        if self.init == "distil" and self.distillation is None:
            raise ValueError("init distil needs a `distillation` in the recipe; recipes/student.json has one")

        if (self.init == "before") != (self.before is not None):
            raise ValueError("init before and a recipe `before` need each other; recipes/student.json has both")

    @property
    def rendition(self) -> RenditionSpec:
        return RenditionSpec(side=self.rendition_side)

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)

    @property
    def first(self) -> "Recipe":
        """What is trained before all else: the recipe itself if it has none before it."""
        return self.before.first if self.before else self

    def phase_of(self, epoch: int) -> Phase:
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase
            epoch -= phase.epochs
        raise IndexError(f"the recipe has {self.epochs} epochs, there is no epoch {epoch}")

    def on_same_parts(self, other: "Recipe") -> "Recipe":
        """Another recipe for the parts of this one: a teacher that saw the test part would pass it on."""
        return replace(
            other,
            folds=self.folds,
            test_fold=self.test_fold,
            selection_folds=self.selection_folds,
            seed=self.seed,
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def _from_dict(cls, values: dict[str, Any], path: Path, within: tuple[Path, ...]) -> "Recipe":
        """What the file says; `within` are the files that named it, each the next one.

        Raises ValueError for a name that is not a choice of a recipe.
        """
        try:
            values = dict(values)
            if "phases" in values:
                values["phases"] = tuple(Phase(**phase) for phase in values["phases"])
            for name, kind in (("distillation", Distillation), ("augmentation", Augmentation)):
                if values.get(name) is not None:
                    values[name] = kind(**values[name])
            for name in ("teacher", "before"):
                stage = values.get(name)
                if isinstance(stage, str):
                    values[name] = cls._read(path.parent / stage, (*within, path))
                elif stage is not None:
                    values[name] = cls._from_dict(stage, path, within)
            return cls(**values)
        except TypeError as error:
            raise ValueError(
                f"the recipe is not understood ({error}); see training/learning/recipe.py for its fields"
            ) from error

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """Raises ValueError naming the file when it, or one that it names, is not a recipe."""
        return cls._read(path, ())

    @classmethod
    def _read(cls, path: Path, within: tuple[Path, ...]) -> "Recipe":
        try:
            if path in within:
                raise ValueError("it names itself, at once or by way of another; a recipe is what comes before it, too")
            return cls._from_dict(json.loads(path.read_text("utf-8")), path, within)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error

    def write(self, path: Path) -> None:
        write_json_whole(path, self.as_dict())
