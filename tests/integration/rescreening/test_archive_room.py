"""Visits and room: a full disk of our own is nobody's file, and what is not kept needs no room."""

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import select

from screening.archives.registry import archive_url
from screening.database.tables import Receipt, Run
from screening.storage import Storage
from screening.storage.incoming import IncomingFile
from tests.installation import Installation, phantom_png
from tests.integration.rescreening.visits import add, put, put_pictures, visit_now
from tests.integration.web.limited import limited

ROOM = 1_000_000


class OnAFullDisk:
    """Storage whose temporary files find no room, as /dev/full tells it."""

    def __init__(self, real: Storage) -> None:
        self._real = real

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def receive(self) -> IncomingFile:
        incoming = cast(IncomingFile, self._real.receive())
        incoming._stream.close()
        incoming._stream = cast(io.BufferedRandom, open("/dev/full", "wb"))  # noqa: PTH123, SIM115  it is closed by it
        return incoming


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    return put_pictures(tmp_path / "ward", 3)


def receipts(made: Installation) -> dict[str, str | None]:
    with made.system.database.read() as session:
        return {receipt.file_name: receipt.code for receipt in session.scalars(select(Receipt))}


@pytest.fixture
def archive(made: Installation, ward: Path) -> Callable[[], int]:
    return lambda: add(made, archive_url(str(ward), made.system.settings.resolved_storage_url))


def test_a_full_disk_of_our_own_ends_the_visit_and_rejects_no_file(
    made: Installation, archive: Callable[[], int]
) -> None:
    whole = made.system
    made.system = replace(whole, storage=cast(Storage, OnAFullDisk(whole.storage)))
    number = archive()
    seen = visit_now(made, number)
    assert "cannot be written (No space left on device)" in (seen.problem or "")
    assert receipts(made) == {}
    made.system = whole
    assert visit_now(made, number).admitted == 3


def test_what_is_refused_whatever_room_there_is_needs_none(
    made: Installation, ward: Path, archive: Callable[[], int]
) -> None:
    limited(made, quota_bytes=ROOM)
    put(ward / "disk.img", b"")
    os.truncate(ward / "disk.img", (made.system.settings.max_container_mb + 1) << 20)
    os.utime(ward / "disk.img", (0, 0))
    for number in range(4):
        put(ward / f"{number}.txt", b"only words " * (ROOM // 20))
    seen = visit_now(made, archive())
    assert (seen.admitted, seen.refused, seen.problem) == (3, 5, None)


def test_a_picture_without_room_ends_the_visit(made: Installation, ward: Path, archive: Callable[[], int]) -> None:
    limited(made, quota_bytes=ROOM)
    put(ward / "large.png", phantom_png(4) + bytes(ROOM))
    seen = visit_now(made, archive())
    assert "room for 1 MB more, which is not enough" in (seen.problem or "")
    assert "large.png" not in receipts(made)


def test_without_any_room_no_run_is_opened(made: Installation, archive: Callable[[], int]) -> None:
    limited(made, reserve_bytes=1 << 60)
    assert "room for 0 MB more" in (visit_now(made, archive()).problem or "")
    with made.system.database.read() as session:
        assert session.scalars(select(Run)).all() == []
