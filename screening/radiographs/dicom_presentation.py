"""What a DICOM file says of its picture beside the greys: the shape of its pixels, and what is drawn over or hidden."""

from collections.abc import Iterator

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from screening.radiographs.dicom_values import Unreadable, value_of
from screening.radiographs.dicom_words import text_of
from screening.radiographs.rendition import Grey

PRESENTATION = ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing", "ShutterShape", "BurnedInAnnotation")
"""Keywords of what is read here."""
OVERLAY_DATA = tuple((group << 16) + 0x3000 for group in range(0x6000, 0x6020, 2))
"""Tags of the sixteen overlay planes that a file may have (PS3.3 C.9.2)."""

_SQUARE_WITHIN = 0.02
_MOST_UNEQUAL = 4.0
_BURNT_IN_REMARK = "The file says that text is burnt into the picture; it may name the patient."
_OVERLAY_REMARK = "The file has drawings or text on layers of their own (overlays). They are not shown here."
_SHUTTER_REMARK = "The file hides parts of the picture behind a shutter. The whole picture is shown and screened here."
_ASPECT_REMARK = "The pixels in the file are not square. The picture was evened out, so that shapes are true."


def presentation_remarks(dataset: Dataset) -> Iterator[str]:
    """Sentences for the reader about what is seen or not seen of the picture."""
    if text_of(dataset, "BurnedInAnnotation").upper() == "YES":
        yield _BURNT_IN_REMARK
    if any(_is_drawn(dataset, tag) for tag in OVERLAY_DATA):
        yield _OVERLAY_REMARK
    if _or_none(dataset, "ShutterShape") is not None:
        yield _SHUTTER_REMARK
    if pixel_aspect(dataset) != 1:
        yield _ASPECT_REMARK


def pixel_aspect(dataset: Dataset) -> float:
    """How many times taller than wide each pixel is (PS3.3 C.7.6.3.1.7, 10.7.1.3); 1 where nearly so, or not told."""
    for keyword in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"):
        value = _or_none(dataset, keyword)
        if not isinstance(value, MultiValue) or len(value) != 2:
            continue
        try:
            vertical, horizontal = float(value[0]), float(value[1])
        except (TypeError, ValueError):
            continue
        if not (vertical > 0 and horizontal > 0):
            continue
        aspect = vertical / horizontal
        if abs(aspect - 1) > _SQUARE_WITHIN and 1 / _MOST_UNEQUAL <= aspect <= _MOST_UNEQUAL:
            return aspect
    return 1.0


def with_square_pixels(grey: Grey, aspect: float) -> Grey:
    """Reduce the longer of both directions so that pixels are square; a picture of square ones comes back as it is."""
    if aspect == 1:
        return grey
    rows, columns = grey.shape
    size = (max(1, round(columns / max(1.0, aspect))), max(1, round(rows * min(1.0, aspect))))
    picture = Image.fromarray(grey if grey.dtype == np.uint8 else grey.astype(np.float32))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))


def _is_drawn(dataset: Dataset, tag: int) -> bool:
    """Whether an overlay plane has any point; many machines write empty ones."""
    try:
        element = dataset.get(tag)
        return element is not None and isinstance(element.value, bytes) and element.value.strip(b"\x00") != b""
    except MemoryError:
        raise
    except Exception:
        return False


def _or_none(dataset: Dataset, keyword: str) -> object:
    try:
        return value_of(dataset, keyword)
    except Unreadable:
        return None
