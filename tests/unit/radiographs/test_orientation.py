"""A picture whose EXIF data say that it lies on its side is turned before it is looked at."""

import io
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from screening.radiographs.decode import decode
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.prepare import prepare
from screening.radiographs.rendition_spec import RenditionSpec
from tests.unit.radiographs import samples
from tests.unit.radiographs.samples import DEEP, bone, encoded, jpeg, png

LIMITS = DecodeLimits()
SPEC = RenditionSpec(side=128)


def test_exif_orientation_is_applied_and_reported() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was turned: rotate by 90 degrees clockwise to look at it.
    radiograph = decode(jpeg(exif=exif, quality=95), LIMITS)
    assert (radiograph.facts.rows, radiograph.facts.columns) == (samples.COLUMNS, samples.ROWS)
    assert np.abs(radiograph.grey.astype(int) - np.rot90(bone(), -1).astype(int)).max() < 40


@pytest.mark.parametrize("orientation", range(1, 10))
@pytest.mark.parametrize(("form", "picture"), [("JPEG", bone()), ("PNG", bone()), ("PNG", DEEP)])
def test_every_orientation_is_turned_as_pillow_turns_it(
    form: str, picture: np.ndarray[Any, Any], orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture, form, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    radiograph = decode(data, LIMITS)
    assert np.array_equal(radiograph.grey, expected)
    assert (radiograph.facts.rows, radiograph.facts.columns) == expected.shape


def test_damaged_exif_data_are_no_reason_to_refuse_a_png() -> None:
    data = png()
    for rubbish in (b"", b"Exif", b"MM\x00*\xff\xff\xff\xff", b"II*\x00\x08\x00\x00\x00\x01\x00" + bytes(9)):
        chunk = len(rubbish).to_bytes(4) + b"eXIf" + rubbish + zlib.crc32(b"eXIf" + rubbish).to_bytes(4)
        assert prepare(data[:33] + chunk + data[33:], SPEC, LIMITS) == prepare(data, SPEC, LIMITS)
