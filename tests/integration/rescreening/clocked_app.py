"""The workers' app with a clock that a test turns."""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from screening.clock import utc_now
from tests.turned_clock import VARIABLE
from worker.app import app, process

__all__ = ["app"]

_ahead = Path(os.environ[VARIABLE])


def _clock() -> datetime:
    return utc_now() + timedelta(seconds=float(_ahead.read_text()))


process.system = replace(process.system, clock=_clock)
