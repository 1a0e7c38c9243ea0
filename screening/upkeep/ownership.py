"""Whose a storage is: the installation's id stands in its database and in a marker in its storage.

A clean-up, a repair or a backup that takes the database of one installation and the storage of another would destroy
what it takes for orphaned. So both must name the same id before anything of the kind begins. A folder on which no disk
is mounted has no id, and neither has a bucket that is named by mistake.
"""

import json
import secrets
from dataclasses import asdict, dataclass
from itertools import chain, islice

from sqlalchemy import select
from sqlalchemy.orm import Session

from screening.archives.references import reference_key
from screening.database.engine import Database
from screening.database.inserting import insert_into
from screening.database.tables import Installation, Scan
from screening.database.transactions import committed
from screening.errors import Conflict
from screening.storage import ObjectMissing, Storage, StorageError, original_key

MARKER = "installation.json"
LOOKED_AT = 500
"""So many originals tell whether a storage without a marker, or one of a database without an id, fits to it."""
LOOKED_FOR = 16
"""So many originals that the database knows tell whether a storage without a marker is the one that holds them."""
ORIGINALS = ("originals/", reference_key("originals/"))


@dataclass(frozen=True)
class Marker:
    """What a storage says of itself."""

    installation: str
    restoring: bool = False
    """A restore has begun in this storage and was not finished; calling it again goes on with it."""


def check_own(database: Database, storage: Storage, *, force: bool = False) -> str | None:
    """The id that this database and this storage have in common; None where it is yet to be given. Changes nothing.

    Where one of the two has none, they must fit: where the storage holds originals, the database must know one of
    them, and where the storage has no id, it must hold at least half of those that the database knows. force: also
    where they do not fit, if the storage has no id. Raises Conflict where they are not of one installation,
    StorageError.
    """
    with database.read() as session:
        known = installation_id(session)
    marker = read_marker(storage)
    if marker is not None and marker.restoring:
        raise Conflict(
            "restore_unfinished",
            "A restore into this storage was not finished. Call the same `screening restore` again.",
        )
    if marker is not None and known is not None and marker.installation == known:
        return known
    if marker is not None and (known is not None or not _fits(database, storage)):
        raise _mismatch(known, marker.installation)
    if marker is None and not force and _fits(database, storage) is False:
        raise Conflict(
            "foreign_storage",
            "The storage holds originals and the database knows none of them: it is the storage of another "
            "installation, or the database was lost. Name the storage of this one; or restore the last backup of the "
            "lost database with `screening restore DIR --take-over`; or begin anew with an empty storage.",
        )
    if marker is None and not force and _lacks_what_is_known(database, storage):
        raise Conflict(
            "originals_not_there",
            "The storage does not hold the originals that the database knows. Is its disk mounted, and does "
            "SCREENING_STORAGE_URL name it? If it is truly lost, restore the last backup into an empty database with "
            "`screening restore DIR --take-over`; or go on without those originals: `screening clean-up --apply "
            "--force` takes this storage, then `screening doctor --repair` marks them as missing.",
        )
    return None


def storage_is_anothers(database: Database, storage: Storage) -> bool:
    """Whether the storage lacks the id that the database has: then what is missing in it is not lost. Raises
    StorageError."""
    marker = read_marker(storage)
    with database.read() as session:
        known = installation_id(session)
    return known is not None and (marker is None or marker.installation != known)


def settle_own(database: Database, storage: Storage, *, force: bool = False) -> str:
    """The same, and where the database or the storage has no id yet, as after an update or before the first start, it
    gets it. Several processes may ask at once."""
    own = check_own(database, storage, force=force)
    if own is not None:
        return own
    marker = read_marker(storage)
    wanted = marker.installation if marker else new_id()
    own = committed(database, lambda session: set_installation_id(session, wanted))
    if marker is None:
        write_marker(storage, Marker(own))
    elif own != marker.installation:
        # Another process gave it one meanwhile.
        raise _mismatch(own, marker.installation)
    return own


def installation_id(session: Session) -> str | None:
    """The id of the installation that this database is of; None before its first start."""
    return session.scalar(select(Installation.id))


def set_installation_id(session: Session, wanted: str, *, anew: bool = False) -> str:
    """Give the database an id unless it has one. Returns the one that it has then. anew: instead of the one it has."""
    statement = insert_into(session, Installation).values(single=1, id=wanted)
    if anew:
        session.execute(statement.on_conflict_do_update(index_elements=["single"], set_={"id": wanted}))
    else:
        session.execute(statement.on_conflict_do_nothing())
    return session.scalars(select(Installation.id)).one()


def new_id() -> str:
    return secrets.token_hex(16)


def read_marker(storage: Storage) -> Marker | None:
    """None where the storage has none. Raises StorageError, also where it is not understood."""
    try:
        return Marker(**json.loads(storage.get(MARKER)))
    except ObjectMissing:
        return None
    except (ValueError, TypeError):
        raise StorageError(
            f"the object {MARKER} in storage is damaged, so it cannot be told whose the storage is; put back the one "
            "of a copy, or remove it where this storage is certainly that of this database"
        ) from None


def write_marker(storage: Storage, marker: Marker) -> None:
    storage.put(MARKER, json.dumps(asdict(marker)).encode())


def short(installation: str | None) -> str:
    """An id as people are shown it."""
    return installation[:8] if installation else "none yet"


def _fits(database: Database, storage: Storage) -> bool | None:
    """Whether the database knows any of the first originals of the storage; None where there is no original."""
    some = islice(chain.from_iterable(storage.list(folder) for folder in ORIGINALS), LOOKED_AT)
    hashes = [found.key.rpartition("/")[2] for found in some]
    if not hashes:
        return None
    with database.read() as session:
        return session.scalar(select(Scan.id).where(Scan.sha256.in_(hashes)).limit(1)) is not None


def _lacks_what_is_known(database: Database, storage: Storage) -> bool:
    """Whether most of some originals that should be in storage are not; their names are hashes, as good as drawn by
    lot. A few that are there may have come after the disk went away."""
    with database.read() as session:
        kept = select(Scan.sha256).where(Scan.original_removed_at.is_(None)).order_by(Scan.id).limit(LOOKED_FOR)
        keys = [original_key(sha256) for sha256 in session.scalars(kept)]
    there = sum(storage.exists(key) or storage.exists(reference_key(key)) for key in keys)
    return there < len(keys) / 2


def _mismatch(of_database: str | None, of_storage: str) -> Conflict:
    return Conflict(
        "foreign_storage",
        f"The storage is that of another installation than the database (storage {short(of_storage)}, database "
        f"{short(of_database)}). Name the database and the storage of the same one. If the database was lost, restore "
        "its last backup with `screening restore DIR --take-over`; to begin anew, name an empty storage.",
    )
