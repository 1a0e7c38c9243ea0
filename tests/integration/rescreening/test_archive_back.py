"""Files of an archive that were away for a moment: the next visit finds them again, and what lacked them goes on."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from screening.archives.registry import archive_url
from screening.clock import utc_now
from screening.database.tables import Job, Run, Scan
from screening.inference.bundle import Bundle
from screening.storage import original_key
from screening.upkeep.objects import check_objects
from tests.installation import Installation, installation, phantom_png
from tests.integration.rescreening.visits import add, put, visit_now
from tests.integration.workers_within import prepare_all


@pytest.fixture
def made(tmp_path: Path, database_url: str, redis_url: str, random_bundle: Bundle) -> Iterator[Installation]:
    with installation(tmp_path / "data", database_url, redis_url, random_bundle) as opened:
        yield opened


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
