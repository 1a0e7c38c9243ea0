"""Renditions as they are stored: whole, readable by others, and refused where they are damaged."""

import io

import numpy as np
import pytest
from PIL import Image

from screening.radiographs.rendition import make_rendition
from screening.radiographs.rendition_file import encode_rendition, load_rendition
from screening.radiographs.rendition_spec import RenditionSpec
from tests.unit.radiographs.samples import bone, encoded

SPEC = RenditionSpec(side=128)


@pytest.mark.parametrize("size", [(64, 48), (48, 64), (256, 256), (1, 300)])
def test_a_rendition_survives_its_file(size: tuple[int, int]) -> None:
    rendition = np.random.default_rng(3).integers(0, 256, size, np.uint8)
    file = encode_rendition(rendition)
    assert np.array_equal(load_rendition(file), rendition)
    with Image.open(io.BytesIO(file)) as seen_by_others:
        seen_by_others.verify()
    with Image.open(io.BytesIO(file)) as seen_by_others:
        assert (seen_by_others.format, seen_by_others.mode) == ("PNG", "L")
        assert np.array_equal(np.asarray(seen_by_others), rendition)


@pytest.mark.parametrize("options", [{}, {"compress_level": 0}, {"compress_level": 1, "compress_type": 3}])
def test_a_rendition_that_another_version_stored_is_read(options: dict[str, int]) -> None:
    rendition = make_rendition(bone(), SPEC)
    out = io.BytesIO()
    Image.fromarray(rendition).save(out, "PNG", **options)
    assert np.array_equal(load_rendition(out.getvalue()), rendition)


def test_what_is_no_whole_rendition_is_refused() -> None:
    rendition = make_rendition(bone(), SPEC)
    file = encode_rendition(rendition)
    middle = len(file) // 2
    flipped = file[:middle] + bytes([file[middle] ^ 255]) + file[middle + 1 :]
    with pytest.raises(ValueError, match="8-bit grey"):
        load_rendition(encoded(Image.fromarray(bone()).convert("RGB"), "PNG"))
    damaged = (b"", b"x" * 100, file[:20], file[:30], file[:middle], flipped, encoded(bone(), "PNG")[:-40])
    for data in damaged:
        with pytest.raises(ValueError, match="make it again"):
            load_rendition(data)
