"""What a visit meets on its way: names of every encoding, folders that cannot be read, mounts that are empty."""

import errno
import os
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from screening.archives.registry import archive_url
from screening.archives.walking import walk
from screening.database.tables import Job, Receipt
from screening.storage import original_key
from tests.installation import Installation, phantom_png
from tests.integration.rescreening.visits import add, put, visit_now
from tests.integration.workers_within import prepare_all

LATIN_1 = {b"M\xfcller": 1, b"M\xf6ller": 2, rb"M\xfcller": 3}
"""Names of folders, of which two are no UTF-8 and one looks as if it was what stands for the first."""


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    folder = tmp_path / "ward"
    folder.mkdir()
    return folder


def added(made: Installation, ward: Path, *, in_place: bool = False) -> int:
    return add(made, archive_url(str(ward), made.system.settings.resolved_storage_url), in_place)


@pytest.mark.parametrize("in_place", [False, True])
def test_names_that_are_no_utf_8_are_read_and_told_apart(made: Installation, tmp_path: Path, in_place: bool) -> None:
    ward = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Stra\xdfe"))
    for name, seed in LATIN_1.items():
        put(ward / os.fsdecode(name) / os.fsdecode(b"K\xfc.png"), phantom_png(seed))
    archive = added(made, ward, in_place=in_place)
    seen = visit_now(made, archive)
    assert (seen.found, seen.admitted, seen.refused, seen.problem) == (3, 3, 0, None)
    prepare_all(made)
    with made.system.database.read() as session:
        names = dict(session.execute(select(Job.file_name, Job.state)).all())
        digests = session.scalars(select(Receipt.sha256)).all()
    assert names == dict.fromkeys((r"M\xfcller/K\xfc.png", r"M\xf6ller/K\xfc.png", r"M\x5cxfcller/K\xfc.png"), "queued")
    originals = {made.system.storage.get(original_key(digest)) for digest in digests if digest}
    assert originals == {phantom_png(seed) for seed in LATIN_1.values()}
    again = visit_now(made, archive)
    assert (again.found, again.admitted, again.refused) == (3, 0, 0)


def test_a_name_with_a_backslash_stays_as_it_is(tmp_path: Path) -> None:
    put(tmp_path / "a\\b" / "c.png", b"c")
    assert [found.path for found in walk(f"file://{tmp_path}")] == ["a\\b/c.png"]


def test_folders_that_cannot_be_read_are_counted_and_named(
    made: Installation, ward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rights would not keep the superuser out, who may run these tests."""
    scandir = os.scandir

    def forbidden(path: str) -> object:
        if Path(path).name in ("2023", "2024"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    for name in ("2023/a.png", "2024/b.png", "2025/c.png"):
        put(ward / name, phantom_png(ord(name[5])))
    archive = added(made, ward)
    with monkeypatch.context() as locked:
        locked.setattr(os, "scandir", forbidden)
        seen = visit_now(made, archive)
    assert (seen.found, seen.admitted, seen.visit_wanted) == (1, 1, False)
    problem = seen.problem or ""
    assert problem.startswith("2 folders or files cannot be read, such as 202"), problem
    assert problem.endswith("; check their rights.")
    seen = visit_now(made, archive)
    assert (seen.found, seen.admitted, seen.problem) == (3, 2, None)


def test_a_folder_that_goes_away_while_it_is_walked_is_no_problem(
    made: Installation, ward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def gone(path: str) -> object:
        if Path(path).name == "2023":
            Path(path).rename(ward.with_name("elsewhere"))
        return scandir(path)

    put(ward / "2023" / "a.png", phantom_png(1))
    put(ward / "b.png", phantom_png(2))
    monkeypatch.setattr(os, "scandir", gone)
    seen = visit_now(made, added(made, ward))
    assert (seen.found, seen.admitted, seen.problem) == (1, 1, None)


def test_a_file_from_the_future_is_taken_and_one_that_is_being_written_is_told(made: Installation, ward: Path) -> None:
    put(ward / "future.png", phantom_png(1))
    os.utime(ward / "future.png", (time.time() + 400 * 86400,) * 2)
    (ward / "fresh.png").write_bytes(phantom_png(2)[:500])
    archive = added(made, ward)
    seen = visit_now(made, archive)
    assert (seen.found, seen.admitted, seen.refused) == (2, 1, 0)
    assert seen.problem == "1 file was written within the last minute, such as fresh.png; the next visit takes it."
    put(ward / "fresh.png", phantom_png(2))
    seen = visit_now(made, archive)
    assert (seen.found, seen.admitted, seen.problem) == (2, 1, None)


def test_a_mount_point_that_is_empty_counts_as_away(made: Installation, ward: Path) -> None:
    archive = added(made, ward)
    seen = visit_now(made, archive)
    assert (seen.found, seen.problem) == (0, None), "it never held anything"
    put(ward / "a.png", phantom_png(1))
    assert visit_now(made, archive).admitted == 1
    away = ward.rename(ward.with_name("away"))
    ward.mkdir()
    seen = visit_now(made, archive)
    assert (seen.found, seen.admitted, seen.visit_wanted) == (0, 0, False)
    assert "not mounted" in (seen.problem or "")
    ward.rmdir()
    away.rename(ward)
    assert visit_now(made, archive).problem is None
