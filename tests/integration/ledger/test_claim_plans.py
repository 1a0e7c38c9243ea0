"""A claim looks at what it claims, however much of its run is done: the plans that both databases choose for it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.database.states import JobState, Lane, RunState, WorkState
from screening.database.tables import Checkpoint, Job, Rendition, Run, Scan
from screening.ledger.claiming import claim_batch
from screening.ledger.lease import Lease
from screening.ledger.preparing import claim_renditions
from tests.integration.ledger.steps import NOW, add_checkpoint
from tests.statements import kept_statements

SCREENED, QUEUED, BATCH = 3000, 100, 32


@pytest.fixture
def nearly_done(database: Database) -> Database:
    """A run that is screened but for its last jobs, of which the database still believes that all are queued."""
    with database.write() as session:
        session.add(
            Checkpoint(
                id="one", name="one", form="fp32", active=True, rendition_spec="spec", card={}, registered_at=NOW
            )
        )
        session.flush()
        run = Run(
            name="run", lane=Lane.ARCHIVE, state=RunState.RUNNING, checkpoint_id="one", created_by="t", created_at=NOW
        )
        session.add(run)
        session.flush()
        numbers = [f"{number:032x}" for number in range(SCREENED + QUEUED)]
        session.execute(
            insert(Scan),
            [
                {
                    "id": number,
                    "sha256": 2 * number,
                    "size_bytes": 1,
                    "media_type": "image/png",
                    "file_name": number,
                    "received_at": NOW,
                }
                for number in numbers
            ],
        )
        session.execute(
            insert(Job),
            [
                {
                    "run_id": run.id,
                    "scan_id": number,
                    "file_name": number,
                    "state": JobState.QUEUED,
                    "attempts": 0,
                    "created_at": NOW,
                }
                for number in numbers
            ],
        )
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    with database.write() as session:
        done = select(Job.id).order_by(Job.id).limit(SCREENED)
        session.execute(update(Job).where(Job.id.in_(done)).values(state=JobState.SCREENED, attempts=1))
    return database


@pytest.mark.parametrize("untried_only", [False, True])
def test_a_claim_does_not_walk_through_what_is_done(nearly_done: Database, untried_only: bool) -> None:
    with nearly_done.engine.connect() as connection, Session(connection) as session:
        with kept_statements(connection) as kept:
            claim = claim_batch(session, Lease.new(NOW, 60), NOW, BATCH, untried_only=untried_only)
        session.rollback()
        assert claim is not None
        assert claim.job_count == BATCH
        of_jobs = [(statement, parameters) for statement, parameters in kept if "FROM jobs" in statement]
        assert len(of_jobs) == 2
        for statement, parameters in of_jobs:
            if nearly_done.is_sqlite:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                assert any("jobs USING" in line[-1] and "ix_jobs_claim" in line[-1] for line in plan), plan
                assert not any("TEMP B-TREE" in line[-1] for line in plan if "jobs" in line[-1]), plan
            else:
                explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
                [[top]] = connection.exec_driver_sql(explain, parameters).scalars().all()
                passed_over = sum(node.get("Rows Removed by Filter", 0) for node in nodes(top["Plan"]))
                assert passed_over <= BATCH, json.dumps(top, indent=1)


@pytest.fixture
def beside_a_paused_night(database: Database) -> Database:
    """A paused night that waits for thousands of renditions, and an upload that the statistics do not know yet."""
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
        add_checkpoint(session, "two", active=False, spec="other")
    add_waiting(database, "two", "other", RunState.PAUSED, SCREENED)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    add_waiting(database, "one", "spec", RunState.OPEN, QUEUED)
    return database


def add_waiting(database: Database, checkpoint: str, spec: str, state: RunState, count: int) -> None:
    """A run of the archive in this state, none of whose renditions is there."""
    with database.write() as session:
        run = Run(name="r", lane=Lane.ARCHIVE, state=state, checkpoint_id=checkpoint, created_by="t", created_at=NOW)
        session.add(run)
        session.flush()
        ids = [f"{run.id:04x}{number:028x}" for number in range(count)]
        common = {"size_bytes": 1, "media_type": "image/png", "received_at": NOW}
        session.execute(insert(Scan), [{"id": one, "sha256": 2 * one, "file_name": one, **common} for one in ids])
        common = {"run_id": run.id, "state": JobState.PREPARING, "attempts": 0, "created_at": NOW}
        session.execute(insert(Job), [{"scan_id": one, "file_name": one, **common} for one in ids])
        common = {"spec": spec, "state": WorkState.WAITING, "lane": Lane.ARCHIVE, "attempts": 0, "queued_at": NOW}
        session.execute(insert(Rendition), [{"scan_id": one, **common} for one in ids])


def test_a_claim_of_renditions_does_not_walk_through_what_a_paused_night_waits_for(
    beside_a_paused_night: Database,
) -> None:
    database = beside_a_paused_night
    with database.engine.connect() as connection, Session(connection) as session:
        with kept_statements(connection) as kept:
            claims = claim_renditions(session, Lease.new(NOW, 60), NOW, BATCH)
        session.rollback()
        assert [claim.spec for claim in claims] == ["spec"] * BATCH
        looked = [one for one in kept if one[0].startswith("SELECT") and "FROM scans" not in one[0]]
        assert len(looked) >= 4
        for statement, parameters in looked:
            if database.is_sqlite:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                assert not any(line[-1].startswith(("SCAN jobs", "SCAN renditions")) for line in plan), (
                    statement,
                    plan,
                )
                of_scans = [line[-1] for line in plan if "scan_id IN" in statement and "renditions" in line[-1]]
                assert all("scan_id=?" in line for line in of_scans), (statement, plan)
            else:
                explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
                [[top]] = connection.exec_driver_sql(explain, parameters).scalars().all()
                read = sum(
                    (node.get("Rows Removed by Filter", 0) + node["Actual Rows"]) * node["Actual Loops"]
                    for node in nodes(top["Plan"])
                )
                assert read <= 40 * BATCH, json.dumps(top, indent=1)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)
