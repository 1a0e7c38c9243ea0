"""Train one network by one recipe: `python -m training.train --data DIR --out DIR [--init INIT]`.

A run that was killed goes on where it stood when the same command is given again.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from screening.inference.bundle import file_digest
from training.data.duplicates import THUMBNAIL, leaks, name_pairs
from training.data.manifest import DatasetError, Example, read_dataset
from training.data.pictures import square_renditions
from training.data.splits import Parts, fold_parts
from training.learning.devices import Device, choose_device
from training.learning.distil import Teacher
from training.learning.initial import PRETRAINED
from training.learning.loop import train
from training.learning.material import gather
from training.learning.recipe import Init, Recipe
from training.learning.run_folder import check_unseen, claim_data

RECIPES = Path(__file__).parent / "recipes"


def train_by_recipe(
    recipe: Recipe,
    examples: list[Example],
    out: Path,
    device: Device,
    teachers: tuple[Path, ...] = (),
    init_file: Path | None = None,
    cache: Path | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train the recipe, and before it its teacher if it has one and none is given, and the recipe that it begins with,
    which has a teacher of its own or shares this one. Returns the selected epoch's record.

    teachers: out folders of trained teachers; several are an ensemble. cache: where renditions are kept, in `out` if
    not given. Raises ValueError where `out` was started with another recipe or other data, and where a teacher or what
    the weights begin with has learnt from scans that are kept away here.
    """
    cache = cache or out / "cache"
    parts = fold_parts(examples, recipe.folds, recipe.test_fold, recipe.seed, recipe.selection_folds)
    for teacher in teachers:
        check_unseen(teacher, parts, examples, "a teacher")
    if init_file:
        check_unseen(init_file.parent, parts, examples, "what the weights begin with")
    say: Callable[[str], None] = (lambda _: None) if quiet else say_on_terminal
    warn_of_leaks(examples, parts, cache, say)
    train_part, selection_part = ([examples[i] for i in part] for part in (parts.train, parts.selection))

    def run(recipe: Recipe, out: Path, teachers: tuple[Path, ...], begin: Path | None) -> dict[str, Any]:
        """What the recipe needs first, in folders below its own, then the recipe."""
        claim_data(out, examples, parts)
        if recipe.distillation is not None and not teachers:
            if recipe.teacher is None:
                raise ValueError("this recipe distils: name trained teachers with --teacher, or put a teacher into it")
            say(f"training the teacher in {out / 'teacher'}")
            run(recipe.on_same_parts(recipe.teacher), out / "teacher", (), None)
            teachers = (out / "teacher",)
        taught_by = Teacher.read(teachers, device) if recipe.distillation is not None else None
        if recipe.before is not None:
            say(f"training what this begins with in {out / 'before'}")
            before = recipe.on_same_parts(recipe.before)
            run(before, out / "before", () if before.teacher else teachers, None)
            begin = out / "before" / "last.pt"
        material = gather(recipe, train_part, selection_part, cache, say)
        return train(recipe, material, out, device, taught_by, begin, quiet)

    return run(recipe, out, teachers, init_file)


def warn_of_leaks(examples: list[Example], parts: Parts, cache: Path, say: Callable[[str], None]) -> None:
    """Say which near copies lie on both sides of the split, if any do: figures of such a split promise too much."""
    assignment = np.zeros(len(examples), np.int64)
    assignment[parts.selection], assignment[parts.test] = 1, 2
    pairs = leaks(examples, square_renditions(examples, THUMBNAIL, cache), assignment)
    if pairs:
        say(f"warning: this split leaks {len(pairs)} pairs of near copies: {name_pairs(pairs)}; give them one group")


def chosen_recipe(path: Path | None, init: str | None) -> tuple[Recipe, Path | None]:
    """The recipe as --recipe and --init say, and the file that its weights begin with. Raises ValueError."""
    usual = {None: "student.json", "distil": "student.json", "pretrained": "direct.json"}.get(init, "fine-tune.json")
    recipe = Recipe.read(path or RECIPES / usual)
    if init == "pretrained" or (init is None and recipe.init == "pretrained"):
        return _begun_with(PRETRAINED, "pretrained", recipe), PRETRAINED
    if init in (None, recipe.first.init):
        return recipe, None
    if init in ("random", "imagenet", "distil"):
        return dataclasses.replace(recipe, init=init, before=None), None
    if not Path(init).is_file():
        raise ValueError(f"--init {init} is neither pretrained, imagenet, distil, random nor a file; correct it")
    return _begun_with(Path(init), "file", recipe), Path(init)


def _begun_with(weights: Path, init: Init, recipe: Recipe) -> Recipe:
    return dataclasses.replace(recipe, init=init, before=None, init_digest=file_digest(weights))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of a data set in one of the FracAtlas layouts")
    parser.add_argument("--out", type=Path, required=True, help="folder for state and result; a started one goes on")
    parser.add_argument("--recipe", type=Path, help="a JSON file like those in training/recipes")
    parser.add_argument(
        "--init",
        metavar="pretrained|imagenet|distil|FILE",
        help="where the weights begin; as the recipe says if not given",
    )
    parser.add_argument("--fold", type=int, help="keep this fold away from training; all data trains if not given")
    parser.add_argument(
        "--teacher", type=Path, action="append", default=[], help="out folder of a trained teacher; several: ensemble"
    )
    add_device_options(parser)
    given = parser.parse_args()
    try:
        device = device_from(given)
        recipe, init_file = chosen_recipe(given.recipe, given.init)
        if given.fold is not None:
            recipe = dataclasses.replace(recipe, test_fold=given.fold)
        examples = read_dataset(given.data, progress=say_on_terminal)
        best = train_by_recipe(recipe, examples, given.out, device, tuple(given.teacher), init_file)
    except (DatasetError, ValueError, OSError) as error:
        sys.exit(f"Training cannot start: {error}")
    sys.stdout.write(json.dumps(best) + "\n")


def say_on_terminal(text: str) -> None:
    """Progress and warnings go where they do not mix with results."""
    sys.stderr.write(text + "\n")


def add_device_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, help="processor threads; all by default")
    parser.add_argument("--compile", action="store_true", help="fuse layers with torch.compile; needs a C++ compiler")


def device_from(given: argparse.Namespace) -> Device:
    return choose_device(given.device, given.compile, given.threads)


if __name__ == "__main__":
    main()
