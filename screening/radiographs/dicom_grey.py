"""DICOM pixels to grey values: modality LUT, window or VOI LUT, polarity and padding (PS3.4 N.2, PS3.3 C.11).

Polarity follows the tags (MONOCHROME1 is inverted), even where the picture looks as if they were wrong: bone that is
dark by the tags may be dark on purpose, white collimator borders and films filled by the body look inverted and are
not, and a reader could not tell that a flip happened. Such a picture gets a remark instead: where the tags contradict
themselves (MONOCHROME2, yet high values mean much radiation), or where the rendition looks inverted.
"""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi, apply_windowing
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

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


def decode_pixels(dataset: Dataset, at_least: int) -> tuple[Grey, bool, list[str]]:
    """Decode the one frame of a checked data set: (grey with bone bright, whether polarity was inverted, remarks)."""
    stored = _stored_values(dataset)
    if stored.ndim == 3 or dataset.PhotometricInterpretation not in _MONOCHROME:
        return shrink(_luminance(stored, dataset), at_least), False, [_COLOUR_REMARK]
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    try:
        tone, remarks = _tone(stored, dataset, inverted)
        return shrink(stored, at_least, tone), inverted, remarks
    except (AttributeError, IndexError, KeyError, NotImplementedError, TypeError, ValueError):
        raise damaged("grey scale of this DICOM file") from None


def _stored_values(dataset: Dataset) -> Values:
    """The pixels as integers with their unused bits cleared: (rows, columns) or (rows, columns, 3)."""
    syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID", "")))
    try:
        stored: Values = pixel_array(dataset, index=0)
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
        except (AttributeError, IndexError, KeyError, NotImplementedError, TypeError, ValueError):
            raise damaged("colour table of this DICOM file") from None
    if stored.ndim != 3:
        raise damaged("picture inside this DICOM file")
    # ITU-R BT.601 weights, as for colour JPEG files.
    return np.asarray(stored[..., :3] @ np.array((0.299, 0.587, 0.114), np.float32), dtype=np.float32)


class _Tone:
    """From stored value to grey, as a table over all values that occur: one look-up per pixel."""

    def __init__(self, first: int, table: NDArray[np.float32]) -> None:
        self.first, self.table = first, table

    def __call__(self, values: Values) -> NDArray[np.float32]:
        return self.table[values.astype(np.int64) - self.first]


def _tone(stored: Values, dataset: Dataset, inverted: bool) -> tuple[_Tone, list[str]]:
    lowest, highest = int(stored.min()), int(stored.max())
    if highest - lowest >= _MOST_TABLE_ENTRIES:
        raise Unscreenable("unsupported", "This DICOM file uses more than 16 bits of grey. Export it as 8 to 16 bits.")
    domain = np.arange(lowest, highest + 1, dtype=np.int64)
    padding = _padding(domain, dataset)
    linear = np.asarray(apply_modality_lut(domain, dataset), np.float64)
    shown, remarks = _windowed(linear, dataset), []
    if shown is not None and _washes_out(stored, lowest, shown, linear):
        shown, remarks = None, [_WINDOW_REMARK]
    table = linear if shown is None else shown
    if not np.isfinite(table).all():
        raise ValueError("the grey scale is not finite")
    if inverted:
        table = -table
    elif dataset.get("PixelIntensityRelationshipSign") == 1:
        remarks.append(_SIGN_REMARK)
    if padding.any():
        used = np.bincount((stored[::4, ::4].astype(np.int64) - lowest).ravel(), minlength=domain.size) > 0
        picture = used & ~padding
        if picture.any():
            table = np.where(padding, table[picture].min(), table)
    return _Tone(lowest, (table - table.min()).astype(np.float32)), remarks


def _windowed(linear: NDArray[np.float64], dataset: Dataset) -> NDArray[np.float64] | None:
    """Apply the first VOI LUT, else the first window; None where the file has neither, or one that means nothing."""
    if dataset.get("VOILUTSequence"):
        return np.asarray(apply_voi(np.rint(linear).astype(np.int64), dataset), np.float64)
    if dataset.get("WindowCenter") is None or dataset.get("WindowWidth") is None:
        return None
    try:
        return np.asarray(apply_windowing(linear, dataset), np.float64)
    except ValueError:
        return None


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
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(domain.shape, np.bool_)
    limit = dataset.get("PixelPaddingRangeLimit")
    other = limit if isinstance(limit, int) else value
    return (domain >= min(value, other)) & (domain <= max(value, other))
