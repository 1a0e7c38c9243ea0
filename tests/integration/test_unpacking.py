"""The inside of unpacking: who goes first, what is left behind, and containers that cannot be read."""

import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import pytest
from sqlalchemy import select, update

import worker.unpack
from screening.clock import utc_now
from screening.database.states import Lane
from screening.database.tables import Container, Receipt
from screening.inference.bundle import Bundle
from screening.ledger.sweeping import sweep
from screening.radiographs.limits import ContainerLimits
from screening.storage import container_key
from tests.installation import Installation, installation, phantom_png
from tests.integration.workers_within import prepare_all
from tests.integration.zips import Watched, admitted, container, containers, packed, send_zip, states, unpack_alone
from worker.process import WorkerProcess
from worker.unpack import GIVES_WAY_EVERY, Unpacking

MOST_ATTEMPTS = 3
MEMBERS = 3 * GIVES_WAY_EVERY


@pytest.fixture
def made(tmp_path: Path, sqlite_url: str, redis_url: str, random_bundle: Bundle) -> Iterator[Installation]:
    changes = {"max_attempts": MOST_ATTEMPTS, "prepare_children": 1}
    with installation(tmp_path / "data", sqlite_url, redis_url, random_bundle, **changes) as opened:
        yield opened


def test_an_urgent_scan_is_prepared_while_a_container_is_unpacked(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    zipped = send_zip(made, packed(range(MEMBERS)))
    urgent = made.open_run(lane="urgent")
    archive = made.open_run(lane="archive")
    seen: dict[int, tuple[dict[str, int], dict[str, int], int]] = {}

    def look(members: int, _process: WorkerProcess) -> None:
        if members == 2:
            made.upload(archive, "old.png", phantom_png(200))
            made.upload(urgent, "urgent.png", phantom_png(100))
        own = states(made, zipped).get("queued", 0)
        seen[members] = states(made, urgent), states(made, archive), own

    Watched(made, monkeypatch, look).prepare()
    assert seen[GIVES_WAY_EVERY][0] == {"preparing": 1}
    assert seen[GIVES_WAY_EVERY + 2][0] == {"queued": 1}, "it waited for sixteen members, and not for all"
    assert seen[GIVES_WAY_EVERY + 2][2] > 1, "members that came before are prepared as well"
    assert seen[MEMBERS][1] == {"preparing": 1}, "what is less urgent than the container does not go first"
    assert seen[MEMBERS][2] > seen[GIVES_WAY_EVERY + 2][2]


def test_an_urgent_zip_is_unpacked_between_the_members_of_another(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it came, and not when the other one ends; the other one is not begun anew for it."""
    routine = send_zip(made, packed(range(MEMBERS)))
    urgent: list[int] = []
    of_routine = 0
    begun_after: list[int] = []

    def look(members: int, _process: WorkerProcess) -> None:
        nonlocal of_routine
        if members == 2:
            urgent.append(send_zip(made, packed(range(100, 103)), "urgent"))
        if urgent and states(made, urgent[0]):
            begun_after.append(of_routine)
        of_routine = sum(states(made, routine).values())

    watched = Watched(made, monkeypatch, look)
    watched.prepare()
    assert begun_after[0] == GIVES_WAY_EVERY + 1
    assert watched.members == MEMBERS + 3, "each member was admitted once"
    assert containers(made) == [("ready", 1), ("ready", 1)]
    prepare_all(made)
    assert states(made, routine) == {"queued": MEMBERS}
    assert states(made, urgent[0]) == {"queued": 3}


def test_an_urgent_zip_that_was_tried_before_is_unpacked_alone(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be what ended its worker, and the other one must not be counted for it."""
    send_zip(made, packed(range(GIVES_WAY_EVERY + 2)))
    states_of_urgent: list[str] = []

    def look(members: int, _process: WorkerProcess) -> None:
        if members == 2:
            send_zip(made, packed(range(100, 101)), "urgent")
            with made.system.database.write() as session:
                session.execute(update(Container).where(Container.lane == Lane.URGENT).values(attempts=1))
        states_of_urgent.append(containers(made)[-1][0])

    Watched(made, monkeypatch, look).prepare()
    assert states_of_urgent[-2] == "waiting"
    assert containers(made) == [("ready", 1), ("ready", 2)]


def test_a_worker_that_is_stopped_in_an_urgent_zip_hands_both_back(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    routine = send_zip(made, packed(range(MEMBERS)))

    def look(members: int, process: WorkerProcess) -> None:
        if members == 2:
            send_zip(made, packed(range(100, 110)), "urgent")
        if members == GIVES_WAY_EVERY + 4:
            process.ask_to_stop()

    Watched(made, monkeypatch, look).prepare()
    assert containers(made) == [("waiting", 0), ("waiting", 0)]
    monkeypatch.undo()
    unpack_alone(made.system)
    prepare_all(made)
    assert states(made, routine) == {"queued": MEMBERS}, "gone on with, no member is doubled"
    assert admitted(made) == MEMBERS + 10


@pytest.mark.parametrize(("lane", "groups_in_a_turn"), [("routine", [0, 1]), ("urgent", [5, 1]), ("archive", [0, 1])])
def test_a_backlog_that_is_as_urgent_has_one_group_in_a_turn_and_a_more_urgent_one_a_slice(
    made: Installation, lane: str, groups_in_a_turn: list[int]
) -> None:
    send_zip(made, packed(range(MEMBERS)))
    backlog = made.open_run(lane=lane)
    made.upload(backlog, "waits.png", phantom_png(100))
    prepared: list[int] = []

    def prepare(enough: Callable[[], bool]) -> None:
        """A slice of five groups, of a backlog that has no end."""
        groups = 0
        while groups < 5 and not enough():
            groups += 1
        prepared.append(groups)

    Unpacking(made.system, ContainerLimits(), prepare).unpack_slice(lambda: False)
    while_copied = len(prepared) % 2
    assert prepared[while_copied:] == groups_in_a_turn * (MEMBERS // GIVES_WAY_EVERY)


@pytest.mark.parametrize(("children", "turns"), [(1, 3), (GIVES_WAY_EVERY, 3), (2 * GIVES_WAY_EVERY, 2)])
def test_so_many_members_come_first_that_every_child_has_one(made: Installation, children: int, turns: int) -> None:
    send_zip(made, packed(range(MEMBERS)))
    waiting: list[int] = []

    def prepare(enough: Callable[[], bool]) -> None:
        if not enough():
            waiting.append(admitted(made))

    Unpacking(made.system, ContainerLimits(), prepare, children).unpack_slice(lambda: False)
    assert waiting == [1 + turn * max(GIVES_WAY_EVERY, children) for turn in range(turns)]


def test_what_waits_already_is_prepared_before_a_container_is_taken_up(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_zip(made, packed(range(2)), "archive")
    urgent = made.open_run(lane="urgent")
    made.upload(urgent, "urgent.png", phantom_png(100))
    seen: list[dict[str, int]] = []
    Watched(made, monkeypatch, lambda *_: seen.append(states(made, urgent))).prepare()
    assert seen == [{"queued": 1}] * 2


def test_more_urgent_scans_go_first_while_a_container_is_copied(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.unpack, "COPIED_AT_ONCE", 50_000)
    send_zip(made, packed(range(20)))
    asked: list[bool] = []

    def prepare(enough: Callable[[], bool]) -> None:
        if not asked:
            urgent = made.open_run(lane="urgent")
            made.upload(urgent, "urgent.png", phantom_png(100))
        asked.append(not enough())

    Unpacking(made.system, ContainerLimits(), prepare).unpack_slice(lambda: False)
    assert len(asked) > 10
    assert all(asked), "until it is prepared, it is asked for again and again"


def test_a_stop_is_obeyed_while_a_container_is_copied(made: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.unpack, "COPIED_AT_ONCE", 50_000)
    send_zip(made, packed(range(20)))
    pieces: list[int] = []
    unpacking = Unpacking(made.system, ContainerLimits(), prepare=lambda _: pieces.append(1))
    assert not unpacking.unpack_slice(lambda: len(pieces) > 1)
    assert len(pieces) == 2
    assert (container(made).state, container(made).attempts) == ("waiting", 0)


def test_nothing_of_a_container_stays_in_the_temporary_folder_however_the_worker_ends(
    made: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    send_zip(made, packed(range(3)))
    found: list[Path] = []
    Watched(made, monkeypatch, lambda *_: found.extend(folder.rglob("*"))).prepare()
    assert found == []
    assert admitted(made) == 3


def test_a_container_that_came_again_meanwhile_keeps_its_bytes(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request of another run has kept them, and has not committed its row yet."""
    data = packed(range(2))
    first, second = send_zip(made, data), made.open_run()
    incoming = made.system.storage.receive()
    with incoming:
        incoming.write(data)

        def keep_meanwhile(members: int, _process: WorkerProcess) -> None:
            if members == 1:
                incoming.keep(container_key(incoming.sha256))

        Watched(made, monkeypatch, keep_meanwhile).prepare()
        assert container(made).state == "ready"
        assert made.system.storage.exists(container_key(incoming.sha256))
    monkeypatch.undo()
    made.upload(second, "pictures.zip", data)
    unpack_alone(made.system)
    prepare_all(made)
    assert states(made, first) == states(made, second) == {"queued": 2}


def test_a_container_that_is_done_is_deleted(made: Installation) -> None:
    data = packed(range(2))
    send_zip(made, data)
    unpack_alone(made.system)
    assert not made.system.storage.exists(container_key(container(made).sha256))


def test_a_container_without_any_file_is_refused_with_its_reason(made: Installation) -> None:
    run = send_zip(made, packed(range(0)))
    unpack_alone(made.system)
    assert (container(made).state, container(made).problem_code) == ("rejected", "empty")
    with made.system.database.read() as session:
        receipt = session.scalars(select(Receipt).where(Receipt.run_id == run)).one()
    assert (receipt.status, receipt.code) == ("rejected", "empty")
    assert "holds no files" in str(receipt.reason)
    assert made.state(run) == "complete"


def test_a_container_that_cannot_be_read_is_set_aside_and_others_go_on(made: Installation) -> None:
    bad, good = send_zip(made, packed(range(2))), send_zip(made, packed(range(10, 12)))
    loose = made.open_run()
    made.upload(loose, "loose.png", phantom_png(50))
    path = made.folder / "objects" / container_key(container(made).sha256)
    path.unlink()
    path.symlink_to(path.name)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        unpack_alone(made.system)
        assert admitted(made) == 2, "the other one is unpacked at once"
        assert container(made).attempts == attempt
        with made.system.database.write() as session:
            sweep(session, utc_now() + timedelta(minutes=2), MOST_ATTEMPTS)
    assert (container(made).state, container(made).problem_code) == ("rejected", "set_aside")
    assert f"in {MOST_ATTEMPTS} tries" in str(container(made).problem)
    with made.system.database.read() as session:
        receipt = session.scalars(select(Receipt).where(Receipt.run_id == bad)).one()
    assert (receipt.status, receipt.code) == ("rejected", "set_aside")
    assert made.state(bad) == "complete"
    prepare_all(made)
    assert states(made, good) == {"queued": 2}


def test_a_full_temporary_folder_is_no_storage_that_is_away(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_zip(made, packed(range(2)))
    send_zip(made, packed(range(10, 12)))
    pieces = worker.unpack._copy_piece
    calls: list[str] = []

    class Full(io.BytesIO):
        def write(self, _data: object) -> int:
            raise OSError(28, "No space left on device")

    def first_fails(name: str, source: BinaryIO, copy: BinaryIO) -> bool:
        calls.append(name)
        return pieces(name, source, Full() if len(calls) == 1 else copy)

    monkeypatch.setattr(worker.unpack, "_copy_piece", first_fails)
    assert not unpack_alone(made.system)
    assert admitted(made) == 2
    assert (container(made).state, container(made).attempts) == ("working", 1)
