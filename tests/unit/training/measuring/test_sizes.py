"""The sizes of originals: as pictures are looked at, of every kind of file that trains."""

from pathlib import Path

import numpy as np
from PIL import Image

from screening.radiographs.decode import decode
from screening.radiographs.limits import DecodeLimits
from tests.unit.radiographs.samples import bone, dicom, jpeg, png
from training.data.example import Example
from training.measuring.sizes import picture_sizes

ORIENTATION = 0x0112


def test_sizes_are_those_of_the_picture_that_is_looked_at(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    files = {"plain.jpg": jpeg(), "turned.jpg": jpeg(exif=turned), "plain.png": png(), "scan.dcm": dicom()}
    examples = []
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        examples.append(Example(name, tmp_path / name, False, "g", "hand"))
    rows, columns = bone().shape
    assert rows != columns
    upright = [[rows, columns], [columns, rows], [rows, columns], [rows, columns]]
    assert picture_sizes(examples).tolist() == upright
    for data, size in zip(files.values(), upright, strict=True):
        assert list(decode(data, DecodeLimits()).grey.shape) == size
    assert picture_sizes([]).shape == (0, 2)
    assert picture_sizes(examples).dtype == np.int64
