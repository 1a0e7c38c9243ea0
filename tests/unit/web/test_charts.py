"""Histograms of the model page: heights under one axis are of one scale, and the axis says which."""

import pytest

from web.charts import Chart, distribution_charts

EDGES = [0.0, 0.5, 1.0]


def heights(chart: Chart, kind: str) -> list[float]:
    """The heights of a histogram's bins, as shares of the axis."""
    [line] = [line for line in chart.lines if line.kind == kind]
    return [1 - float(point.split(",")[1]) / 100 for point in line.points.split()][1:-1:2]


def test_both_classes_are_drawn_to_one_scale() -> None:
    figures = {"curves": {"distribution": {"edges": EDGES, "not_fractured": [80, 20], "fractured": [4, 6]}}}
    [chart] = distribution_charts(figures, [], 0.2, 0.6)
    assert heights(chart, "others") == pytest.approx([1.0, 0.25])
    assert heights(chart, "fractured") == pytest.approx([0.5, 0.75])
    assert chart.upward_labels == ("0", "40.0%", "80.0%")


def test_the_axis_of_what_was_screened_here_counts_scans() -> None:
    [chart] = distribution_charts({}, [500, 400, 100, 0, 0, 300, 0, 0], 0.2, 0.6)
    assert heights(chart, "here") == pytest.approx([1.0, 0.3])
    assert chart.upward_labels == ("0", "500", "1,000")
