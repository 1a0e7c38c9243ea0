"""This system beside peers, in turns on the same machine.

    python -m benchmarks.peers http [--images DIR] [--count 600] [--rounds 3]
    python -m benchmarks.peers dicom [--files DIR] [--count 300] [--rounds 3]

`http`: LitServe and BentoML serve the released network with dynamic batching; each gets the pictures one by one over
several connections and answers with a probability, which nobody keeps. This system gets the same pictures as one run,
and keeps originals, renditions, maps, predictions, receipts and a ranking.

`dicom`: Orthanc (Debian's package) and this system each take the same DICOM files in over HTTP, to the same disk.
"""

# ruff: noqa: T201  what it prints is its result

import argparse
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.peers.intake import compare_intake
from benchmarks.peers.serving import compare_serving
from screening.cores import usable_cores
from tests.conftest import ROOT

DATA = ROOT.parent / "shared" / "data"


def tell(rows: Sequence[tuple[str, list[float]]], unit: str) -> None:
    """Medians and spreads, and each row against the first."""
    first = median(rows[0][1])
    for name, values in rows:
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"{name:45} {median(values):8.1f} {unit} ({spread}); {first / median(values):.2f}")
    print(f"{datetime.now(UTC):%Y-%m-%d}, load of the machine {os.getloadavg()[0]:.1f}, {usable_cores()} cores")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("http", "dicom"))
    parser.add_argument("--images", type=Path, default=DATA / "fracatlas" / "images")
    parser.add_argument("--files", type=Path, default=DATA / "dicom" / "radiographs")
    parser.add_argument("--count", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.part == "http":
        tell(compare_serving(given.images, given.count or 600, given.rounds), "images/s")
    else:
        tell(compare_intake(given.files, given.count or 300, given.rounds), "files/s")


if __name__ == "__main__":
    main()
