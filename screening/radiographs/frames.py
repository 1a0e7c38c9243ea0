"""Messages over a pipe: a JSON header and raw byte parts, lengths in front. No pickle. Standard library only.

A frame is 4 bytes of header length, 8 bytes of body length (big-endian), the header, the body. The header's
"parts" holds the length of each part of the body. The reader of a frame trusts none of these numbers.
"""

import json
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

PREFIX = struct.Struct(">IQ")
MOST_HEADER_BYTES = 1 << 20

Header = dict[str, Any]
Frame = tuple[Header, list[bytes]]


class BrokenFrame(Exception):
    """The other side sent something that is not a frame."""


def pack(header: Header, parts: Sequence[bytes] = ()) -> list[bytes]:
    """The pieces of one frame, to be written one after the other."""
    head = json.dumps({**header, "parts": [len(part) for part in parts]}).encode()
    return [PREFIX.pack(len(head), sum(map(len, parts))) + head, *parts]


def lengths(prefix: bytes, most_body_bytes: int) -> tuple[int, int]:
    """(header length, body length), from the first `PREFIX.size` bytes. Raises BrokenFrame over the limits."""
    head, body = PREFIX.unpack(prefix)
    if head > MOST_HEADER_BYTES or body > most_body_bytes:
        raise BrokenFrame(f"a frame of {head} + {body} bytes is over the limits")
    return head, body


def unpack(head: bytes, body: bytes) -> Frame:
    """Take a frame apart. Raises BrokenFrame where header and body do not fit each other."""
    try:
        header = json.loads(head)
        sizes = header.pop("parts")
        if not all(isinstance(size, int) and size >= 0 for size in sizes) or sum(sizes) != len(body):
            raise BrokenFrame("the parts of a frame do not fit its length")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BrokenFrame("a frame's header makes no sense") from error
    parts, at = [], 0
    for size in sizes:
        parts.append(body[at : at + size])
        at += size
    return header, parts


def write(stream: BinaryIO, header: Header, parts: Sequence[bytes] = ()) -> None:
    stream.writelines(pack(header, parts))
    stream.flush()


def read(stream: BinaryIO, most_body_bytes: int) -> Frame | None:
    """The next frame from a blocking stream, None where the other side has closed it."""
    prefix = stream.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        return None
    head_size, body_size = lengths(prefix, most_body_bytes)
    head, body = stream.read(head_size), stream.read(body_size)
    return unpack(head, body) if len(head) == head_size and len(body) == body_size else None
