"""Verdicts: kept with what the reader was shown, withdrawn by their reader alone, others' kept back until one's own."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from screening.audit import recent
from screening.checkpoints import operating_point
from screening.database.engine import Database
from screening.database.review_tables import Review
from screening.errors import Conflict, NotFound, Refused
from screening.reviews.verdicts import decided_by, record, reviews_of, seen_by, withdraw
from screening.runs.lifecycle import open_run
from tests.integration.ledger.steps import NOW, add_checkpoint, scan_id
from tests.integration.worklist.filled import add_rejected, add_screened

FLAGGED, UNFLAGGED, UNSCREENED = (scan_id(number) for number in (1, 2, 3))


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """A flagged scan, one that is not, and one without a probability; the threshold is 0.5."""
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
        run = open_run(session, NOW, "run", "routine", "test").id
        add_screened(session, run, 1, 0.9)
        add_screened(session, run, 2, 0.2)
        add_rejected(session, run, 3)
        yield session


def decide(session: Session, scan: str, reader: str, verdict: str = "fracture", rate: float = 0.0) -> Review:
    return record(session, NOW, scan, reader, verdict, None, rate)


def test_a_verdict_keeps_what_the_reader_was_shown(session: Session) -> None:
    kept = record(session, NOW, FLAGGED, "Ann", "no_fracture", "  an old one ", 0.0, "one")
    assert (kept.checkpoint_id, kept.probability, kept.threshold, kept.sampled) == ("one", 0.9, 0.5, False)
    assert (kept.comment, kept.reviewed_at) == ("an old one", NOW)
    operating_point(session, "one").threshold = 0.1
    assert decide(session, FLAGGED, "Ben").threshold == 0.1
    assert session.get_one(Review, kept.id).threshold == 0.5
    unscreened = decide(session, UNSCREENED, "Ann", "poor_quality")
    assert (unscreened.checkpoint_id, unscreened.probability, unscreened.threshold) == (None, None, None)


@pytest.mark.parametrize(("scan", "sampled"), [(FLAGGED, False), (UNFLAGGED, True), (UNSCREENED, False)])
def test_only_what_is_not_flagged_comes_from_the_sample(session: Session, scan: str, sampled: bool) -> None:
    kept = decide(session, scan, "Ann", rate=1.0)
    assert (kept.sampled, kept.sample_rate) == (sampled, 1.0 if sampled else None)
    assert decide(session, scan, "Ben", rate=0.0).sampled is False


def test_the_latest_verdict_of_each_reader_counts(session: Session) -> None:
    decide(session, FLAGGED, "Ann", "fracture")
    decide(session, FLAGGED, "Ben", "unsure")
    decide(session, FLAGGED, "Ann", "no_fracture")
    found = [(review.reader, review.verdict) for review in reviews_of(session, FLAGGED)]
    assert found == [("Ben", "unsure"), ("Ann", "no_fracture")]
    assert reviews_of(session, UNFLAGGED) == []


def test_withdrawing_the_latest_lets_the_earlier_one_count_again(session: Session) -> None:
    first = decide(session, FLAGGED, "Ann", "fracture")
    second = decide(session, FLAGGED, "Ann", "unsure")
    with pytest.raises(Conflict, match="reviewed this scan again later"):
        withdraw(session, NOW, FLAGGED, first.id, "Ann")
    assert withdraw(session, NOW, FLAGGED, second.id, "Ann").withdrawn_at == NOW
    assert [review.id for review in reviews_of(session, FLAGGED)] == [first.id]
    with pytest.raises(Conflict, match="withdrawn already"):
        withdraw(session, NOW, FLAGGED, second.id, "Ann")
    withdraw(session, NOW, FLAGGED, first.id, "Ann")
    assert reviews_of(session, FLAGGED) == []
    assert len(session.scalars(select(Review)).all()) == 2, "what was withdrawn is kept"
    deeds = [(event.action, event.actor, event.detail.get("verdict")) for event in recent(session, 4)]
    assert deeds == [
        ("review.withdrawn", "Ann", "fracture"),
        ("review.withdrawn", "Ann", "unsure"),
        ("review.recorded", "Ann", "unsure"),
        ("review.recorded", "Ann", "fracture"),
    ]


def test_nobody_withdraws_the_verdict_of_another(session: Session) -> None:
    of_ann = decide(session, FLAGGED, "Ann")
    decide(session, FLAGGED, "Ben")
    for scan, review, reader in ((FLAGGED, of_ann.id, "Ben"), (UNFLAGGED, of_ann.id, "Ann"), (FLAGGED, 2**70, "Ann")):
        with pytest.raises(NotFound, match="Only your own"):
            withdraw(session, NOW, scan, review, reader)
    assert withdraw(session, NOW, FLAGGED, of_ann.id, "Ann").reader == "Ann", "a later one of another is no hindrance"


def test_verdicts_of_others_are_kept_back_until_ones_own(session: Session) -> None:
    decide(session, FLAGGED, "Ann")
    decide(session, FLAGGED, "Ben")
    assert seen_by(reviews_of(session, FLAGGED), "Cyd") == ([], 2)
    own = decide(session, FLAGGED, "Cyd")
    shown, kept_back = seen_by(reviews_of(session, FLAGGED), "Cyd")
    assert ([review.reader for review in shown], kept_back) == (["Ann", "Ben", "Cyd"], 0)
    assert decided_by(session, "Cyd", [FLAGGED, UNFLAGGED]) == {FLAGGED}
    assert decided_by(session, "Cyd", [UNFLAGGED]) == decided_by(session, "Dan", [FLAGGED]) == set()
    withdraw(session, NOW, FLAGGED, own.id, "Cyd")
    assert seen_by(reviews_of(session, FLAGGED), "Cyd") == ([], 2)
    assert decided_by(session, "Cyd", [FLAGGED]) == set()


def test_what_cannot_be_recorded_is_refused_in_a_sentence(session: Session) -> None:
    with pytest.raises(Refused, match="Choose one of fracture, no_fracture, unsure, poor_quality"):
        decide(session, FLAGGED, "Ann", "normal")
    with pytest.raises(Refused, match="at most 2,000 characters"):
        record(session, NOW, FLAGGED, "Ann", "unsure", "x" * 2001, 0.0)
    with pytest.raises(Refused, match="has not screened this scan"):
        record(session, NOW, UNSCREENED, "Ann", "unsure", None, 0.0, "one")
    with pytest.raises(NotFound):
        decide(session, "f" * 32, "Ann")
    assert session.scalars(select(Review)).all() == []
