"""Files of a multipart request: each is hashed while it streams to storage, and none waits in memory for another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TypeAlias

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from screening.errors import Refused
from screening.storage import Incoming, Storage
from web.problems import TooLarge

PART_NAME = "file"
CHUNK_BYTES = 1 << 20
MOST_PARTS = 10_000
MOST_HEADER_BYTES = 1 << 14
_BYTES = "latin-1"
"""Headers of parts are read byte by byte, so that a name that is no UTF-8 costs its letters and not the request."""
Event: TypeAlias = MultipartSegment | bytes | bytearray | None
"""The start of a part, some of its bytes, or None at its end."""
LONGEST_NAME = 500
"""Characters of a file name that are kept; of a longer one the end is kept, because it tells more than the start."""


@dataclass(frozen=True)
class Received:
    """One file that arrived whole, still to be kept or dropped."""

    name: str
    incoming: Incoming
    size_bytes: int
    """More than `incoming` holds where the file is over the limit."""


def receive_files(body: IO[bytes], boundary: str, storage: Storage, most_bytes: int) -> Iterator[Received]:
    """Yield each part named "file" as soon as it has arrived; what was not kept by then is gone with the next one.

    most_bytes limits one file; what is over it is read and dropped, so that its neighbours go on. Raises Refused for a
    body that is not well-formed multipart or has no file, TooLarge, and StorageError.
    """
    events = _events(body, boundary)
    found = False
    for event in events:
        if not isinstance(event, MultipartSegment) or event.name != PART_NAME:
            continue
        found = True
        name = clean_name((event.filename or "").encode(_BYTES).decode("utf-8", "replace"))
        with storage.receive() as incoming:
            yield Received(name, incoming, _copy(events, incoming, most_bytes))
    if not found:
        raise Refused("bad_request", f'The request has no part named "{PART_NAME}". Send each file as such a part.')


def clean_name(name: str) -> str:
    """A file name as it is kept: any Unicode, but nothing that a database cannot hold."""
    kept = name.replace("\x00", "").encode("utf-8", "replace").decode("utf-8").strip()
    return kept[-LONGEST_NAME:] or "unnamed"


def _copy(events: Iterator[Event], incoming: Incoming, most_bytes: int) -> int:
    """Write one part's bytes, up to the limit; returns how many there were."""
    total = 0
    for event in events:
        if not isinstance(event, bytes | bytearray):
            break
        total += len(event)
        if total <= most_bytes:
            incoming.write(bytes(event))
    return total


def _events(body: IO[bytes], boundary: str) -> Iterator[Event]:
    try:
        parser = PushMultipartParser(
            boundary.encode(_BYTES, "replace"),
            max_header_size=MOST_HEADER_BYTES,
            max_segment_count=MOST_PARTS,
            header_charset=_BYTES,
        )
        yield from parser.parse_blocking(body.read, CHUNK_BYTES)
    except ParserLimitReached as error:
        raise TooLarge(
            "too_large", f"The multipart body goes over a limit: {error}. Send fewer files at once."
        ) from error
    except MultipartError as error:
        raise Refused("bad_request", "The multipart body is not well-formed or was cut off. Send it again.") from error
