"""The truth by reviews, on both databases: whose latest word counts, and when a scan is decided."""

import pytest

from screening.database.engine import Database
from screening.reviews.truth import truth_of
from tests.integration.comparison.pairs import add_predictions, add_review, two_checkpoints
from tests.integration.ledger.steps import scan_id


@pytest.fixture
def scans(database: Database) -> Database:
    two_checkpoints(database)
    add_predictions(database, "one", dict.fromkeys(range(4), 0.5))
    return database


@pytest.mark.parametrize(
    ("reviews", "truth"),
    [
        ([("rita", "fracture")], True),
        ([("rita", "no_fracture")], False),
        ([("rita", "unsure")], None),
        ([("rita", "poor_quality"), ("omar", "unsure")], None),
        ([("rita", "fracture"), ("omar", "fracture")], True),
        ([("rita", "fracture"), ("omar", "no_fracture")], None),
        ([("rita", "unsure"), ("omar", "no_fracture")], False),
        ([("rita", "fracture"), ("rita", "no_fracture")], False),
        ([("rita", "fracture"), ("rita", "unsure")], None),
        ([("rita", "fracture"), ("omar", "no_fracture"), ("omar", "fracture")], True),
    ],
)
def test_the_latest_review_of_each_reader_decides(
    scans: Database, reviews: list[tuple[str, str]], truth: bool | None
) -> None:
    add_review(scans, 1, "no_fracture" if truth else "fracture", "another scan's reader")
    for reader, verdict in reviews:
        add_review(scans, 0, verdict, reader)
    with scans.read() as session:
        assert truth_of(session, [scan_id(0), scan_id(2)]) == {scan_id(0): truth}


def test_what_was_withdrawn_does_not_count_and_what_stood_before_it_does(scans: Database) -> None:
    add_review(scans, 0, "fracture")
    add_review(scans, 0, "no_fracture", withdrawn=True)
    add_review(scans, 1, "fracture", withdrawn=True)
    with scans.read() as session:
        assert truth_of(session, [scan_id(0), scan_id(1)]) == {scan_id(0): True}
