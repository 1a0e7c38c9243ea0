"""Files of a multipart request: each is hashed while it streams to storage, and none waits in memory for another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from werkzeug.exceptions import BadRequest
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from screening.storage import Incoming, Storage

PART_NAME = "file"
CHUNK_BYTES = 1 << 18
MOST_PARTS = 10_000
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

    most_bytes limits one file; what is over it is read and dropped, so that its neighbours go on. Raises BadRequest
    for a body that is not well-formed multipart, and StorageError.
    """
    decoder = MultipartDecoder(
        boundary.encode("latin-1", "replace"), max_form_memory_size=4 * CHUNK_BYTES, max_parts=MOST_PARTS
    )
    events = _events(decoder, body)
    found = False
    for event in events:
        if not isinstance(event, File | Field) or event.name != PART_NAME:
            continue
        found = True
        name = clean_name(_unescaped(event.filename) if isinstance(event, File) else "")
        with storage.receive() as incoming:
            yield Received(name, incoming, _copy(events, incoming, most_bytes))
    if not found:
        raise BadRequest(f'The request has no part named "{PART_NAME}".')


def clean_name(name: str) -> str:
    """A file name as it is kept: any Unicode, but nothing that a database cannot hold."""
    kept = name.replace("\x00", "").encode("utf-8", "replace").decode("utf-8").strip()
    return kept[-LONGEST_NAME:] or "unnamed"


def _unescaped(name: str) -> str:
    """Browsers write these three signs of a name so (WHATWG HTML, multipart/form-data encoding), and only these."""
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _copy(events: Iterator[Event], incoming: Incoming, most_bytes: int) -> int:
    """Write one part's bytes, up to the limit; returns how many there were."""
    total = 0
    for event in events:
        if isinstance(event, Data):
            total += len(event.data)
            if total <= most_bytes:
                incoming.write(event.data)
            if not event.more_data:
                break
    return total


def _events(decoder: MultipartDecoder, body: IO[bytes]) -> Iterator[Event]:
    try:
        while True:
            chunk = body.read(CHUNK_BYTES)
            decoder.receive_data(chunk or None)
            event = decoder.next_event()
            while not isinstance(event, NeedData):
                if isinstance(event, Epilogue):
                    return
                yield event
                event = decoder.next_event()
    except ValueError as error:
        raise BadRequest("The multipart body is not well-formed.") from error
