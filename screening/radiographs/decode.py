"""Untrusted bytes to a radiograph: picks the decoder by the first bytes. Call it where a crash costs nothing else."""

import warnings

from screening.radiographs.greys import WORKING_SIDE, Radiograph
from screening.radiographs.jpeg import decode_jpeg
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.png import decode_png
from screening.radiographs.problems import Unscreenable, damaged, too_large
from screening.radiographs.sniff import HEAD_BYTES, Kind, sniff, why_refused
from screening.radiographs.tiff import decode_tiff


def _decode_dicom(data: bytes, max_pixels: int, at_least: int) -> Radiograph:
    # The DICOM libraries take longer to load than all others together, and many runs hold none.
    from screening.radiographs.dicom import decode_dicom

    try:
        return decode_dicom(data, max_pixels, at_least)
    except (MemoryError, Unscreenable):
        raise
    except Exception:
        # A header can be odd in more ways than can be foreseen; that must not pass for a crash of the decoder.
        raise damaged("DICOM file") from None


_DECODERS = {Kind.JPEG: decode_jpeg, Kind.PNG: decode_png, Kind.TIFF: decode_tiff, Kind.DICOM: _decode_dicom}


def decode(data: bytes, limits: DecodeLimits, at_least: int = WORKING_SIDE) -> Radiograph:
    """Decode one file. The picture comes back reduced, with its longest side at least `at_least` pixels if it had them.

    Raises Unscreenable with a code and a sentence for everything that is not one readable radiograph.
    """
    if len(data) > limits.max_file_bytes:
        raise too_large(len(data), limits.max_file_bytes)
    refused = why_refused(data[:HEAD_BYTES])
    if refused is not None:
        raise refused
    kind = sniff(data[:HEAD_BYTES])
    if kind not in _DECODERS:
        raise Unscreenable(
            "nested", "This is an archive inside an archive. Unpack it, and send the pictures themselves."
        )
    with warnings.catch_warnings():
        # Decoders quote header values in their warnings, and those must not reach a log.
        warnings.simplefilter("ignore")
        return _DECODERS[kind](data, limits.max_pixels, at_least)
