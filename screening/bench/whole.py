"""The whole system, from the first byte that is sent to the last scan that is ranked."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from screening.bench.installation import Installed
from screening.bench.processes import ProcessWatch
from screening.bench.stages import Totals, batch_fill, ms_per_scan, totals
from screening.client.files import LocalFile
from screening.client.http import Connection
from screening.client.runs import ended_jobs, get_run, not_screened, open_run, submit_run
from screening.client.uploading import Upload
from screening.clock import utc_now
from screening.database.engine import Database
from screening.database.tables import Prediction
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
    images_per_s: float
    cpu_s: float
    """Of the installation's processes, the uploading client not counted."""
    peak_mb: dict[str, float]
    stages_ms: dict[str, float]
    """What each stage took per scan, by kind of worker and stage. Stages overlap."""
    batch_fill: float
    """1 where every batch was full."""
    first_batch_s: float | None = None
    """Of re-screening: from opening the run to its first results. `images_per_s` counts from there on."""

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
    return _as_run(ended, _screened(ended) / seconds, watch, before, totals(installed.connection))


def rescreening(installed: Installed) -> WholeRun:
    """Screen the archive again by the checkpoint that is not in use, from the renditions that are there.

    Its speed is that from the first batch on, which is recorded after the worker has loaded and checked the checkpoint:
    the bare engine's loading is not counted either, and a night's archive has more than the few batches of a benchmark.
    """
    connection = installed.connection
    others = [c["id"] for c in connection.get("/api/v1/checkpoints")["items"] if not c["active"]]
    plan = {"name": "again", "cron": "0 0 1 1 *", "window_end": "23:59", "checkpoint": others[0]}
    schedule = connection.post("/api/v1/schedules", plan)["id"]
    before = totals(connection)
    with ProcessWatch(installed.process.pid) as watch:
        connection.post(f"/api/v1/schedules/{schedule}/run-now")
        ended = _wait(connection, _run_of(connection, schedule))
    after = totals(connection)
    begun, in_first = _first_batch(installed, others[0])
    rate = (_screened(ended) - in_first) / (_moment(ended["finished_at"]) - begun).total_seconds()
    # From the moment it was opened: how long beat takes to its next tick says nothing of speed.
    loading = (begun - _moment(ended["created_at"])).total_seconds()
    return replace(_as_run(ended, rate, watch, before, after), first_batch_s=loading)


def urgent_latencies(installed: Installed, bulk: Sequence[Path], urgent: Sequence[Path]) -> list[float]:
    """Seconds from sending each urgent picture to its result, one after the other, as long as others are screened."""
    connection = installed.connection
    # Comes when all workers are up: nobody's urgent scan waits for them to start.
    totals(connection)
    run = open_run(connection, "bulk", "archive")["id"]
    sending = threading.Thread(target=_send, args=(connection, run, bulk), daemon=True)
    sending.start()
    latencies: list[float] = []
    for path in urgent:
        started = time.perf_counter()
        _wait(connection, _upload(connection, f"urgent {path.name}", "urgent", [path]), POLL_EVERY_S)
        took = time.perf_counter() - started
        bulk_run = get_run(connection, run)
        if not sending.is_alive() and ended_jobs(bulk_run) == bulk_run["counts"]["total"]:
            break
        latencies.append(took)
    sending.join()
    submit_run(connection, run)
    _wait(connection, run)
    return latencies


def _first_batch(installed: Installed, checkpoint: str) -> tuple[datetime, int]:
    """When the first batch by this checkpoint was recorded, and how many scans it had. Read from the database of an
    installation on embedded defaults: no answer of the API tells it of a whole run."""
    database = Database(Settings(data_dir=installed.folder, database_url="").resolved_database_url)
    try:
        with database.read() as session:
            found = session.execute(
                select(Prediction.created_at, func.count())
                .where(Prediction.checkpoint_id == checkpoint)
                .group_by(Prediction.created_at)
                .order_by(Prediction.created_at)
                .limit(1)
            ).one()
    finally:
        database.dispose()
    return found[0], found[1]


def _as_run(ended: dict[str, Any], rate: float, watch: ProcessWatch, before: Totals, after: Totals) -> WholeRun:
    return WholeRun(
        _screened(ended),
        rate,
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
