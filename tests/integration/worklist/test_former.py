"""After another checkpoint is put to use: every scan that was listed is listed still, or told of."""

from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, update

from screening import checkpoints
from screening.activation import LeftBehind, left_behind, put_to_use, screen_the_rest
from screening.cli.checkpoint import checkpoint
from screening.database.engine import Database
from screening.database.tables import Checkpoint, Job, Prediction, Run
from screening.errors import Conflict
from screening.reviews.verdicts import record
from screening.runs.admission import StoredFile, admit_scan
from screening.runs.lifecycle import open_run
from screening.worklist import Filters, neighbours, standing, whole_worklist, worklist_page
from screening.worklist.counts import count_to_read
from tests.integration.comparison.pairs import add_predictions, two_checkpoints
from tests.integration.ledger.steps import NOW, add_checkpoint, scan_hash, scan_id

QUEUE = Filters(to_read=True, sample_rate=0.0, reader="rita")
OF_ONE = {n: 0.9 - n / 1000 for n in range(100)} | dict.fromkeys(range(200, 210), 0.1)
OF_TWO = {n: 0.95 if n % 2 else 0.05 for n in range(40)}


def queue(database: Database, filters: Filters = QUEUE) -> list[str]:
    with database.read() as session:
        found = [item.scan for item in whole_worklist(session, filters)]
        assert count_to_read(session, filters) == len(found)
    return found


def left(database: Database, checkpoint: str = "two") -> LeftBehind:
    with database.read() as session:
        return left_behind(session, checkpoint)


def end_runs(database: Database) -> None:
    with database.write() as session:
        session.execute(update(Run).values(state="complete"))


@pytest.fixture
def partly(database: Database) -> Database:
    """`one`, in use, has screened 110 scans and flags a hundred of them; `two` has screened forty of these."""
    two_checkpoints(database)
    with database.write() as session:
        session.execute(update(Checkpoint).where(Checkpoint.id == "one").values(activated_at=NOW - timedelta(days=9)))
    add_predictions(database, "one", OF_ONE)
    add_predictions(database, "two", OF_TWO)
    end_runs(database)
    return database


def test_activation_says_what_it_leaves_and_needs_consent(partly: Database) -> None:
    found = left(partly)
    assert (found.scans, found.flagged_unread, found.runs) == (70, 60, 0)
    with pytest.raises(Conflict, match="70 scans are not screened by it, 60 of them flagged and unread") as refused:
        put_to_use(partly, NOW, "two", "admin")
    assert refused.value.code == "leaves_unscreened"
    assert len(queue(partly)) == 100
    put_to_use(partly, NOW, "two", "admin", "better", leave_unscreened=True)
    assert left(partly) == found
    assert left(partly, "one").sentence is None
    put_to_use(partly, NOW, "one", "admin", "back")


def test_live_runs_of_the_former_checkpoint_need_consent_too(partly: Database) -> None:
    run = add_predictions(partly, "one", {300: 0.1})
    with partly.write() as session:
        session.execute(delete(Prediction).where(Prediction.checkpoint_id == "one"))
        assert session.get_one(Run, run).state == "open"
    assert (left(partly).scans, left(partly).runs) == (0, 1)
    with pytest.raises(Conflict, match=r"^1 run still goes on under a former checkpoint\."):
        put_to_use(partly, NOW, "two", "admin")


def test_what_only_the_former_one_flagged_stays_at_the_end_of_the_queue_until_it_is_read_or_screened(
    partly: Database,
) -> None:
    before = set(queue(partly))
    put_to_use(partly, NOW, "two", "admin", leave_unscreened=True)
    after = queue(partly)
    flagged_by_two = [scan_id(n) for n in sorted(OF_TWO, key=scan_id, reverse=True) if n % 2]
    assert after[:20] == flagged_by_two
    assert after[20:] == [scan_id(n) for n in range(40, 100)]
    assert before - set(after) == {scan_id(n) for n in OF_TWO if n % 2 == 0}, "`two` screened these, and flags none"

    with partly.read() as session:
        pages, cursor = [], None
        while True:
            page = worklist_page(session, QUEUE, 7, cursor)
            pages += page.items
            cursor = page.next
            if cursor is None:
                break
    assert [item.scan for item in pages] == after
    assert {item.checkpoint for item in pages[:20]} == {"two"}
    assert {item.checkpoint for item in pages[20:]} == {"one"}
    assert pages[20].band == "likely", "by the thresholds of the checkpoint that flagged it: 0.86 of 0.8"

    with partly.read() as session:
        for place in (19, 20, 40, 79):
            around = neighbours(session, QUEUE, after[place], NOW)
            assert around.previous == after[place - 1]
            assert around.following == tuple(after[place + 1 : place + 3])

    with partly.write() as session:
        record(session, NOW, after[20], "rita", "no_fracture", None, 0.0)
    add_predictions(partly, "two", {41: 0.01, 42: 0.5})
    assert set(queue(partly)) == (set(after) - {after[20], scan_id(41)})
    assert left(partly).flagged_unread == 57
    with partly.read() as session:
        assert neighbours(session, QUEUE, after[20], NOW).following == (scan_id(43), scan_id(44))


def test_a_run_that_ends_under_the_former_checkpoint_adds_to_the_queue(partly: Database) -> None:
    put_to_use(partly, NOW, "two", "admin", leave_unscreened=True)
    add_predictions(partly, "one", {400: 0.7, 401: 0.2})
    assert queue(partly)[-1] == scan_id(400)
    assert (left(partly).scans, left(partly).flagged_unread, left(partly).runs) == (72, 61, 1)


def test_of_several_former_checkpoints_the_last_that_screened_a_scan_decides_and_candidates_do_not(
    partly: Database,
) -> None:
    with partly.write() as session:
        add_checkpoint(session, "three", active=False)
        add_checkpoint(session, "tried", active=False)
    add_predictions(partly, "tried", {500: 0.99, 50: 0.99})
    end_runs(partly)
    put_to_use(partly, NOW - timedelta(days=1), "two", "admin", leave_unscreened=True)
    before = set(queue(partly))
    put_to_use(partly, NOW, "three", "admin", leave_unscreened=True)
    assert set(queue(partly)) == before
    assert len(queue(partly)) == 80
    found = left(partly, "three")
    assert (found.scans, found.flagged_unread) == (110, 80)
    # The viewer shows, and a verdict is kept with, what was listed: not the later word of `tried`.
    with partly.read() as session:
        listed = {item.scan: (item.checkpoint, item.probability) for item in whole_worklist(session, QUEUE)}
        for scan, said in listed.items():
            shown = standing(session, QUEUE, scan).shown
            assert shown is not None
            assert (shown.checkpoint, shown.probability) == said


def test_what_must_be_looked_at_is_listed_once(partly: Database) -> None:
    put_to_use(partly, NOW, "two", "admin", leave_unscreened=True)
    run = add_predictions(partly, "two", {60: 0.5})
    with partly.write() as session:
        session.execute(delete(Prediction).where(Prediction.scan_id == scan_id(60), Prediction.checkpoint_id == "two"))
        session.execute(update(Job).where(Job.run_id == run).values(state="failed", problem="It broke."))
    found = queue(partly)
    assert found[0] == scan_id(60)
    assert found.count(scan_id(60)) == 1
    with partly.write() as session:
        session.execute(update(Job).where(Job.run_id == run).values(state="queued"))
    assert queue(partly).count(scan_id(60)) == 1, "while it is screened again it stays where the former one put it"


def test_filters_hold_for_them_and_a_run_keeps_its_own_list(partly: Database) -> None:
    add_predictions(partly, "one", {600: 0.9, 601: 0.9}, body_part="hip")
    put_to_use(partly, NOW, "two", "admin", leave_unscreened=True)
    assert set(queue(partly, Filters(to_read=True, body_part="hip"))) == {scan_id(600), scan_id(601)}
    assert len(queue(partly, Filters(to_read=True, run=1))) == 100
    with partly.read() as session:
        assert len(list(whole_worklist(session))) == len(OF_TWO), "the plain list is of the checkpoint in use"


def test_what_is_left_is_screened_in_one_run(partly: Database) -> None:
    put_to_use(partly, NOW, "two", "admin", leave_unscreened=True)
    with partly.write() as session:
        opened = screen_the_rest(session, NOW, "admin")
    assert opened.jobs == 70
    assert left(partly).screened_by == opened.run_id
    with partly.write() as session, pytest.raises(Conflict, match=f"Run {opened.run_id} screens"):
        screen_the_rest(session, NOW, "admin")
    end_runs(partly)
    add_predictions(partly, "two", {n: 0.1 for n in OF_ONE if n not in OF_TWO})
    assert left(partly).sentence is None
    with partly.write() as session, pytest.raises(Conflict, match="nothing that the checkpoint in use can still"):
        screen_the_rest(session, NOW, "admin")


def test_activating_the_active_one_asks_nothing(partly: Database) -> None:
    assert put_to_use(partly, NOW, "one", "admin").id == "one"
    with partly.read() as session:
        assert checkpoints.active(session).id == "one"


def test_the_command_of_the_server_asks_too_and_screens_the_rest(
    partly: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCREENING_DATABASE_URL", database_url)
    monkeypatch.setenv("SCREENING_DATA_DIR", str(tmp_path))

    def said(*arguments: str) -> tuple[int, str]:
        answer = CliRunner().invoke(checkpoint, [*arguments])
        return answer.exit_code, answer.output

    code, words = said("activate", "two")
    assert code == 1
    assert "70 scans are not screened by it, 60 of them flagged and unread." in words
    assert "--leave-unscreened" in words
    code, words = said("activate", "two", "--leave-unscreened", "--reason", "better")
    assert code == 0
    assert "two (two) is active." in words
    assert "70 scans are not screened by it" in words
    assert "screens 70 scans" in said("screen-rest")[1]
    assert said("screen-rest")[0] == 1


@pytest.mark.parametrize("state", ["queued", "cancelled"])
def test_what_the_one_in_use_could_not_screen_and_is_sent_again_stands_in_the_queue_once(
    partly: Database, state: str
) -> None:
    put_to_use(partly, NOW, "two", "admin", leave_unscreened=True)
    with partly.write() as session:
        for name, values in (
            ("first", {"state": "rejected", "problem_code": "damaged", "problem": "It is damaged."}),
            ("again", {"state": state}),
        ):
            run = open_run(session, NOW, name, "routine", "t")
            admit_scan(session, NOW, run, StoredFile(f"{name}.png", scan_hash(60), 1, "image/png"))
            session.execute(update(Job).where(Job.run_id == run.id).values(**values))
    found = queue(partly)
    assert (found[0], found.count(scan_id(60))) == (scan_id(60), 1)
