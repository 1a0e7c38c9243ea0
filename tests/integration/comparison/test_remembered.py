"""What is remembered of comparisons, on both databases: the same answers as without, and never outdated ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

import screening.comparison.remembered as remembered_module
from screening.comparison.pairs import Scope, open_comparison
from screening.comparison.ranking import ComparisonPage, comparison_page
from screening.comparison.remembered import KEPT_FOR, Remembered
from screening.comparison.summary import Summary, summarise
from screening.database.engine import Database
from tests.integration.comparison.pairs import add_predictions, add_review, set_thresholds, two_checkpoints
from tests.integration.ledger.steps import NOW

SCANS = 30


@pytest.fixture
def compared(database: Database) -> Database:
    two_checkpoints(database)
    add_predictions(database, "one", {n: n / SCANS for n in range(SCANS)})
    add_predictions(database, "two", {n: (n * 7 % SCANS) / SCANS for n in range(SCANS)})
    return database


@contextmanager
def joins(database: Database) -> Iterator[list[str]]:
    """The statements that pair all predictions of two checkpoints, reviewed scans aside."""
    seen: list[str] = []

    def see(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "predictions_2" in statement and "reviews" not in statement:
            seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", see)
    yield seen
    event.remove(database.engine, "before_cursor_execute", see)


def look(
    database: Database, memory: Remembered | None, scope: Scope | None = None
) -> tuple[Summary, list[ComparisonPage]]:
    """The numbers, and the list in pages of seven."""
    with database.read() as session:
        comparison = open_comparison(session, "one", "two", scope)
        summary = summarise(session, comparison, memory.count) if memory else summarise(session, comparison)
        pages, cursor = [], None
        while not pages or cursor:
            asked = (session, comparison, None, 7, cursor)
            pages.append(comparison_page(*asked, memory.ranked_after) if memory else comparison_page(*asked))
            cursor = pages[-1].next
        return summary, pages


def test_the_second_look_asks_nothing_and_says_the_same(compared: Database) -> None:
    memory = Remembered(lambda: NOW + timedelta(hours=1))
    plain = look(compared, None)
    assert look(compared, memory) == plain
    with joins(compared) as seen:
        assert look(compared, memory) == plain
    assert seen == []


def test_what_comes_after_is_seen_at_once(compared: Database) -> None:
    memory = Remembered(lambda: NOW + timedelta(hours=1))
    look(compared, memory)
    add_review(compared, 3, "fracture")
    assert look(compared, memory)[0].reviewed == 1
    with compared.write() as session:
        set_thresholds(session, "two", 1.0, 1.0)
    assert look(compared, memory) == look(compared, None)
    for checkpoint in ("one", "two"):
        add_predictions(compared, checkpoint, {100: 0.5})
        assert look(compared, memory) == look(compared, None)
    assert look(compared, memory)[0].scans == SCANS + 1


def test_nothing_is_kept_while_scans_are_screened_nor_of_a_part_of_the_archive(compared: Database) -> None:
    for memory, scope in (
        (Remembered(lambda: NOW + timedelta(seconds=5)), None),
        (Remembered(lambda: NOW + timedelta(hours=1)), Scope(run=1)),
    ):
        look(compared, memory, scope)
        with joins(compared) as seen:
            assert look(compared, memory, scope) == look(compared, None, scope)
        assert len(seen) == 2 * 6, "numbers and five pages, with the memory as without it"


def test_it_is_counted_anew_after_a_while(compared: Database) -> None:
    now = NOW + timedelta(hours=1)
    memory = Remembered(lambda: now)
    look(compared, memory)
    now += KEPT_FOR
    with joins(compared) as seen:
        look(compared, memory)
    assert len(seen) == 2


def test_pages_go_on_behind_what_is_remembered(compared: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered_module, "LONGEST_LIST", 10)
    monkeypatch.setattr(remembered_module, "MOST_KEPT", 1)
    memory = Remembered(lambda: NOW + timedelta(hours=1))
    assert look(compared, memory) == look(compared, None)
