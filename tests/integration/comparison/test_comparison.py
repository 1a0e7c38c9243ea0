"""The comparison of two checkpoints, on both databases, against an independent computation in Python."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from screening.comparison.pairs import KINDS, Comparison, Scope, open_comparison
from screening.comparison.ranking import ComparedScan, comparison_page, whole_comparison
from screening.comparison.statistics import wilson_interval
from screening.comparison.summary import summarise
from screening.comparison.words import sentences
from screening.database.engine import Database
from screening.errors import NotFound, Refused
from tests.integration.comparison.pairs import add_predictions, add_review, set_thresholds, two_checkpoints
from tests.integration.ledger.steps import NOW, scan_id

SCANS = 300


def probabilities() -> tuple[dict[int, float], dict[int, float]]:
    """Of both checkpoints by scan, on a grid, so that many changes and thresholds are met exactly."""
    draw = random.Random(4)
    before = [draw.randrange(21) for _ in range(SCANS)]
    after = [min(20, max(0, value + draw.choice((-10, -4, -1, 0, 0, 0, 1, 4, 10)))) for value in before]
    return {n: value / 20 for n, value in enumerate(before)}, {n: value / 20 for n, value in enumerate(after)}


@pytest.fixture
def compared(database: Database) -> Iterator[Database]:
    """Scans 0 to 299 screened by both; 1000 to 1006 only by `one`, 2000 to 2002 only by `two`."""
    two_checkpoints(database)
    before, after = probabilities()
    halves = ([n for n in before if n % 2], [n for n in before if not n % 2])
    for half, part in zip(halves, ("hand", "hip"), strict=True):
        old = NOW - timedelta(days=30 if part == "hip" else 0)
        add_predictions(database, "one", {n: before[n] for n in half}, received_at=old, body_part=part)
    add_predictions(database, "two", after)
    add_predictions(database, "one", dict.fromkeys(range(1000, 1007), 0.9), body_part="hip")
    add_predictions(database, "two", dict.fromkeys(range(2000, 2003), 0.9), body_part="hip")
    yield database


def expected_kind(before: float, after: float, moved: float = 0.2) -> str:
    """Written anew, in twentieths, so that no rounding is in it."""
    b, a = round(before * 20), round(after * 20)
    flagged_b, flagged_a = b >= 10, a >= 8
    if flagged_b != flagged_a:
        return "newly_flagged" if flagged_a else "no_longer_flagged"
    if flagged_b and (b >= 16) != (a >= 14):
        return "band_changed"
    return "moved" if abs(a - b) > round(moved * 20) else "unchanged"


def all_pages(session: Session, comparison: Comparison, limit: int, kind: str | None = None) -> list[ComparedScan]:
    items, cursor = [], None
    while True:
        page = comparison_page(session, comparison, kind, limit, cursor)  # type: ignore[arg-type]
        assert len(page.items) <= limit
        items += page.items
        cursor = page.next
        if cursor is None:
            return items


@pytest.mark.parametrize("limit", [1, 7, 100, 500])
def test_every_page_size_gives_every_pair_once_the_largest_change_first(compared: Database, limit: int) -> None:
    before, after = probabilities()
    with compared.read() as session:
        comparison = open_comparison(session, "one", "two")
        items = all_pages(session, comparison, limit)
        assert items == list(whole_comparison(session, comparison))
    assert {item.scan: (item.before, item.after) for item in items} == {
        scan_id(number): (before[number], after[number]) for number in before
    }
    assert len(items) == SCANS
    keys = [(-abs(item.change), item.scan) for item in items]
    assert keys == sorted(keys)


@pytest.mark.parametrize("moved", [0.0, 0.05, 0.2, 0.5])
def test_every_pair_is_of_one_kind_in_list_filter_and_counts(compared: Database, moved: float) -> None:
    before, after = probabilities()
    wanted = {scan_id(n): expected_kind(before[n], after[n], moved) for n in before}
    with compared.read() as session:
        comparison = open_comparison(session, "one", "two", moved=moved)
        assert {item.scan: item.kind for item in all_pages(session, comparison, 500)} == wanted
        for kind in KINDS:
            found = all_pages(session, comparison, 40, kind)
            assert {item.scan for item in found} == {scan for scan, other in wanted.items() if other == kind}
            assert {item.kind for item in found} <= {kind}
        summary = summarise(session, comparison)
    assert summary.counts == {kind: Counter(wanted.values())[kind] for kind in KINDS}
    assert set(wanted.values()) == set(KINDS) or moved >= 0.5, "the data shows every kind"


def test_the_summary_is_what_a_plain_count_says(compared: Database) -> None:
    before, after = probabilities()
    with compared.read() as session:
        summary = summarise(session, open_comparison(session, "one", "two"))
    assert (summary.scans, summary.only_before, summary.only_after) == (SCANS, 7, 3)
    flags = [(before[n] >= 0.5, after[n] >= 0.4) for n in before]
    assert summary.flagged_before == sum(b for b, _ in flags)
    assert summary.flagged_after == sum(a for _, a in flags)
    agreed = sum(b == a for b, a in flags) / SCANS
    assert summary.agreement == pytest.approx(agreed)
    b, a = summary.flagged_before / SCANS, summary.flagged_after / SCANS
    chance = b * a + (1 - b) * (1 - a)
    assert summary.kappa == pytest.approx((agreed - chance) / (1 - chance))
    words = " ".join(sentences(summary))
    assert f"{SCANS} scans were screened by both" in words
    assert "7 scans were screened only by the checkpoint before" in words
    assert "has been reviewed" in words


def test_new_thresholds_apply_at_once(compared: Database) -> None:
    with compared.write() as session:
        set_thresholds(session, "two", 1.0, 1.0)
    with compared.read() as session:
        summary = summarise(session, open_comparison(session, "one", "two"))
        assert summary.flagged_after == sum(after == 1.0 for after in probabilities()[1].values())


def test_a_comparison_of_a_run_a_body_part_and_a_time(compared: Database) -> None:
    with compared.read() as session:
        for scope, wanted, alone in (
            (Scope(run=1), {n for n in range(SCANS) if n % 2}, 0),
            (Scope(body_part="hip"), {n for n in range(SCANS) if not n % 2}, 7),
            (Scope(since=NOW - timedelta(days=1)), {n for n in range(SCANS) if n % 2}, 7),
            (Scope(until=NOW - timedelta(days=1)), {n for n in range(SCANS) if not n % 2}, 0),
            (Scope(run=1, body_part="hip"), set(), 0),
        ):
            comparison = open_comparison(session, "one", "two", scope)
            items = all_pages(session, comparison, 100)
            assert {item.scan for item in items} == {scan_id(n) for n in wanted}, scope
            summary = summarise(session, comparison)
            assert (summary.scans, summary.only_before) == (len(wanted), alone), scope
    assert sentences(summary) == ["No scan has been screened by both, so there is nothing to compare."]


def test_on_reviewed_scans_both_are_scored_and_tested(compared: Database) -> None:
    """A truth drawn near the first checkpoint's probabilities; scans that are not compared do not count."""
    before, after = probabilities()
    draw = random.Random(9)
    reviewed = {n: draw.random() < before[n] for n in range(0, SCANS, 2)}
    for number, truth in {**reviewed, 1000: True}.items():
        add_review(compared, number, "fracture" if truth else "no_fracture", "rita")
    add_review(compared, 0, "unsure", "anna")
    add_review(compared, 2, "unsure", "anna", withdrawn=True)
    with compared.read() as session:
        comparison = open_comparison(session, "one", "two")
        summary = summarise(session, comparison)
        listed = {
            reader: {item.scan: item for item in whole_comparison(session, comparison, reader=reader)}
            for reader in ("rita", "anna", "")
        }
        page = comparison_page(session, comparison, limit=SCANS, reader="anna")
    assert summary.reviewed == len(reviewed)
    positive = [n for n, truth in reviewed.items() if truth]
    group = summary.sensitivity
    assert group.before.hits == sum(before[n] >= 0.5 for n in positive)
    assert group.after.hits == sum(after[n] >= 0.4 for n in positive)
    assert group.only_after == sum(before[n] < 0.5 and after[n] >= 0.4 for n in positive)
    negative = [n for n, truth in reviewed.items() if not truth]
    assert summary.specificity.after.hits == sum(after[n] < 0.4 for n in negative)
    assert summary.specificity.only_before == sum(before[n] < 0.5 and after[n] >= 0.4 for n in negative)
    low, high = group.before.interval_95
    assert low < (group.before.share or 0) < high
    scans = {scan_id(n): reviewed.get(n) for n in range(SCANS)}
    assert {scan: item.fractured for scan, item in listed["rita"].items()} == scans
    assert not any(item.kept_back for item in listed["rita"].values())
    own = scan_id(0)
    for reader, seen in (("anna", {own}), ("", set())):
        for scan, item in listed[reader].items():
            assert item.reviewed == (scans[scan] is not None)
            assert item.kept_back == (item.reviewed and scan not in seen), (reader, scan)
            assert item.fractured == (scans[scan] if scan in seen else None), (reader, scan)
    assert {item.scan: item for item in page.items} == {item.scan: listed["anna"][item.scan] for item in page.items}
    only = [n for n in reviewed if before[n] < 0.5 and after[n] >= 0.4]
    told = summary.readers.only_after
    assert (told.decided, told.fractured) == (len(only), sum(reviewed[n] for n in only))
    assert told.interval_95 == pytest.approx(wilson_interval(told.fractured, told.decided))
    assert f"of {told.decided:,} that readers decided about" in " ".join(sentences(summary))


def test_what_cannot_be_compared_is_refused_in_a_sentence(compared: Database) -> None:
    with compared.read() as session:
        with pytest.raises(Refused, match="not compared with itself"):
            open_comparison(session, "one", "one")
        with pytest.raises(Refused, match="between 0 and 1"):
            open_comparison(session, "one", "two", moved=float("nan"))
        with pytest.raises(NotFound, match="no checkpoint"):
            open_comparison(session, "one", "other")
        with pytest.raises(NotFound, match="no run"):
            open_comparison(session, "one", "two", Scope(run=999))
        comparison = open_comparison(session, "one", "two")
        for cursor in ("nonsense", "W10", "bnVsbA", "WzEsMl0"):
            with pytest.raises(Refused, match="cursor"):
                comparison_page(session, comparison, cursor=cursor)
