"""Who is to blame where storage fails for some objects: these alone, or storage as a whole."""

from collections.abc import Callable, Sequence

import structlog
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from screening import checkpoints
from screening.database.states import WorkState
from screening.database.tables import Rendition, Scan
from screening.inference.bundle import CARD
from screening.storage import (
    ObjectMissing,
    Storage,
    StorageError,
    StorageFull,
    checkpoint_key,
    original_key,
    rendition_key,
)
from screening.system import System
from screening.upkeep.ownership import storage_is_anothers

log = structlog.get_logger()

WITNESSES_EACH_WAY = 2
"""So many objects before and behind are asked. Their names are hashes, so these are as good as drawn by lot."""
Witnesses = Callable[[Session], list[str]]


def storage_is_away(
    system: System, errors: Sequence[StorageError], witnesses: Witnesses, *, others_answered: bool = False
) -> bool:
    """Whether storage as a whole fails: then nobody's attempt may be counted, and everything waits until it is back.

    others_answered: whether other objects of the same kind were read beside these. Where none was, the witnesses are
    asked: a folder without rights, or a part of a bucket, fails for all that lies in it while the rest works. One
    object that has no other of its kind beside it is compared with a checkpoint's card.
    """
    if any(isinstance(error, StorageFull) for error in errors):
        return True
    try:
        system.storage.ping()
    except StorageError:
        return True
    if others_answered:
        return False
    with system.database.read() as session:
        keys = witnesses(session)
        if not keys and len(errors) == 1:
            keys = [checkpoint_key(checkpoints.active(session).id, CARD)]
    return not any(_answers(system.storage, key) for key in keys)


def may_be_elsewhere(system: System) -> bool:
    """Whether an object that is missing may lie in a storage that is away: this one is not the installation's, such as
    the folder of a disk that is not mounted. Then nothing is lost, and everything waits."""
    try:
        elsewhere = storage_is_anothers(system.database, system.storage)
    except StorageError as error:
        log.error("storage does not answer", error=str(error))
        return True
    if elsewhere:
        log.error("storage is not that of this installation: mount its disk, or correct SCREENING_STORAGE_URL")
    return elsewhere


def other_originals(session: Session, sha256s: Sequence[str]) -> list[str]:
    """Keys of a few originals beside these."""
    kept = (Scan.original_removed_at.is_(None), Scan.sha256.not_in(sha256s))
    return [original_key(sha256) for sha256 in _beside(session, Scan.sha256, sha256s[0], *kept)]


def other_renditions(session: Session, spec: str, scan_ids: Sequence[str]) -> list[str]:
    """Keys of a few renditions of this spec beside those of these scans."""
    ready = (Rendition.spec == spec, Rendition.state == WorkState.READY, Rendition.scan_id.not_in(scan_ids))
    return [rendition_key(scan_id, spec) for scan_id in _beside(session, Rendition.scan_id, scan_ids[0], *ready)]


def _beside(
    session: Session, column: InstrumentedAttribute[str], place: str, *conditions: ColumnElement[bool]
) -> list[str]:
    before = select(column).where(column < place, *conditions).order_by(column.desc())
    behind = select(column).where(column > place, *conditions).order_by(column)
    return [name for way in (before, behind) for name in session.scalars(way.limit(WITNESSES_EACH_WAY))]


def _answers(storage: Storage, key: str) -> bool:
    try:
        storage.get(key)
    except ObjectMissing:
        return True
    except StorageError:
        return False
    return True
