"""Drawings of a measured ranking with matplotlib, from the figures alone: `draw(figures)` gives them by file name."""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from training.measuring.palette import LIGHT
from training.measuring.points import LIKELY

STYLE: Any = {
    "figure.facecolor": LIGHT["surface"],
    "figure.figsize": (4.7, 3.7),
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.facecolor": LIGHT["surface"],
    "axes.edgecolor": LIGHT["edge"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LIGHT["line"],
    "grid.linewidth": 0.8,
    "text.color": LIGHT["text"],
    "xtick.color": LIGHT["edge"],
    "ytick.color": LIGHT["edge"],
    "xtick.labelcolor": LIGHT["muted"],
    "ytick.labelcolor": LIGHT["muted"],
    "legend.frameon": False,
    "legend.labelcolor": LIGHT["text"],
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
}
Figures = dict[str, Any]


def draw(figures: Figures) -> dict[str, Figure]:
    """The drawings that these figures hold the numbers for. figures: of `measure_ranking`, or from a bundle's card."""
    drawings: dict[str, Figure] = {}
    for name, (needs, plot) in DRAWINGS.items():
        if figures.get(needs):
            with mpl.rc_context(STYLE):
                drawing = Figure()
                plot(drawing.subplots(), figures)
                drawings[name] = drawing
    return drawings


def _roc(axes: Axes, figures: Figures) -> None:
    curve, band = figures["curves"]["roc"], figures["curves"]["roc_band_95"]
    axes.fill_between(
        band["false_positive_rate"],
        band["low"],
        band["high"],
        color=LIGHT["accent"],
        alpha=0.16,
        lw=0,
        label="95% band",
    )
    axes.plot((0, 1), (0, 1), color=LIGHT["edge"], lw=1, ls=(0, (2, 3)))
    low, high = figures["intervals_95"]["auc"]
    axes.plot(
        curve["false_positive_rate"],
        curve["sensitivity"],
        color=LIGHT["accent"],
        label=f"AUC {figures['auc']:.3f} ({low:.3f} to {high:.3f})",
    )
    _marks(axes, [(p, 1 - p["specificity"], p["sensitivity"]) for p in figures["operating_points"]], rising=True)
    _shares(axes, "False positive rate (1 - specificity)", "Sensitivity")
    axes.legend(loc="lower right")


def _precision_recall(axes: Axes, figures: Figures) -> None:
    curve = figures["curves"]["precision_recall"]
    prevalence = figures["fractured"] / figures["n"]
    axes.axhline(prevalence, color=LIGHT["edge"], lw=1, ls=(0, (2, 3)), label=f"prevalence {prevalence:.2f}")
    low, high = figures["intervals_95"]["average_precision"]
    axes.plot(
        curve["recall"],
        curve["precision"],
        color=LIGHT["accent"],
        label=f"average {figures['average_precision']:.3f} ({low:.3f} to {high:.3f})",
    )
    flagging = [p for p in figures["operating_points"] if p["ppv"] is not None]
    _marks(axes, [(p, p["sensitivity"], p["ppv"]) for p in flagging], rising=False)
    _shares(axes, "Recall (sensitivity)", "Precision (PPV)")
    axes.legend(loc="lower left")


def _distribution(axes: Axes, figures: Figures) -> None:
    bins = figures["curves"]["distribution"]
    for name, label, colour in (
        ("not_fractured", "not fractured", LIGHT["muted"]),
        ("fractured", "fractured", LIGHT["likely"]),
    ):
        shares = [count / sum(bins[name]) for count in bins[name]]
        axes.stairs(shares, bins["edges"], fill=True, color=colour, alpha=0.22)
        axes.stairs(shares, bins["edges"], color=colour, lw=1.6, label=f"{label} ({sum(bins[name]):.0f})")
    axes.set_xlim(0, 1)
    _threshold_lines(axes, figures)
    axes.set_xlabel("Probability")
    axes.set_ylabel("Share of the class")
    axes.legend(loc="upper right")


def _reliability(axes: Axes, figures: Figures) -> None:
    rows = figures["reliability"]
    axes.plot((0, 1), (0, 1), color=LIGHT["edge"], lw=1, ls=(0, (2, 3)))
    for row in rows:
        if row.get("interval_95"):
            axes.plot([row["mean_probability"]] * 2, row["interval_95"], color=LIGHT["accent"], lw=1.2, alpha=0.7)
    axes.plot(
        [row["mean_probability"] for row in rows],
        [row["observed"] for row in rows],
        color=LIGHT["accent"],
        marker="o",
        ms=5,
        label=f"calibration error {figures['calibration_error']:.3f}",
    )
    _shares(axes, "Mean probability of a tenth of the scans", "Share that is fractured")
    axes.legend(loc="upper left")


def _thresholds(axes: Axes, figures: Figures) -> None:
    curve = figures["curves"]["thresholds"]
    axes.plot(curve["threshold"], curve["sensitivity"], color=LIGHT["likely"], label="sensitivity")
    axes.plot(curve["threshold"], curve["specificity"], color=LIGHT["muted"], label="specificity")
    _shares(axes, "Threshold on the probability", "Rate")
    _threshold_lines(axes, figures)
    axes.legend(loc="center right")


def _fracture_places(axes: Axes, figures: Figures) -> None:
    """Squares as large as the fracture's box, where it lies, on a frame that stands for every picture."""
    axes.set(xlim=(0, 1), ylim=(1, 0), aspect="equal", xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[["top", "right"]].set_visible(True)
    for missed in (False, True):
        chosen = [mark for mark in figures["fracture_marks"] if bool(mark[4]) is not missed]
        colour = LIGHT["likely" if missed else "edge"]
        squares = [_square(x, y, share**0.5) for _, x, y, share, _ in chosen]
        if squares:
            together = Path.make_compound_path(*squares)
            axes.add_patch(PathPatch(together, fill=missed, fc=colour, ec=colour, lw=0.8, alpha=0.75))
        label = f"{'missed' if missed else 'flagged'} ({len(chosen)})"
        axes.plot([], [], marker="s", ls="", mfc=colour if missed else "none", mec=colour, label=label)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2)


def _square(x: float, y: float, side: float) -> Path:
    corners = [(x + a * side / 2, y + b * side / 2) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))]
    return Path(corners, closed=True)


def _fracture_sizes(axes: Axes, figures: Figures) -> None:
    for missed in (False, True):
        chosen = [mark for mark in figures["fracture_marks"] if bool(mark[4]) is not missed]
        axes.plot(
            [100 * mark[3] for mark in chosen],
            [mark[0] for mark in chosen],
            ls="",
            marker="s" if missed else "o",
            ms=4.5,
            mfc=LIGHT["likely"] if missed else "none",
            mec=LIGHT["likely" if missed else "edge"],
            mew=0.9,
            label=f"{'missed' if missed else 'flagged'} ({len(chosen)})",
        )
    told = next(point for point in figures["operating_points"] if point["name"] == figures["told_at"])
    axes.axhline(told["threshold"], color=LIGHT["possible"], lw=1, ls="--")
    axes.set(xscale="log", ylim=(0, 1), ylabel="Probability", xlabel="Largest fracture box, % of the picture")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend(loc="upper left", bbox_to_anchor=(0.0, 1.14), ncols=2)


def _marks(axes: Axes, places: list[tuple[dict[str, Any], float, float]], rising: bool) -> None:
    """A dot for each operating point, named right and left of the curve by turns, because neighbours lie close."""
    for number, (point, x, y) in enumerate(places):
        colour = LIGHT["likely" if point["name"] == LIKELY else "text"]
        axes.plot([x], [y], marker="o", ms=5, color=colour)
        left = number % 2 == 1 and point["name"] != LIKELY
        axes.annotate(
            point["name"],
            (x, y),
            (-4 if left else 6, 5 if left is rising else -12),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=8.5,
            color=colour,
        )


def _threshold_lines(axes: Axes, figures: Figures) -> None:
    """The threshold under which nothing is flagged, and the one of the band "likely", named over the axes."""
    for point in figures["operating_points"]:
        if point["name"] in (figures["told_at"], LIKELY):
            likely = point["name"] == LIKELY
            colour = LIGHT["likely" if likely else "possible"]
            axes.axvline(point["threshold"], color=colour, lw=1, ls="--")
            axes.annotate(
                point["name"],
                (point["threshold"], 1),
                (-3, 13 if likely else 2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                fontsize=8.5,
                color=colour,
            )


def _shares(axes: Axes, x: str, y: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=x, ylabel=y)


DRAWINGS: dict[str, tuple[str, Callable[[Axes, Figures], None]]] = {
    "roc": ("curves", _roc),
    "precision-recall": ("curves", _precision_recall),
    "distribution": ("curves", _distribution),
    "reliability": ("reliability", _reliability),
    "thresholds": ("curves", _thresholds),
    "fracture-places": ("fracture_marks", _fracture_places),
    "fracture-sizes": ("fracture_marks", _fracture_sizes),
}
"""File name -> (the part of the figures that it draws, how)."""
CAPTIONS = {
    "roc": "ROC curve",
    "precision-recall": "Precision over recall",
    "distribution": "Probabilities of both classes",
    "reliability": "Reliability: is 0.3 three in ten?",
    "thresholds": "Rates over the threshold",
    "fracture-places": "Where missed fractures lie",
    "fracture-sizes": "How large missed fractures are",
}
