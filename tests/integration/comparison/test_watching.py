"""Watching over weeks and sources, on both databases: what is counted, the reference, and when it warns."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import update

from screening.database.engine import Database
from screening.database.tables import Checkpoint, Rendition, Scan
from screening.watching.drift import Drift, watch
from screening.watching.statistics import BINS, kolmogorov_smirnov, population_stability_index
from tests.integration.comparison.pairs import add_predictions, two_checkpoints
from tests.integration.ledger.steps import NOW, scan_id

MONDAY = NOW.replace(hour=0) - timedelta(days=NOW.weekday())


def drawn(first: int, count: int, power: float, seed: int = 1) -> dict[int, float]:
    draw = random.Random(seed)
    return {number: draw.random() ** power for number in range(first, first + count)}


def watched(database: Database) -> Drift:
    with database.read() as session:
        drift = watch(session, NOW)
    assert drift is not None
    return drift


def histogram(probabilities: list[float]) -> list[int]:
    return [sum(min(int(p * BINS), BINS - 1) == place for p in probabilities) for place in range(BINS)]


def test_without_a_checkpoint_nothing_is_watched(database: Database) -> None:
    with database.read() as session:
        assert watch(session, NOW) is None


def test_weeks_begin_on_monday_and_the_first_thousand_scans_are_the_reference(database: Database) -> None:
    two_checkpoints(database)
    early = drawn(0, 700, 3, 1), drawn(700, 400, 3, 2)
    add_predictions(database, "one", early[0], received_at=MONDAY - timedelta(weeks=9))
    add_predictions(database, "one", early[1], received_at=MONDAY - timedelta(weeks=8))
    same, other = drawn(2000, 300, 3, 3), drawn(3000, 300, 1, 4)
    add_predictions(database, "one", same, received_at=MONDAY - timedelta(weeks=1), modality="CR")
    add_predictions(database, "one", other, received_at=MONDAY, modality="DX")
    add_predictions(database, "one", {4000: 1.0, 4001: 0.0}, received_at=MONDAY - timedelta(microseconds=1))
    # What a candidate says of the same scans is another checkpoint's matter.
    add_predictions(database, "two", dict.fromkeys(early[0], 0.99))

    drift = watched(database)
    assert (drift.checkpoint, drift.reference) == ("one", "first weeks")
    found = {week.name: week for week in drift.weeks}
    assert [week.screened for week in drift.weeks] == [300, 302, 400, 700]
    latest, before, *reference = drift.weeks
    assert latest.name == f"{MONDAY:%Y-%m-%d}"
    assert [week.in_reference for week in drift.weeks] == [False, False, True, True]
    assert all(week.psi is None for week in reference)
    expected = histogram([*early[0].values(), *early[1].values()])
    assert latest.psi == pytest.approx(population_stability_index(expected, histogram(list(other.values()))))
    assert latest.ks == pytest.approx(kolmogorov_smirnov(expected, histogram(list(other.values()))))
    assert latest.flag_rate == pytest.approx(sum(p >= 0.5 for p in other.values()) / 300)
    assert (before.psi or 1) < 0.2 < (latest.psi or 0)
    assert found[before.name].drifts is False
    sources = {row.name: row for row in drift.sources}
    assert [row.name for row in drift.sources] == ["all", "CR", "DX", "picture"]
    assert (sources["CR"].screened, sources["DX"].screened, sources["picture"].screened) == (300, 300, 2)
    assert (sources["CR"].drifts, sources["DX"].drifts, sources["picture"].psi) == (False, True, None)
    assert f"the week of {latest.name}" in drift.warnings[0]
    assert any("the DX files" in warning for warning in drift.warnings)
    assert not any("CR" in warning for warning in drift.warnings)


def test_few_scans_are_counted_but_neither_compared_nor_warned_of(database: Database) -> None:
    two_checkpoints(database)
    add_predictions(database, "one", drawn(0, 1000, 3), received_at=MONDAY - timedelta(weeks=20))
    add_predictions(database, "one", dict.fromkeys(range(2000, 2199), 0.9), received_at=MONDAY)
    drift = watched(database)
    assert [(week.screened, week.psi) for week in drift.weeks] == [(199, None)]
    assert drift.warnings == []
    add_predictions(database, "one", {2199: 0.9}, received_at=MONDAY)
    assert watched(database).warnings


def test_before_a_thousand_scans_there_is_no_reference(database: Database) -> None:
    two_checkpoints(database)
    add_predictions(database, "one", drawn(0, 999, 3), received_at=MONDAY - timedelta(weeks=3))
    assert watched(database).reference is None
    add_predictions(database, "one", {999: 0.5}, received_at=MONDAY)
    assert watched(database).reference is None, "the present week is not over"
    add_predictions(database, "one", {1000: 0.5}, received_at=MONDAY - timedelta(weeks=2))
    drift = watched(database)
    assert drift.reference == "first weeks"
    assert all(row.psi is None for row in (*drift.weeks, *drift.sources))


def test_the_distribution_of_the_card_is_the_reference_from_the_first_day(database: Database) -> None:
    two_checkpoints(database)
    shares = [0.0] * 25
    shares[0], shares[1] = 0.7, 0.3
    with database.write() as session:
        card = {"forms": {"fp32": {"score_distribution": {"shares": shares}}}}
        session.execute(update(Checkpoint).where(Checkpoint.id == "one").values(card=card))
    draw = random.Random(5)
    as_carded = {n: draw.random() * 0.04 + (0.04 if draw.random() < 0.3 else 0) for n in range(400)}
    add_predictions(database, "one", as_carded, received_at=MONDAY - timedelta(weeks=1))
    drift = watched(database)
    assert drift.reference == "card"
    assert (drift.weeks[0].psi or 1) < 0.1
    add_predictions(database, "one", dict.fromkeys(range(1000, 1200), 0.6), received_at=MONDAY)
    drift = watched(database)
    assert [week.drifts for week in drift.weeks] == [True, False]


def test_what_could_not_be_decoded_counts_as_rejected_in_its_week(database: Database) -> None:
    two_checkpoints(database)
    add_predictions(database, "one", drawn(0, 30, 3), received_at=MONDAY)
    with database.write() as session:
        for number in range(100, 110):
            session.add(
                Scan(
                    id=scan_id(number), sha256=f"{number:064x}", size_bytes=1, media_type="image/png",
                    file_name="x", received_at=MONDAY,
                )
            )  # fmt: skip
            session.flush()
            session.add(Rendition(scan_id=scan_id(number), spec="spec", state="rejected", lane=1, queued_at=NOW))
    [week] = watched(database).weeks
    assert (week.screened, week.rejected_rate) == (30, 0.25)


def test_a_dicom_file_that_was_not_decoded_is_no_plain_picture(database: Database) -> None:
    """Its modality is read with the picture, so a rejected one has none."""
    two_checkpoints(database)
    add_predictions(database, "one", drawn(0, 30, 3), received_at=MONDAY)
    add_predictions(database, "one", drawn(50, 20, 3), received_at=MONDAY, modality="CR")
    with database.write() as session:
        for number, media_type in ((100, "application/dicom"), (101, "application/dicom"), (102, "image/png")):
            session.add(
                Scan(
                    id=scan_id(number), sha256=f"{number:064x}", size_bytes=1, media_type=media_type,
                    file_name="x", received_at=MONDAY,
                )
            )  # fmt: skip
            session.flush()
            session.add(Rendition(scan_id=scan_id(number), spec="spec", state="rejected", lane=1, queued_at=NOW))
    sources = {row.name: (row.screened, row.rejected_rate) for row in watched(database).sources}
    assert sources == {
        "all": (50, pytest.approx(3 / 53)),
        "CR": (20, 0.0),
        "dicom": (0, 1.0),
        "picture": (30, pytest.approx(1 / 31)),
    }
