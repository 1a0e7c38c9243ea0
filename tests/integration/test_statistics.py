"""SQLite plans by what it knows of its tables; upkeep tells it once they are large."""

import pytest

from screening.database.engine import Database
from tests.integration.ledger.steps import add_checkpoint, add_run
from worker.upkeep import Statistics


def test_sqlite_looks_at_its_tables_once_they_are_large(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(sqlite_url)
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
    add_run(database, 4)
    Statistics(database).keep()
    assert "sqlite_stat1" not in tables(database), "what is only being filled would mislead it"
    monkeypatch.setattr("worker.upkeep.LARGE", 4)
    kept = Statistics(database)
    kept.keep()
    with database.engine.connect() as connection:
        known = set(connection.exec_driver_sql("SELECT tbl FROM sqlite_stat1").scalars())
    assert {"jobs", "scans", "renditions"} <= known
    database.dispose()


def tables(database: Database) -> set[str]:
    with database.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars()
        return set(found)
