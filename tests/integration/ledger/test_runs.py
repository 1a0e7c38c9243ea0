"""Runs are submitted once, complete when all is done, and their counts add up."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from screening.database.engine import Database
from screening.database.tables import (
    AuditEvent,
    Run,
)
from screening.ledger.sweeping import sweep
from screening.runs import lifecycle
from screening.runs.lifecycle import get_run, submit_run
from screening.runs.progress import progress_of
from tests.integration.ledger.steps import (
    MAX_ATTEMPTS,
    NOW,
    add_checkpoint,
    add_run,
    claim,
    prepare_all,
    record,
)


def test_runs_complete_only_when_submitted_and_done(ledger: Database) -> None:
    run = add_run(ledger, 1, submit=False)
    prepare_all(ledger)
    batch = claim(ledger)
    assert batch is not None
    record(ledger, batch)
    with ledger.write() as session:
        assert sweep(session, NOW, MAX_ATTEMPTS).runs_completed == 0
        assert submit_run(session, NOW, run, "test").state == "complete"
        assert submit_run(session, NOW, run, "test").state == "complete", "submitting twice is no error"


def test_two_requests_that_submit_a_run_at_once_are_noted_as_one(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgres_url)
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
    run = add_run(database, 1, submit=False)
    both_have_looked = threading.Barrier(2)

    def look(*arguments: Any, **options: Any) -> Run:
        found = get_run(*arguments, **options)
        both_have_looked.wait(20)
        return found

    def submit(_: int) -> None:
        with database.write() as session:
            submit_run(session, NOW, run, "test")

    monkeypatch.setattr(lifecycle, "get_run", look)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(submit, range(2)))
    with database.read() as session:
        events = session.scalars(select(AuditEvent.action)).all()
    database.dispose()
    assert events.count("run.submitted") == 1


def test_progress_counts_add_up(ledger: Database) -> None:
    run = add_run(ledger, 6)
    prepare_all(ledger)
    batch = claim(ledger, 4)
    assert batch is not None
    record(ledger, batch, NOW + timedelta(seconds=10))
    with ledger.read() as session:
        progress = progress_of(session, NOW + timedelta(seconds=10), session.get_one(Run, run))
    assert (progress.total, progress.screened, progress.queued) == (6, 4, 2)
    assert (progress.likely, progress.possible, progress.flagged) == (1, 3, 4)
    assert progress.rate_per_s == pytest.approx(0.4)
    assert progress.eta_s == pytest.approx(5.0)
    assert progress.oldest_waiting_s == pytest.approx(10.0)
