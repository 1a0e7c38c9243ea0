"""What a comparison says of reviewed scans covers the truth, although readers look mainly at what one of them flags."""

import random

import pytest

from screening.comparison.pairs import open_comparison
from screening.comparison.reviewed import FlaggedByOne
from screening.comparison.summary import Summary, summarise
from screening.comparison.words import sentences
from screening.database.engine import Database
from screening.database.review_tables import Review
from screening.reviews.sampling import in_sample
from tests.integration.comparison.pairs import add_predictions, set_thresholds, two_checkpoints
from tests.integration.ledger.steps import NOW, scan_id

SCANS, RATE = 6000, 0.02


def drawn() -> tuple[dict[int, bool], dict[int, float], dict[int, float]]:
    """(fractured, probability before, after): both call 85% of the others right; before finds 80%, after 91%."""
    draw = random.Random(12)
    truth = {n: draw.random() < 0.2 for n in range(SCANS)}

    def said(sensitivity: float) -> dict[int, float]:
        flagged = {n: draw.random() < (sensitivity if fractured else 0.15) for n, fractured in truth.items()}
        return {n: 0.9 if flag else 0.1 for n, flag in flagged.items()}

    return truth, said(0.8), said(0.91)


def summary_of_reading(database: Database, rate: float) -> Summary:
    """Readers read what `one` flags and the sample of the rest, and are always right."""
    truth, before, after = drawn()
    two_checkpoints(database)
    with database.write() as session:
        set_thresholds(session, "two", 0.5, 0.8)
    add_predictions(database, "one", before)
    add_predictions(database, "two", after)
    with database.write() as session:
        session.add_all(
            Review(
                scan_id=scan_id(n), reader="rita", verdict="fracture" if truth[n] else "no_fracture",
                checkpoint_id="one", probability=before[n], threshold=0.5, sampled=before[n] < 0.5,
                sample_rate=rate if before[n] < 0.5 else None, reviewed_at=NOW,
            )
            for n in truth
            if before[n] >= 0.5 or in_sample(scan_id(n), rate)
        )  # fmt: skip
    with database.read() as session:
        return summarise(session, open_comparison(session, "one", "two"), sample_rate=rate)


def fractures(truth: dict[int, bool], flagged: dict[int, float], other: dict[int, float]) -> int:
    return sum(truth[n] and flagged[n] >= 0.5 > other[n] for n in truth)


@pytest.mark.parametrize("rate", [RATE, 0.2])
def test_what_is_told_of_reviewed_scans_covers_the_truth(database: Database, rate: float) -> None:
    summary = summary_of_reading(database, rate)
    truth, before, after = drawn()
    biased = summary.sensitivity
    assert (biased.before.share or 0) > (biased.after.share or 0), "plain counts call the better one worse"
    told = summary.readers
    for group, wanted in (
        (told.only_before, fractures(truth, before, after)),
        (told.only_after, fractures(truth, after, before)),
    ):
        low, high = group.fractures_interval_95
        assert low <= wanted <= high
    assert told.only_after.decided < told.only_after.scans * rate * 2
    if rate > RATE:
        assert told.only_after.fractures_interval_95[0] > told.only_before.fractures_interval_95[1], "it finds more"
    words = " ".join(sentences(summary))
    assert "Readers look mainly at what the checkpoint in use flags" in words
    assert "That favours it" in words
    assert "McNemar" not in words
    assert "with a fracture, flagged are" not in words


def test_a_scan_weighs_by_its_chance_of_being_read_and_what_was_chosen_not_at_all(database: Database) -> None:
    """Only `two` flags the scans from 10 on: in the first days they came by the sample, later all of them were read."""
    two_checkpoints(database)
    add_predictions(database, "one", dict.fromkeys(range(40), 0.1))
    add_predictions(database, "two", dict.fromkeys(range(10, 40), 0.9) | dict.fromkeys(range(10), 0.1))

    def review(number: int, verdict: str, probability: float, rate: float | None, sampled: bool = False) -> Review:
        return Review(
            scan_id=scan_id(number), reader="rita", verdict=verdict, checkpoint_id="one", probability=probability,
            threshold=0.5, sampled=sampled, sample_rate=rate, reviewed_at=NOW,
        )  # fmt: skip

    with database.write() as session:
        session.add(review(10, "fracture", 0.1, 0.1, sampled=True))
        session.add(review(11, "no_fracture", 0.1, None, sampled=True))
        session.add_all(review(n, "fracture" if n < 15 else "no_fracture", 0.9, None) for n in range(12, 20))
        session.add_all(review(n, "fracture", 0.1, None) for n in range(20, 26))
        session.add(review(0, "no_fracture", 0.1, 0.1, sampled=True))
    with database.read() as session:
        found = summarise(session, open_comparison(session, "one", "two"), sample_rate=0.5).readers
    group = found.only_after
    assert (found.decided, found.chosen) == (17, 6)
    assert (group.scans, group.decided, group.fractured) == (30, 10, 4)
    assert group.share == pytest.approx((10 + 3) / (10 + 10 + 8)), "a review without a rate has the smallest known"
    assert group.fractures == pytest.approx(30 * 13 / 28)
    assert found.only_before == FlaggedByOne(0)
    low, high = group.interval_95
    assert 0 < low < 13 / 28 < high < 1
    assert high - low > 0.4, "two heavy scans say little"
