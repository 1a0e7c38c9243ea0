"""PNG: the size is read from the header, and only the chunks that make the picture ever reach the decoder."""

import zlib
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageFile

from screening.radiographs.deep_colour import deep_grey
from screening.radiographs.facts import Facts
from screening.radiographs.greys import Radiograph, grey_of, shrink
from screening.radiographs.orientation import lies_on_its_side, orientation_in, turned
from screening.radiographs.problems import Unscreenable, cut_off, damaged, too_many_pixels
from screening.radiographs.rendition import Grey

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PICTURE_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_COLOUR, _PALETTE, _GREY_AND_ALPHA, _COLOUR_AND_ALPHA = 2, 3, 4, 6
_MOST_EXIF_BYTES = 1 << 16
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Start and step of the seven interlace passes, as (column, row, column step, row step); PNG specification, 8.2.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@dataclass(frozen=True)
class _Header:
    columns: int
    rows: int
    bits: int
    colour: int
    interlaced: bool

    @property
    def unpacked_bytes(self) -> int:
        """How many bytes the picture data have once inflated: each row is led by one filter byte."""
        per_pixel = self.bits * _SAMPLES[self.colour]
        total = 0
        for left, top, across, down in _ADAM7 if self.interlaced else ((0, 0, 1, 1),):
            columns = -(-(self.columns - left) // across)
            rows = -(-(self.rows - top) // down)
            if columns > 0 and rows > 0:
                total += rows * (1 + (columns * per_pixel + 7) // 8)
        return total


def decode_png(data: bytes, max_pixels: int, at_least: int) -> Radiograph:
    """Decode a PNG file of 1 to 16 bits, grey or colour, with palette, transparency or interlacing."""
    header = _read_header(data)
    if header.rows * header.columns > max_pixels:
        raise too_many_pixels(header.columns, header.rows, max_pixels)
    picture, packed, exif, complete = _picture_only(data)
    if not complete:
        raise cut_off(_percent_there(packed, header))
    try:
        grey = _grey(picture, header)
    except (OSError, SyntaxError, ValueError, EOFError, zlib.error) as error:
        if "truncated" in str(error):
            raise cut_off(_percent_there(packed, header)) from None
        raise damaged("PNG file") from None
    # Where the compressed data end properly, but too early, Pillow leaves zeros in what is missing.
    may_be_short = header.interlaced or header.colour == _PALETTE or not grey[-1].any()
    if may_be_short and _bytes_there(packed, header) < header.unpacked_bytes:
        raise cut_off(_percent_there(packed, header))
    orientation = orientation_in(lambda: _exif(exif))
    rows, columns = grey.shape[::-1] if lies_on_its_side(orientation) else grey.shape
    facts = Facts(media_type="image/png", rows=rows, columns=columns, bits=header.bits)
    return Radiograph(shrink(turned(grey, orientation), at_least), facts)


def _exif(data: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(data)
    return exif


def _grey(picture: bytes, header: _Header) -> Grey:
    if header.bits == 16 and header.colour in (_COLOUR, _COLOUR_AND_ALPHA):
        return deep_grey(lambda: _opened(picture))
    if header.bits == 16 and header.colour == _GREY_AND_ALPHA:
        # Two samples of 16 bits lie as four of 8 do: read as such, no byte is lost.
        start = picture[12:24] + bytes((8, _COLOUR_AND_ALPHA)) + picture[26:29]
        image = _opened(picture[:12] + start + zlib.crc32(start).to_bytes(4) + picture[33:])
        pairs = np.asarray(image, np.uint8).view(">u2").astype(np.float32)
        return pairs[..., 0] * (pairs[..., 1] / np.float32(65535))
    image = _opened(picture)
    image.load()
    return grey_of(image)


def _opened(picture: bytes) -> ImageFile.ImageFile:
    return Image.open(BytesIO(picture), formats=["PNG"])


def _read_header(data: bytes) -> _Header:
    if len(data) < 33:
        raise cut_off(0)
    columns, rows = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    bits, colour, interlaced = data[24], data[25], data[28]
    if data[12:16] != b"IHDR" or not rows or not columns or colour not in _SAMPLES or bits not in (1, 2, 4, 8, 16):
        raise damaged("PNG file")
    return _Header(columns, rows, bits, colour, bool(interlaced))


def _picture_only(data: bytes) -> tuple[bytes, list[bytes], bytes, bool]:
    """Copy a PNG without its texts, profiles and other extras, some of which can unpack to great size.

    Returns (file, compressed picture data, EXIF data, whether the end was reached).
    """
    kept, packed, exif, position = [_SIGNATURE], [], b"", 8
    while position + 8 <= len(data):
        length, kind = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        if kind == b"acTL":
            raise Unscreenable("multi_frame", "This PNG file is an animation. Send each picture as a file of its own.")
        if kind == b"IHDR" and position > len(_SIGNATURE):
            # Its size would go for the decoder, and nobody has looked at it.
            raise damaged("PNG file")
        after = position + 12 + length
        if kind == b"IDAT":
            packed.append(data[position + 8 : after - 4])
        if kind == b"eXIf" and length <= _MOST_EXIF_BYTES:
            exif = data[position + 8 : after - 4]
        if after > len(data):
            break
        if kind in _PICTURE_CHUNKS:
            kept.append(data[position:after])
        if kind == b"IEND":
            return b"".join(kept), packed, exif, True
        position = after
    return b"".join(kept), packed, exif, False


def _percent_there(packed: list[bytes], header: _Header) -> int:
    return min(99, 100 * _bytes_there(packed, header) // header.unpacked_bytes)


def _bytes_there(packed: list[bytes], header: _Header) -> int:
    """How much of the picture data can be inflated. Counting ends where there is enough."""
    inflater, there = zlib.decompressobj(), 0
    try:
        for chunk in packed:
            rest = chunk
            while rest and there < header.unpacked_bytes:
                there += len(inflater.decompress(rest, 1 << 20))
                rest = inflater.unconsumed_tail
    except zlib.error:
        pass  # What was inflated up to the damage is what is there.
    return there
