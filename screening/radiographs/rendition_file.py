"""A rendition as a stored file: PNG, 8-bit grey, as quick to write and to read as can be.

Nothing in it is compressed: that takes three times the room, which is little beside the originals, and a tenth of the
time or less (docs/decisions/0009), and a rendition is read anew for every checkpoint.
"""

import struct
import zlib
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_START = _SIGNATURE + b"\0\0\0\x0dIHDR"
"""The signature, then length and name of the first chunk (PNG, sections 5.2 and 11.2.2)."""
_BEFORE_ROWS = struct.Struct(">16sII5BII4s")
"""That start, width, height and kind, the checksum of these, then length and name of the chunk that follows."""
_STORED = (b"\x78\x01\x00", b"\x78\x01\x01")
"""How zlib begins what it does not deflate: with the first of several blocks, or the only one (RFC 1950, 1951)."""
_NOT_FILTERED = 0
_EIGHT_BIT_GREY = (8, 0, 0, 0, 0)
"""Bit depth and colour type, then compression, filter and interlace method: the usual ones (PNG, section 11.2.2)."""


def encode_rendition(rendition: NDArray[np.uint8]) -> bytes:
    """(h, w) uint8 -> PNG bytes, without loss. Pillow has no way to ask for a PNG whose rows are not filtered."""
    height, width = rendition.shape
    rows = np.full((height, 1 + width), _NOT_FILTERED, np.uint8)
    rows[:, 1:] = rendition
    return b"".join(
        (
            _SIGNATURE,
            *_chunk(b"IHDR", struct.pack(">II5B", width, height, *_EIGHT_BIT_GREY)),
            *_chunk(b"IDAT", zlib.compress(rows.tobytes(), zlib.Z_NO_COMPRESSION)),
            *_chunk(b"IEND", b""),
        )
    )


def load_rendition(png: bytes) -> NDArray[np.uint8]:
    """PNG bytes that this system wrote -> (h, w) uint8, not to be written to. May run in many threads at once.

    For trusted bytes only. Raises ValueError where they are damaged or no rendition: it must be made again then.
    """
    try:
        rows = _stored_rows(png)
        return _any_png(png) if rows is None else rows
    except (OSError, SyntaxError, struct.error, zlib.error) as error:
        raise ValueError(f"a stored rendition is damaged ({error}); make it again from the original") from error


def _stored_rows(png: bytes) -> NDArray[np.uint8] | None:
    """What `encode_rendition` wrote, in half of the time that Pillow takes; None of a PNG that earlier versions
    compressed and filtered, or that others made."""
    start, width, height, *kind, _, length, name = _BEFORE_ROWS.unpack_from(png)
    data = png[_BEFORE_ROWS.size : _BEFORE_ROWS.size + length]
    if (start, tuple(kind), name) != (_START, _EIGHT_BIT_GREY, b"IDAT") or not data.startswith(_STORED):
        return None
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width)
    return None if rows[:, 0].any() else rows[:, 1:]


def _any_png(png: bytes) -> NDArray[np.uint8]:
    with Image.open(BytesIO(png), formats=["PNG"]) as image:
        if image.mode != "L":
            raise ValueError(f"a stored rendition is 8-bit grey, not {image.mode}; make it again from the original")
        return np.asarray(image)


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
