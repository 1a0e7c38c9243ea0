"""What a scan costs besides inference, whether memory stays flat, and how many workers one database feeds.

    python -m benchmarks.many_workers cost [--sqlite] [--scans 1000 10000] [--curve FOLDER]
    python -m benchmarks.many_workers scale [--workers 1 2 4 8 16] [--images-per-s 80]

Screen workers with an engine that only sleeps re-screen an archive of generated renditions. `cost` lets one worker
with an engine of no duration run through archives of several sizes, and draws its memory on the way. `scale` lets more
and more workers share one archive, each as fast as a real engine on cores of its own would be; --pin gives each one
core to keep to, in turns.
"""

# ruff: noqa: T201  what it prints is its result

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import insert, text

from benchmarks.memory_curve import draw_memory
from benchmarks.real_archive import installed, open_night
from screening import checkpoints
from screening.bench.processes import ProcessWatch
from screening.clock import utc_now
from screening.cores import usable_cores
from screening.database.states import Lane, WorkState
from screening.database.tables import Rendition, Scan
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.prepare import prepare
from screening.storage import rendition_key
from tests.conftest import ROOT
from tests.installation import Installation, phantom_png

DIFFERENT = 64
AT_ONCE = 1000
NO_DURATION = 1e9
BACKENDS_END_WITHIN_S = 1.0


@contextmanager
def standing(sqlite: bool) -> Iterator[tuple[Installation, int | None]]:
    """An installation with the released checkpoint, and the process id of its PostgreSQL."""
    with installed(sqlite, linger_ms=0) as made:
        yield made, None if sqlite else _postmaster(made)


def _postmaster(made: Installation) -> int:
    with made.system.database.read() as session:
        folder = session.scalar(text("SELECT setting FROM pg_settings WHERE name = 'data_directory'"))
    return int((Path(str(folder)) / "postmaster.pid").read_text("ascii").split()[0])


def fill(made: Installation, first: int, scans: int) -> None:
    """Scans with a rendition ready and no result, numbered from `first`."""
    with made.system.database.read() as session:
        spec = checkpoints.rendition_spec(session, checkpoints.active(session).rendition_spec)
    prepared = [prepare(phantom_png(seed, (900, 1100)), spec, DecodeLimits()) for seed in range(DIFFERENT)]
    now = utc_now()
    for start in range(first, first + scans, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, first + scans))
        rows = [(hashlib.sha256(str(number).encode()).hexdigest(), prepared[number % DIFFERENT]) for number in numbers]
        for sha256, picture in rows:
            made.system.storage.put(rendition_key(sha256[:32], spec.hash), picture.rendition_png)
        with made.system.database.write() as session:
            session.execute(
                insert(Scan),
                [
                    {
                        "id": sha256[:32],
                        "sha256": sha256,
                        "size_bytes": 1_000_000,
                        "media_type": "image/png",
                        "file_name": f"{sha256[:8]}.png",
                        "received_at": now,
                        "facts": {},
                    }
                    for sha256, _ in rows
                ],
            )
            session.execute(
                insert(Rendition),
                [
                    {
                        "scan_id": sha256[:32],
                        "spec": spec.hash,
                        "state": WorkState.READY,
                        "lane": Lane.ROUTINE,
                        "queued_at": now,
                        "width": picture.rendition_size[0],
                        "height": picture.rendition_size[1],
                        "attempts": 1,
                    }
                    for sha256, picture in rows
                ],
            )


def active(made: Installation) -> str:
    with made.system.database.read() as session:
        return checkpoints.active(session).id


def screen(made: Installation, workers: int, images_per_s: float, pin: bool = False) -> list[dict[str, Any]]:
    """What each of so many workers says of itself when nothing is left."""
    command = [sys.executable, "-m", "benchmarks.asleep", str(images_per_s)]
    cores = sorted(os.sched_getaffinity(0))
    environment = {**os.environ, **made.environment, "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            command + ([str(cores[number % len(cores)])] if pin else []),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for number in range(workers)
    ]
    for process in started:
        _line(process, until=b"ready")
    for process in started:
        if process.stdin is not None:
            process.stdin.write(b"\n")
            process.stdin.flush()
    said = [json.loads(_line(process, until=b"{")) for process in started]
    for process in started:
        process.wait()
    time.sleep(BACKENDS_END_WITHIN_S)  # Only then does PostgreSQL's own process know what its ended ones have used.
    return said


def _line(process: subprocess.Popen[bytes], until: bytes) -> bytes:
    """The next line that begins so; what is logged before it is passed over."""
    for line in process.stdout or ():
        if line.startswith(until):
            return line
    raise SystemExit(f"a worker ended with code {process.wait()} before it was done")


@contextmanager
def watched(process: int | None) -> Iterator[list[float]]:
    """A list that is given, at the end, the processor seconds that this process and all below it have used."""
    used: list[float] = []
    with ExitStack() as stack:
        watch = stack.enter_context(ProcessWatch(process)) if process else None
        yield used
    used.append(watch.cpu_s if watch else 0.0)


def cost(sqlite: bool, sizes: list[int], folder: Path | None) -> None:
    """Processor time per scan besides inference, and memory, over archives of several sizes."""
    curves: dict[int, list[tuple[int, float]]] = {}
    with standing(sqlite) as (made, postgres):
        first = 0
        for scans in sizes:
            fill(made, first, scans)
            first += scans
            open_night(made, active(made))
            with watched(postgres) as used:
                [said] = screen(made, 1, NO_DURATION)
            curves[scans] = said["memory"]
            stages = {name: 1000 * stage["seconds"] / stage["scans"] for name, stage in said["stages"].items()}
            own, served = (1000 * seconds / said["scans"] for seconds in (said["cpu_s"], used[0]))
            print(
                f"{said['scans']:,} scans: {said['scans'] / said['seconds']:.0f}/s; "
                f"CPU per scan: worker {own:.2f} ms, database server {served:.2f} ms; "
                f"memory {said['before_mb']:.0f} MiB before, {said['peak_mb']:.0f} MiB at most; "
                + ", ".join(f"{name} {took:.2f}" for name, took in stages.items())
                + " ms per scan"
            )
    if folder:
        draw_memory(curves, folder)


def scale(counts: list[int], images_per_s: float, seconds: float, pin: bool) -> None:
    """Scans per second of more and more workers on one PostgreSQL."""
    with standing(sqlite=False) as (made, postgres):
        first, alone = 0, 0.0
        for workers in counts:
            scans = int(workers * images_per_s * seconds)
            fill(made, first, scans)
            first += scans
            open_night(made, active(made))
            with watched(postgres) as served:
                said = screen(made, workers, images_per_s, pin)
            took = max(one["seconds"] for one in said)
            done = sum(one["scans"] for one in said)
            if done != scans:
                raise SystemExit(f"{done} of {scans} scans were screened")
            rate = done / took
            alone = alone or rate / workers
            used = sum(one["cpu_s"] for one in said)
            claims = sum(one["stages"]["claim"]["seconds"] for one in said) / done
            print(
                f"{workers} workers: {rate:.0f} scans/s, {rate / workers / alone:.2f} of linear; "
                f"processors busy: workers {used / took:.2f}, database {served[0] / took:.2f}; "
                f"claiming takes {1000 * claims:.2f} ms per scan"
            )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_workers", description=__doc__)
    parser.add_argument("part", choices=("cost", "scale"))
    parser.add_argument("--sqlite", action="store_true", help="SQLite in place of PostgreSQL, for `cost`")
    parser.add_argument("--scans", type=int, nargs="+", default=[1000, 10_000], help="sizes of the archives of `cost`")
    parser.add_argument("--curve", type=Path, metavar="FOLDER", help="where `cost` draws the memory of its worker")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--images-per-s", type=float, default=80.0, help="how fast the engine of each worker pretends")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each row of `scale` should take")
    parser.add_argument("--pin", action="store_true", help="each worker of `scale` keeps to one core")
    given = parser.parse_args()
    if given.part == "cost":
        cost(given.sqlite, given.scans, given.curve)
    else:
        scale(given.workers, given.images_per_s, given.seconds, given.pin)
    print(f"load of the machine: {os.getloadavg()[0]:.1f}; {usable_cores()} cores")


if __name__ == "__main__":
    main()
