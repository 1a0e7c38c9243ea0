"""Renditions are claimed and handed back by their keys, however many there are; SQLite has to be told."""

import pytest
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.ledger.lease import Lease
from screening.ledger.preparing import claim_renditions, record_ready, release_renditions, take_attempts_back
from tests.integration.ledger.steps import NOW, add_checkpoint, add_run, ready
from tests.statements import kept_statements


@pytest.fixture
def ledger(sqlite_url: str) -> Database:
    database = Database(sqlite_url)
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
    return database


def test_no_statement_reads_all_renditions(ledger: Database) -> None:
    add_run(ledger, 4)
    lease = Lease.new(NOW, 30)
    with ledger.engine.connect() as connection, Session(connection) as session:
        with kept_statements(connection) as kept:
            claims = claim_renditions(session, lease, NOW, 4)
            take_attempts_back(session, lease, [(claim.scan_id, claim.spec) for claim in claims])
            record_ready(session, lease, NOW, [ready(claims[0].scan_id)])
            release_renditions(session, lease)
        session.rollback()
        of_some = [(statement, parameters) for statement, parameters in kept if "(VALUES (" in statement]
        assert len(of_some) == 5
        for statement, parameters in of_some:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            assert not any(line[-1].startswith("SCAN renditions") for line in plan), plan
    ledger.dispose()
