"""Who looks at another view of the study comes back into the list where it was left, and not to its end."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import update

from screening.database.engine import Database
from screening.database.review_tables import Review
from screening.database.tables import Scan
from screening.runs.lifecycle import open_run
from screening.worklist import Filters, Neighbours, neighbours
from tests.integration.ledger.steps import NOW, add_checkpoint, scan_id
from tests.integration.worklist.filled import add_screened

QUEUE = Filters(to_read=True, sample_rate=0.0, reader="anna")
FLAGGED = [scan_id(n) for n in (5, 4, 3, 2, 1)]
"""In the order of the queue."""
SIBLING = scan_id(9)


@pytest.fixture
def read(database: Database) -> Iterator[Database]:
    """Five flagged scans, and a view of the third one's study that is not flagged."""
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
        run = open_run(session, NOW, "run", "routine", "test").id
        for number in range(1, 6):
            add_screened(session, run, number, 0.5 + number / 20)
        add_screened(session, run, 9, 0.1)
        session.execute(update(Scan).where(Scan.id.in_([FLAGGED[2], SIBLING])).values(study="one visit"))
    yield database


def decide(database: Database, *scans: str, reader: str = "anna") -> None:
    with database.write() as session:
        session.add_all(
            Review(scan_id=scan, reader=reader, verdict="unsure", sampled=False, reviewed_at=NOW) for scan in scans
        )


@pytest.mark.parametrize(
    "filters", [QUEUE, replace(QUEUE, run=1), Filters(reader="anna"), Filters(band="flagged", reader="anna")]
)
def test_the_way_goes_on_at_the_place_and_back_to_it_while_it_is_undecided(read: Database, filters: Filters) -> None:
    with read.read() as session:
        found = neighbours(session, filters, SIBLING, NOW, place=FLAGGED[2])
    assert found == Neighbours(FLAGGED[1], (FLAGGED[2], FLAGGED[3]))
    decide(read, FLAGGED[2], SIBLING)
    with read.read() as session:
        found = neighbours(session, filters, SIBLING, NOW, place=FLAGGED[2])
        assert found == neighbours(session, filters, FLAGGED[2], NOW) == Neighbours(FLAGGED[1], tuple(FLAGGED[3:]))
        assert neighbours(session, filters, FLAGGED[2], NOW, place=FLAGGED[2]) == found


def test_from_outside_the_queue_the_first_unread_follows(read: Database) -> None:
    decide(read, FLAGGED[0], reader="ben")
    with read.read() as session:
        for place in (None, SIBLING, "f" * 32):
            assert neighbours(session, QUEUE, SIBLING, NOW, place) == Neighbours(None, (FLAGGED[1], FLAGGED[2]))
        # In a list that is no queue a scan that is in it keeps its place, and one that is not leads to the unread.
        plain = Filters(reader="anna")
        assert neighbours(session, plain, FLAGGED[0], NOW).following == (FLAGGED[1], FLAGGED[2])
        assert neighbours(session, plain, "f" * 32, NOW).following == (FLAGGED[1], FLAGGED[2])
    decide(read, *FLAGGED)
    with read.read() as session:
        assert neighbours(session, QUEUE, SIBLING, NOW) == Neighbours(None, ())
