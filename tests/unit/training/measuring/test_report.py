"""The report: one file that asks for nothing, the same every time, in the portal's colours."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.measuring.samples import make_ranking
from training.measuring.drawing import draw
from training.measuring.palette import PALETTE
from training.measuring.points import Point
from training.measuring.ranking import measure_ranking
from training.measuring.report import write_report
from training.measuring.thumbnails import error_thumbnails
from training.measuring.vector import dark_svg, inline_svg, light_svg

POINTS = [Point("recall-first", 0.2, target_sensitivity=0.9), Point("likely", 0.6, target_specificity=0.95)]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    probabilities, examples = make_ranking(folder)
    maps = np.random.default_rng(0).normal(size=(len(examples), 8, 8)).astype(np.float32)
    figures = measure_ranking(probabilities, examples, POINTS, maps, 256, draws=100)
    thumbnails = error_thumbnails(probabilities, examples, 0.2, maps, 256)
    return write_report(folder / "out", "trial <1> fp32", {"Data": "made up"}, figures, thumbnails)


def test_the_page_needs_nothing_but_itself(page: Path) -> None:
    text = page.read_text("utf-8")
    asked = re.findall(r"(?:src|href)=\"([^\"]*)\"", text)
    assert asked
    assert all(target.startswith(("data:", "#")) for target in asked)
    assert "<script" not in text
    assert "url(http" not in text


def test_the_page_tells_what_was_measured(page: Path) -> None:
    text = page.read_text("utf-8")
    assert "trial &lt;1&gt; fp32" in text
    assert "of fractures are flagged, with 95% confidence" in text
    for heading in (
        "Operating points",
        "The three bands",
        "Where the network looked",
        "Typical misses",
        "body part: hand",
    ):
        assert heading in text
    assert text.count('<circle cx="') >= 2
    assert ">ROC curve<" in text


def test_ids_within_the_page_are_its_own(page: Path) -> None:
    text = page.read_text("utf-8")
    ids = re.findall(r" id=\"([^\"]+)\"", text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"(?:url\(|href=\")#([\w.-]+)", text)) <= set(ids)


def test_curves_lie_beside_the_page(page: Path) -> None:
    for name in ("roc", "precision-recall", "distribution", "reliability", "thresholds"):
        assert (page.parent / f"{name}.svg").stat().st_size > 1000
        assert (page.parent / f"{name}-dark.svg").stat().st_size > 1000
        assert (page.parent / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_drawings_come_out_the_same_and_change_colours_only(tmp_path: Path) -> None:
    probabilities, examples = make_ranking(tmp_path)
    figures = measure_ranking(probabilities, examples, POINTS, draws=50)
    first, second = draw(figures)["roc"], draw(figures)["roc"]
    assert light_svg(first) == light_svg(second)
    assert ">Sensitivity</text>" in light_svg(first)
    dark = dark_svg(first)
    assert PALETTE["accent"][1] in dark
    assert not any(light in dark for light, _ in PALETTE.values())
    inline = inline_svg(first, "ROC curve", "roc")
    assert "var(--accent)" in inline
    assert not re.search(r"#[0-9a-f]{6}\b", inline)


def test_colours_are_the_portals() -> None:
    css = (Path(__file__).parents[4] / "web/static/portal.css").read_text("utf-8")
    dark, light = (re.findall(r"\{([^}]*)\}", css)[index] for index in (0, 1))
    for name, (on_light, on_dark) in PALETTE.items():
        assert f"--{name}: {on_light};" in light
        assert f"--{name}: {on_dark};" in dark


def test_a_figure_without_numbers_is_left_out() -> None:
    assert draw({"auc": 0.5, "note": "random weights"}) == {}
