"""Archives read in place that are not mounted: their scans wait for them, and hold nobody else up."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from screening.archives import references
from screening.archives.references import ArchiveAway, IncomingReference
from screening.archives.registry import archive_url
from screening.clock import utc_now
from screening.database.tables import Container, Job, Rendition, Run
from screening.inference.bundle import Bundle
from screening.ledger.sweeping import sweep
from screening.radiographs.limits import ContainerLimits, DecodeLimits
from screening.storage import ObjectMissing, original_key
from tests.installation import Installation, installation, phantom_png
from tests.integration.rescreening.visits import add, put, visit_now
from tests.integration.workers_within import prepare_all
from worker.prepare import Preparer
from worker.unpack import Unpacking

MOST_ATTEMPTS = 3


@pytest.fixture
def made(
    tmp_path: Path, sqlite_url: str, redis_url: str, random_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    monkeypatch.setattr(references, "AWAY_FOR_S", 0.0)
    with installation(tmp_path / "data", sqlite_url, redis_url, random_bundle, max_attempts=MOST_ATTEMPTS) as opened:
        yield opened


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    folder = tmp_path / "ward"
    for seed in range(12):
        put(folder / "deep" / f"{seed}.png", phantom_png(seed))
    return folder


def visited(made: Installation, ward: Path) -> None:
    visit_now(made, add(made, archive_url(str(ward), made.system.settings.resolved_storage_url), in_place=True))


def unmount(ward: Path, *, leaves_a_folder: bool) -> Path:
    away = ward.with_name("away")
    ward.rename(away)
    if leaves_a_folder:
        ward.mkdir()
    return away


def mount(ward: Path, away: Path) -> None:
    if ward.exists():
        ward.rmdir()
    away.rename(ward)


def states(made: Installation, lane: int) -> dict[str, int]:
    with made.system.database.read() as session:
        chosen = select(Job.state, func.count()).join(Run).where(Run.lane == lane).group_by(Job.state)
        return dict(session.execute(chosen).all())


@pytest.mark.parametrize("leaves_a_folder", [False, True])
def test_scans_of_an_archive_that_is_not_mounted_wait_and_nobody_waits_for_them(
    made: Installation, ward: Path, tmp_path: Path, leaves_a_folder: bool
) -> None:
    visited(made, ward)
    away = unmount(ward, leaves_a_folder=leaves_a_folder)
    preparer = Preparer(made.system, DecodeLimits(), children=2)
    for _ in range(4 * MOST_ATTEMPTS):
        assert not preparer.prepare_slice(lambda: False), "the sweep asks again, in its time"
    assert states(made, 2) == {"preparing": 12}
    with made.system.database.read() as session:
        assert set(session.execute(select(Rendition.state, Rendition.attempts)).all()) == {("waiting", 1)}

    other = tmp_path / "other"
    put(other / "9.png", phantom_png(99))
    visited(made, other)
    run = made.open_run(lane="urgent")
    made.upload(run, "urgent.png", phantom_png(100))
    preparer.prepare_slice(lambda: False)
    assert states(made, 0) == {"queued": 1}
    assert states(made, 2) == {"preparing": 12, "queued": 1}, "another archive goes on"

    mount(ward, away)
    preparer.close()
    prepare_all(made)
    assert states(made, 2) == {"queued": 13}


def test_a_file_that_is_gone_from_an_archive_that_is_there_is_missing(made: Installation, ward: Path) -> None:
    visited(made, ward)
    (ward / "deep" / "3.png").unlink()
    prepare_all(made)
    assert states(made, 2) == {"queued": 11, "rejected": 1}


def test_an_archive_that_is_away_is_not_asked_for_each_of_its_files(
    made: Installation, ward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visited(made, ward)
    monkeypatch.setattr(references, "AWAY_FOR_S", 30.0)
    away = unmount(ward, leaves_a_folder=False)
    key = original_key(hashlib.sha256(phantom_png(0)).hexdigest())
    with pytest.raises(ArchiveAway, match="not mounted"):
        made.system.storage.get(key)
    mount(ward, away)
    with pytest.raises(ArchiveAway):
        made.system.storage.get(key)
    monkeypatch.setattr(references, "AWAY_FOR_S", 0.0)
    assert made.system.storage.get(key) == phantom_png(0)


def test_a_reference_of_before_that_does_not_name_its_archive_is_read_as_before(made: Installation, ward: Path) -> None:
    with IncomingReference(made.system.storage, "", f"file://{ward}/deep/0.png", 16) as incoming:
        incoming.write(phantom_png(0))
        incoming.keep(key := original_key(incoming.sha256))
    assert made.system.storage.get(key) == phantom_png(0)
    unmount(ward, leaves_a_folder=False)
    with pytest.raises(ObjectMissing):
        made.system.storage.get(key)


def test_a_container_of_an_archive_that_is_not_mounted_waits(made: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    put(folder / "some.zip", _zip())
    visited(made, folder)
    away = unmount(folder, leaves_a_folder=True)
    unpacking = Unpacking(made.system, ContainerLimits(), prepare=lambda _: None)
    for _ in range(2 * MOST_ATTEMPTS):
        unpacking.unpack_slice(lambda: False)
        with made.system.database.write() as session:
            sweep(session, utc_now() + timedelta(minutes=2), MOST_ATTEMPTS)
    with made.system.database.read() as session:
        container = session.scalars(select(Container)).one()
        assert (container.state, container.attempts) == ("waiting", 1)
    mount(folder, away)
    unpacking.unpack_slice(lambda: False)
    with made.system.database.read() as session:
        assert session.scalars(select(Container.state)).one() == "ready"
    prepare_all(made)
    assert states(made, 2) == {"queued": 2}


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for seed in range(2):
            packed.writestr(f"{seed}.png", phantom_png(seed))
    return out.getvalue()
