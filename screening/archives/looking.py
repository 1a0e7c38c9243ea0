"""A file of an archive, looked at where it lies: told by its first bytes, hashed, and kept where it is welcome."""

from contextlib import closing
from dataclasses import replace

import structlog

from screening.archives.references import IncomingReference, fill
from screening.archives.walking import FoundFile, read_address
from screening.database.schedule_tables import Archive
from screening.radiographs.problems import Unscreenable, too_large
from screening.radiographs.sniff import HEAD_BYTES, sniff
from screening.runs.intake import Arrival, look_at
from screening.settings import Settings
from screening.storage import ObjectMissing, StorageError
from screening.system import MIB, System

log = structlog.get_logger()


def look_at_found(system: System, archive: Archive, file: FoundFile) -> Arrival:
    """Read a found file and keep it, or a reference to it. What cannot be read, or is too large, is a refusal.

    Of what is too large no more than the first bytes are read. Raises StorageError where our own storage fails.
    """
    if refusal := _too_large(system.settings, file.size, None):
        return Arrival(file.path, None, file.size, refusal=refusal)
    receive = (
        IncomingReference(system.storage, archive.url, file.address, HEAD_BYTES)
        if archive.in_place
        else system.storage.receive()
    )
    with receive as incoming, closing(read_address(file.address)) as pieces:
        try:
            incoming.write(next(pieces, b""))
            if refusal := _too_large(system.settings, file.size, incoming.head(HEAD_BYTES)):
                return Arrival(file.path, None, file.size, refusal=refusal)
            fill(incoming, pieces)
        except ObjectMissing:
            gone = Unscreenable("unreadable", "The file went away while the archive was visited.")
            return Arrival(file.path, None, file.size, refusal=gone)
        except StorageError as error:
            log.warning("file of an archive not read", path=file.path, error=str(error))
            reason = "The file cannot be read where it lies. Check its rights; the next visit tries it again."
            return Arrival(file.path, None, file.size, refusal=Unscreenable("unreadable", reason))
        return replace(look_at(file.path, incoming), in_place=archive.in_place)


def is_still_too_large(settings: Settings, file: FoundFile) -> bool:
    """Whether a file that was refused for its size would be refused again: limits are raised at times."""
    if _too_large(settings, file.size, None):
        return True
    if file.size <= settings.max_file_mb * MIB:
        return False
    try:
        with closing(read_address(file.address)) as pieces:
            return _too_large(settings, file.size, next(pieces, b"")[:HEAD_BYTES]) is not None
    except StorageError:
        return False


def _too_large(settings: Settings, size: int, head: bytes | None) -> Unscreenable | None:
    """Why a file of this size is not taken; without its first bytes, whether it is one whatever they are."""
    kind = None if head is None else sniff(head)
    may_be_container = head is None or (kind is not None and kind.is_container)
    most = max(settings.max_file_mb, settings.max_container_mb) if may_be_container else settings.max_file_mb
    return too_large(size, most * MIB) if size > most * MIB else None
