"""DICOM: pixels that are not square, and what a file draws over its picture or hides of it."""

from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataelem import DataElement

from screening.radiographs.facts import Prepared
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.prepare import prepare
from screening.radiographs.rendition_file import load_rendition
from screening.radiographs.rendition_spec import RenditionSpec
from tests.unit.radiographs.samples import COLUMNS, DEEP, ROWS, dicom, dicom_dataset, written

SPEC = RenditionSpec(side=128)


def prepared(data: bytes) -> Prepared:
    return prepare(data, SPEC, DecodeLimits())


TALL = {"PixelAspectRatio": ["2", "1"]}


@pytest.mark.parametrize(
    "shape", [TALL, {"PixelSpacing": [0.2, 0.1]}, {"ImagerPixelSpacing": [0.2, 0.1], "PixelAspectRatio": ["1", "1"]}]
)
def test_pixels_that_are_taller_than_wide_are_evened_out(shape: dict[str, Any]) -> None:
    """Every other row alone, each pixel twice as tall as wide, shows the same bone."""
    found = prepared(dicom(DEEP[::2], **shape))
    assert (found.facts.rows, found.facts.columns) == (ROWS // 2, COLUMNS)
    assert found.display_size == (COLUMNS // 2, ROWS // 2)
    assert "not square" in found.facts.remarks[0]
    whole = load_rendition(prepared(dicom()).rendition_png).astype(int)
    assert np.abs(load_rendition(found.rendition_png).astype(int) - whole).mean() < 3


def test_pixels_that_are_wider_than_tall_are_evened_out() -> None:
    narrow = np.asarray(Image.fromarray(DEEP.astype(np.float32)).resize((COLUMNS // 3, ROWS))).astype(np.uint16)
    found = prepared(dicom(narrow, PixelSpacing=[0.1, 0.3]))
    assert found.display_size == (COLUMNS // 3, ROWS // 3)


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"PixelAspectRatio": ["1", "1"]},
        {"PixelSpacing": [0.1435, 0.1440]},
        {"PixelSpacing": [0.1, 0]},
        {"PixelSpacing": [100, 0.1]},
        {"PixelSpacing": ""},
    ],
)
def test_square_pixels_and_shapes_that_make_no_sense_change_nothing(shape: dict[str, Any]) -> None:
    found, plain = prepared(dicom(**shape)), prepared(dicom())
    assert found == plain
    assert found.facts.remarks == ()


def overlay(points: bytes, group: int = 0x6000) -> bytes:
    dataset = dicom_dataset()
    dataset.add(DataElement((group, 0x3000), "OW", points))
    return written(dataset)


def test_overlays_that_are_not_shown_are_remarked() -> None:
    drawn = bytes(ROWS * COLUMNS // 16) + b"\1\0" + bytes(ROWS * COLUMNS // 16)
    assert "overlays" in prepared(overlay(drawn)).facts.remarks[0]
    assert "overlays" in prepared(overlay(drawn, 0x601E)).facts.remarks[0]
    assert prepared(overlay(bytes(len(drawn)))).facts.remarks == ()


def test_a_shutter_that_is_not_applied_is_remarked() -> None:
    assert "shutter" in prepared(dicom(ShutterShape="RECTANGULAR")).facts.remarks[0]
