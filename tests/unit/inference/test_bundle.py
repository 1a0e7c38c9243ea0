"""The card of a bundle: what is read, and what is refused with which words."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from screening.inference.bundle import CARD, Bundle, BundleError, read_bundle
from tests.conftest import ROOT


@pytest.fixture
def with_card(bundle: Bundle, tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], Any]], Path]:
    """A copy of the bundle with its card altered."""

    def alter(change: Callable[[dict[str, Any]], Any]) -> Path:
        folder = tmp_path / "altered"
        shutil.copytree(bundle.folder, folder)
        card = json.loads((folder / CARD).read_text("utf-8"))
        change(card)
        (folder / CARD).write_text(json.dumps(card), "utf-8")
        return folder

    return alter


def test_a_form_has_a_likely_threshold_with_its_figures(bundle: Bundle) -> None:
    likely = bundle.forms["fp32"].likely
    assert (likely.threshold, likely.target_specificity) == (0.75, 0.95)
    assert (likely.sensitivity, likely.specificity, likely.ppv, likely.npv) == (0.55, 0.94, 0.7, 0.88)


def _format_1(card: dict[str, Any]) -> None:
    card["format"] = 1
    del card["forms"]["fp32"]["likely"]


def _likely(threshold: float) -> Callable[[dict[str, Any]], Any]:
    return lambda card: card["forms"]["fp32"]["likely"].update(threshold=threshold)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_format_1, "card of format 1, which has no likely threshold; export the bundle again"),
        (lambda card: card.update(format=3), "card format 3, this release reads format 2; update this installation"),
        (
            lambda card: card["forms"]["fp32"].pop("likely"),
            "incomplete (KeyError('likely')); export the bundle again",
        ),
        (lambda card: card["forms"]["fp32"]["likely"].pop("ppv"), "is incomplete"),
        (_likely(0.49), "likely threshold of fp32 at 0.49, outside the range from its default operating point (0.5)"),
        (_likely(1.01), "outside the range"),
        (_likely(float("nan")), "outside the range"),
    ],
)
def test_a_card_that_cannot_be_used_says_what_to_do(
    with_card: Callable[[Callable[[dict[str, Any]], Any]], Path], change: Callable[[dict[str, Any]], Any], words: str
) -> None:
    with pytest.raises(BundleError, match=re.escape(words)):
        read_bundle(with_card(change))


def test_the_likely_threshold_may_equal_the_operating_point(
    with_card: Callable[[Callable[[dict[str, Any]], Any]], Path],
) -> None:
    assert read_bundle(with_card(_likely(0.5))).forms["fp32"].likely.threshold == 0.5


def test_identity_depends_on_the_files_and_not_on_the_card(
    bundle: Bundle, with_card: Callable[[Callable[[dict[str, Any]], Any]], Path]
) -> None:
    assert read_bundle(with_card(_likely(0.9))).identity("fp32") == bundle.identity("fp32")


def test_every_released_bundle_is_read() -> None:
    folders = [card.parent for card in (ROOT / "checkpoints").glob(f"*/{CARD}")]
    assert folders
    for folder in folders:
        for form in read_bundle(folder).forms.values():
            assert form.likely.threshold > form.default_point.threshold
            assert form.likely.specificity > form.default_point.specificity
