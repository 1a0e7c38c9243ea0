"""Clean-up: temporary objects, objects that no row names, and originals that are older than they may be kept.

Storage is walked a few hundred objects at a time, the originals once more before anything goes. Only what nobody has
put or kept within the grace period is removed, so that an upload whose rows are not committed yet loses nothing. After
a restore the grace period of originals begins anew.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from screening import audit
from screening.archives.references import reference_key
from screening.database.engine import Database
from screening.database.states import UNFINISHED, WorkState
from screening.database.tables import AuditEvent, Container, Job, Receipt, Rendition, Scan
from screening.database.transactions import committed
from screening.errors import Conflict
from screening.ledger.reviving import give_up_unneeded
from screening.runs.admission import scan_id_of
from screening.storage import Storage, StoredObject
from screening.upkeep.ownership import ORIGINALS, check_own, settle_own

AT_ONCE = 500
EXAMPLES = 3
_NOT_ERASED = (Scan.erased_at.is_(None),)
KINDS = ("temporary", "orphaned", "expired original")


@dataclass(frozen=True)
class Policy:
    grace: timedelta = timedelta(hours=24)
    """What is younger is left alone; longer than any single upload takes."""
    keep_originals: timedelta | None = None
    """None keeps them for ever."""


@dataclass
class Removed:
    """What one kind amounts to: removed, or what would be."""

    count: int = 0
    size_bytes: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, found: StoredObject) -> None:
        self.count += 1
        self.size_bytes += found.size
        if len(self.examples) < EXAMPLES:
            self.examples.append(found.key)


def clean_up(
    database: Database,
    storage: Storage,
    now: datetime,
    policy: Policy,
    actor: str,
    *,
    apply: bool,
    force: bool = False,
) -> dict[str, Removed]:
    """Find what may go and, with `apply`, remove it and record that in the audit trail.

    force: go on where more originals are orphaned than known. Raises Conflict where they are, or where the storage is
    another installation's; StorageError.
    """
    (settle_own if apply else check_own)(database, storage, force=force)
    if not force:
        _refuse_if_most_are_orphaned(database, storage, now - policy.grace)
    removed = {kind: Removed() for kind in KINDS}
    for found in removable(database, storage, now, policy):
        kind, several = found
        for one in _remove(database, storage, now, policy, kind, several) if apply else several:
            removed[kind].add(one)
    if apply:
        detail = {kind.replace(" ", "_"): _counts(amount) for kind, amount in removed.items()}
        committed(database, lambda session: audit.record(session, now, actor, "clean_up.done", "storage", detail))
    return removed


def _refuse_if_most_are_orphaned(database: Database, storage: Storage, before: datetime) -> None:
    """Uploads that failed leave a few originals without a row. Many are the sign of a database that is not whole."""
    if _restored_since(database, before):
        return
    orphaned = known = 0
    for several, unknown in _originals(database, storage):
        known += len(several) - len(unknown)
        orphaned += sum(found.modified < before for found in unknown)
    if orphaned > known:
        raise Conflict(
            "mostly_orphaned",
            f"The database knows {known:,} of the originals in storage, and {orphaned:,} would be removed because it "
            "does not know them. Was a part of the database lost, or an older state of it restored? If these really "
            "may go, call `screening clean-up` with --force.",
        )


def unknown_originals(database: Database, storage: Storage) -> Iterator[list[StoredObject]]:
    """Originals, and references to some, that no scan names, a few hundred at a time. Raises StorageError."""
    return (unknown for _, unknown in _originals(database, storage))


def _originals(database: Database, storage: Storage) -> Iterator[tuple[list[StoredObject], list[StoredObject]]]:
    """All originals, and those of them that no scan names, a few hundred at a time."""
    for folder in ORIGINALS:
        for several in _batches(storage.list(folder)):
            with database.read() as session:
                unknown = _without(several, _known_scans(session, several))
            yield several, unknown


def _counts(amount: Removed) -> dict[str, int]:
    return {"objects": amount.count, "bytes": amount.size_bytes}


def removable(
    database: Database, storage: Storage, now: datetime, policy: Policy
) -> Iterator[tuple[str, list[StoredObject]]]:
    """Kinds and objects that may go, a few hundred at a time. Checkpoints and unknown keys are never among them.

    No transaction is open while the caller removes them, which may take minutes.
    """
    before = now - policy.grace
    spared = _restored_since(database, before)
    yield from (("temporary", old) for old in _older(storage, "tmp/", before))
    for folder in ORIGINALS:
        for old in _older(storage, folder, before):
            expired = []
            with database.read() as session:
                unknown = _without(old, _known_scans(session, old))
                if policy.keep_originals is not None and folder == "originals/":
                    expired = _expired(session, old, now - policy.keep_originals)
            yield "orphaned", [] if spared else unknown
            yield "expired original", expired
    for folder, known in (
        ("containers/", _wanted_containers),
        (reference_key("containers/"), _wanted_containers),
        ("displays/", _known_displays),
        ("renditions/", _known_renditions),
    ):
        for old in _older(storage, folder, before):
            with database.read() as session:
                unknown = _without(old, known(session, old))
            yield "orphaned", unknown


def _restored_since(database: Database, before: datetime) -> bool:
    """Whether a backup was restored within the grace period. Originals that came after that backup are older than the
    restore, and whoever sent them has as long from then on to send them again."""
    restored = exists().where(AuditEvent.action == "backup.restored", AuditEvent.at >= before)
    with database.read() as session:
        return bool(session.scalar(select(restored)))


def _older(storage: Storage, folder: str, before: datetime) -> Iterator[list[StoredObject]]:
    return _batches(found for found in storage.list(folder) if found.modified < before)


def _batches(objects: Iterator[StoredObject]) -> Iterator[list[StoredObject]]:
    while several := list(islice(objects, AT_ONCE)):
        yield several


def _without(objects: Sequence[StoredObject], known: set[str]) -> list[StoredObject]:
    return [found for found in objects if found.key not in known]


def _name(found: StoredObject) -> str:
    return found.key.rpartition("/")[2].partition(".")[0]


def _known_scans(session: Session, objects: Sequence[StoredObject]) -> set[str]:
    names = {_name(found): found.key for found in objects}
    return {names[sha] for sha in session.scalars(select(Scan.sha256).where(Scan.sha256.in_(names), *_NOT_ERASED))}


def _known_displays(session: Session, objects: Sequence[StoredObject]) -> set[str]:
    names = {_name(found): found.key for found in objects}
    return {names[scan] for scan in session.scalars(select(Scan.id).where(Scan.id.in_(names), *_NOT_ERASED))}


def _known_renditions(session: Session, objects: Sequence[StoredObject]) -> set[str]:
    scans = {_name(found) for found in objects}
    rows = session.execute(select(Rendition.spec, Rendition.scan_id).where(Rendition.scan_id.in_(scans))).all()
    present = {(row.spec, row.scan_id) for row in rows}
    return {found.key for found in objects if (found.key.split("/")[1], _name(found)) in present}


def _wanted_containers(session: Session, objects: Sequence[StoredObject]) -> set[str]:
    names = {_name(found): found.key for found in objects}
    to_unpack = Container.state.in_((WorkState.WAITING, WorkState.WORKING))
    return {
        names[sha] for sha in session.scalars(select(Container.sha256).where(Container.sha256.in_(names), to_unpack))
    }


def _expired(session: Session, objects: Sequence[StoredObject], before: datetime) -> list[StoredObject]:
    names = [scan_id_of(_name(found)) for found in objects]
    done = set(session.scalars(select(Scan.sha256).where(Scan.id.in_(names), *original_is_spare(before))))
    return [found for found in objects if _name(found) in done]


def original_is_spare(before: datetime) -> list[ColumnElement[bool]]:
    """Conditions on Scan: it was last received before this moment, and no work needs the original now.

    When its file was put into storage says nothing of that: a restore or a move puts all of them anew. It does not
    matter how the work ended, so that what was rejected or sent by mistake goes in its time as everything else.
    """
    received_again = exists().where(
        Job.scan_id == Scan.id,
        Receipt.run_id == Job.run_id,
        Receipt.sha256 == Scan.sha256,
        Receipt.received_at >= before,
    )
    return [
        Scan.received_at < before,
        ~received_again,
        ~exists().where(Rendition.scan_id == Scan.id, Rendition.state == WorkState.WORKING),
        ~exists().where(Job.scan_id == Scan.id, Job.state.in_(UNFINISHED)),
    ]


def _remove(
    database: Database, storage: Storage, now: datetime, policy: Policy, kind: str, objects: Sequence[StoredObject]
) -> Iterator[StoredObject]:
    if kind != "expired original":
        yield from (found for found in objects if storage.delete_unless_fresh(found.key, now - policy.grace))
        return
    if policy.keep_originals is None or not objects:
        return
    # Marked before it is deleted: from then on the bytes are asked for again where the scan is sent again.
    ids, before = [scan_id_of(_name(found)) for found in objects], now - policy.keep_originals
    marked = set(committed(database, lambda session: _mark(session, now, ids, before)))
    spared = []
    for found in objects:
        scan_id = scan_id_of(_name(found))
        if scan_id not in marked:
            continue
        if storage.delete_unless_fresh(found.key, now - policy.grace):
            yield found
        else:
            spared.append(scan_id)
    if spared:
        committed(database, lambda session: _unmark(session, spared))


def _mark(session: Session, now: datetime, scan_ids: Sequence[str], before: datetime) -> Sequence[str]:
    statement = update(Scan).where(Scan.id.in_(scan_ids), *original_is_spare(before)).values(original_removed_at=now)
    marked = session.scalars(statement.returning(Scan.id), execution_options=_PLAIN).all()
    give_up_unneeded(session, now, marked)
    return marked


def _unmark(session: Session, scan_ids: Sequence[str]) -> None:
    session.execute(
        update(Scan).where(Scan.id.in_(scan_ids)).values(original_removed_at=None), execution_options=_PLAIN
    )


_PLAIN: dict[str, Any] = {"synchronize_session": False}
