"""Database against storage: rows whose objects are missing or damaged, found part by part, 256 of them.

Of each part rows are read before objects are listed. An object is stored before its row is committed, so that every
row that was read finds its object in the list.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, exists, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from screening import audit
from screening.archives.references import reference_key
from screening.database.engine import Database
from screening.database.states import JobState, Lane, WorkState
from screening.database.tables import Job, Prediction, Rendition, Scan
from screening.database.transactions import committed
from screening.ledger.lanes import needed_lane, settle_lanes
from screening.ledger.preparing import reject_jobs, runs_with_spec
from screening.ledger.reviving import ORIGINAL_MISSING_CODE, ORIGINAL_MISSING_REASON
from screening.storage import (
    ObjectMissing,
    Storage,
    StorageError,
    StoredObject,
    display_key,
    original_key,
    rendition_key,
    set_aside_key,
)
from screening.upkeep.clean_up import Policy, removable
from screening.upkeep.consistency import Finding
from screening.upkeep.ownership import settle_own
from screening.upkeep.taking_back import take_back

PARTS = tuple(f"{number:02x}" for number in range(256))
CHUNK_BYTES = 1 << 20
_CLEANED_WITHIN = timedelta(days=1)
"""No clean-up takes longer."""


@dataclass
class _Found:
    missing: list[str] = field(default_factory=list)
    """Scans whose original is gone."""
    damaged: list[str] = field(default_factory=list)
    """SHA-256 digests that the bytes under them do not have."""
    back: list[tuple[str, datetime]] = field(default_factory=list)
    """Scans whose original is there though it counts as gone, and since when it does."""
    unreadable: int = 0
    """Originals that storage does not give: they may come back, so nothing is done about them."""
    remake: list[tuple[str, str]] = field(default_factory=list)
    """Scan and spec of renditions of which a picture is gone."""
    lost: list[tuple[str, str]] = field(default_factory=list)
    """The same, where the original is gone as well."""

    def counts(self) -> dict[str, int]:
        return {
            "original_damaged": len(self.damaged),
            "original_missing": len(self.missing) - len(self.damaged),
            "original_back": len(self.back),
            "picture_missing": len(self.remake),
            "picture_lost": len(self.lost),
        }


def check_objects(
    database: Database, storage: Storage, now: datetime, actor: str, *, hashes: bool, repair: bool
) -> Iterator[Finding]:
    """Compare rows with objects and, with `repair`, mend what can be mended. Raises StorageError, and with `repair`
    Conflict where the storage is another installation's.

    hashes: read every original and compare its hash, not only its size.
    """
    if repair:
        settle_own(database, storage)
    amounts = dict.fromkeys(_SENTENCES, 0)
    unreadable = 0
    for part in PARTS:
        found = _compare(database, storage, now, part, hashes=hashes)
        unreadable += found.unreadable
        for code, count in found.counts().items():
            amounts[code] += count
        if repair and any(found.counts().values()):
            for sha256 in found.damaged:
                _set_aside(storage, sha256)
            committed(database, lambda session, found=found: _mend(session, now, found, actor))  # type: ignore[misc]
    for code, count in amounts.items():
        if count:
            sentence, step = _SENTENCES[code]
            done = "It was mended: " if repair else "`screening doctor --repair` mends it: "
            yield Finding(code, count, f"{count:,} {sentence} {done}{step}.", repair)
    if unreadable:
        sentence = f"{unreadable:,} originals are there and cannot be read. Have the storage and its rights checked."
        yield Finding("original_unreadable", unreadable, sentence, False)
    orphans = sum(
        len(several) for kind, several in removable(database, storage, now, Policy()) if kind != "expired original"
    )
    if orphans:
        sentence = f"{orphans:,} objects belong to nothing. `screening clean-up` shows and removes them."
        yield Finding("orphaned", orphans, sentence, False)


_SENTENCES = {
    "original_damaged": (
        "originals are damaged: their bytes are not those that were sent.",
        "they are kept under `damaged/` and count as missing",
    ),
    "original_missing": (
        "originals are missing in storage; restore them from a backup, or send the files again.",
        "a file that is sent again is taken again, and scans that wait for them must be looked at",
    ),
    "original_back": (
        "originals that count as removed or missing are in storage.",
        "they count as there, and what was rejected for want of them is prepared and screened",
    ),
    "picture_missing": ("renditions or display images are missing.", "they are made again from the original"),
    "picture_lost": (
        "renditions or display images are missing, and their originals as well; send the files again.",
        "scans that wait for them must be looked at",
    ),
}


def _compare(database: Database, storage: Storage, now: datetime, part: str, *, hashes: bool) -> _Found:
    found = _Found()
    with database.read() as session:
        scans = session.execute(_scans_within(part)).all()
        ready = session.execute(
            select(Rendition.scan_id, Rendition.spec).where(
                *_within(Rendition.scan_id, part), Rendition.state == WorkState.READY
            )
        ).all()
    stored = {one.key: one for one in storage.list(f"originals/{part}/")}
    referred = {one.key for one in storage.list(reference_key(f"originals/{part}/"))}
    present = set()
    for scan in scans:
        key = original_key(scan.sha256)
        try:
            if _is_there(storage, now, scan, stored.get(key), reference_key(key) in referred, found, hashes=hashes):
                present.add(scan.id)
        except StorageError:
            found.unreadable += 1
            if scan.removed_at is None:
                present.add(scan.id)
    pictures = {one.key for one in storage.list(f"displays/{part}/")}
    for spec in {row.spec for row in ready}:
        pictures |= {one.key for one in storage.list(f"renditions/{spec}/{part}/")}
    for row in ready:
        if not {display_key(row.scan_id), rendition_key(row.scan_id, row.spec)} <= pictures:
            (found.remake if row.scan_id in present else found.lost).append((row.scan_id, row.spec))
    return found


def _scans_within(part: str) -> Select[Any]:
    gone = Scan.original_removed_at
    found_missing = exists().where(
        Rendition.scan_id == Scan.id,
        Rendition.state == WorkState.REJECTED,
        Rendition.problem_code == ORIGINAL_MISSING_CODE,
    )
    screened = exists().where(Prediction.scan_id == Scan.id)
    may_have_expired = and_(gone.is_not(None), or_(screened, ~found_missing))
    columns: list[Any] = [Scan.id, Scan.sha256, Scan.size_bytes, gone.label("removed_at")]
    return select(*columns, may_have_expired.label("may_have_expired")).where(
        *_within(Scan.sha256, part), Scan.erased_at.is_(None)
    )


def _is_there(
    storage: Storage, now: datetime, scan: Row[Any], one: StoredObject | None, is_referred: bool, found: _Found, *,
    hashes: bool,
) -> bool:  # fmt: skip
    """Whether storage has the original of a scan, or a reference to it, and what that means is noted as found.

    Raises StorageError where the bytes are asked for and cannot be read.
    """
    if scan.removed_at is not None:
        # A reference alone proves nothing; a visit of its archive does.
        back = one is not None and not _is_going(now, scan, one) and _is_as_sent(storage, scan, one, hashes=hashes)
        if back:
            found.back.append((scan.id, scan.removed_at))
        return back
    if one is None:
        if not is_referred:
            found.missing.append(scan.id)
        return is_referred
    whole = _is_as_sent(storage, scan, one, hashes=hashes)
    if not whole:
        found.damaged.append(scan.sha256)
        found.missing.append(scan.id)
    return whole


def _is_going(now: datetime, scan: Row[Any], one: StoredObject) -> bool:
    """Whether a clean-up may be about to remove this original.

    It marks a scan first, only one whose work is over, and spares what was put since it began, less than a day ago.
    """
    recent: bool = scan.removed_at >= now - _CLEANED_WITHIN and one.modified <= scan.removed_at
    return recent and scan.may_have_expired


def _is_as_sent(storage: Storage, scan: Row[Any], one: StoredObject, *, hashes: bool) -> bool:
    return one.size == scan.size_bytes and (not hashes or _is_whole(storage, one.key, scan.sha256))


def _within(column: InstrumentedAttribute[str], part: str) -> tuple[ColumnElement[bool], ...]:
    """Hexadecimal digests that begin with this part; a range, which every index answers."""
    return (column >= part, column < f"{part}g")


def _is_whole(storage: Storage, key: str, sha256: str) -> bool:
    digest = hashlib.sha256()
    try:
        with closing(storage.open(key)) as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
    except ObjectMissing:
        return False
    except OSError as error:
        raise StorageError(f"{key} cannot be read to its end ({error})") from error
    return digest.hexdigest() == sha256


def _set_aside(storage: Storage, sha256: str) -> None:
    """Out of the way of the right bytes, should they be sent again; but nothing is thrown away."""
    key = original_key(sha256)
    storage.put(set_aside_key(key), storage.get(key))
    storage.delete_unless_fresh(key, _FUTURE)


def _mend(session: Session, now: datetime, found: _Found, actor: str) -> None:
    if found.back:
        take_back(session, now, found.back)
    if found.missing:
        session.execute(update(Scan).where(Scan.id.in_(found.missing)).values(original_removed_at=now))
        waiting = session.execute(
            select(Rendition.scan_id, Rendition.spec).where(
                Rendition.scan_id.in_(found.missing), Rendition.state == WorkState.WAITING
            )
        ).all()
        _give_up(session, now, [(row.scan_id, row.spec) for row in waiting])
    _give_up(session, now, found.lost)
    for scan_id, spec in found.remake:
        _remake(session, now, scan_id, spec)
    counts = {"missing": len(found.missing), "damaged": len(found.damaged), "remade": len(found.remake)}
    counts |= {"lost": len(found.lost), "back": len(found.back)}
    audit.record(session, now, actor, "repaired.objects", "storage", counts)


def _give_up(session: Session, now: datetime, renditions: Sequence[tuple[str, str]]) -> None:
    for scan_id, spec in renditions:
        session.execute(
            update(Rendition)
            .where(
                Rendition.scan_id == scan_id,
                Rendition.spec == spec,
                Rendition.state.in_((WorkState.WAITING, WorkState.READY)),
            )
            .values(
                state=WorkState.REJECTED,
                problem_code=ORIGINAL_MISSING_CODE,
                problem=ORIGINAL_MISSING_REASON,
                finished_at=now,
            )
        )
        reject_jobs(session, now, scan_id, spec, ORIGINAL_MISSING_CODE, ORIGINAL_MISSING_REASON)


def _remake(session: Session, now: datetime, scan_id: str, spec: str) -> None:
    this = (Rendition.scan_id == scan_id, Rendition.spec == spec)
    again = session.scalar(
        update(Rendition)
        .where(*this, Rendition.state == WorkState.READY)
        .values(state=WorkState.WAITING, lane=Lane.ROUTINE, attempts=0, queued_at=now, finished_at=None)
        .returning(Rendition.scan_id)
    )
    if again is not None:
        session.execute(
            update(Job)
            .where(Job.scan_id == scan_id, Job.state == JobState.QUEUED, Job.run_id.in_(runs_with_spec(spec)))
            .values(state=JobState.PREPARING)
        )
        # Readers miss its picture, so it never waits for the archive's turn.
        settle_lanes(session, *this, needed_lane() < Rendition.lane)


_FUTURE = datetime.max.replace(tzinfo=UTC)
