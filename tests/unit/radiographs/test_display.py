"""The display image of a deep picture: what the file asks for, and no bone burnt out."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from screening.radiographs.facts import Prepared
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.prepare import prepare
from screening.radiographs.rendition_file import load_rendition
from screening.radiographs.rendition_spec import RenditionSpec
from tests.unit.radiographs.samples import DEEP, dicom, encoded

SPEC = RenditionSpec(side=128)


def prepared(data: bytes) -> Prepared:
    return prepare(data, SPEC, DecodeLimits())


def display(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(prepared(data).display_jpeg)))


def finger() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A finger on an uncropped plate: (picture of 12 bits, where its cortex is). Anatomy fills 3.7% of the field."""
    rows, columns = 1200, 1000
    picture = np.random.default_rng(0).integers(150, 250, (rows, columns)).astype(np.uint16)
    tissue, bone = (slice(400, 800), slice(445, 556)), (slice(420, 780), slice(480, 520))
    picture[tissue] = np.linspace(900, 1500, 111)
    picture[bone] = np.linspace(2800, 3724, 360)[:, None]
    cortex = np.zeros(picture.shape, bool)
    cortex[bone] = True
    return picture, cortex


WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}
TURNED = {"PhotometricInterpretation": "MONOCHROME1"}


@pytest.mark.parametrize(
    "make",
    [
        dicom,
        lambda picture: dicom(picture, **WINDOW),
        lambda picture: dicom(4095 - picture, **WINDOW, **TURNED),
        lambda picture: encoded(picture, "PNG"),
        lambda picture: encoded(picture, "TIFF"),
    ],
    ids=("plain", "window", "inverted", "png", "tiff"),
)
def test_the_cortex_of_a_finger_on_a_whole_plate_is_not_burnt_out(make: Any) -> None:
    picture, cortex = finger()
    levels = display(make(picture))[cortex]
    assert np.unique(levels).size >= 50
    assert np.mean(levels == 255) < 0.05


def test_the_window_of_the_file_is_shown_from_black_to_white() -> None:
    picture, _ = finger()
    shown = display(dicom(picture, WindowCenter=2100, WindowWidth=4000, VOILUTFunction="LINEAR_EXACT"))
    expected = np.clip((picture - 100.0) / 4000 * 255, 0, 255)
    assert np.abs(shown - expected).mean() < 2


def test_a_window_far_wider_than_the_picture_leaves_it_to_be_seen() -> None:
    assert display(dicom(WindowCenter=32768, WindowWidth=65536)).max() > 200


def test_the_display_never_changes_what_the_network_sees() -> None:
    """The same values, once with a window around all of them: another display image, the same rendition."""
    wide = {"WindowCenter": 4096, "WindowWidth": 8192}
    plain, windowed = prepared(dicom(DEEP)), prepared(dicom(DEEP, **wide))
    assert plain.display_jpeg != windowed.display_jpeg
    one, other = load_rendition(plain.rendition_png).astype(int), load_rendition(windowed.rendition_png).astype(int)
    assert np.abs(one - other).max() <= 1
