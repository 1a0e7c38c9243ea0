"""How numbers, times and bands are written on the pages."""

import math
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from markupsafe import Markup, escape

from screening.database.states import Lane
from screening.worklist import COUNTED_UP_TO
from web import current
from web.band_words import BAND_WORDS, at_least

STATE_WORDS = {
    "open": "Open",
    "running": "Running",
    "paused": "Paused",
    "complete": "Complete",
    "cancelled": "Cancelled",
    "preparing": "Preparing",
    "queued": "Waiting",
    "screening": "Screening",
    "screened": "Screened",
    "rejected": "Cannot be screened",
    "failed": "Failed",
}
OUTCOME_WORDS = STATE_WORDS | {"rejected": "No result", "failed": "No result"}


def register_filters(app: Flask) -> None:
    app.jinja_env.filters.update(
        number=number,
        counted=counted,
        duration=duration,
        moment=moment,
        probability=probability,
        percent=percent,
        at_least=at_least,
        threshold=threshold,
        band_word=lambda band: BAND_WORDS[band],
        outcome_word=lambda state: OUTCOME_WORDS[state],
        state_word=lambda state: STATE_WORDS.get(state, state),
        lane_word=lambda lane: Lane(lane).label.capitalize(),
        size=size,
        ago=ago,
        waited=waited,
        rate=rate,
        average=average,
        details=details,
        per_scan=per_scan,
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True


def number(value: int | None) -> str:
    return "0" if value is None else f"{value:,}"


def counted(value: int, most: int = COUNTED_UP_TO) -> str:
    """A count of the worklist, which is told up to a limit."""
    return f"{most:,}+" if value > most else number(value)


def probability(value: float | None, digits: int = 3) -> str:
    """Cut and not rounded, so that nothing under a threshold looks as if it were at it, and nothing as if certain."""
    return "" if value is None else f"{int(value * 10**digits) / 10**digits:.{digits}f}"


def percent(value: float | None) -> str:
    return "" if value is None else f"{value * 100:.0f}%"


def threshold(value: float) -> str:
    """Rounded up, because probabilities are cut: one under the threshold is written as less than the threshold."""
    return f"{math.ceil(value * 1000 - 1e-9) / 1000:.3f}"


def size(value: int) -> str:
    for unit, divisor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= divisor:
            return f"{value / divisor:.1f} {unit}"
    return f"{value} bytes"


def duration(seconds: float | None) -> str:
    """47 s, 3 min 20 s, 2 h 5 min, 3 days: two units at most."""
    if seconds is None:
        return ""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 and whole < 600 else f"{whole // 60} min"
    if whole < 48 * 3600:
        minutes = whole % 3600 // 60
        return f"{whole // 3600} h {minutes} min" if minutes else f"{whole // 3600} h"
    return f"{whole // 86400} days"


def moment(value: datetime | None) -> Markup:
    """A time that a script rewrites in the reader's own zone; without scripts it is UTC and says so."""
    if value is None:
        return Markup("")
    shown = value.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        shown.isoformat(timespec="seconds"), escape(f"{shown:%Y-%m-%d %H:%M}")
    )


def details(values: dict[str, Any]) -> str:
    """What a process or an event says of itself, in words: "batch fill 0.62, scans 63"."""
    parts = []
    for name, value in values.items():
        if isinstance(value, dict):
            shown = ", ".join(str(inner) for inner in value.values())
        elif isinstance(value, int) and not isinstance(value, bool):
            shown = number(value)
        else:
            shown = str(value)
        parts.append(f"{name.replace('_', ' ')} {shown}")
    return ", ".join(parts)


def per_scan(stages: dict[str, dict[str, float]]) -> str:
    """What a worker's stages take of a scan, as it counted them: "claim 0.11, infer 12 ms"."""
    took = [f"{name} {_milliseconds(1000 * stage['seconds'] / stage['scans'])}" for name, stage in stages.items()]
    return f"{', '.join(took)} ms" if took else ""


def _milliseconds(value: float) -> str:
    """0.11, 2.4, 305: as many digits as tell something, and never a power of ten."""
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def waited(value: datetime) -> Markup:
    """How long ago that was; a script lets it grow."""
    seconds = (current.system().clock() - value).total_seconds()
    return Markup('<time datetime="{}" data-waited>{}</time>').format(
        value.astimezone(UTC).isoformat(timespec="seconds"), duration(seconds)
    )


def rate(per_second: float) -> str:
    """38/s, 2.4/s; what is slower than one in a second by the minute: 12/min."""
    if per_second >= 10:
        return f"{per_second:,.0f}/s"
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{per_second * 60:.0f}/min"


def average(value: float) -> str:
    """A mean of counts: 361, 4.2; decimals of large ones say nothing."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def ago(value: datetime) -> str:
    return f"{duration((current.system().clock() - value).total_seconds())} ago"
