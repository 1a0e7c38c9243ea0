"""DICOM pixels to grey values: modality LUT, window or VOI LUT, polarity and padding (PS3.4 N.2, PS3.3 C.11).

Polarity follows the tags (MONOCHROME1 is inverted), even where the picture looks as if they were wrong: bone that is
dark by the tags may be dark on purpose, white collimator borders and films filled by the body look inverted and are
not, and a reader could not tell that a flip happened. Such a picture gets a remark instead: where the tags contradict
themselves (MONOCHROME2, yet high values mean much radiation), or where the rendition looks inverted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from screening.radiographs.dicom_values import Unreadable, first_table, number
from screening.radiographs.dicom_window import shown_by_the_file
from screening.radiographs.greys import shrink
from screening.radiographs.problems import Unscreenable, damaged
from screening.radiographs.rendition import Grey

_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
_MOST_TABLE_ENTRIES = 1 << 16
_WASHED_OUT = 0.95
_WINDOW_REMARK = (
    "The window in the file leaves nearly all of the picture one grey, so the whole range of values is shown."
)
_SIGN_REMARK = "By its own tags this picture shows bone dark on a bright ground. It was left as the file states it."
_COLOUR_REMARK = "The file holds colours; they were turned into grey."

Values = NDArray[np.generic]


@dataclass(frozen=True)
class Decoded:
    """The one frame of a data set. For `shown` see `Radiograph`."""

    grey: Grey
    """Bone is bright."""
    inverted: bool
    remarks: tuple[str, ...]
    shown: tuple[float, float] | None = None


def decode_pixels(dataset: Dataset, at_least: int) -> Decoded:
    """Decode the one frame of a checked data set."""
    stored = _stored_values(dataset)
    if stored.ndim == 3 or dataset.PhotometricInterpretation not in _MONOCHROME:
        return Decoded(shrink(_luminance(stored, dataset), at_least), inverted=False, remarks=(_COLOUR_REMARK,))
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    try:
        tone, remarks = _tone(stored, dataset, inverted)
        return Decoded(shrink(stored, at_least, tone), inverted, tuple(remarks), tone.shown)
    except (AttributeError, IndexError, KeyError, NotImplementedError, TypeError, ValueError):
        raise damaged("grey scale of this DICOM file") from None


def _stored_values(dataset: Dataset) -> Values:
    """The pixels as integers with their unused bits cleared: (rows, columns) or (rows, columns, 3)."""
    syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID", "")))
    try:
        # Where pixels are not packed, pydicom would clear their unused bits as if the used ones were always the lowest.
        plainly = {} if syntax.is_encapsulated else {"correct_unused_bits": False}
        stored: Values = pixel_array(dataset, index=0, **plainly)
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except NotImplementedError:
        name = syntax.name if syntax.is_transfer_syntax else "an unknown transfer syntax"
        raise Unscreenable(
            "unsupported", f"The picture is packed as {name}, which is not read here. Export it uncompressed."
        ) from None
    except BaseException:
        # What a decoder raises depends on the decoder, and a panic of the one written in Rust is no Exception.
        raise damaged(f"picture inside this DICOM file ({syntax.name})") from None
    if stored.ndim == 2 and not syntax.is_encapsulated:
        # Old scanners kept overlays in the unused bits of each pixel.
        below = dataset.HighBit + 1 - dataset.BitsStored
        above = dataset.BitsAllocated - dataset.HighBit - 1
        if below > 0 or above > 0:
            stored = np.right_shift(np.left_shift(stored, max(0, above)), max(0, above) + max(0, below))
    return stored


def _luminance(stored: Values, dataset: Dataset) -> Values:
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        try:
            stored = apply_color_lut(stored, dataset)
        except MemoryError:
            raise
        except Exception:
            raise damaged("colour table of this DICOM file") from None
    if stored.ndim != 3:
        raise damaged("picture inside this DICOM file")
    # ITU-R BT.601 weights, as for colour JPEG files.
    return np.asarray(stored[..., :3] @ np.array((0.299, 0.587, 0.114), np.float32), dtype=np.float32)


class _Tone:
    """From stored value to grey, as a table over all values that occur: one look-up per pixel."""

    def __init__(self, first: int, table: NDArray[np.float32], shown: tuple[float, float] | None) -> None:
        self.first, self.table, self.shown = first, table, shown

    def __call__(self, values: Values) -> NDArray[np.float32]:
        return self.table[values.astype(np.int64) - self.first]


def _tone(stored: Values, dataset: Dataset, inverted: bool) -> tuple[_Tone, list[str]]:
    lowest, highest = int(stored.min()), int(stored.max())
    if highest - lowest >= _MOST_TABLE_ENTRIES:
        raise Unscreenable("unsupported", "This DICOM file uses more than 16 bits of grey. Export it as 8 to 16 bits.")
    domain = np.arange(lowest, highest + 1, dtype=np.int64)
    padding = _padding(domain, dataset)
    linear = _rescaled(domain, dataset)
    found, remarks = shown_by_the_file(linear, dataset)
    if found is not None and _washes_out(stored, lowest, found[0], linear):
        found, remarks = None, [*remarks, _WINDOW_REMARK]
    table, (darkest, brightest) = found or (linear, (linear.min(), linear.max()))
    if not np.isfinite(table).all():
        raise ValueError("the grey scale is not finite")
    if inverted:
        table, darkest, brightest = -table, -brightest, -darkest
    elif _hint(dataset, "PixelIntensityRelationshipSign") == 1:
        remarks.append(_SIGN_REMARK)
    if padding.any():
        used = np.bincount((stored[::4, ::4].astype(np.int64) - lowest).ravel(), minlength=domain.size) > 0
        picture = used & ~padding
        if picture.any():
            table = np.where(padding, table[picture].min(), table)
    least = float(table.min())
    shown = None if found is None else (darkest - least, brightest - least)
    return _Tone(lowest, (table - least).astype(np.float32), shown), remarks


def _rescaled(domain: NDArray[np.int64], dataset: Dataset) -> NDArray[np.float64]:
    """Apply the modality LUT, or the rescale. Raises ValueError where they are there and cannot be read."""
    table = first_table(dataset, "ModalityLUTSequence", float(domain[0]))
    if table is not None:
        return table(domain)
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    return domain.astype(np.float64) * (1.0 if slope is None else slope) + (0.0 if intercept is None else intercept)


def _washes_out(stored: Values, lowest: int, shown: NDArray[np.float64], linear: NDArray[np.float64]) -> bool:
    """True where a window turns nearly all pixels black or white although they differ."""
    sample = stored[::8, ::8].astype(np.int64).ravel() - lowest
    greys, plain = shown[sample], linear[sample]
    low, high = shown.min(), shown.max()

    def at_ends(values: NDArray[np.float64], least: float, most: float) -> float:
        return max(float(np.mean(values <= least)), float(np.mean(values >= most)))

    return at_ends(greys, low, high) > _WASHED_OUT >= at_ends(plain, plain.min(), plain.max())


def _padding(domain: NDArray[np.int64], dataset: Dataset) -> NDArray[np.bool_]:
    """Which stored values mean "no picture here" (PS3.3 C.7.5.1.1.2); a limit makes a range of them."""
    value, limit = _hint(dataset, "PixelPaddingValue"), _hint(dataset, "PixelPaddingRangeLimit")
    if value is None:
        return np.zeros(domain.shape, np.bool_)
    other = value if limit is None else limit
    return (domain >= min(value, other)) & (domain <= max(value, other))


def _hint(dataset: Dataset, keyword: str) -> float | None:
    try:
        return number(dataset, keyword)
    except Unreadable:
        return None
