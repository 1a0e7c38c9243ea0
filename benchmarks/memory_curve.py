"""A drawing of a worker's memory over the scans that it has screened, for `benchmarks.many_workers cost --curve`."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from training.measuring.drawing import STYLE
from training.measuring.palette import LIGHT
from training.measuring.vector import write_drawings

COLOURS = ("accent", "text", "likely", "possible")
ROOM = 1.25


def draw_memory(curves: Mapping[int, Sequence[tuple[int, float]]], folder: Path) -> None:
    """Write memory.svg and memory-dark.svg. curves: by size of the archive, (scans screened, MiB resident)."""
    with mpl.rc_context({**STYLE, "figure.figsize": (6.4, 3.2)}):
        drawing = Figure()
        axes = drawing.subplots()
        for (size, curve), colour in zip(sorted(curves.items(), reverse=True), cycle(COLOURS), strict=False):
            scans, mib = zip(*curve, strict=True)
            axes.plot(scans, mib, color=LIGHT[colour], label=f"archive of {size:,} scans")
        axes.set_ylim(0, ROOM * max(mib for curve in curves.values() for _, mib in curve))
        axes.set_xlim(0, max(curves))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel("Scans screened")
        axes.set_ylabel("Resident memory, MiB")
        axes.legend(loc="lower right")
    write_drawings({"memory": drawing}, folder, png=False)
