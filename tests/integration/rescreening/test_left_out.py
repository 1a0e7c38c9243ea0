"""What a night leaves out is counted and told, and a night without work says why."""

from pathlib import Path

import pytest
from sqlalchemy import select, update

from screening.database.tables import Job, Rendition, Run, Scan
from screening.erasure.erasing import erase_scan
from screening.errors import Refused
from screening.ledger.claiming import claim_batch
from screening.ledger.lease import Lease
from screening.ledger.recording import fail_scan
from screening.ledger.reviving import give_up_unneeded
from screening.runs.lifecycle import cancel_run
from screening.storage.folder import FolderStorage
from tests.integration.ledger.steps import scan_id
from tests.integration.rescreening.conftest import MONDAY, Night


def remarks(night: Night) -> tuple[str | None, str | None, str | None]:
    """Of the latest firing: its note, its remark and that of its run."""
    firing = night.firings()[-1]
    with night.database.read() as session:
        run = session.get(Run, firing.run_id) if firing.run_id else None
        return firing.note, firing.remark, run.remark if run else None


def take_originals_away(night: Night, first: int, count: int) -> None:
    taken = [scan_id(number) for number in range(first, first + count)]
    with night.database.write() as session:
        session.execute(update(Scan).where(Scan.id.in_(taken)).values(original_removed_at=MONDAY))


def test_scans_without_an_original_are_counted_where_other_renditions_are_needed(night: Night) -> None:
    night.add(checkpoint="other")
    take_originals_away(night, 0, 3)
    night.at(0, 22)
    gone = "Of 10 selected scans 0 were screened by this checkpoint before. Left out are 3 because their originals are"
    note, remark, of_run = remarks(night)
    assert (note, (remark or "").startswith(gone)) == (None, True)
    assert "7 scans are made anew" in (of_run or "")
    assert gone in (of_run or "")
    take_originals_away(night, 3, 7)
    with night.database.write() as session:
        cancel_run(session, night.now, night.run(), "anna")
    night.at(1, 22)
    note, remark, of_run = remarks(night)
    assert (note, of_run) == ("nothing_possible", None)
    assert "Left out are 10 because their originals are gone" in (remark or "")


def test_what_was_rejected_and_what_failed_is_counted_too(night: Night) -> None:
    night.add()
    night.at(0, 22)
    with night.database.write() as session:
        batch = claim_batch(session, Lease.new(night.now, 30), night.now, 1)
        assert batch is not None
        fail_scan(session, batch.lease, night.now, batch.scan_ids[0], "no_answer", "why")
    assert night.screen(batches=1) == 4
    with night.database.write() as session:
        cancel_run(session, night.now, night.run(), "anna")
        left = session.scalars(select(Job.scan_id).where(Job.run_id == night.run(), Job.state == "cancelled")).all()
        session.execute(
            update(Rendition)
            .where(Rendition.scan_id.in_(left[:2]))
            .values(state="rejected", problem_code="damaged", problem="cut off")
        )
    night.at(1, 22)
    note, remark, of_run = remarks(night)
    assert note is None
    assert remark == of_run
    assert remark == (
        "Of 10 selected scans 4 were screened by this checkpoint before. Left out are 2 because they were rejected, "
        "1 because screening them failed before."
    )
    assert night.firings()[-1].jobs == 3
    night.screen()
    night.at(2, 22)
    assert remarks(night)[0] == "nothing_possible"


def test_scans_whose_originals_were_removed_before_they_were_prepared_are_none_that_were_rejected(night: Night) -> None:
    night.add()
    gone = [scan_id(number) for number in range(2)]
    take_originals_away(night, 0, 2)
    with night.database.write() as session:
        session.execute(update(Rendition).where(Rendition.scan_id.in_(gone)).values(state="waiting"))
        give_up_unneeded(session, night.now, gone)
    night.at(0, 22)
    remark = remarks(night)[1] or ""
    assert "Left out are 2 because their originals are gone" in remark
    assert "rejected" not in remark


def test_an_erased_scan_is_none_that_a_night_could_not_screen(night: Night, tmp_path: Path) -> None:
    night.add()
    night.at(0, 22)
    night.screen()
    erase_scan(night.database, FolderStorage(tmp_path), night.now, scan_id(3), "by order", "anna", str)
    night.at(1, 6)
    night.at(1, 22)
    assert remarks(night) == ("nothing_to_do", None, None)


def test_a_selection_that_matches_nothing_is_not_called_done(night: Night) -> None:
    night.add(selection={"study": "nobody"})
    night.at(0, 22)
    assert remarks(night) == ("empty_selection", None, None)
    with pytest.raises(Refused, match=r"No scan has the body part 'HAND'\. Choose one of hand"):
        night.add(selection={"body_part": "HAND "})
    night.add(name="hands", selection={"body_part": "hand "})
    night.at(1, 22)
    assert night.runs() == [("two", "running", 10)]
