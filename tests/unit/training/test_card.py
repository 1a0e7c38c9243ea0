"""The model card: what a bundle holds is told, what an older one lacks is left out."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from screening.inference.bundle import Bundle, Form
from tests.bundles import make_random_bundle
from tests.unit.training.measuring.samples import make_ranking
from training.card import model_card
from training.measuring.points import points_of, promised_sensitivity
from training.measuring.ranking import measure_ranking

ROW = {"what": "as it was", "figures": {"auc": 0.9126, "brier": 1}, "intervals_95": {"auc": [0.90, 0.925]}}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle whose card holds no more than it must."""
    return make_random_bundle(tmp_path_factory.mktemp("bundles") / "random", forms=("fp32", "int8"))


@pytest.fixture(scope="module")
def full(bare: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The same with measured forms and a comparison of ways."""
    probabilities, examples = make_ranking(tmp_path_factory.mktemp("examples"))
    maps = np.random.default_rng(0).normal(size=(len(examples), 2, 2)).astype(np.float32)

    def measured(form: Form, shift: float) -> Form:
        moved = np.clip(probabilities + shift * np.array([e.fractured for e in examples]), 0, 1)
        figures = measure_ranking(
            moved, examples, points_of(form), maps, 64, draws=50, default=form.default_operating_point
        )
        return dataclasses.replace(form, figures={**figures, "measured_on": "made-up scans"})

    training = {
        "attribution": "Somebody, CC BY",
        "data": "made up",
        "split": {"folds": 5, "by": "group", "seed": 1, "test_fold": None, "images": {}},
        "recipe": {"phases": [{"epochs": 3, "side": 64}], "positive_weight": 2.5, "init": "random"},
        "cross_validation": {
            "folds": 5,
            "n": 300,
            "rows": [
                {"way": "baseline", "folds": "fold 1", **ROW},
                {"way": "ours", "folds": "fold 1", **ROW},
                {"way": "ours", "folds": "all five, out of fold", **ROW},
            ],
        },
        "notes": ["A note."],
    }
    forms = {"fp32": measured(bare.forms["fp32"], 0.1), "int8": measured(bare.forms["int8"], 0.09)}
    return dataclasses.replace(bare, forms=forms, card={**bare.card, "training": training, "limits": ["Not for dogs."]})


def test_an_older_bundle_has_a_card_without_what_it_lacks(bare: Bundle) -> None:
    page = model_card(bare, "images")
    assert "At least 82.0% of fractures are flagged" in page
    assert "| sensitivity-90 (default) | sensitivity 0.90 | 0.5000 | 0.900 |" in page
    for heading in ("three bands", "Subgroups", "looked", "ways", "missed", "<picture>"):
        assert heading not in page


def test_the_promise_is_measured_and_never_rounded_up(full: Bundle) -> None:
    row = next(r for r in full.forms["fp32"].figures["operating_points"] if r["name"] == "sensitivity-90")
    promised = float(model_card(full).split("At least ")[1].split("%")[0]) / 100
    assert promised <= promised_sensitivity(row) < promised + 0.0011


def test_every_part_is_told(full: Bundle) -> None:
    page = model_card(full, "images")
    figures = full.forms["int8"].figures
    low, high = figures["intervals_95"]["auc"]
    assert f"| ROC AUC | {figures['auc']:.3f} | {low:.3f} to {high:.3f} |" in page
    for heading in (
        "### Operating points",
        "### The three bands",
        "### Where fractures are rarer",
        "### Subgroups",
        "### Where the network looked",
        "### What is missed",
        "## `int8` against `fp32`",
        "- Not for dogs.",
        "- A note.",
        "Somebody, CC BY",
    ):
        assert heading in page
    assert all(full.identity(form) in page for form in full.forms)
    assert page.count("# Model card") == 1


def test_pictures_are_those_of_the_default_form_and_follow_the_theme(full: Bundle) -> None:
    page = model_card(full, "images")
    assert page.count('srcset="images/model-roc-dark.svg"') == 1
    assert page.count('src="images/model-roc.svg"') == 1
    assert 'src="images/model-fracture-sizes.svg"' in page


def test_what_the_weights_began_with_is_told(full: Bundle) -> None:
    assert "ResNet-18 from random weights: 3 epochs at 64 px. Fractured scans weigh 2.5 times" in model_card(full)
    training = full.card["training"]
    direct = {**training["recipe"], "init": "pretrained", "frozen_blocks": 4}
    page = model_card(dataclasses.replace(full, card={**full.card, "training": {**training, "recipe": direct}}))
    assert "ResNet-18 from the weights in `training/weights`, which were pretrained without labels: 3 epochs" in page
    assert "The stem and the first 4 of 8 blocks stay as they were." in page


def test_every_stage_of_training_is_told_with_what_it_learnt_from(full: Bundle) -> None:
    training = full.card["training"]
    alone = {**training["recipe"], "distillation": {}, "teacher": None}
    follows = {**alone, "distillation": {"features": 1.0}}
    first, second = ({**follows, "teacher": {"network": name, "phases": []}} for name in ("lite0", "lite2"))
    staged = {**alone, "init": "before", "before": {**second, "init": "before", "before": {**first, "init": "distil"}}}
    page = model_card(dataclasses.replace(full, card={**full.card, "training": {**training, "recipe": staged}}))
    stages = ", then ".join(
        f"3 epochs at 64 px, without labels, towards the features of an EfficientNet-{name} as ImageNet left it"
        for name in ("Lite0", "Lite2")
    )
    assert f"ResNet-18 from random weights: {stages}, then 3 epochs at 64 px." in page


def test_ways_are_compared_on_the_same_scans(full: Bundle) -> None:
    page = model_card(full)
    one, five = page.index("### Fold 1"), page.index("### All five, out of fold")
    assert one < page.index("| **baseline**: as it was | 0.913 (0.900 to 0.925) | - |") < five
    assert page.count("| **ours**") == 2


def test_the_difference_between_the_forms_is_told(full: Bundle) -> None:
    difference = full.forms["int8"].figures["auc"] - full.forms["fp32"].figures["auc"]
    assert f" {difference:+.4f} |" in model_card(full).split("## `int8` against `fp32`")[1]


def test_tables_are_whole(full: Bundle) -> None:
    lines = model_card(full, "images").splitlines()
    for before, line in itertools.pairwise(lines):
        if before.startswith("|") and line.startswith("|"):
            assert before.count("|") == line.count("|"), line


def test_the_weak_sides_are_named(full: Bundle) -> None:
    rows = full.forms["fp32"].figures["subgroups"]
    weak = [
        row["subgroup"]
        for row in rows[1:]
        if row["fractured"] >= 5 and row["auc"] and row["auc"] < rows[0]["auc"] - 0.01
    ]
    limits = model_card(full).split("## Limits")[1]
    assert weak
    assert all(name in limits for name in weak)


def test_the_card_is_written_with_its_drawings(full: Bundle, tmp_path: Path) -> None:
    from training.measuring.drawing import draw
    from training.measuring.vector import write_drawings

    write_drawings(draw(full.forms["fp32"].figures), tmp_path / "images", "model-", png=False)
    page = model_card(full, "images")
    named = {part.split('"')[0] for part in page.replace('srcset="', 'src="').split('src="')[1:]}
    assert named == {f"images/{path.name}" for path in (tmp_path / "images").iterdir()}
