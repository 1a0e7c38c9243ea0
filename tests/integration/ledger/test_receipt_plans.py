"""A page of a run's receipts reads that page, however many receipts other runs have."""

from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.database.tables import Receipt
from screening.runs.lifecycle import open_run
from screening.runs.receipts import receipts_of
from tests.integration.ledger.steps import NOW, add_checkpoint
from tests.statements import kept_statements

RUNS, FILES = 4, 2000


@pytest.fixture
def filled(database: Database) -> tuple[Database, int]:
    """Four runs with 2,000 receipts each, and the id of the last."""
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
        ids = [open_run(session, NOW, str(number), "routine", "t").id for number in range(RUNS)]
        session.execute(
            insert(Receipt),
            [
                {"run_id": run, "file_name": str(n), "sha256": f"{n:064x}", "size_bytes": 1, "received_at": NOW}
                | {"status": "rejected" if n % 10 == 0 else "accepted"}
                for run in ids
                for n in range(FILES)
            ],
        )
    return database, ids[-1]


@pytest.mark.parametrize("status", [None, "rejected"])
def test_a_page_of_receipts_goes_along_the_run(filled: tuple[Database, int], status: str | None) -> None:
    database, run = filled
    with database.engine.connect() as connection, Session(connection) as session:
        if not database.is_sqlite:
            connection.exec_driver_sql("ANALYZE receipts")
        with kept_statements(connection) as kept:
            assert len(receipts_of(session, run, 0, 100, status)) == 100
        statement, parameters = kept[-1]
        explain: Any = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        plan = str(connection.exec_driver_sql(explain + statement, parameters).all())
        session.rollback()
    assert "ix_receipts_" in plan, plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan
