"""The whole system, from the first byte that is sent to the last scan that is ranked."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from screening.bench.installation import Installed
from screening.bench.processes import ProcessWatch
from screening.bench.stages import Totals, batch_fill, ms_per_scan, totals
from screening.client.files import LocalFile
from screening.client.http import Connection
from screening.client.runs import get_run, not_screened, open_run, submit_run
from screening.client.uploading import Upload
from screening.clock import utc_now
from screening.settings import Settings

LOOKS_EVERY_S = 1.0
"""How often a run is asked for that tells by itself when it ended. Each answer takes a few milliseconds of the cores
that are measured: at ten a second it cost re-screening a twentieth of its speed."""
POLL_EVERY_S = 0.1
"""How often an urgent run is asked for, whose end is when its sender hears of it."""
BATCH: int = Settings.model_fields["batch_size"].default
RUN_TAKES_AT_MOST_S = 3600.0


@dataclass(frozen=True)
class WholeRun:
    """What one run through the whole system took."""

    images: int
    """Scans that were screened."""
    seconds: float
    cpu_s: float
    """Of the installation's processes, the uploading client not counted."""
    peak_mb: dict[str, float]
    stages_ms: dict[str, float]
    """What each stage took per scan, by kind of worker and stage. Stages overlap."""
    batch_fill: float
    """1 where every batch was full."""

    @property
    def images_per_s(self) -> float:
        return self.images / self.seconds

    @property
    def cpu_ms_per_scan(self) -> float:
        return 1000 * self.cpu_s / self.images


def first_screening(installed: Installed, paths: Sequence[Path]) -> WholeRun:
    """Upload files that the installation has never seen, and wait until the last one is ranked."""
    before = totals(installed.connection)
    with ProcessWatch(installed.process.pid) as watch:
        started = utc_now()
        run = _upload(installed.connection, "bulk", "routine", paths)
        ended = _wait(installed.connection, run)
    seconds = (_moment(ended["finished_at"]) - started).total_seconds()
    return _as_run(ended, seconds, watch, before, totals(installed.connection))


def rescreening(installed: Installed) -> WholeRun:
    """Screen the archive again by the checkpoint that is not in use, from the renditions that are there."""
    connection = installed.connection
    others = [c["id"] for c in connection.get("/api/v1/checkpoints")["items"] if not c["active"]]
    plan = {"name": "again", "cron": "0 0 1 1 *", "window_end": "23:59", "checkpoint": others[0]}
    schedule = connection.post("/api/v1/schedules", plan)["id"]
    before = totals(connection)
    with ProcessWatch(installed.process.pid) as watch:
        connection.post(f"/api/v1/schedules/{schedule}/run-now")
        ended = _wait(connection, _run_of(connection, schedule))
    # From the moment it was opened: how long beat takes to its next tick says nothing of speed.
    seconds = (_moment(ended["finished_at"]) - _moment(ended["created_at"])).total_seconds()
    return _as_run(ended, seconds, watch, before, totals(connection))


def urgent_latencies(installed: Installed, bulk: Sequence[Path], urgent: Sequence[Path]) -> list[float]:
    """Seconds from sending each urgent picture to its result, one after the other, while the others are screened."""
    connection = installed.connection
    run = open_run(connection, "bulk", "archive")["id"]
    sending = threading.Thread(target=_send, args=(connection, run, bulk), daemon=True)
    sending.start()
    latencies: list[float] = []
    for path in urgent:
        started = time.perf_counter()
        _wait(connection, _upload(connection, f"urgent {path.name}", "urgent", [path]), POLL_EVERY_S)
        latencies.append(time.perf_counter() - started)
        if get_run(connection, run)["state"] == "complete":
            break
    sending.join()
    submit_run(connection, run)
    _wait(connection, run)
    return latencies


def _as_run(ended: dict[str, Any], seconds: float, watch: ProcessWatch, before: Totals, after: Totals) -> WholeRun:
    return WholeRun(
        _screened(ended),
        seconds,
        watch.cpu_s,
        watch.peak_mb,
        ms_per_scan(before.stages, after.stages),
        batch_fill(before, after, BATCH),
    )


def _upload(connection: Connection, name: str, lane: str, paths: Sequence[Path]) -> int:
    run: int = open_run(connection, name, lane)["id"]
    _send(connection, run, paths)
    submit_run(connection, run)
    return run


def _send(connection: Connection, run: int, paths: Sequence[Path]) -> None:
    Upload(connection, run, lambda _receipt, _size: None).send([LocalFile(path, path.name) for path in paths])


def _wait(connection: Connection, run: int, every_s: float = LOOKS_EVERY_S) -> dict[str, Any]:
    deadline = time.monotonic() + RUN_TAKES_AT_MOST_S
    while (document := get_run(connection, run))["state"] != "complete":
        if time.monotonic() > deadline:
            raise RuntimeError(f"run {run} is not complete after an hour: {document['counts']}")
        time.sleep(every_s)
    return document


def _run_of(connection: Connection, schedule: int) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        firings = connection.get(f"/api/v1/schedules/{schedule}/firings")["items"]
        if firings and firings[0]["run"] is not None:
            return int(firings[0]["run"])
        time.sleep(POLL_EVERY_S)
    raise RuntimeError("the schedule did not open a run within two minutes")


def _screened(run: dict[str, Any]) -> int:
    screened = int(run["counts"]["screened"])
    if not screened:
        raise RuntimeError(f"nothing was screened, {not_screened(run)} files could not be")
    return screened


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
