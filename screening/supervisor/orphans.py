"""Processes that a killed supervisor left behind: found by their environment, stopped before a new start."""

import contextlib
import os
import signal
from pathlib import Path

import psutil

MARK = "SCREENING_SUPERVISED_BY"
"""Set for every supervised process, and inherited by what it starts, to the path of the data folder."""


def stop_orphans(folder: Path, grace_s: float = 20.0) -> int:
    """Ask every process of this data folder to end, and end those that do not. Returns how many there were.

    The caller holds the folder's lock, so no supervisor watches over any of them.
    """
    orphans = _of_folder(folder)
    for process in orphans:
        _send(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(orphans, timeout=grace_s)
    for process in stubborn:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=5)
    return len(orphans)


def _of_folder(folder: Path) -> list[psutil.Process]:
    mine = os.getpid()
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != mine and process.environ().get(MARK) == str(folder):
                found.append(process)
        except (psutil.Error, OSError):
            # Somebody else's process, or one that ended while it was looked at.
            continue
    return found


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
