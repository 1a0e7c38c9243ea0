"""Archives read in place that are not mounted: their scans wait for them, and hold nobody else up."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from screening.archives import references
from screening.archives.references import ArchiveAway, IncomingReference
from screening.archives.registry import archive_url
from screening.archives.walking import read_address
from screening.clock import utc_now
from screening.database.states import Lane
from screening.database.tables import Container, Job, Rendition, Run
from screening.inference.bundle import Bundle
from screening.ledger.preparing import RenditionClaim
from screening.ledger.sweeping import sweep
from screening.radiographs.limits import ContainerLimits, DecodeLimits
from screening.storage import ObjectMissing, container_key, original_key
from tests.installation import Installation, installation, phantom_png
from tests.integration.rescreening.visits import add, put, put_pictures, visit_now
from tests.integration.workers_within import prepare_all
from worker.outcomes import Outcome
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
    put_pictures(tmp_path / "ward" / "deep", 12)
    return tmp_path / "ward"


def visited(made: Installation, ward: Path) -> None:
    visit_now(made, add(made, archive_url(str(ward), made.system.settings.resolved_storage_url), in_place=True))


def when_leases_have_ended(made: Installation) -> None:
    with made.system.database.write() as session:
        sweep(session, utc_now() + timedelta(minutes=2), MOST_ATTEMPTS)


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
    for _ in range(MOST_ATTEMPTS + 1):
        when_leases_have_ended(made)
        assert not preparer.prepare_slice(lambda: False), "the sweep asks again, in its time"
    assert states(made, 2) == {"preparing": 12}
    with made.system.database.read() as session:
        assert set(session.execute(select(Rendition.state, Rendition.attempts)).all()) == {("working", 0)}

    when_leases_have_ended(made)
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
    when_leases_have_ended(made)
    prepare_all(made)
    assert states(made, 2) == {"queued": 13}


def test_scans_that_wait_for_their_archive_are_each_tried_once_in_a_lease(
    made: Installation, ward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visited(made, ward)
    unmount(ward, leaves_a_folder=False)
    tried: list[str] = []
    prepare = Preparer._prepare_one

    def noted(preparer: Preparer, claim: RenditionClaim) -> Outcome:
        tried.append(claim.scan_id)
        return prepare(preparer, claim)

    monkeypatch.setattr(Preparer, "_prepare_one", noted)
    for lease in range(1, 4):
        for _ in range(3):
            prepare_all(made)
        assert len(tried) == 12 * lease
        assert len(set(tried)) == 12
        when_leases_have_ended(made)


def test_an_urgent_scan_of_an_archive_that_is_not_mounted_holds_up_no_other_lane(
    made: Installation, ward: Path
) -> None:
    """Such as one that is sent as a file too, while its rendition is to be made from the archive."""
    visited(made, ward)
    with made.system.database.write() as session:
        session.execute(update(Run).values(lane=Lane.URGENT))
        session.execute(update(Rendition).values(lane=Lane.URGENT))
    unmount(ward, leaves_a_folder=False)
    routine = made.open_run()
    for seed in range(100, 103):
        made.upload(routine, f"{seed}.png", phantom_png(seed))
    prepare_all(made)
    assert states(made, Lane.ROUTINE) == {"queued": 3}
    when_leases_have_ended(made)
    made.upload(routine, "later.png", phantom_png(110))
    prepare_all(made)
    assert states(made, Lane.ROUTINE) == {"queued": 4}
    assert states(made, Lane.URGENT) == {"preparing": 12}


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
        with made.system.database.read() as session:
            container = session.scalars(select(Container)).one()
            assert (container.state, container.attempts) == ("working", 0), "until its lease ends, others go first"
        when_leases_have_ended(made)
    mount(folder, away)
    unpacking.unpack_slice(lambda: False)
    with made.system.database.read() as session:
        assert session.scalars(select(Container.state)).one() == "ready"
    prepare_all(made)
    assert states(made, 2) == {"queued": 2}


def test_containers_of_an_archive_that_is_not_mounted_hold_up_no_others(made: Installation, tmp_path: Path) -> None:
    """None that is less urgent, and none that was tried before."""
    folder = tmp_path / "packed"
    put(folder / "some.zip", _zip())
    visited(made, folder)
    run = made.open_run()
    made.upload(run, "other.zip", _zip(10))
    with made.system.database.write() as session:
        away, other = session.scalars(select(Container).order_by(Container.id))
        away.lane, other.lane = Lane.URGENT, Lane.ARCHIVE
        away.attempts = other.attempts = 1
        other_id = other.id
    unmount(folder, leaves_a_folder=True)
    Unpacking(made.system, ContainerLimits(), prepare=lambda _: None).unpack_slice(lambda: False)
    with made.system.database.read() as session:
        found = dict(session.execute(select(Container.id, Container.state)).all())
    assert found.pop(other_id) == "ready"
    assert list(found.values()) == ["working"]


def test_a_large_file_of_an_archive_is_read_piece_by_piece(
    made: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container may be larger than the memory of the worker that unpacks it."""
    folder, large = tmp_path / "packed", _zip() + bytes(8 * references.CHUNK)
    put(folder / "some.zip", large)
    visited(made, folder)
    given = []

    def counted(address: str) -> Iterator[bytes]:
        for piece in read_address(address):
            given.append(len(piece))
            yield piece

    monkeypatch.setattr(references, "read_address", counted)
    key = container_key(hashlib.sha256(large).hexdigest())
    with made.system.storage.open(key) as stream:
        assert stream.read(10) == large[:10]
        assert len(given) <= 2
        assert stream.read() == large[10:]
    assert made.system.storage.get(key) == large


def test_a_container_that_was_changed_in_its_archive_is_not_unpacked(made: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "packed"
    put(folder / "some.zip", _zip())
    visited(made, folder)
    put(folder / "some.zip", _zip(10))
    Unpacking(made.system, ContainerLimits(), prepare=lambda _: None).unpack_slice(lambda: False)
    with made.system.database.read() as session:
        container = session.scalars(select(Container)).one()
        assert (container.state, container.problem_code) == ("rejected", "original_missing")
        assert session.scalars(select(Job)).all() == []


def _zip(first: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for seed in range(first, first + 2):
            packed.writestr(f"{seed}.png", phantom_png(seed))
    return out.getvalue()
