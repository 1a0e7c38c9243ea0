"""What readers measured, from reviews in the database: counted here once more in plain Python."""

import random
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.database.review_tables import Review
from screening.reviews.measured import measured
from screening.runs.lifecycle import open_run
from tests.integration.ledger.steps import NOW, add_checkpoint, scan_id
from tests.integration.worklist.filled import add_screened

THRESHOLD, RATE = 0.5, 0.25


def add_review(
    session: Session,
    number: int,
    reader: str,
    verdict: str,
    probability: float,
    days_ago: int = 0,
    withdrawn: bool = False,
) -> None:
    session.add(
        Review(
            scan_id=scan_id(number),
            reader=reader,
            verdict=verdict,
            checkpoint_id="one",
            probability=probability,
            threshold=THRESHOLD,
            sampled=probability < THRESHOLD,
            reviewed_at=NOW - timedelta(days=days_ago),
            withdrawn_at=NOW if withdrawn else None,
        )
    )
    session.flush()


def with_scans(session: Session, count: int) -> None:
    add_checkpoint(session, "one", active=True)
    run = open_run(session, NOW, "run", "routine", "test").id
    for number in range(count):
        add_screened(session, run, number, 0.5)


def test_ppv_sensitivity_and_agreement_of_random_reading(database: Database) -> None:
    draw = random.Random(11)
    said: dict[int, dict[str, str]] = {}
    probabilities = [draw.choice([0.1, 0.3, 0.6, 0.9]) for _ in range(60)]
    with database.write() as session:
        with_scans(session, 60)
        for number, probability in enumerate(probabilities):
            for reader in draw.sample(["anna", "ben", "cleo"], draw.choice([1, 2, 3])):
                verdict = draw.choice(["fracture", "fracture", "no_fracture", "unsure"])
                said.setdefault(number, {})[reader] = verdict
                add_review(session, number, reader, verdict, probability)
    truth = {}
    for number, verdicts in said.items():
        votes = [verdict for verdict in verdicts.values() if verdict != "unsure"]
        if votes.count("fracture") * 2 != len(votes):
            truth[number] = votes.count("fracture") * 2 > len(votes)
    flagged = [fractured for number, fractured in truth.items() if probabilities[number] >= THRESHOLD]
    sampled = [fractured for number, fractured in truth.items() if probabilities[number] < THRESHOLD]
    with database.read() as session:
        found = measured(session, "one", RATE)
    assert (found.ppv.hits, found.ppv.scans) == (sum(flagged), len(flagged))
    assert (found.sampled.hits, found.sampled.scans) == (sum(sampled), len(sampled))
    assert found.undecided == len(said) - len(truth)
    assert found.sensitivity.estimate == pytest.approx(sum(flagged) / (sum(flagged) + sum(sampled) / RATE))
    for pair in found.agreement:
        both = [
            tuple(verdicts[reader] for reader in pair.readers)
            for verdicts in said.values()
            if all(verdicts.get(reader, "unsure") != "unsure" for reader in pair.readers)
        ]
        assert pair.raw.scans == len(both)
        assert pair.raw.hits == sum(one == other for one, other in both)
        assert pair.only_first == both.count(("fracture", "no_fracture"))


def test_the_latest_review_of_a_reader_counts_withdrawn_ones_do_not_and_the_period_cuts(database: Database) -> None:
    with database.write() as session:
        with_scans(session, 4)
        add_review(session, 0, "anna", "no_fracture", 0.9)
        add_review(session, 0, "anna", "fracture", 0.9)
        add_review(session, 1, "anna", "no_fracture", 0.9, withdrawn=True)
        add_review(session, 2, "anna", "no_fracture", 0.9, days_ago=40)
        add_review(session, 3, "anna", "fracture", 0.1)
    with database.read() as session:
        lately = measured(session, "one", RATE, NOW - timedelta(days=30))
        assert (lately.ppv.hits, lately.ppv.scans, lately.reviews) == (1, 1, 2)
        assert lately.sensitivity.estimate == pytest.approx(1 / (1 + 1 / RATE))
        assert measured(session, "one", RATE).ppv.scans == 2
        assert measured(session, "one", RATE, until=NOW - timedelta(days=30)).ppv.scans == 1
        assert measured(session, "other", RATE).reviews == 0


def test_a_not_flagged_scan_outside_the_sample_measures_nothing(database: Database) -> None:
    """Who opens such a scan chose it, so nobody knows for how many it stands."""
    with database.write() as session:
        with_scans(session, 1)
        add_review(session, 0, "anna", "fracture", 0.1)
        session.query(Review).update({"sampled": False})
    with database.read() as session:
        found = measured(session, "one", RATE)
    assert (found.sampled.scans, found.ppv.scans, found.sensitivity.estimate) == (0, 0, None)
