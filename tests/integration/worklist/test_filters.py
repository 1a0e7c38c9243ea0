"""Filters, grouping, the reading queue and the way through it, on both databases, against plain Python."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.database.review_tables import Hold, Review
from screening.database.tables import Job, Prediction, Run, Scan
from screening.errors import NotFound, Refused
from screening.reviews.sampling import in_sample
from screening.runs.admission import StoredFile, admit_scan
from screening.runs.lifecycle import open_run
from screening.worklist import BandCounts, Filters, WorklistItem, band_counts, neighbours, worklist_page
from screening.worklist.counts import count_to_read
from screening.worklist.filters import body_parts, read_filters
from tests.integration.ledger.steps import NOW, add_checkpoint

THRESHOLD, RATE = 0.5, 0.3
PARTS = ("hand", "hip", None)


@dataclass(frozen=True)
class Made:
    """A scan as the test made it; what the lists should say follows from it."""

    scan: str
    name: str
    run: int
    probability: float | None
    body_part: str | None
    study: str | None
    day: int
    reader: str | None


@pytest.fixture
def made(database: Database) -> Iterator[tuple[Database, list[Made]]]:
    """120 scans with random everything; some share a probability, some a study, one in ten could not be screened."""
    draw = random.Random(5)
    scans = []
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
        runs = [open_run(session, NOW, name, "routine", "test") for name in ("first", "second")]
        for number in range(120):
            # Written out over all digits, because real ids are the beginnings of hashes.
            digest = f"{draw.getrandbits(256):064x}"
            one = Made(
                scan=digest[:32],
                name=f"ward_{number % 3}/IMG {number}.png",
                run=runs[number % 2].id,
                probability=None if draw.random() < 0.1 else draw.randrange(20) / 20,
                body_part=draw.choice(PARTS),
                study=draw.choice([None, *(f"study {n}" for n in range(30))]),
                day=draw.randrange(10),
                reader=draw.choice([None, None, "anna", "ben"]),
            )
            scans.append(one)
            _add(session, one, digest)
    yield database, scans


def _add(session: Session, one: Made, digest: str) -> None:
    admit_scan(session, NOW, session.get_one(Run, one.run), StoredFile(one.name, digest, 1, "image/png"))
    facts = {"body_part": one.body_part, "study": one.study, "received_at": NOW + timedelta(days=one.day)}
    session.execute(update(Scan).where(Scan.id == one.scan).values(**facts))
    state = {"state": "rejected", "problem": "Cut off."} if one.probability is None else {"state": "screened"}
    session.execute(update(Job).where(Job.scan_id == one.scan).values(**state))
    if one.probability is not None:
        session.add(
            Prediction(
                scan_id=one.scan,
                checkpoint_id="one",
                probability=one.probability,
                activation_map=b"m",
                engine="test",
                worker="test",
                created_at=NOW,
            )
        )
    if one.reader:
        session.add(_review(one.scan, one.reader))


def _review(scan: str, reader: str) -> Review:
    return Review(scan_id=scan, reader=reader, verdict="fracture", sampled=False, reviewed_at=NOW)


def every(session: Session, filters: Filters, limit: int = 7) -> list[WorklistItem]:
    items: list[WorklistItem] = []
    cursor = None
    while True:
        page = worklist_page(session, filters, limit, cursor, NOW)
        assert len(page.items) <= limit
        items += page.items
        cursor = page.next
        if cursor is None:
            return items


def ordered(scans: list[Made]) -> list[str]:
    """The order of the list: without a result first, by arrival; then by probability and id, falling."""
    first = [one.scan for one in scans if one.probability is None]
    ranked = [one for one in scans if one.probability is not None]
    return first + [one.scan for one in sorted(ranked, key=lambda one: (one.probability, one.scan), reverse=True)]


@pytest.mark.parametrize(
    ("filters", "holds"),
    [
        (Filters(body_part="hand"), lambda one: one.body_part == "hand"),
        (Filters(reviewed="unreviewed"), lambda one: one.reader is None),
        (Filters(reviewed="reviewed"), lambda one: one.reader is not None),
        (Filters(reviewed="by_me", reader="anna"), lambda one: one.reader == "anna"),
        (Filters(search="WARD_1/"), lambda one: one.name.startswith("ward_1/")),
        (Filters(search="ward_1/", run=1), lambda one: one.name.startswith("ward_1/") and one.run == 1),
        (Filters(search="ward%1"), lambda one: False),
        (Filters(run=2), lambda one: one.run == 2),
        (Filters(received_to=date.max), lambda one: True),
        (
            Filters(received_from=NOW.date() + timedelta(days=3), received_to=NOW.date() + timedelta(days=5)),
            lambda one: 3 <= one.day <= 5,
        ),
        (
            Filters(run=1, body_part="hip", reviewed="unreviewed", received_to=NOW.date() + timedelta(days=6)),
            lambda one: (one.run, one.body_part, one.reader) == (1, "hip", None) and one.day <= 6,
        ),
    ],
)
def test_filters_leave_exactly_what_they_say_in_the_same_order(made, filters, holds) -> None:  # type: ignore[no-untyped-def]
    database, scans = made
    wanted = [one for one in scans if holds(one)]
    with database.read() as session:
        assert [item.scan for item in every(session, filters)] == ordered(wanted)
        counts = band_counts(session, filters)
    probabilities = [one.probability for one in wanted if one.probability is not None]
    assert counts == BandCounts(
        must_look=sum(one.probability is None for one in wanted),
        likely=sum(p >= 0.8 for p in probabilities),
        possible=sum(THRESHOLD <= p < 0.8 for p in probabilities),
        not_flagged=sum(p < THRESHOLD for p in probabilities),
    )


@pytest.mark.parametrize("limit", [1, 6, 50])
@pytest.mark.parametrize("filters", [Filters(), Filters(run=1), Filters(body_part="hand")])
def test_grouped_by_study_each_study_stands_once_at_its_highest_scan(
    made: tuple[Database, list[Made]], filters: Filters, limit: int
) -> None:
    database, scans = made
    kept = [one for one in scans if (filters.run in (None, one.run)) and (filters.body_part in (None, one.body_part))]
    order = {scan: place for place, scan in enumerate(ordered(kept))}
    highest: dict[str, str] = {}
    for one in sorted(kept, key=lambda one: order[one.scan]):
        alone = one.probability is None or one.study is None
        highest.setdefault(one.scan if alone else str(one.study), one.scan)
    with database.read() as session:
        items = every(session, replace(filters, by_study=True), limit)
    assert [item.scan for item in items] == sorted(highest.values(), key=lambda scan: order[scan])
    screened = [one.study for one in scans if one.probability is not None]
    for item in items:
        if item.band != "must_look" and item.study:
            assert item.views == screened.count(item.study)


def to_read(scans: list[Made]) -> set[str]:
    return {
        one.scan
        for one in scans
        if one.reader is None and (one.probability is None or one.probability >= THRESHOLD or in_sample(one.scan, RATE))
    }


@pytest.mark.parametrize("run", [None, 1])
@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_the_queue_holds_what_is_to_be_read_once_each_for_every_page_size(
    made: tuple[Database, list[Made]], limit: int, run: int | None
) -> None:
    database, scans = made
    queue = Filters(to_read=True, sample_rate=RATE, run=run)
    wanted = to_read([one for one in scans if run in (None, one.run)])
    with database.read() as session:
        listed = [item.scan for item in every(session, queue, limit)]
        assert len(listed) == len(set(listed))
        assert set(listed) == wanted
        assert listed == [item.scan for item in every(session, queue, 7)], "the order is that of every page size"
        assert count_to_read(session, queue) == len(wanted)


def test_the_sample_is_spread_among_the_flagged_by_its_ids_alone(made: tuple[Database, list[Made]]) -> None:
    database, _ = made
    queue = Filters(to_read=True, sample_rate=RATE)
    with database.write() as session:
        before = [item for item in every(session, queue) if item.probability is not None]
        sampled = [item.scan for item in before if item.band == "not_flagged"]
        assert sampled == sorted(sampled)
        places = [place for place, item in enumerate(before) if item.band == "not_flagged"]
        assert min(places) < len(before) / 3
        assert max(places) > len(before) / 3, "the sample is not one block"
        # Another result of a sampled scan, still not flagged, moves nothing: a place tells nothing of the scan.
        session.execute(update(Prediction).where(Prediction.scan_id.in_(sampled)).values(probability=0.0))
    with database.read() as session:
        assert [item.scan for item in every(session, queue) if item.probability is not None] == [
            item.scan for item in before
        ]


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(run=1),
        Filters(band="likely"),
        Filters(band="must_look"),
        Filters(body_part="hand", reviewed="unreviewed"),
        Filters(by_study=True),
        Filters(to_read=True, sample_rate=RATE),
        Filters(to_read=True, sample_rate=RATE, run=2),
    ],
)
def test_the_way_from_scan_to_scan_is_the_list(made: tuple[Database, list[Made]], filters: Filters) -> None:
    database, _ = made
    with database.read() as session:
        listed = [item.scan for item in every(session, filters)]
        assert len(listed) > 3
        for place, scan in enumerate(listed):
            found = neighbours(session, filters, scan, NOW)
            assert found.previous == (listed[place - 1] if place else None)
            assert list(found.following) == listed[place + 1 : place + 3]


def test_the_way_goes_on_from_a_scan_that_was_just_read_and_past_those_that_others_hold(
    made: tuple[Database, list[Made]],
) -> None:
    database, _ = made
    queue = Filters(to_read=True, sample_rate=RATE, reader="anna")
    with database.write() as session:
        listed = [item.scan for item in every(session, queue)]
        middle = len(listed) // 2
        session.add(_review(listed[middle], "anna"))
        for place, reader, seconds in ((middle + 1, "ben", 60), (middle + 2, "anna", 60), (middle + 3, "ben", -1)):
            held = {"held_since": NOW, "held_until": NOW + timedelta(seconds=seconds)}
            session.add(Hold(scan_id=listed[place], reader=reader, **held))
    with database.read() as session:
        found = neighbours(session, queue, listed[middle], NOW)
        assert found.following == (listed[middle + 2], listed[middle + 3])
        assert found.previous == listed[middle - 1]
        items = {item.scan: item for item in every(session, queue)}
    assert listed[middle] not in items
    assert (items[listed[middle + 1]].held_by, items[listed[middle + 3]].held_by) == ("ben", None)


def test_a_withdrawn_review_brings_the_scan_back(made: tuple[Database, list[Made]]) -> None:
    database, scans = made
    scan = next(one.scan for one in scans if one.reader == "anna" and one.probability is None)
    queue = Filters(to_read=True, sample_rate=RATE)
    with database.write() as session:
        assert scan not in {item.scan for item in every(session, queue)}
        session.execute(update(Review).where(Review.scan_id == scan).values(withdrawn_at=NOW))
    with database.read() as session:
        assert scan in {item.scan for item in every(session, queue)}


def test_reviews_are_told_with_the_latest_of_each_reader_to_those_who_decided(
    made: tuple[Database, list[Made]],
) -> None:
    database, scans = made
    scan = next(one.scan for one in scans if one.reader is None)
    with database.write() as session:
        for reader, verdict in (("anna", "unsure"), ("ben", "no_fracture"), ("anna", "fracture")):
            session.add(Review(scan_id=scan, reader=reader, verdict=verdict, sampled=False, reviewed_at=NOW))
            session.flush()
    both = [("anna", "fracture"), ("ben", "no_fracture")]
    with database.read() as session:
        for reader, shown, kept_back in (("anna", both, 0), ("ben", both, 0), ("cyd", [], 2), ("", [], 2)):
            item = next(item for item in every(session, Filters(reader=reader)) if item.scan == scan)
            assert sorted((review.reader, review.verdict) for review in item.reviews) == shown, reader
            assert (item.kept_back, item.verdicts != "") == (kept_back, bool(shown)), reader


def test_body_parts_are_found_without_reading_every_scan(made: tuple[Database, list[Made]]) -> None:
    database, _ = made
    with database.read() as session:
        assert body_parts(session) == ["hand", "hip"]
        assert session.scalar(select(Scan.id).where(Scan.body_part.is_(None)).limit(1))


def test_an_unknown_run_is_not_an_empty_list(made: tuple[Database, list[Made]]) -> None:
    database, _ = made
    with database.read() as session, pytest.raises(NotFound, match="There is no run 99"):
        worklist_page(session, Filters(run=99))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"band": "normal"}, "knows no 'normal'. Choose one of must_look"),
        ({"reviewed": "maybe"}, "Choose one of unreviewed"),
        ({"view": "all"}, "It may be to_read"),
        ({"group": "patient"}, "It may be study"),
        ({"run": "seven"}, "A run is given by its number"),
        ({"from": "31.3.2026"}, "a day such as 2026-03-31"),
        ({"from": "2026-04-01", "to": "2026-03-31"}, "The last day lies before the first one"),
        ({"view": "to_read", "band": "likely"}, "Leave out band, reviewed and group"),
    ],
)
def test_what_is_not_understood_is_refused_with_a_sentence(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        read_filters(given, "anna", 0.1)


def test_filters_survive_the_way_through_an_address() -> None:
    given = {"band": "likely", "run": "7", "from": "2026-03-01", "to": "2026-03-31", "body_part": "hand"}
    given |= {"reviewed": "by_me", "search": "a b%", "group": "study"}
    filters = read_filters(given, "anna", 0.1)
    assert filters.query() == given
    assert filters.received_to == date(2026, 3, 31)
    assert read_filters({"view": "to_read", "search": " "}, "anna", 0.1).query() == {"view": "to_read"}
