"""The worklist: complete, ranked, cut into pages by key, and re-ranked at once by a new operating point."""

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from screening import checkpoints
from screening.bands import BandFilter
from screening.database.engine import Database
from screening.database.tables import OperatingPointChange, Prediction
from screening.errors import Conflict, Refused
from screening.runs.admission import StoredFile, admit_scan
from screening.runs.lifecycle import open_run, submit_run
from screening.worklist import BandCounts, Filters, WorklistItem, band_counts, whole_worklist, worklist_page
from tests.integration.ledger.steps import NOW, add_checkpoint, scan_hash, scan_id
from tests.integration.worklist.filled import add_rejected, add_screened


@pytest.fixture
def screened(database: Database) -> Iterator[Database]:
    """Two runs: in the first 30 scans, many with the same probability, 5 rejected; in the second 5 more."""
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
        first = open_run(session, NOW, "first", "routine", "test").id
        second = open_run(session, NOW, "second", "routine", "test").id
        for number in range(30):
            add_screened(session, first, number, (number % 7) / 7)
        for number in range(100, 105):
            add_rejected(session, first, number)
        for number in range(200, 205):
            add_screened(session, second, number, 0.99)
        submit_run(session, NOW, first, "test")
    yield database


def all_pages(session: Session, run: int | None, limit: int, band: BandFilter | None = None) -> list[WorklistItem]:
    items, cursor = [], None
    while True:
        page = worklist_page(session, Filters(run=run, band=band), limit, cursor)
        assert len(page.items) <= limit
        items += page.items
        cursor = page.next
        if cursor is None:
            return items


@pytest.mark.parametrize("limit", [1, 3, 5, 7, 100])
@pytest.mark.parametrize("of_run", [True, False])
def test_every_page_size_gives_the_whole_list_in_one_order(screened: Database, limit: int, of_run: bool) -> None:
    with screened.read() as session:
        run = 1 if of_run else None
        items = all_pages(session, run, limit)
        assert len(items) == len({item.scan for item in items}) == (35 if of_run else 40)
        assert [item.band for item in items[:5]] == ["must_look"] * 5
        probabilities = [item.probability or 0 for item in items[5:]]
        assert probabilities == sorted(probabilities, reverse=True)
        assert items == list(whole_worklist(session, Filters(run=run)))


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_bands_are_ranges_of_the_one_list(screened: Database, limit: int) -> None:
    """Each band, page by page, is a stretch of the whole list, and the four stretches make all of it."""
    with screened.read() as session:
        whole = all_pages(session, None, 100)
        bands: tuple[BandFilter, ...] = ("must_look", "likely", "possible", "not_flagged")
        parts = {band: all_pages(session, None, limit, band) for band in bands}
        flagged = all_pages(session, None, limit, "flagged")
    for band, items in parts.items():
        assert {item.band for item in items} == {band}
    assert [item for items in parts.values() for item in items] == whole
    assert flagged == parts["likely"] + parts["possible"]
    assert min(item.probability or 0 for item in parts["likely"]) >= 0.8
    assert max(item.probability or 0 for item in parts["possible"]) < 0.8


def test_a_scan_at_a_threshold_is_over_it(screened: Database) -> None:
    with screened.write() as session:
        add_screened(session, 1, 900, 0.8)
        add_screened(session, 1, 901, 0.5)
    with screened.read() as session:
        found = {item.scan: item.band for item in whole_worklist(session)}
    assert (found[scan_id(900)], found[scan_id(901)]) == ("likely", "possible")


def test_what_could_not_be_screened_says_why(screened: Database) -> None:
    with screened.read() as session:
        item = worklist_page(session, limit=1).items[0]
    assert (item.band, item.probability, item.code, item.reason) == (
        "must_look",
        None,
        "truncated",
        "Cut off at 41%.",
    )


def test_a_new_operating_point_applies_at_once(screened: Database) -> None:
    with screened.read() as session:
        assert band_counts(session) == BandCounts(must_look=5, likely=9, possible=8, not_flagged=18)
        flagged = list(whole_worklist(session, Filters(band="flagged")))
        assert len(flagged) == band_counts(session).flagged == 17
        assert min(item.probability or 0 for item in flagged) >= 0.5
    with screened.write() as session:
        session.add(
            OperatingPointChange(
                checkpoint_id="one",
                name="s95",
                threshold=0.1,
                likely_threshold=0.7,
                reason="catch more",
                set_by="test",
                set_at=NOW,
            )
        )
    with screened.read() as session:
        assert band_counts(session) == BandCounts(must_look=5, likely=13, possible=17, not_flagged=5)
        assert len(list(whole_worklist(session, Filters(band="not_flagged")))) == 5


def test_over_all_runs_a_scan_is_listed_once_under_its_latest_run(screened: Database) -> None:
    with screened.write() as session:
        third = open_run(session, NOW, "third", "routine", "test")
        admit_scan(session, NOW, third, StoredFile("new name.png", scan_hash(0), 1, "image/png"))
    with screened.read() as session:
        listed = [item for item in whole_worklist(session) if item.scan == scan_id(0)]
        assert [(item.run, item.file_name) for item in listed] == [(3, "new name.png")]


def test_a_scan_that_could_be_screened_later_is_not_must_look_any_more(screened: Database) -> None:
    with screened.write() as session:
        session.add(
            Prediction(
                scan_id=scan_id(100),
                checkpoint_id="one",
                probability=0.4,
                activation_map=b"m",
                engine="test",
                worker="test",
                created_at=NOW,
            )
        )
    with screened.read() as session:
        assert band_counts(session).must_look == 4


def activate_another(session: Session) -> None:
    """Another checkpoint, which says the contrary, is put in use, and the one that was gets other thresholds."""
    add_checkpoint(session, "two", active=False)
    for number in range(30):
        session.add(
            Prediction(
                scan_id=scan_id(number), checkpoint_id="two", probability=1 - (number % 7) / 7, activation_map=b"m",
                engine="test", worker="test", created_at=NOW,
            )
        )  # fmt: skip
    session.add(
        OperatingPointChange(
            checkpoint_id="one", name="s95", threshold=0.1, likely_threshold=0.2, reason="r", set_by="t", set_at=NOW
        )
    )
    session.flush()
    checkpoints.activate(session, NOW, "two", "test")


def test_a_list_that_was_begun_under_another_checkpoint_is_refused_and_that_of_a_run_goes_on(
    screened: Database,
) -> None:
    with screened.write() as session:
        begun = worklist_page(session, limit=10).next
        of_run = worklist_page(session, Filters(run=1), limit=10).next
        activate_another(session)
    with screened.read() as session:
        with pytest.raises(Conflict, match="Start again at the first page"):
            worklist_page(session, limit=10, cursor=begun)
        assert len(worklist_page(session, Filters(run=1), limit=10, cursor=of_run).items) == 10


def test_an_export_is_of_one_checkpoint_and_its_thresholds_from_first_to_last(
    screened: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("screening.worklist.pages.LARGEST_PAGE", 8)
    with screened.read() as session:
        before = list(whole_worklist(session))
        export = whole_worklist(session)
        first = [next(export) for _ in range(10)]
        assert not session.in_transaction(), "whoever takes an export slowly holds up nobody"
        with screened.write() as another:
            activate_another(another)
        assert first + list(export) == before
        assert list(whole_worklist(session)) != before


@pytest.mark.parametrize("cursor", ["nonsense", "", "W10", "bnVsbA", "WzEsMl0", "W1tb" * 5000])
def test_a_cursor_that_was_not_made_here_is_refused(screened: Database, cursor: str) -> None:
    with screened.read() as session:
        if not cursor:
            assert worklist_page(session, cursor=cursor).items
            return
        with pytest.raises(Refused, match="cursor"):
            worklist_page(session, cursor=cursor)


def test_without_a_checkpoint_the_list_says_what_to_do(database: Database) -> None:
    with database.read() as session, pytest.raises(Conflict, match="screening checkpoint register"):
        worklist_page(session)
