"""The worklist by what readers decided: their latest verdicts, of those who agree, and seen by whom it may be."""

import random
from collections.abc import Mapping
from dataclasses import replace
from itertools import count

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.database.review_tables import Review
from screening.reviews.decisions import DECISIONS, Decision
from screening.reviews.truth import truth_of
from screening.runs.lifecycle import open_run
from screening.worklist import Filters, band_counts, neighbours, worklist_page
from tests.integration.ledger.steps import NOW, add_checkpoint, scan_id
from tests.integration.worklist.filled import add_rejected, add_screened

SCANS, READERS = 60, ("anna", "ben", "cleo")
Verdicts = Mapping[str, str]
"""Of one scan, by reader: the verdict that counts."""


@pytest.fixture
def reviewed(database: Database) -> tuple[Database, dict[str, Verdicts]]:
    """Scans, some without a result, about which up to three readers decided, changed their minds or withdrew."""
    draw, known = random.Random(11), {}
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
        run = open_run(session, NOW, "first", "routine", "tests").id
        for number in range(SCANS):
            if number % 6 == 5:
                add_rejected(session, run, number)
            else:
                add_screened(session, run, number, draw.randrange(20) / 20)
            known[scan_id(number)] = _decide(session, scan_id(number), draw)
    return database, known


def _decide(session: Session, scan: str, draw: random.Random) -> Verdicts:
    counting: dict[str, str] = {}
    for reader in READERS:
        given = [draw.choice(("fracture", "fracture", "no_fracture", "unsure", "poor_quality"))
                 for _ in range(draw.choice((0, 0, 1, 1, 2)))]  # fmt: skip
        for verdict in given:
            session.add(Review(scan_id=scan, reader=reader, verdict=verdict, sampled=False, reviewed_at=NOW))
            session.flush()
        if given and draw.random() < 0.3:
            latest = session.query(Review.id).filter_by(scan_id=scan, reader=reader).order_by(Review.id.desc()).first()
            session.execute(update(Review).where(Review.id == latest[0]).values(withdrawn_at=NOW))
            given.pop()
        if given:
            counting[reader] = given[-1]
    return counting


def decision(verdicts: Verdicts) -> Decision | None:
    deciding = set(verdicts.values()) & {"fracture", "no_fracture"}
    if len(deciding) == 1:
        return "fracture" if "fracture" in deciding else "no_fracture"
    return "undecided" if verdicts else None


def shown(session: Session, filters: Filters) -> set[str]:
    found: list[str] = []
    cursor = None
    for _ in count():
        page = worklist_page(session, filters, 7, cursor, NOW)
        found += [item.scan for item in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert len(found) == len(set(found))
    return set(found)


@pytest.mark.parametrize("wanted", DECISIONS)
@pytest.mark.parametrize("run", [None, 1])
def test_a_list_by_decision_holds_what_its_readers_agree_on(
    reviewed: tuple[Database, dict[str, Verdicts]], wanted: Decision, run: int | None
) -> None:
    database, known = reviewed
    everything = Filters(reviewed=wanted, all_reviews=True, run=run)
    of_all = {scan for scan, verdicts in known.items() if decision(verdicts) == wanted}
    assert len(of_all) > 2
    with database.read() as session:
        assert shown(session, everything) == of_all
        assert band_counts(session, everything).total == len(of_all)
        assert set(truth_of(session, of_all).values()) == {{"fracture": True, "no_fracture": False}.get(wanted)}
        assert shown(session, replace(everything, band="must_look")) == of_all & {
            scan_id(number) for number in range(5, SCANS, 6)
        }


@pytest.mark.parametrize("wanted", DECISIONS)
def test_who_may_not_be_told_of_others_sees_only_what_they_reviewed_themselves(
    reviewed: tuple[Database, dict[str, Verdicts]], wanted: Decision
) -> None:
    database, known = reviewed
    with database.read() as session:
        for reader in (*READERS, "dora"):
            own = {scan for scan, verdicts in known.items() if reader in verdicts and decision(verdicts) == wanted}
            assert bool(own) == (reader != "dora")
            assert shown(session, Filters(reviewed=wanted, reader=reader)) == own


def test_the_way_goes_through_the_fractures_that_were_found(reviewed: tuple[Database, dict[str, Verdicts]]) -> None:
    database, _ = reviewed
    filters = Filters(reviewed="fracture", all_reviews=True)
    with database.read() as session:
        listed = [item.scan for item in worklist_page(session, filters, 100, None, NOW).items]
        for place, scan in enumerate(listed):
            assert list(neighbours(session, filters, scan, NOW).following) == listed[place + 1 : place + 3]
