"""TIFF: one page of 1 to 32 bits; sizes and strip lengths are checked before anything is decoded."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import TiffImagePlugin
from PIL.TiffImagePlugin import TiffImageFile

from screening.radiographs.deep_colour import deep_grey
from screening.radiographs.facts import Facts
from screening.radiographs.greys import Radiograph, grey_of, shrink
from screening.radiographs.problems import Unscreenable, cut_off, damaged, too_many_pixels
from screening.radiographs.rendition import Grey

_BAD_FILE = (OSError, SyntaxError, ValueError, KeyError, TypeError, EOFError, OverflowError, RuntimeError)
_NEW_SUBFILE_TYPE = 254
_REDUCED_COPY = 1
_MOST_COPIES = 16
_AS_UNPACKED = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}
"""libtiff, which unpacks what is compressed, gives numbers in this machine's order. Pillow knows that of the forms that
are not named here; of these it would turn the bytes once more."""


def decode_tiff(data: bytes, max_pixels: int, at_least: int) -> Radiograph:
    """Decode a TIFF file with one page. Smaller copies of that page, as some scanners add, are passed over."""
    try:
        image = TiffImageFile(BytesIO(data))
    except _BAD_FILE as error:
        raise _unreadable(error, data) from None
    if image.width * image.height > max_pixels:
        raise too_many_pixels(image.width, image.height, max_pixels)
    try:
        tags: Any = image.tag_v2
        there = _share_there(tags, len(data))
        if there is not None and there < 1:
            raise cut_off(min(99, int(100 * there)))
        bits = max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
        white_is_zero = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
        if _has_more_pages(image):
            raise Unscreenable(
                "multi_frame", "This TIFF file holds several pages. Send each picture as a file of its own."
            )
        image.seek(0)
        grey = _grey(image, data, bits)
    except _BAD_FILE as error:
        raise _unreadable(error, data) from None
    # Pillow exchanges dark and bright itself for up to 8 bits, and leaves deeper pictures as they are stored.
    inverted = white_is_zero and bits > 8
    if inverted:
        grey = np.subtract(grey.max(), grey)
    facts = Facts(
        media_type="image/tiff",
        rows=image.height,
        columns=image.width,
        bits=int(bits),
        polarity_inverted=bool(white_is_zero),
    )
    return Radiograph(shrink(grey, at_least), facts)


def _grey(image: TiffImageFile, data: bytes, bits: int) -> Grey:
    if bits > 8 and image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return deep_grey(lambda: TiffImageFile(BytesIO(data)))
    for number, tile in enumerate(image.tile):
        if tile.codec_name == "libtiff" and isinstance(tile.args, tuple):
            form, *rest = tile.args
            image.tile[number] = tile._replace(args=(_AS_UNPACKED.get(form, form), *rest))
    image.load()
    if image.mode == "I" and bits == 32 and image.tag_v2.get(TiffImagePlugin.SAMPLEFORMAT, (1,)) == (1,):
        # Pillow holds 32 bits with a sign, so the upper half of those without one comes out below zero.
        return np.asarray(image).astype(np.int32).view(np.uint32).astype(np.float32)
    return grey_of(image)


def _stored_bytes(tags: Any) -> int:
    """How many bytes all strips or tiles of an uncompressed picture take; 0 where compression hides that."""
    if tags.get(TiffImagePlugin.COMPRESSION, 1) != 1:
        return 0
    columns, rows = tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH]
    bits = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1) * max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
    # Tiles at the right and lower rim are as large as the others.
    across, down = tags.get(TiffImagePlugin.TILEWIDTH) or columns, tags.get(TiffImagePlugin.TILELENGTH) or rows
    return int(-(-columns // across) * -(-rows // down) * down * ((across * bits + 7) // 8))


def _share_there(tags: Any, size: int) -> float | None:
    """The share of the picture's strips or tiles that lies inside the file; None where the file does not say.

    Of an uncompressed picture, strips that the file does not even name are missing, too.
    """
    starts = tags.get(TiffImagePlugin.STRIPOFFSETS, tags.get(TiffImagePlugin.TILEOFFSETS))
    lengths = tags.get(TiffImagePlugin.STRIPBYTECOUNTS, tags.get(TiffImagePlugin.TILEBYTECOUNTS))
    if not starts or not lengths or len(starts) != len(lengths) or not sum(lengths):
        return None
    inside = sum(max(0, min(start + length, size) - start) for start, length in zip(starts, lengths, strict=True))
    return float(inside / max(sum(lengths), _stored_bytes(tags)))


def _has_more_pages(image: TiffImageFile) -> bool:
    for page in range(1, _MOST_COPIES + 1):
        try:
            image.seek(page)
        except EOFError:
            return False
        tags: Any = image.tag_v2
        if not int(tags.get(_NEW_SUBFILE_TYPE, 0)) & _REDUCED_COPY:
            return True
    return True


def _unreadable(error: Exception, data: bytes) -> Unscreenable:
    if "truncated" in str(error):
        return cut_off(None)
    if "unknown pixel mode" in str(error):
        return Unscreenable(
            "unsupported",
            "This TIFF file holds pixels in a form that is not read here, such as 64 bits. Export it as 8 to 16 bits.",
        )
    first_directory = int.from_bytes(data[4:8], "little" if data[:2] == b"II" else "big")
    if data[2:4] in (b"*\x00", b"\x00*") and first_directory >= len(data):
        # The directory often stands at the end of the file, so a lost end takes it along.
        return cut_off(min(99, 100 * len(data) // (first_directory + 1)))
    return damaged("TIFF file")
