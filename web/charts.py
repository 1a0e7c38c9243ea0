"""Curves and histograms of a checkpoint as coordinates for the SVG of a page; the page gives them colours by class."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

WIDTH, HEIGHT = 100, 100
_LEAST = 1e-9


@dataclass(frozen=True)
class Line:
    kind: str
    """Its class in the page."""
    points: str
    """Of an SVG polyline or polygon, in a square of 100 units, y downwards."""
    is_area: bool = False


@dataclass(frozen=True)
class Chart:
    title: str
    across: str
    upwards: str
    lines: list[Line]
    marks: list[tuple[float, float, str]] = field(default_factory=list)
    """(x, y, kind) in the same units."""
    legend: list[tuple[str, str]] = field(default_factory=list)
    """(kind, words)"""
    upward_labels: tuple[str, str, str] = ("0", "0.5", "1")
    """At the foot, the middle and the top of the axis upwards."""
    words: str = ""
    """What the drawing tells, for those who do not see it."""


def path(across: Sequence[float], upwards: Sequence[float]) -> str:
    """Values between 0 and 1 as points of a polyline."""
    return " ".join(
        f"{WIDTH * x:.2f},{HEIGHT * (1 - min(max(y, 0), 1)):.2f}" for x, y in zip(across, upwards, strict=True)
    )


def steps(edges: Sequence[float], heights: Sequence[float], highest: float) -> str:
    """A histogram as the points of a polygon; a bin as high as `highest` fills the square."""
    across, upwards = [edges[0]], [0.0]
    for (low, high), height in zip(pairwise(edges), heights, strict=True):
        across += [low, high]
        upwards += [height / highest] * 2
    return path([*across, edges[-1]], [*upwards, 0.0])


def curve_charts(figures: dict[str, Any], point: dict[str, Any]) -> list[Chart]:
    """ROC, precision over recall and rates over the threshold, as far as the card has their numbers.

    figures: of the card's form; point: `operating_point_facts` of the thresholds in force.
    """
    curves: dict[str, Any] = figures.get("curves", {})
    if not curves:
        return []
    roc, band, recall, rates = (curves[name] for name in ("roc", "roc_band_95", "precision_recall", "thresholds"))
    seen, specific = point.get("sensitivity"), point.get("specificity")
    in_force = None if seen is None or specific is None else (seen, specific)
    there_and_back = path(
        [*band["false_positive_rate"], *reversed(band["false_positive_rate"])],
        [*band["high"], *reversed(band["low"])],
    )
    marks = [(WIDTH * (1 - in_force[1]), HEIGHT * (1 - in_force[0]), "point")] if in_force else []
    ppv = point.get("ppv")
    at = WIDTH * point["threshold"]
    return [
        Chart(
            "ROC curve",
            "1 - specificity",
            "sensitivity",
            [
                Line("band95", there_and_back, is_area=True),
                Line("chance", path([0, 1], [0, 1])),
                Line("curve", path(roc["false_positive_rate"], roc["sensitivity"])),
            ],
            marks,
            [("curve", "the card's scans"), ("band95", "95% band"), ("chance", "chance"), *_point_legend(marks)],
            words=f"ROC curve with area {figures['auc']:.3f}." if "auc" in figures else "ROC curve.",
        ),
        Chart(
            "Precision and recall",
            "sensitivity (recall)",
            "PPV (precision)",
            [
                Line("chance", path([0, 1], [figures["fractured"] / figures["n"]] * 2)),
                Line("curve", path(recall["recall"], recall["precision"])),
            ],
            [(WIDTH * seen, HEIGHT * (1 - ppv), "point")] if seen is not None and ppv is not None else [],
            [("curve", "the card's scans"), ("chance", "share with a fracture")],
            words="Precision over recall.",
        ),
        Chart(
            "Rates by threshold",
            "threshold",
            "share",
            [
                Line("curve", path(rates["threshold"], rates["sensitivity"])),
                Line("second", path(rates["threshold"], rates["specificity"])),
                Line("at", f"{at:.2f},0 {at:.2f},{HEIGHT}"),
            ],
            [],
            [("curve", "sensitivity"), ("second", "specificity"), ("at", "threshold in force")],
            words="Sensitivity falls and specificity rises with the threshold.",
        ),
    ]


def distribution_charts(
    figures: dict[str, Any], counts: Sequence[int], threshold: float, likely_threshold: float
) -> list[Chart]:
    """How scores are spread: of the card's scans by truth, where it has them, and of what was screened here."""
    lines = [Line("at", f"{WIDTH * at:.2f},0 {WIDTH * at:.2f},{HEIGHT}") for at in (threshold, likely_threshold)]
    charts = []
    carded: dict[str, Any] = figures.get("curves", {}).get("distribution", {})
    if carded:
        shares = {
            name: [count / max(1, sum(carded[name])) for count in carded[name]]
            for name in ("not_fractured", "fractured")
        }
        # One scale for both classes: under one axis their heights are compared.
        highest = max(*shares["not_fractured"], *shares["fractured"], _LEAST)
        charts.append(
            Chart(
                "Scores of the card's scans",
                "probability",
                "share of the class",
                [
                    Line("others", steps(carded["edges"], shares["not_fractured"], highest), is_area=True),
                    Line("fractured", steps(carded["edges"], shares["fractured"], highest), is_area=True),
                    *lines,
                ],
                [],
                [("fractured", "fractured"), ("others", "not fractured"), ("at", "thresholds in force")],
                ("0", f"{highest / 2:.1%}", f"{highest:.1%}"),
                "Scores of fractured scans lie higher than those of the others.",
            )
        )
    if sum(counts):
        joined = [sum(counts[start : start + 4]) for start in range(0, len(counts), 4)]
        edges = [place / len(joined) for place in range(len(joined) + 1)]
        charts.append(
            Chart(
                "Scores in this installation",
                "probability",
                "scans",
                [Line("here", steps(edges, joined, max(joined)), is_area=True), *lines],
                [],
                [("here", f"{sum(counts):,} scans"), ("at", "thresholds in force")],
                ("0", f"{max(joined) / 2:,.10g}", f"{max(joined):,}"),
                f"Scores of {sum(counts):,} scans; the fullest bin holds {max(joined):,}.",
            )
        )
    return charts


def _point_legend(marks: list[tuple[float, float, str]]) -> list[tuple[str, str]]:
    return [("point", "in force")] if marks else []
