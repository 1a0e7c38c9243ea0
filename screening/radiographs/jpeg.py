"""JPEG: truncation is always found, large pictures are reduced while they are decoded, EXIF orientation is applied."""

import re
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from screening.radiographs.facts import Facts
from screening.radiographs.greys import Radiograph, grey_of, shrink
from screening.radiographs.orientation import lies_on_its_side, orientation_in, turned
from screening.radiographs.problems import Unscreenable, cut_off, damaged, too_many_pixels

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# JPEG-LS stuffs a bit and not a byte (T.87, 9.1): inside its scans any byte under 0x80 may follow 0xFF.
_NEXT_MARKER_LS = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_END_OF_IMAGE = 0xD9
_JPEG_LS = 0xF7


@dataclass(frozen=True)
class Frame:
    """What the markers of a JPEG stream say, without decoding it."""

    rows: int
    columns: int
    bits: int
    components: int
    process: int
    """The low byte of the start-of-frame marker: 0xC0 baseline, 0xC2 progressive, 0xC3 lossless, 0xF7 JPEG-LS."""
    end: int | None
    """Offset of the end-of-image marker, None where the stream stops before it."""


def read_frame(data: bytes) -> Frame:
    """Walk the markers of a JPEG or JPEG-LS stream to its end. Raises Unscreenable where they make no sense."""
    frame: tuple[int, int, int, int, int] | None = None
    position = 2
    while True:
        is_ls = frame is not None and frame[-1] == _JPEG_LS
        found = (_NEXT_MARKER_LS if is_ls else _NEXT_MARKER).search(data, position)
        if found is None:
            break
        marker, position = data[found.end() - 1], found.end()
        if marker == _END_OF_IMAGE:
            if frame is None:
                raise damaged("JPEG file")
            return Frame(*frame, end=found.start())
        if marker in (0x01, 0xD8):
            continue
        length = int.from_bytes(data[position : position + 2])
        if length < 2 or position + length > len(data):
            break
        if marker in _START_OF_FRAME or marker == _JPEG_LS:
            if length < 8 or frame is not None:
                raise damaged("JPEG file")
            segment = data[position + 2 : position + 8]
            rows, columns = int.from_bytes(segment[1:3]), int.from_bytes(segment[3:5])
            frame = (rows, columns, segment[0], segment[5], marker)
        position += length
    if frame is None:
        raise cut_off(0)
    return Frame(*frame, end=None)


def decode_jpeg(data: bytes, max_pixels: int, at_least: int) -> Radiograph:
    """Decode a JPEG file. For `at_least` see `shrink`; the decoder itself reduces by 2, 4 or 8 where that is enough."""
    frame = read_frame(data)
    if frame.rows * frame.columns > max_pixels:
        raise too_many_pixels(frame.columns, frame.rows, max_pixels)
    if frame.process not in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA) or frame.bits != 8:
        raise Unscreenable(
            "unsupported",
            f"This JPEG file holds {frame.bits} bits in a form that only DICOM files use. Export it as 8-bit JPEG.",
        )
    if frame.end is None:
        raise cut_off(_percent_there(data, frame))
    try:
        image = Image.open(BytesIO(data), formats=["JPEG"])
        orientation = orientation_in(image.getexif)
        reduced = max(1, max(image.size) // at_least)
        image.draft("L", (image.width // reduced, image.height // reduced))
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        if "truncated" in str(error):
            raise cut_off(_percent_there(data, frame)) from None
        raise damaged("JPEG file") from None
    grey = grey_of(image)
    if (grey[-1] == _MISSING).all() and _ends_early(data, frame.end):
        raise cut_off(_percent_there(data, frame))
    on_its_side = lies_on_its_side(orientation)
    facts = Facts(
        media_type="image/jpeg",
        rows=frame.columns if on_its_side else frame.rows,
        columns=frame.rows if on_its_side else frame.columns,
        bits=8,
    )
    return Radiograph(shrink(turned(grey, orientation), at_least), facts)


_MISSING = 128
"""The grey that a JPEG decoder gives to blocks for which there are no data left."""


def _percent_there(data: bytes, frame: Frame) -> int | None:
    """How much of the picture there is, by rows; None for progressive files, whose first scan has all rows."""
    if frame.process in (0xC2, 0xCA):
        return None
    rest = data[: frame.end].rstrip(b"\x00").rstrip(b"\xff")
    try:
        grey = _decode_plainly(rest + b"\xff\xd9")
    except (OSError, SyntaxError, ValueError):
        return 0
    there = np.flatnonzero((grey != _MISSING).any(axis=1))
    return 0 if there.size == 0 else min(99, 100 * (int(there[-1]) + 1) // frame.rows)


def _ends_early(data: bytes, end: int) -> bool:
    """Tell a picture whose last rows are truly grey from one whose data ran out before a well-placed end marker.

    Bytes put in front of the end marker change a picture only if its decoder was still waiting for data.
    """
    padded = data[:end] + b"\x5a\xa5\x3c" * 64 + b"\xff\xd9"
    try:
        return not np.array_equal(_decode_plainly(data), _decode_plainly(padded))
    except (OSError, SyntaxError, ValueError):
        return True


def _decode_plainly(data: bytes) -> NDArray[np.uint8]:
    image = Image.open(BytesIO(data), formats=["JPEG"])
    image.draft("L", None)
    return np.asarray(image.convert("L"))
