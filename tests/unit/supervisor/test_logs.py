"""Logs are kept small, whatever the disk says, and never at the cost of the processes."""

import errno
import shutil
import sys
from pathlib import Path

import pytest

from screening.supervisor.logs import KEPT, LARGEST_LOG, LogFile
from screening.supervisor.processes import Program, Supervisor


@pytest.fixture
def log(tmp_path: Path) -> LogFile:
    return LogFile(tmp_path / "worker.log")


def fill(log: LogFile, letter: bytes = b"x") -> None:
    log.path.write_bytes(letter * LARGEST_LOG)


def parts(log: LogFile) -> dict[str, bytes]:
    """The first letter of each older part."""
    return {path.suffix: path.read_bytes()[:1] for path in sorted(log.path.parent.glob("worker.log.*"))}


def copy_that_fails(source: Path, target: Path) -> None:
    Path(target).write_bytes(Path(source).read_bytes()[:100])
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_large_log_is_moved_aside_and_the_oldest_part_goes(log: LogFile) -> None:
    for letter in b"abcde":
        fill(log, bytes([letter]))
        log.rotate()
        assert log.path.stat().st_size == 0
    assert parts(log) == {".1": b"e", ".2": b"d", ".3": b"c"}
    assert len(parts(log)) == KEPT


def test_a_small_log_and_one_that_is_not_there_stay_as_they_are(log: LogFile) -> None:
    log.rotate()
    log.path.write_bytes(b"few words")
    log.rotate()
    assert log.path.read_bytes() == b"few words"
    assert parts(log) == {}


def test_on_a_full_disk_the_log_is_emptied_and_no_half_of_it_is_kept(
    log: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log, b"a")
    log.rotate()
    fill(log, b"b")
    monkeypatch.setattr(shutil, "copyfile", copy_that_fails)
    log.rotate()
    assert log.path.stat().st_size == 0
    assert parts(log) == {".2": b"a"}


def test_older_parts_that_cannot_be_moved_are_not_taken_for_a_half_copy(
    log: LogFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(log, b"a")
    log.rotate()
    fill(log, b"b")

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "replace", refuse)
    log.rotate()
    assert log.path.stat().st_size == 0
    assert parts(log) == {".1": b"a"}


def test_the_supervisor_goes_on_where_a_log_can_neither_be_copied_nor_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program("worker", (sys.executable, "-c", "import time; time.sleep(600)"))
    supervisor = Supervisor([program], {}, tmp_path, tmp_path, lambda _: None)
    supervisor.start()
    [keeper] = supervisor.keepers
    try:
        fill(keeper.log)
        monkeypatch.setattr(shutil, "copyfile", copy_that_fails)
        opened = Path.open

        def read_only(path: Path, mode: str = "r", *arguments: object, **options: object) -> object:
            if path == keeper.log.path and mode != "rb":
                raise OSError(errno.EROFS, "Read-only file system")
            return opened(path, mode, *arguments, **options)  # type: ignore[call-overload]

        monkeypatch.setattr(Path, "open", read_only)
        supervisor.look_after()
        assert keeper.pid is not None
        assert keeper.log.path.stat().st_size == LARGEST_LOG
    finally:
        monkeypatch.undo()
        supervisor.stop()
