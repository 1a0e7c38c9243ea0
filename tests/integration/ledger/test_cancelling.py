"""A cancelled run ends for good: what comes back to it, or comes in, is cancelled or refused."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.database.states import RunState, WorkState
from screening.database.tables import Container, Job, Run
from screening.errors import Conflict
from screening.ledger.releasing import release_jobs
from screening.ledger.remaking import remake_rendition
from screening.ledger.sweeping import sweep
from screening.radiographs.problems import Unscreenable
from screening.runs import lifecycle
from screening.runs.intake import Arrival, admit_arrivals
from screening.runs.lifecycle import cancel_run, get_run, pause_run, resume_run, submit_run
from tests.integration.ledger.steps import (
    LATER,
    MAX_ATTEMPTS,
    NOW,
    add_checkpoint,
    add_run,
    claim,
    prepare_all,
    record,
    scan_hash,
    states,
)
from tests.integration.web.conftest import Portal


def cancel(database: Database, run: int) -> None:
    with database.write() as session:
        cancel_run(session, NOW, run, "test")


def swept(database: Database, run: int) -> dict[str, int]:
    with database.write() as session:
        sweep(session, LATER, MAX_ATTEMPTS)
    return states(database, run)


@pytest.mark.parametrize("way", ["expired", "released", "tried", "remade"])
def test_jobs_that_come_back_to_a_cancelled_run_are_cancelled(ledger: Database, way: str) -> None:
    run, other = add_run(ledger, 2), add_run(ledger, 1, first=10)
    prepare_all(ledger)
    batch = claim(ledger, 2)
    assert batch is not None
    cancel(ledger, run)
    assert states(ledger, run) == {"screening": 2}, "it may still be recorded"
    with ledger.write() as session:
        if way in ("released", "tried"):
            release_jobs(session, batch.lease, tried=way == "tried", max_attempts=MAX_ATTEMPTS, now=NOW)
        elif way == "remade":
            for scan in batch.scan_ids:
                remake_rendition(session, batch.lease, NOW, scan, "spec", MAX_ATTEMPTS)
    assert swept(ledger, run) == {"cancelled": 2}
    assert states(ledger, other) == {"queued": 1}
    with ledger.read() as session:
        ends = session.scalars(select(Job.finished_at).where(Job.run_id == run)).all()
    assert set(ends) == {LATER}


def test_what_is_being_screened_when_its_run_is_cancelled_may_be_recorded(ledger: Database) -> None:
    run = add_run(ledger, 2)
    prepare_all(ledger)
    batch = claim(ledger, 2)
    assert batch is not None
    cancel(ledger, run)
    assert record(ledger, batch) == 2
    assert swept(ledger, run) == {"screened": 2}


def test_a_container_of_a_cancelled_run_brings_nothing_more(portal: Portal) -> None:
    system, run = portal.system, portal.api().open_run()
    with system.database.write() as session:
        container = Container(
            run_id=run, sha256="ab" * 32, file_name="a.zip", state=WorkState.WORKING, lane=1, queued_at=NOW
        )
        session.add(container)
        session.flush()
        container_id = container.id
    members = [Arrival(f"a.zip/{number}.png", scan_hash(number), 10, "image/png") for number in range(2)]
    admit_arrivals(system, run, members[:1], container_id)
    cancel(system.database, run)
    with pytest.raises(Unscreenable, match="cancelled while"):
        admit_arrivals(system, run, members[1:], container_id)
    assert states(system.database, run) == {"cancelled": 1}


@contextmanager
def while_it_looks(
    database: Database, monkeypatch: pytest.MonkeyPatch, change: Callable[[Session], Run]
) -> Iterator[Future[None]]:
    """Begin a change in a thread and hold it after its look at the run, while the caller changes the run as well."""
    has_looked, goes_on = threading.Event(), threading.Event()

    def look(*arguments: Any, **options: Any) -> Run:
        found = get_run(*arguments, **options)
        if threading.current_thread() is not threading.main_thread():
            has_looked.set()
            assert goes_on.wait(20)
        return found

    def begin() -> None:
        with database.write() as session:
            change(session)

    monkeypatch.setattr(lifecycle, "get_run", look)
    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(begin)
        assert has_looked.wait(20)
        try:
            yield changing
        finally:
            goes_on.set()


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[Database]:
    """SQLite lets nobody write between a look and a change."""
    database = Database(postgres_url)
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
    yield database
    database.dispose()


@pytest.mark.parametrize(
    ("change", "state", "refusal"),
    [(cancel_run, RunState.CANCELLED, Conflict), (pause_run, RunState.PAUSED, None)],
)
def test_a_run_stays_what_it_became_while_it_was_submitted(
    on_postgres: Database,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[..., Run],
    state: RunState,
    refusal: type[Exception] | None,
) -> None:
    run = add_run(on_postgres, 1, submit=False)
    with (
        while_it_looks(on_postgres, monkeypatch, lambda session: submit_run(session, NOW, run, "test")) as submission,
        on_postgres.write() as session,
    ):
        change(session, NOW, run, "test")
    assert type(submission.exception()) is (refusal or type(None))
    with on_postgres.read() as session:
        assert session.get_one(Run, run).state == state


def test_a_run_that_was_submitted_while_it_was_resumed_goes_on_as_submitted(
    on_postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = add_run(on_postgres, 1, submit=False)
    with on_postgres.write() as session:
        pause_run(session, NOW, run, "test")
    with (
        while_it_looks(on_postgres, monkeypatch, lambda session: resume_run(session, NOW, run, "test")) as resumption,
        on_postgres.write() as session,
    ):
        submit_run(session, NOW, run, "test")
    assert resumption.exception() is None
    with on_postgres.read() as session:
        assert session.get_one(Run, run).state == RunState.RUNNING
