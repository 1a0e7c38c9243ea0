"""Pictures of 16 bits with colours or transparency lose none of their bits."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from screening.radiographs.decode import decode
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.problems import Unscreenable
from tests.unit.radiographs.samples import DEEP, encoded

LIMITS = DecodeLimits()
COLOURS = np.repeat(DEEP[..., None], 3, axis=2)
OPAQUE = np.full((*DEEP.shape, 1), 65535, np.uint16)


def png(picture: np.ndarray[Any, Any], colour: int) -> bytes:
    """Pillow writes no such files."""

    def chunk(kind: bytes, value: bytes) -> bytes:
        return len(value).to_bytes(4) + kind + value + zlib.crc32(kind + value).to_bytes(4)

    rows, columns = picture.shape[:2]
    packed = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in picture), 1)
    header = struct.pack(">II5B", columns, rows, 16, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def tiff(picture: np.ndarray[Any, Any], order: str, planes: int = 1, compressed: bool = False) -> bytes:
    rows, columns, samples = picture.shape
    stored = picture if planes == 1 else np.moveaxis(picture, 2, 0)
    pixels = stored.astype(order + "u2").tobytes()
    pixels = zlib.compress(pixels) if compressed else pixels
    bits_at = 8 + len(pixels)
    entries = [
        (256, 4, 1, columns),
        (257, 4, 1, rows),
        (258, 3, samples, bits_at),
        (259, 3, 1, 8 if compressed else 1),
        (262, 3, 1, 2),
        (273, 4, 1, 8),
        (277, 3, 1, samples),
        (278, 4, 1, rows),
        (279, 4, 1, len(pixels)),
        (284, 3, 1, planes),
    ]
    if samples == 4:
        entries.append((338, 3, 1, 2))
    directory = struct.pack(order + "H", len(entries))
    for tag, form, count, value in entries:
        single = form == 3 and count == 1
        directory += struct.pack(order + ("HHIHH" if single else "HHII"), tag, form, count, value, *([0] * single))
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, bits_at + 2 * samples)
    return start + pixels + struct.pack(f"{order}{samples}H", *[16] * samples) + directory + bytes(4)


@pytest.mark.parametrize(
    "data",
    [
        png(COLOURS, 2),
        png(np.concatenate((COLOURS, OPAQUE), axis=2), 6),
        png(np.concatenate((DEEP[..., None], OPAQUE), axis=2), 4),
        tiff(COLOURS, "<"),
        tiff(COLOURS, ">"),
        tiff(COLOURS, "<", compressed=True),
        tiff(COLOURS, ">", compressed=True),
        tiff(np.concatenate((COLOURS, OPAQUE), axis=2), "<"),
    ],
    ids=("png", "png alpha", "png grey alpha", "tiff", "tiff big", "tiff packed", "tiff big packed", "tiff alpha"),
)
def test_twelve_bits_in_sixteen_keep_all_their_greys(data: bytes) -> None:
    radiograph = decode(data, LIMITS)
    assert radiograph.facts.bits == 16
    assert np.abs(radiograph.grey - DEEP.astype(np.float32)).max() < 0.01


def test_what_is_transparent_is_black_in_sixteen_bits_too() -> None:
    alpha = OPAQUE.copy()
    alpha[:100] = 0
    for colour, values in ((6, COLOURS), (4, DEEP[..., None])):
        grey = decode(png(np.concatenate((values, alpha), axis=2), colour), LIMITS).grey
        assert not grey[:100].any()
        assert np.abs(grey[100:] - DEEP[100:].astype(np.float32)).max() < 0.01


def test_colours_weigh_as_they_do_in_eight_bits() -> None:
    eight = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    shallow = decode(encoded(Image.fromarray(eight), "PNG"), LIMITS).grey.astype(float)
    assert np.abs(decode(png(eight.astype(np.uint16) * 257, 2), LIMITS).grey / 257 - shallow).max() <= 1


def test_a_form_whose_bytes_would_be_mixed_up_is_refused() -> None:
    with pytest.raises(Unscreenable) as caught:
        decode(tiff(COLOURS, "<", planes=2), LIMITS)
    assert caught.value.code == "unsupported"
    assert "16-bit grey" in caught.value.sentence


def test_a_cut_off_one_is_cut_off() -> None:
    whole = png(np.random.default_rng(0).integers(0, 4096, COLOURS.shape).astype(np.uint16), 2)
    with pytest.raises(Unscreenable) as caught:
        decode(whole[: len(whole) // 2], LIMITS)
    assert caught.value.code == "truncated"
