"""The part of a model card that tells the figures of one form, in Markdown; what older cards lack is left out."""

from collections.abc import Iterable, Sequence
from typing import Any

from screening.inference.bundle import Form
from training.measuring import wording
from training.measuring.drawing import CAPTIONS, DRAWINGS
from training.measuring.points import LIKELY, bands
from training.measuring.wording import interval, number, percent

PICTURE_PREFIX = "model-"


def told_row(figures: dict[str, Any]) -> dict[str, Any] | None:
    """The measured row of the point that the subgroups and misses are told at; None in older cards."""
    return next((row for row in figures.get("operating_points", []) if row["name"] == figures.get("told_at")), None)


def form_section(form: Form, pictures: str | None) -> list[str]:
    figures = form.figures
    lines = ["", f"## Figures of `{form.name}`", ""]
    if "n" not in figures:
        return [*lines, *_points(form)]
    lines += [
        f"Measured on the deployed form, on {figures['n']} images ({figures['fractured']} fractured) of "
        f"{figures['groups']} groups: {figures.get('measured_on', '')}. Intervals are 95%, by bootstrap over groups.",
        "",
    ]
    intervals = figures.get("intervals_95", {})
    rows = [
        (words, number(figures[name]), interval(intervals.get(name)))
        for name, words in {
            **wording.MEASURE_NAMES,
            "brier": "Brier score",
            "calibration_error": "Expected calibration error",
        }.items()
        if name in figures
    ]
    lines += table(("figure", "value", "interval"), rows)
    lines += _points(form)
    if pictures is not None:
        lines += _pictures(figures, pictures, ("roc", "precision-recall", "distribution", "thresholds", "reliability"))
    lines += [*_bands(figures), *_prevalences(figures), *_subgroups(form), *_localization(figures)]
    lines += _misses(figures, pictures)
    return lines


def _points(form: Form) -> list[str]:
    lines = [
        "",
        "### Operating points",
        "",
        "What is promised (at least) is the lower of two one-sided 95% bounds: Clopper-Pearson, which takes scans for "
        "independent, and by groups, which does not.",
        "",
    ]
    measured = {row["name"]: row for row in form.figures.get("operating_points", [])}
    rows = []
    for point in form.operating_points:
        row = measured.get(point.name, {})
        within = row.get("intervals_95", {})
        rows.append(
            (
                f"{point.name}{' (default)' if point is form.default_point else ''}",
                f"sensitivity {point.target_sensitivity:.2f}",
                f"{point.threshold:.4f}",
                ranged(point.sensitivity, within.get("sensitivity")),
                f"{point.sensitivity_lower_95:.3f}",
                number(row.get("sensitivity_lower_95")),
                number(row.get("sensitivity_lower_95_groups")),
                *(ranged(getattr(point, name), within.get(name)) for name in ("specificity", "ppv", "npv")),
            )
        )
    within = measured.get(LIKELY, {}).get("intervals_95", {})
    rows.append(
        (
            LIKELY,
            f"specificity {form.likely.target_specificity:.2f}",
            f"{form.likely.threshold:.4f}",
            ranged(form.likely.sensitivity, within.get("sensitivity")),
            "-",
            "-",
            "-",
            *(ranged(getattr(form.likely, name), within.get(name)) for name in ("specificity", "ppv", "npv")),
        )
    )
    heads = (
        "point",
        "chosen for",
        "threshold",
        "sensitivity",
        "at least",
        "Clopper-Pearson",
        "by groups",
        "specificity",
        "PPV",
        "NPV",
    )
    return lines + table(heads, rows)


def _bands(figures: dict[str, Any]) -> list[str]:
    if told_row(figures) is None or not bands(figures):
        return []
    rows = (
        (b["band"], b["n"], b["fractured"], percent(b["share_fractured"]), percent(b["share_of_fractures"]))
        for b in bands(figures)
    )
    heads = ("band", "scans", "fractured", "share fractured", "share of all fractures")
    return [
        "",
        "### The three bands",
        "",
        "Flagged scans at or over the higher threshold are *likely*, the other flagged ones *possible*.",
        "",
        *table(heads, rows),
    ]


def _prevalences(figures: dict[str, Any]) -> list[str]:
    points = [row for row in figures.get("operating_points", []) if row.get("at_prevalence")]
    if not points:
        return []
    shares = list(points[0]["at_prevalence"])
    heads = (
        "point",
        *(f"PPV at {percent(float(s))}" for s in shares),
        *(f"NPV at {percent(float(s))}" for s in shares),
    )
    rows = [
        (row["name"], *(number(row["at_prevalence"][s][rate]) for rate in ("ppv", "npv") for s in shares))
        for row in points
    ]
    return [
        "",
        "### Where fractures are rarer",
        "",
        f"By Bayes' rule, with sensitivity and specificity taken to be the same. Here "
        f"{percent(figures['fractured'] / figures['n'])} are fractured.",
        "",
        *table(heads, rows),
    ]


def _subgroups(form: Form) -> list[str]:
    rows = form.figures.get("subgroups")
    if not rows:
        return []
    cells = (
        (
            row["subgroup"],
            row["n"],
            row["fractured"],
            ranged(row["auc"], row.get("auc_interval_95")),
            ranged(row["sensitivity"], row.get("sensitivity_interval_95")),
            number(row.get("sensitivity_lower_95") if row["fractured"] else None),
            number(row["specificity"]),
        )
        for row in rows
    )
    heads = ("subgroup", "images", "fractured", "AUC", "sensitivity", "at least", "specificity")
    return [
        "",
        "### Subgroups",
        "",
        f"At `{form.default_operating_point}`. Small groups say little; see the counts. Scans with one, two or more "
        "fractures are ranked against all scans that are not fractured.",
        "",
        *table(heads, cells),
    ]


def _localization(figures: dict[str, Any]) -> list[str]:
    found = figures.get("localization") or {}
    rows = [
        (words, ranged(found[name]["share"], found[name]["interval_95"]), number(found[name].get("chance")))
        for name, words in wording.LOCALIZATION_NAMES.items()
        if isinstance(found.get(name), dict)
    ]
    if not rows:
        return []
    return [
        "",
        "### Where the network looked",
        "",
        f"On {found['fractured_with_boxes']} fractured images with boxes. By chance: the share of the picture that the "
        "boxes (or the boxes and half a cell around) cover. The map is a hint where to look, no outline.",
        "",
        *table(("figure", "measured", "by chance"), rows),
    ]


def _misses(figures: dict[str, Any], pictures: str | None) -> list[str]:
    told = told_row(figures)
    if told is None:
        return []
    lines = [
        "",
        "### What is missed",
        "",
        f"{told['fractured_missed']} of {figures['fractured']} fractured images are not flagged at `{told['name']}`.",
    ]
    if pictures is not None:
        lines += _pictures(figures, pictures, ("fracture-places", "fracture-sizes"))
    rows = (
        (
            miss["body_part"],
            miss["views"] or "-",
            "yes" if miss["hardware"] else "no",
            miss["fracture_count"] or "-",
            percent(miss["box_share"]),
            number(miss["probability"]),
            percent(miss["ranked_under"]),
        )
        for miss in figures.get("misses", [])
    )
    heads = (
        *("body part", "view", "hardware", "fractures", "largest box, of the picture", "probability"),
        "not fractured, but ranked over it",
    )
    least_probable = table(heads, rows)
    return lines if len(least_probable) == 2 else [*lines, "", "The least probable ones:", "", *least_probable]


def _pictures(figures: dict[str, Any], folder: str, names: Sequence[str]) -> list[str]:
    """Drawings that follow the reader's theme."""
    lines: list[str] = []
    for name in (name for name in names if figures.get(DRAWINGS[name][0])):
        base = f"{folder}/{PICTURE_PREFIX}{name}"
        lines += [
            "",
            "<picture>",
            f'  <source media="(prefers-color-scheme: dark)" srcset="{base}-dark.svg">',
            f'  <img src="{base}.svg" alt="{CAPTIONS[name]}" width="451">',
            "</picture>",
        ]
    return lines


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    return [
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
        *(f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |" for row in rows),
    ]


def ranged(value: float | None, bounds: Sequence[float] | None) -> str:
    return number(value) if bounds is None else f"{number(value)} ({interval(bounds)})"
