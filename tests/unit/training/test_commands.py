"""The commands as people give them: what cannot work is refused in a sentence, and a leaking split is told."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.training.tiny import TINY
from training.data.manifest import Example, read_dataset
from training.data.phantoms import write_phantom_dataset
from training.data.splits import fold_parts
from training.train import warn_of_leaks

ROOT = Path(__file__).parents[3]


def command(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"training.{module}", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_data_set_that_cannot_be_used_is_refused_with_its_row(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_phantom_dataset(data, groups=8)
    (data / "images" / "phantom0003.png").unlink()
    refused = command("train", "--data", data, "--out", tmp_path / "out")
    assert refused.returncode == 1
    assert "row 5" in refused.stderr and "phantom0003.png" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("module", "arguments", "sentence"),
    [
        ("train", ("--init", "nowhere.pt"), "neither pretrained"),
        ("train", ("--device", "cuda"), "no CUDA device"),
        ("train", ("--recipe", "absent.json"), "absent.json"),
        ("train", ("--fold", "9"), "fold 9 is not one of 5"),
        ("cross_validate", ("--recipe", "absent.json"), "absent.json"),
        ("probe", ("--weights", "absent.pt"), "absent.pt"),
    ],
)
def test_a_choice_that_cannot_work_is_refused_in_a_sentence(
    module: str, arguments: tuple[str, ...], sentence: str, phantom_data: Path, tmp_path: Path
) -> None:
    if "cuda" in arguments:
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
    refused = command(module, "--data", phantom_data, "--out", tmp_path / "out", *arguments)
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_split_through_near_copies_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_phantom_dataset(data, groups=16)
    # The same picture under another name and in another group, as an upload done twice.
    examples = read_dataset(data)
    parts = fold_parts(examples, TINY.folds, 0, TINY.seed, TINY.selection_folds)
    one, other = examples[parts.train[0]], examples[parts.test[0]]
    other.path.write_bytes(one.path.read_bytes())
    said: list[str] = []
    warn_of_leaks(examples, parts, tmp_path / "cache", said.append)
    assert len(said) == 1
    assert one.image_id in said[0] and other.image_id in said[0]


def test_a_split_by_group_says_nothing(phantoms: list[Example], tmp_path: Path) -> None:
    said: list[str] = []
    parts = fold_parts(phantoms, TINY.folds, 0, TINY.seed, TINY.selection_folds)
    warn_of_leaks(phantoms, parts, tmp_path / "cache", said.append)
    assert said == []
