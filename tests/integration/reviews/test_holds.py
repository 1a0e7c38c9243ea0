"""Holds: one reader at a time, renewed by the same statement, ended by time or by letting go."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import event

from screening.clock import utc_now
from screening.database.engine import Database
from screening.errors import NotFound
from screening.reviews.holds import holder, holders, release, take
from screening.runs.lifecycle import open_run
from tests.integration.ledger.steps import NOW, add_checkpoint, scan_id
from tests.integration.worklist.filled import add_screened

SCAN, OTHER = scan_id(1), scan_id(2)
LATER = NOW + timedelta(seconds=40)


@pytest.fixture
def held(database: Database) -> Iterator[Database]:
    """Two scans, of which Ann holds the first for a minute."""
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
        run = open_run(session, NOW, "run", "routine", "test").id
        add_screened(session, run, 1, 0.9)
        add_screened(session, run, 2, 0.2)
        take(session, NOW, SCAN, "Ann", 60)
    yield database


def test_a_second_reader_is_told_who_holds_it(held: Database) -> None:
    with held.write() as session:
        told = take(session, LATER, SCAN, "Ben", 60)
        assert (told.reader, told.held_since, told.held_until) == ("Ann", NOW, NOW + timedelta(seconds=60))
        assert take(session, LATER, OTHER, "Ben", 60).reader == "Ben"
        assert {scan: held.reader for scan, held in holders(session, LATER, [SCAN, OTHER]).items()} == {
            SCAN: "Ann",
            OTHER: "Ben",
        }


def test_renewing_moves_the_end_and_not_the_beginning(held: Database) -> None:
    with held.write() as session:
        renewed = take(session, LATER, SCAN, "Ann", 60)
        assert (renewed.held_since, renewed.held_until) == (NOW, LATER + timedelta(seconds=60))


def test_renewing_costs_one_statement(held: Database) -> None:
    statements: list[str] = []
    with held.write() as session:
        session.connection()
        event.listen(held.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
        take(session, LATER, SCAN, "Ann", 60)
    assert [statement.split()[0] for statement in statements] == ["INSERT"]


def test_a_hold_that_has_ended_is_anybodys(held: Database) -> None:
    ended = NOW + timedelta(seconds=60)
    with held.write() as session:
        assert holder(session, ended, SCAN) is None
        assert take(session, ended, SCAN, "Ben", 60).held_since == ended
        assert holder(session, ended, SCAN) == take(session, ended, SCAN, "Ann", 60)
    with held.read() as session:
        assert getattr(holder(session, ended, SCAN), "reader", None) == "Ben"


def test_a_reader_who_comes_back_after_the_end_begins_anew(held: Database) -> None:
    with held.write() as session:
        assert take(session, NOW + timedelta(seconds=90), SCAN, "Ann", 60).held_since == NOW + timedelta(seconds=90)


def test_only_the_holder_lets_go(held: Database) -> None:
    with held.write() as session:
        assert not release(session, SCAN, "Ben")
        assert holder(session, LATER, SCAN) is not None
        assert release(session, SCAN, "Ann")
        assert holder(session, LATER, SCAN) is None
        assert not release(session, SCAN, "Ann")


def test_an_unknown_scan_is_not_held(held: Database) -> None:
    with held.write() as session, pytest.raises(NotFound):
        take(session, NOW, "f" * 32, "Ann", 60)


def test_of_readers_who_come_at_once_one_gets_it(held: Database) -> None:
    """Eight readers in as many transactions: all are told the same name."""
    start, told = threading.Barrier(8), list[str]()

    def come(name: str) -> None:
        start.wait(30)
        with held.write() as session:
            told.append(take(session, utc_now(), OTHER, name, 600).reader)

    threads = [threading.Thread(target=come, args=(f"reader {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(told) == 8
    assert len(set(told)) == 1
