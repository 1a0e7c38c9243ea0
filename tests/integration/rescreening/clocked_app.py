"""The workers' app with a clock that a test turns: SCREENING_TEST_CLOCK names a file with the seconds to add."""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from screening.clock import utc_now
from worker.app import app, process

__all__ = ["app"]

_ahead = Path(os.environ["SCREENING_TEST_CLOCK"])


def _clock() -> datetime:
    return utc_now() + timedelta(seconds=float(_ahead.read_text()))


process.system = replace(process.system, clock=_clock)
