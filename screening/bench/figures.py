"""What was measured: several values of each measure, their median and spread, and ratios of medians."""

from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass
class Measure:
    """One measure of the run, in images per second where no other unit is named."""

    name: str
    word: str
    unit: str = "images/s"
    values: list[float] = field(default_factory=list)
    left_out: str | None = None
    """Why it was not measured here."""

    @property
    def middle(self) -> float | None:
        return median(self.values) if self.values else None

    def as_dict(self) -> dict[str, Any]:
        return {
            "word": self.word,
            "unit": self.unit,
            "values": self.values,
            "median": self.middle,
            "lowest": min(self.values, default=None),
            "highest": max(self.values, default=None),
            **({"left_out": self.left_out} if self.left_out else {}),
        }


@dataclass(frozen=True)
class Ratio:
    """How many times as fast one measure is as another."""

    word: str
    above: str
    below: str
    at_least: float | None = None
    """What the project promises; None where it promises nothing."""

    def of(self, measures: dict[str, Measure]) -> float | None:
        above, below = (measures[name].middle if name in measures else None for name in (self.above, self.below))
        return above / below if above is not None and below else None


def quantile(values: list[float], share: float) -> float | None:
    """The smallest value that at least this share of the values does not exceed; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def slower_than(baseline: dict[str, Any], measures: dict[str, Measure], tolerance: float) -> list[str]:
    """A sentence for each measure whose median lies below the stored one by more than this share."""
    sentences = []
    for name, stored in baseline.get("measures", {}).items():
        now, before = measures[name].middle if name in measures else None, stored.get("median")
        # Of seconds, bytes and the like less is better; only speeds are compared.
        if now is None or not before or stored.get("unit") != "images/s":
            continue
        if now < before * (1 - tolerance):
            sentences.append(f"{measures[name].word}: {now:.1f} images/s, was {before:.1f} ({now / before - 1:+.0%})")
    return sentences


def other_machine(baseline: dict[str, Any], now: dict[str, Any]) -> str | None:
    """A warning where the baseline was measured on other cores than these; None where both are alike."""
    then, here = (f"{machine.get('cores')} cores, {machine.get('processor')}" for machine in (baseline, now))
    if then == here:
        return None
    return f"The baseline is of another machine ({then}; this one: {here}). Compare the ratios, not the speeds."
