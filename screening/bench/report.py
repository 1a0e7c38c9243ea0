"""What a benchmark found, as one JSON document and as a chart."""

import platform
from datetime import datetime
from statistics import median
from typing import Any
from xml.sax.saxutils import escape

from screening.bench.plan import Bench, ratios
from screening.cores import usable_cores

VECTORS = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "VNNI", "avx512_bf16": "BF16", "amx_int8": "AMX"}
"""Instruction sets by which processors of one name differ several times over, by the kernel's word for each."""
_ROW, _LEFT, _WIDTH, _RIGHT = 26, 330, 420, 90


def document(bench: Bench, at: datetime, version: str) -> dict[str, Any]:
    """Everything that was measured, and on what."""
    plan = bench.plan
    return {
        "at": at.isoformat(timespec="seconds"),
        "version": version,
        "machine": {
            "cores": usable_cores(),
            "processor": _processor(),
            "system": platform.platform(terse=True),
            "python": platform.python_version(),
        },
        "checkpoint": plan.bundle.name,
        "side": plan.bundle.rendition.side,
        "pictures": len(plan.pictures),
        "rounds": plan.rounds,
        "engine": plan.engine,
        "measures": {name: measure.as_dict() for name, measure in bench.measures.items()},
        "ratios": [
            {"word": ratio.word, "value": value, "at_least": ratio.at_least}
            for ratio in ratios(plan.forms)
            if (value := ratio.of(bench.measures)) is not None
        ],
        "peak_mb": dict(sorted(bench.peak_mb.items())),
        "stages_ms": {
            name: {stage: median(values) for stage, values in stages.items()}
            for name, stages in bench.stages_ms.items()
        },
    }


def chart(found: dict[str, Any]) -> str:
    """The speeds as an SVG of bars, each with its median and its spread; readable on dark and on light ground."""
    rows = [m for m in found["measures"].values() if m["unit"] == "images/s" and m["median"] is not None]
    most = max((m["highest"] for m in rows), default=1.0)
    lines = []
    for number, row in enumerate(rows):
        y, length = number * _ROW, _WIDTH * row["median"] / most
        low, high = (_LEFT + _WIDTH * row[edge] / most for edge in ("lowest", "highest"))
        lines += [
            f'<text x="{_LEFT - 10}" y="{y + 17}" text-anchor="end">{escape(row["word"])}</text>',
            f'<rect x="{_LEFT}" y="{y + 5}" width="{length:.1f}" height="16" rx="2" fill="#2f9e90"/>',
            f'<path d="M{low:.1f} {y + 13}H{high:.1f}" stroke="#8a949c" stroke-width="2"/>',
            f'<text x="{high + 8:.1f}" y="{y + 17}">{row["median"]:.1f}</text>',
        ]
    width, height = _LEFT + _WIDTH + _RIGHT, _ROW * len(rows) + 24
    caption = f"images per second, median and spread of {found['rounds']} rounds, {found['machine']['cores']} cores"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            ' font-family="system-ui, sans-serif" font-size="13" fill="#7b868f" role="img">',
            f"<title>{escape(caption)}</title>",
            *lines,
            f'<text x="{_LEFT}" y="{height - 6}">{escape(caption)}</text>',
            "</svg>\n",
        ]
    )


def _processor() -> str:
    """Its name and the vector instructions that decide how fast it is: half of them have names that say nothing."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123  no path of ours
            told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    except OSError:
        told = {}
    flags = told.get("flags", "").split()
    vectors = ", ".join(word for flag, word in VECTORS.items() if flag in flags)
    name = told.get("model name") or platform.processor() or platform.machine()
    return f"{name} ({vectors})" if vectors else name
