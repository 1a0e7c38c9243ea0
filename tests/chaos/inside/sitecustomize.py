"""Loaded by every process of a stand when Python starts: a clock and a storage that a test can disturb.

The product has no hook for this. A file named `clock` in SCREENING_CHAOS_FOLDER holds the seconds by which clocks are
wrong, a file `slow` the seconds that every access to storage takes longer.
"""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

_folder = os.environ.get("SCREENING_CHAOS_FOLDER")


def _number(name: str) -> float:
    try:
        return float(Path(str(_folder), name).read_text() or 0)
    except (OSError, ValueError):
        return 0.0


def _disturb() -> None:
    import screening.clock
    from screening.storage.folder import FolderStorage

    right = screening.clock.utc_now

    def wrong() -> datetime:
        return right() + timedelta(seconds=_number("clock"))

    screening.clock.utc_now = wrong  # type: ignore[assignment]

    def slowed(name: str) -> None:
        quick = getattr(FolderStorage, name)

        def slow(self: FolderStorage, *arguments: Any) -> Any:
            time.sleep(_number("slow"))
            return quick(self, *arguments)

        setattr(FolderStorage, name, slow)

    for name in ("receive", "put", "open"):
        slowed(name)


if _folder:
    _disturb()
