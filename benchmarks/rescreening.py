"""Overnight re-screening on real X-rays: two nights, its speed, and an urgent scan in the middle of it.

    python -m benchmarks.rescreening nights|speed|urgent [--data ../shared/data] [--scans N]

Each part starts PostgreSQL, Valkey and, for `nights` and `urgent`, real worker and beat processes of its own.
"""

# ruff: noqa: T201  what it prints is its result

import argparse
import csv
import os
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import func, select

from benchmarks.real_archive import open_night, pictures, prepare_all, squares, standing, upload
from benchmarks.recomputed import check_comparison, review
from screening import checkpoints
from screening.clock import utc_now
from screening.database.schedule_tables import Firing
from screening.database.tables import Job, Prediction, Rendition, Run
from screening.inference.choice import open_engine
from screening.rescreening.candidates import nominate
from screening.rescreening.schedules import Plan, add_schedule
from screening.runs.lifecycle import cancel_run
from tests.conftest import ROOT
from tests.installation import Installation, wait_until
from tests.turned_clock import VARIABLE, Clock
from worker.screen import Screener

PATIENCE_S = 3600


def screened(made: Installation, checkpoint: str) -> int:
    with made.system.database.read() as session:
        return session.scalar(select(func.count()).where(Prediction.checkpoint_id == checkpoint)) or 0


def latest_run(made: Installation) -> tuple[int, str]:
    with made.system.database.read() as session:
        row = session.execute(select(Run.id, Run.state).order_by(Run.id.desc()).limit(1)).one()
        return row.id, row.state


def job_states(made: Installation, run: int) -> dict[str, int]:
    with made.system.database.read() as session:
        counted = select(Job.state, func.count()).where(Job.run_id == run).group_by(Job.state)
        return dict(session.execute(counted).all())


def nights(data: Path, scans: int) -> None:
    """Everything screened by one checkpoint, then by another in two nights, each with a kill -9 of screen and beat."""
    with TemporaryDirectory() as folder:
        clock = Clock(Path(folder) / "clock")
        os.environ[VARIABLE] = str(Path(folder) / "clock")
        with standing() as (made, candidate):
            made.app = "tests.integration.rescreening.clocked_app"
            made.start_all()
            before = checkpoints_of(made, candidate)
            start = time.perf_counter()
            run = upload(made, "archive", pictures(sorted((data / "fracatlas" / "images").iterdir()), scans))
            made.wait_complete(run, PATIENCE_S)
            print(
                f"{scans:,} scans screened by {before} in {time.perf_counter() - start:.0f} s: {job_states(made, run)}"
            )
            two_nights(made, clock, candidate, screened(made, before))
            night, _ = latest_run(made)
            print(f"jobs of the night's run: {job_states(made, night)}")
            with made.system.database.read() as session:
                notes = session.scalars(select(Firing.note).order_by(Firing.id)).all()
                twice = session.execute(
                    select(Prediction.scan_id, func.count()).group_by(Prediction.scan_id).having(func.count() != 2)
                ).all()
            print(f"firings: {notes}; scans without exactly one prediction by each checkpoint: {len(twice)}")
            with (data / "fracatlas" / "manifest.csv").open(encoding="utf-8", newline="") as stream:
                truths = {row["image_id"]: row["fractured"] == "1" for row in csv.DictReader(stream)}
            review(made.system, truths)
            check_comparison(made.system, before, candidate)


def checkpoints_of(made: Installation, candidate: str) -> str:
    with made.system.database.read() as session:
        return next(row.id for row in checkpoints.all_checkpoints(session) if row.id != candidate)


def two_nights(made: Installation, clock: Clock, candidate: str, scans: int) -> None:
    day = utc_now().replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
    clock.turn_to(day)
    with made.system.database.write() as session:
        nominate(session, clock.now(), candidate, "benchmark")
        add_schedule(session, clock.now(), Plan("nightly", "0 22 * * *", "UTC", "06:00"), "benchmark")
    clock.turn_to(day.replace(hour=21, minute=59, second=58))
    wait_until(lambda: screened(made, candidate) > scans // 8, PATIENCE_S, "the first night has begun")
    made.kill_and_start_again("screen", "beat")
    wait_until(lambda: screened(made, candidate) > scans // 3, PATIENCE_S, "the night goes on after the kill")
    clock.turn_to(day + timedelta(hours=18))
    wait_until(lambda: latest_run(made)[1] == "paused", PATIENCE_S, "the window is over")
    wait_until(lambda: made.progress(latest_run(made)[0]).screening == 0, PATIENCE_S, "work in hand is finished")
    mark = screened(made, candidate)
    print(f"first night: {mark:,} of {scans:,} screened")
    clock.turn_to(day + timedelta(hours=33, minutes=59, seconds=58))
    if screened(made, candidate) != mark:
        raise SystemExit("Something was screened outside of the window.")
    wait_until(lambda: screened(made, candidate) > mark + scans // 8, PATIENCE_S, "the second night has begun")
    made.kill_and_start_again("screen", "beat")
    made.wait_complete(latest_run(made)[0], PATIENCE_S)
    wait_until(lambda: open_firings(made) == 0, PATIENCE_S, "the second firing is closed")


def open_firings(made: Installation) -> int:
    with made.system.database.read() as session:
        return session.scalar(select(func.count()).where(Firing.ended_at.is_(None))) or 0


def prepared_archive(made: Installation, data: Path, scans: int) -> list[Path]:
    """So many scans with renditions and no result, as if screened long ago. Returns the pictures they came from."""
    images = sorted((data / "fracatlas" / "images").iterdir())
    run = upload(made, "archive", pictures(images, scans))
    prepare_all(made)
    with made.system.database.write() as session:
        cancel_run(session, utc_now(), run, "benchmark")
    return images


def speed(data: Path, scans: int) -> None:
    """Re-screening against the bare engine on the same renditions, in turns; then first screenings of originals."""
    with standing() as (made, candidate):
        prepared_archive(made, data, scans)
        open_night(made, candidate)
        again = in_turns(made, candidate)
        with (data / "dicom" / "manifest.csv").open(encoding="utf-8", newline="") as stream:
            decodable = [row["path"] for row in csv.DictReader(stream) if row["decodes"] == "ok"]
        radiographs = [data / "dicom" / path for path in decodable if path.startswith("radiographs/")]
        for name, paths in (("JPEG", sorted((data / "fracatlas" / "originals").iterdir())), ("DICOM", radiographs)):
            first = first_screening(made, name, paths)
            print(f"re-screening is {again / first:.1f} times as fast as the first screening of {name} originals")


def in_turns(made: Installation, candidate: str) -> float:
    """Slices of the screen worker and the bare engine on what each slice screened: scans per second of re-screening."""
    settings, database = made.system.settings, made.system.database
    screener = Screener(made.system, "benchmark", 2)
    screener.warm_up()
    bundle = checkpoints.fetch_bundle(made.system.storage, candidate, settings.data_dir / "checkpoints")
    engine = open_engine(settings.engine, bundle, "fp32", 2)
    mark, done, wall, bare, cpu, bare_cpu = 0, 0, 0.0, 0.0, 0.0, 0.0
    left = True
    while left:
        start, cpu_start = time.perf_counter(), time.process_time()
        left = screener.screen_slice(lambda: False)
        wall, cpu = wall + time.perf_counter() - start, cpu + time.process_time() - cpu_start
        with database.read() as session:
            rows = session.execute(select(Prediction.id, Prediction.scan_id).where(Prediction.id > mark)).all()
        if not rows:
            break
        mark = max(row.id for row in rows)
        batches = [
            squares(made, bundle.rendition, [row.scan_id for row in chunk])
            for chunk in chunks(rows, settings.batch_size)
        ]
        start, cpu_start = time.perf_counter(), time.process_time()
        for batch in batches:
            engine.predict(batch)
        bare, bare_cpu = bare + time.perf_counter() - start, bare_cpu + time.process_time() - cpu_start
        done += len(rows)
        print(
            f"{done:,} scans from renditions: {done / wall:.1f}/s re-screened, {done / bare:.1f}/s by the bare engine: "
            f"{100 * (wall / bare - 1):+.1f}% time; CPU {1000 * cpu / done:.1f} and {1000 * bare_cpu / done:.1f} ms"
        )
    screener.close()
    return done / wall


def chunks(rows: list, size: int) -> Iterator[list]:  # type: ignore[type-arg]
    remaining = iter(rows)
    while chunk := list(islice(remaining, size)):
        yield chunk


def first_screening(made: Installation, name: str, paths: list[Path], copies: int = 4) -> float:
    """Scans per second of a first screening, from the decoding of the original on."""
    run = upload(made, name, pictures(paths, copies * len(paths)))
    screener = Screener(made.system, "benchmark", 2)
    screener.warm_up()
    start = time.perf_counter()
    prepare_all(made)
    prepared = time.perf_counter()
    while screener.screen_slice(lambda: False):
        pass
    end = time.perf_counter()
    screener.close()
    states = job_states(made, run)
    rate = states["screened"] / (end - start)
    size = sum(path.stat().st_size for path in paths) / len(paths) / 1e6
    print(
        f"{states['screened']} {name} originals of {size:.1f} MB on average: {rate:.1f}/s "
        f"(prepared in {prepared - start:.1f} s, screened in {end - prepared:.1f} s); {states}"
    )
    return rate


def urgent(data: Path, scans: int) -> None:
    """An urgent upload while the archive is re-screened: how many archive scans are screened ahead of it."""
    with standing() as (made, candidate):
        images = prepared_archive(made, data, scans)
        made.start_all()
        night = open_night(made, candidate)
        wait_until(lambda: screened(made, candidate) > scans // 4, PATIENCE_S, "the night is under way")
        started = time.perf_counter()
        sent = upload(made, "urgent", iter([("urgent.jpg", images[0].read_bytes() + b"urgent")]), "urgent")
        made.wait_complete(sent, PATIENCE_S)
        took = time.perf_counter() - started
        with made.system.database.read() as session:
            scan = session.scalar(select(Job.scan_id).where(Job.run_id == sent))
            ready = session.scalar(select(func.max(Rendition.finished_at)).where(Rendition.scan_id == scan))
            screened_at = session.scalar(
                select(func.min(Prediction.created_at)).where(
                    Prediction.scan_id == scan, Prediction.checkpoint_id != candidate
                )
            )
            ahead = select(func.count()).where(
                Prediction.checkpoint_id == candidate,
                Prediction.created_at > ready,
                Prediction.created_at < screened_at,
            )
            between = session.scalar(ahead) or 0
        batches = between / made.system.settings.batch_size
        print(
            f"urgent scan screened {took:.1f} s after it was sent, with {batches:.0f} batches of the archive before it"
        )
        made.wait_complete(night, PATIENCE_S)
        print(f"jobs of the night's run: {job_states(made, night)}")


PARTS = {"nights": (nights, 3207), "speed": (speed, 3000), "urgent": (urgent, 5000)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rescreening", description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--scans", type=int, help="how many scans; the default is the size that is promised")
    given = parser.parse_args()
    part, scans = PARTS[given.part]
    part(given.data, given.scans or scans)
    print(dict(Counter(load=round(os.getloadavg()[0], 1))), "is the load of the machine; 2 cores are busy at 2")


if __name__ == "__main__":
    main()
