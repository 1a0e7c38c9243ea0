"""Files of an archive that were away for a moment: the next visit finds them again, and what lacked them goes on."""

import hashlib
from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from screening.archives import looking
from screening.archives.registry import archive_url
from screening.archives.walking import CHUNK, read_address
from screening.clock import utc_now
from screening.database.tables import Container, Job, Receipt, Run, Scan
from screening.storage import container_key, original_key
from screening.upkeep.objects import check_objects
from tests.installation import Installation, phantom_png
from tests.integration.rescreening.visits import add, put, visit_now
from tests.integration.workers_within import prepare_all
from tests.integration.zips import packed, unpack_alone

KEPT = ("originals/", "containers/", "references/", "tmp/")


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    folder = tmp_path / "ward"
    put(folder / "2024" / "a.png", phantom_png(1))
    put(folder / "2025" / "b.png", phantom_png(2))
    return folder


def visited(made: Installation, ward: Path, *, in_place: bool) -> int:
    archive = add(made, archive_url(str(ward), made.system.settings.resolved_storage_url), in_place)
    assert visit_now(made, archive).admitted == 2
    return archive


def states(made: Installation) -> list[str]:
    with made.system.database.read() as session:
        return list(session.scalars(select(Job.state).order_by(Job.run_id, Job.file_name)))


def marked(made: Installation) -> int:
    with made.system.database.read() as session:
        return session.scalar(select(func.count()).where(Scan.original_removed_at.is_not(None))) or 0


def containers(made: Installation) -> list[tuple[str, str | None]]:
    with made.system.database.read() as session:
        found = session.execute(select(Container.state, Container.problem_code).order_by(Container.id))
        return [tuple(row) for row in found]


def limit(made: Installation, *, file_mb: int, container_mb: int) -> None:
    settings = made.system.settings.model_copy(update={"max_file_mb": file_mb, "max_container_mb": container_mb})
    made.system = replace(made.system, settings=settings)


def test_a_part_of_an_archive_that_was_not_mounted_for_a_moment_is_found_again(made: Installation, ward: Path) -> None:
    archive = visited(made, ward, in_place=True)
    away = (ward / "2024").rename(ward.with_name("away"))
    prepare_all(made)
    assert (states(made), marked(made)) == (["rejected", "queued"], 1)
    seen = visit_now(made, archive)
    assert (seen.found, seen.admitted, marked(made)) == (1, 0, 1), "still away"
    found = check_objects(made.system.database, made.system.storage, utc_now(), "tests", hashes=True, repair=True)
    assert (list(found), marked(made)) == ([], 1), "a reference alone proves nothing"
    away.rename(ward / "2024")
    seen = visit_now(made, archive)
    assert (seen.found, seen.admitted, seen.refused, marked(made)) == (2, 1, 0, 0)
    prepare_all(made)
    assert states(made) == ["rejected", "queued", "queued"]
    assert visit_now(made, archive).admitted == 0


def test_a_copy_that_own_storage_lost_is_copied_again_where_it_lies(made: Installation, ward: Path) -> None:
    archive = visited(made, ward, in_place=False)
    key = original_key(hashlib.sha256(phantom_png(1)).hexdigest())
    made.system.storage.delete(key)
    prepare_all(made)
    assert (states(made), marked(made)) == (["rejected", "queued"], 1)
    assert visit_now(made, archive).admitted == 1
    assert made.system.storage.get(key) == phantom_png(1)
    prepare_all(made)
    assert states(made) == ["rejected", "queued", "queued"]


def test_a_copy_that_was_cleaned_up_in_its_time_is_not_copied_again(made: Installation, ward: Path) -> None:
    archive = visited(made, ward, in_place=False)
    prepare_all(made)
    for seed in (1, 2):
        made.system.storage.delete(original_key(hashlib.sha256(phantom_png(seed)).hexdigest()))
    with made.system.database.write() as session:
        session.execute(update(Scan).values(original_removed_at=utc_now() - timedelta(days=3)))
    assert visit_now(made, archive).admitted == 0
    assert marked(made) == 2
    with made.system.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 1


@pytest.mark.parametrize("in_place", [False, True])
def test_a_zip_that_was_gone_when_it_was_to_be_unpacked_is_taken_again(
    made: Installation, ward: Path, in_place: bool
) -> None:
    data = packed(range(3, 5))
    put(ward / "2026" / "c.zip", data)
    archive = add(made, archive_url(str(ward), made.system.settings.resolved_storage_url), in_place)
    assert visit_now(made, archive).admitted == 3
    away = (ward / "2026").rename(ward.with_name("away"))
    if not in_place:
        made.system.storage.delete(container_key(hashlib.sha256(data).hexdigest()))
    unpack_alone(made.system)
    assert containers(made) == [("rejected", "original_missing")]
    away.rename(ward / "2026")
    assert visit_now(made, archive).admitted == 1
    unpack_alone(made.system)
    assert containers(made) == [("rejected", "original_missing"), ("ready", None)]
    with made.system.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Scan)) == 4
    assert visit_now(made, archive).admitted == 0


@pytest.mark.parametrize("in_place", [False, True])
def test_a_file_that_was_too_large_is_taken_when_the_limit_is_raised(
    made: Installation, tmp_path: Path, in_place: bool
) -> None:
    large = phantom_png(1, (1400, 1400))
    assert len(large) > 1 << 20
    ward = tmp_path / "ward"
    put(ward / "a.png", large)
    put(ward / "b.zip", packed(range(60)))
    assert (ward / "b.zip").stat().st_size > 1 << 20
    archive = add(made, archive_url(str(ward), made.system.settings.resolved_storage_url), in_place)

    def visited_with(*, file_mb: int, container_mb: int) -> tuple[int, int]:
        limit(made, file_mb=file_mb, container_mb=container_mb)
        seen = visit_now(made, archive)
        return seen.admitted, seen.refused

    assert visited_with(file_mb=1, container_mb=1) == (0, 2)
    with made.system.database.read() as session:
        assert set(session.scalars(select(Receipt.code))) == {"too_large"}
    assert [found.key for folder in KEPT for found in made.system.storage.list(folder)] == []
    assert visited_with(file_mb=1, container_mb=1) == (0, 0), "nobody wants the same refusals every night"
    assert visited_with(file_mb=1, container_mb=20) == (1, 0), "the zip"
    assert visited_with(file_mb=1, container_mb=20) == (0, 0)
    assert visited_with(file_mb=20, container_mb=20) == (1, 0), "the picture"
    assert visited_with(file_mb=20, container_mb=20) == (0, 0)


@pytest.mark.parametrize("in_place", [False, True])
def test_no_more_than_the_first_bytes_are_read_of_a_picture_that_is_too_large(
    made: Installation, tmp_path: Path, in_place: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward = tmp_path / "ward"
    put(ward / "a.png", phantom_png(1) + bytes(5 << 20))
    put(ward / "b.bin", b"nothing that anybody knows" + bytes(5 << 20))
    limit(made, file_mb=2, container_mb=20)
    read: list[int] = []

    def counted(address: str) -> Generator[bytes, None, None]:
        for piece in read_address(address):
            read.append(len(piece))
            yield piece

    monkeypatch.setattr(looking, "read_address", counted)
    seen = visit_now(made, add(made, archive_url(str(ward), made.system.settings.resolved_storage_url), in_place))
    assert (seen.admitted, seen.refused) == (0, 2)
    assert read == [CHUNK, CHUNK]
    with made.system.database.read() as session:
        assert session.execute(select(Receipt.code, Receipt.sha256).distinct()).all() == [("too_large", None)]
    assert [found.key for folder in KEPT for found in made.system.storage.list(folder)] == []
