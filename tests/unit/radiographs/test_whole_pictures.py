"""Pictures of which a part is missing without a cut, and bytes in the other order: shown right, or refused."""

import re
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from screening.radiographs.decode import decode
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.problems import Unscreenable
from tests.unit.radiographs.samples import COLUMNS, ROWS, bare_png, bare_tiff, bone, encoded

LIMITS = DecodeLimits()
DEEP = bone(60000, np.uint16)


def share_told(data: bytes) -> int:
    with pytest.raises(Unscreenable) as caught:
        decode(data, LIMITS)
    assert caught.value.code == "truncated"
    found = re.fullmatch(r"The file is cut off at (\d+)%\. Send it again\.", caught.value.sentence)
    assert found is not None, caught.value.sentence
    return int(found[1])


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "sample_format"),
    [("u2", 1), ("i2", 2), ("i4", 2), ("f4", 3)],
    ids=("16", "signed 16", "signed 32", "float"),
)
def test_a_deep_tiff_is_the_same_in_either_byte_order(
    kind: str, sample_format: int, order: str, deflated: bool
) -> None:
    picture: NDArray[Any] = (bone(30000, np.uint16).astype("i4") - (0 if kind == "u2" else 900)).astype(order + kind)
    grey = decode(bare_tiff(picture, sample_format, deflated=deflated), LIMITS).grey
    assert np.array_equal(grey, picture.astype(np.float32))


@pytest.mark.parametrize("picture", [bone(), DEEP, DEEP.astype(">u2")], ids=("8", "16", "16 big-endian"))
def test_an_uncompressed_tiff_with_too_few_strips_is_cut_off(picture: NDArray[Any]) -> None:
    assert np.array_equal(decode(bare_tiff(picture, strips=10), LIMITS).grey, picture)
    assert share_told(bare_tiff(picture, strips=10, kept=6)) == 60


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "CMYK", "P", "LA", "YCbCr"])
def test_uncompressed_tiffs_of_all_modes_are_whole(mode: str) -> None:
    picture = Image.fromarray(bone()[:, :-3]).convert("L").convert(mode)
    assert decode(encoded(picture, "TIFF"), LIMITS).grey.shape == (ROWS, COLUMNS - 3)
    on_its_side = encoded(picture, "TIFF", tiffinfo={ExifTags.Base.Orientation: 6})
    assert decode(on_its_side, LIMITS).grey.shape == (COLUMNS - 3, ROWS)


def scan_lines(picture: NDArray[Any]) -> bytes:
    """As a PNG holds them before they are compressed: each led by the filter 0."""
    return b"".join(b"\0" + row.tobytes() for row in picture)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.99])
def test_a_png_whose_data_end_properly_but_early_is_cut_off(share: float) -> None:
    lines = scan_lines(bone())
    assert np.array_equal(decode(bare_png(COLUMNS, ROWS, zlib.compress(lines)), LIMITS).grey, bone())
    there = round(ROWS * share) * (COLUMNS + 1)
    assert abs(share_told(bare_png(COLUMNS, ROWS, zlib.compress(lines[:there]))) - 100 * share) < 1


@pytest.mark.parametrize("columns", [1023, 1024, 1600])
@pytest.mark.parametrize("rows", [1024, 1025, 2049])
def test_a_png_that_packs_very_well_is_whole(rows: int, columns: int) -> None:
    picture = np.zeros((rows, columns), np.uint8)
    picture[0] = 200
    assert decode(bare_png(columns, rows, zlib.compress(scan_lines(picture), 9)), LIMITS).facts.rows == rows


@pytest.mark.parametrize(("rows", "columns"), [(300, 240), (301, 237), (70, 65)])
def test_an_interlaced_png_is_whole(rows: int, columns: int) -> None:
    picture = bone()[:rows, :columns] if rows <= ROWS else np.vstack([bone(), bone()[-1:]])[:, :columns]
    steps = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    lines = b"".join(scan_lines(picture[top::down, left::across]) for left, top, across, down in steps)
    data = bare_png(columns, rows, zlib.compress(lines), interlaced=True)
    assert np.array_equal(decode(data, LIMITS).grey, picture)
    half = zlib.compress(lines[: len(lines) // 2])
    assert share_told(bare_png(columns, rows, half, interlaced=True)) in (49, 50)
