"""The command that measures a bundle on a data set, from its arguments to JSON, text and the report."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from screening.inference.bundle import Bundle
from tests.bundles import make_random_bundle
from training.data.manifest import DatasetError, Example
from training.data.splits import group_folds
from training.evaluate import as_text, evaluate, unseen
from training.learning.run_folder import digest_of

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_random_bundle(tmp_path_factory.mktemp("bundles") / "random-1")


def run(bundle: Bundle, data: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "training.evaluate",
        "--checkpoint",
        str(bundle.folder),
        "--data",
        str(data),
        *more,
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)


def test_the_command_prints_json_and_writes_the_report(bundle: Bundle, phantom_data: Path, tmp_path: Path) -> None:
    answer = run(bundle, phantom_data, "--json", "--prevalence", "0.01", "--report", str(tmp_path / "out"))
    assert answer.returncode == 0, answer.stderr
    document = json.loads(answer.stdout)
    assert (document["checkpoint"], document["form"], document["part"]) == (bundle.name, "fp32", "all")
    assert document["identity"] == bundle.identity("fp32")
    assert document["figures"]["n"] == 64
    assert [point["name"] for point in document["operating_points"]][-1] == "likely"
    assert list(document["operating_points"][0]["at_prevalence"]) == ["0.01"]
    assert document["localization"]["fractured_with_boxes"] == 32
    assert (tmp_path / "out" / "report.html").stat().st_size > 20_000


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--form", "int4"), "has no form int4"),
        (("--prevalence", "2"), "no prevalence"),
        (("--part", "test"), "no test part"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(
    bundle: Bundle, phantom_data: Path, more: tuple[str, ...], words: str
) -> None:
    answer = run(bundle, phantom_data, *more)
    assert answer.returncode != 0
    assert words in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_text_tells_the_measures(bundle: Bundle, phantoms: list[Example], tmp_path: Path) -> None:
    text = as_text(evaluate(bundle, "fp32", phantoms, tmp_path))
    assert "64 images, 32 fractured, 32 groups" in text
    assert "ROC AUC" in text
    assert "likely" in text


def test_the_unseen_part_is_the_fold_that_the_card_names(bundle: Bundle, phantoms: list[Example]) -> None:
    images = {"train": {"n": 48}, "test": {"n": 16}}
    split = {"folds": 4, "test_fold": 2, "seed": 7, "images": images, "data": digest_of(phantoms)}
    bundle.card["training"] = {"split": split}
    kept = unseen(bundle, phantoms)
    assert {e.image_id for e in kept} == {
        e.image_id for e, fold in zip(phantoms, group_folds(phantoms, 4, 7), strict=True) if fold == 2
    }
    relabelled = [replace(phantoms[0], fractured=not phantoms[0].fractured), *phantoms[1:]]
    with pytest.raises(DatasetError, match="not the 64 that random-64 was trained with"):
        unseen(bundle, relabelled)
    del split["data"]  # A card of before: the number of scans is all that it tells.
    assert len(unseen(bundle, relabelled)) > 0
    with pytest.raises(DatasetError, match="these 63 scans"):
        unseen(bundle, phantoms[1:])
    del bundle.card["training"]
    with pytest.raises(DatasetError, match="no test part"):
        unseen(bundle, phantoms)
