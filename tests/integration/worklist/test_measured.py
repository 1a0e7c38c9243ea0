"""What readers measured, from reviews in the database: counted here once more in plain Python."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import select
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
    threshold: float = THRESHOLD,
    rate: float | None = None,
) -> None:
    session.add(
        Review(
            scan_id=scan_id(number),
            reader=reader,
            verdict=verdict,
            checkpoint_id="one",
            probability=probability,
            threshold=threshold,
            sampled=probability < threshold,
            sample_rate=rate,
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


def test_each_sampled_fracture_weighs_by_the_rate_of_its_own_review_whatever_the_rate_is_today(
    database: Database,
) -> None:
    """Forty flagged fractures; one of the sample at a fiftieth, then, with another threshold, two at a tenth."""
    with database.write() as session:
        with_scans(session, 60)
        for number in range(40):
            add_review(session, number, "anna", "fracture", 0.9)
        add_review(session, 40, "anna", "fracture", 0.1, rate=0.02)
        for number in (41, 42):
            add_review(session, number, "anna", "fracture", 0.45, threshold=0.5, rate=0.1)
        add_review(session, 43, "anna", "fracture", 0.45, threshold=0.4)
        add_review(session, 44, "anna", "no_fracture", 0.1, threshold=0.4, rate=0.1)
    found = []
    with database.read() as session:
        found = [measured(session, "one", today) for today in (0.02, 0.1, 0.5)]
    for one in found:
        assert one.sensitivity.estimate == pytest.approx(41 / (41 + 1 / 0.02 + 2 / 0.1))
        assert one.sensitivity.interval_95 == found[0].sensitivity.interval_95
        low, high = one.sensitivity.interval_95
        assert low < (one.sensitivity.estimate or 0) < high
        assert (one.sensitivity.rate, one.sensitivity.several, one.assumed_rates) == (0.02, True, 0)
        assert one.thresholds == (0.4, 0.5)


def test_reviews_that_kept_no_rate_are_taken_at_the_smallest_that_is_known_and_are_told(database: Database) -> None:
    with database.write() as session:
        with_scans(session, 3)
        add_review(session, 0, "anna", "fracture", 0.9)
        add_review(session, 1, "anna", "fracture", 0.1)
        add_review(session, 2, "anna", "no_fracture", 0.1, rate=0.05)
    with database.read() as session:
        for today, assumed in ((0.1, 0.05), (0.02, 0.02), (0.0, 0.05)):
            found = measured(session, "one", today)
            assert found.assumed_rates == 1
            assert found.sensitivity.estimate == pytest.approx(1 / (1 + 1 / assumed))


def test_fractures_that_were_neither_flagged_nor_sampled_are_told(database: Database) -> None:
    with database.write() as session:
        with_scans(session, 4)
        for number, verdict in enumerate(("fracture", "fracture", "no_fracture")):
            add_review(session, number, "anna", verdict, 0.1)
        session.query(Review).update({"sampled": False})
        add_review(session, 3, "anna", "fracture", 0.9)
    with database.read() as session:
        found = measured(session, "one", RATE)
    assert found.outside_fractures == 2
    assert found.sensitivity.estimate == 1


def undo_at_once(session: Session, number: int, reader: str) -> None:
    """What this reader has withdrawn was withdrawn within the ten seconds of the viewer."""
    mine = (Review.scan_id == scan_id(number), Review.reader == reader, Review.withdrawn_at.is_not(None))
    for review in session.scalars(select(Review).where(*mine)):
        review.withdrawn_at = review.reviewed_at + timedelta(seconds=9)


def test_agreement_is_of_the_first_verdicts_and_the_truth_of_the_latest(database: Database) -> None:
    """Forty scans that two readers call differently on half; the second, shown the first's, changes to it."""
    with database.write() as session:
        with_scans(session, 42)
        for number in range(40):
            add_review(session, number, "anna", "fracture" if number % 2 else "no_fracture", 0.9, days_ago=50)
            add_review(session, number, "ben", "fracture" if number % 4 < 2 else "no_fracture", 0.9, days_ago=50)
        add_review(session, 40, "anna", "fracture", 0.9, days_ago=50)
        add_review(session, 40, "ben", "no_fracture", 0.9, days_ago=50, withdrawn=True)
        add_review(session, 40, "ben", "fracture", 0.9, days_ago=50)
        undo_at_once(session, 40, "ben")
        # Taken back in half an hour, after the other's was shown: what is said then is no first verdict.
        add_review(session, 41, "ben", "fracture", 0.9, days_ago=50)
        add_review(session, 41, "anna", "no_fracture", 0.9, days_ago=50, withdrawn=True)
        add_review(session, 41, "anna", "fracture", 0.9, days_ago=49)
    with database.read() as session:
        blind = measured(session, "one", RATE)
    with database.write() as session:
        for number in range(40):
            add_review(session, number, "ben", "fracture" if number % 2 else "no_fracture", 0.9)
    with database.read() as session:
        corrected = measured(session, "one", RATE)
        lately = measured(session, "one", RATE, since=NOW - timedelta(days=30))
    for found in (blind, corrected):
        [pair] = found.agreement
        assert (pair.raw.hits, pair.raw.scans) == (21, 41)
        assert pair.kappa == pytest.approx(0.03, abs=0.04)
    assert blind.undecided == 20
    assert (corrected.undecided, corrected.ppv.hits, corrected.ppv.scans) == (0, 22, 42)
    assert lately.agreement == [], "those verdicts were no first ones"
