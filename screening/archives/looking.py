"""A file of an archive, looked at where it lies: told by its first bytes, hashed, and kept where it is welcome."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace

import structlog

from screening.archives.references import IncomingReference, fill
from screening.archives.walking import FoundFile, read_address
from screening.database.schedule_tables import Archive
from screening.radiographs.problems import Unscreenable, too_large
from screening.radiographs.sniff import HEAD_BYTES, sniff, why_refused
from screening.runs.intake import Arrival, look_at
from screening.settings import Settings
from screening.storage import ObjectMissing, StorageError
from screening.system import MIB, System

log = structlog.get_logger()


def look_at_found(system: System, archive: Archive, file: FoundFile) -> Arrival:
    """Read a found file and keep it, or a reference to it. What cannot be read, or is too large, is a refusal.

    Of what is too large no more than the first bytes are read. Raises StorageError where our own storage fails, Full
    where it has no room for a file that is to be copied.
    """
    if refusal := too_large_unread(system.settings, file):
        return Arrival(file.path, None, file.size, refusal=refusal)
    receive = (
        IncomingReference(system.storage, archive.url, file.address, HEAD_BYTES)
        if archive.in_place
        else system.storage.receive()
    )
    with receive as incoming, closing(_pieces(file)) as pieces:
        try:
            incoming.write(next(pieces, b""))
            head = incoming.head(HEAD_BYTES)
            if refusal := _too_large(system.settings, file.size, head):
                return Arrival(file.path, None, file.size, refusal=refusal)
            if not archive.in_place and why_refused(head) is None:
                system.capacity.check_space(file.size)
            fill(incoming, pieces)
        except Unscreenable as refusal:
            return Arrival(file.path, None, file.size, refusal=refusal)
        return replace(look_at(file.path, incoming), in_place=archive.in_place)


def _pieces(file: FoundFile) -> Generator[bytes, None, None]:
    """The bytes of a found file. Raises Unscreenable where they cannot be read, never StorageError."""
    try:
        yield from read_address(file.address)
    except ObjectMissing:
        raise Unscreenable("unreadable", "The file went away while the archive was visited.") from None
    except StorageError as error:
        log.warning("file of an archive not read", path=file.path, error=str(error))
        reason = "The file cannot be read where it lies. Check its rights; the next visit tries it again."
        raise Unscreenable("unreadable", reason) from error


def is_still_too_large(settings: Settings, file: FoundFile) -> bool:
    """Whether a file that was refused for its size would be refused again: limits are raised at times."""
    if too_large_unread(settings, file):
        return True
    if file.size <= settings.max_file_mb * MIB:
        return False
    try:
        with closing(read_address(file.address)) as pieces:
            return _too_large(settings, file.size, next(pieces, b"")[:HEAD_BYTES]) is not None
    except StorageError:
        return False


def too_large_unread(settings: Settings, file: FoundFile) -> Unscreenable | None:
    """Why a file is not taken whatever it is, so that nothing of it has to be read; None where it may be taken."""
    return _too_large(settings, file.size, None)


def _too_large(settings: Settings, size: int, head: bytes | None) -> Unscreenable | None:
    """Why a file of this size is not taken; without its first bytes, whether it is one whatever they are."""
    kind = None if head is None else sniff(head)
    may_be_container = head is None or (kind is not None and kind.is_container)
    most = max(settings.max_file_mb, settings.max_container_mb) if may_be_container else settings.max_file_mb
    return too_large(size, most * MIB) if size > most * MIB else None
