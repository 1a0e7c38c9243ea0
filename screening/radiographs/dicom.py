"""DICOM: what is read of a file, which files are radiographs, and the limits before their pixels are decoded.

Only the elements in `_WANTED` are ever parsed: a name, a date or an identifier of a person is never read, so it
cannot leave.
"""

import zlib
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.multival import MultiValue
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from screening.radiographs.dicom_grey import decode_pixels
from screening.radiographs.dicom_presentation import (
    OVERLAY_DATA,
    PRESENTATION,
    pixel_aspect,
    presentation_remarks,
    with_square_pixels,
)
from screening.radiographs.dicom_words import (
    OTHER_MODALITIES,
    RADIOGRAPHS,
    body_part,
    laterality,
    name_of_modality,
    study_uid,
    view,
)
from screening.radiographs.facts import Facts
from screening.radiographs.greys import Radiograph
from screening.radiographs.jpeg import read_frame
from screening.radiographs.problems import Unscreenable, cut_off, damaged, too_many_pixels

# fmt: off
_WANTED = (
    "SpecificCharacterSet", "SOPClassUID", "Modality", "BodyPartExamined", "ViewPosition", "ViewCodeSequence",
    "Laterality", "ImageLaterality", "AnatomicRegionSequence", "StudyInstanceUID",
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelIntensityRelationshipSign",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence",
    "VOILUTSequence", "VOILUTFunction", "WindowCenter", "WindowWidth", "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData", "FloatPixelData", "DoubleFloatPixelData",
    *PRESENTATION,
)

# Facts and hints: where one of them is odd, the picture can be screened all the same.
_MAY_BE_ODD = frozenset({
    "BodyPartExamined", "ViewPosition", "ViewCodeSequence", "Laterality", "ImageLaterality", "AnatomicRegionSequence",
    "StudyInstanceUID", "PixelIntensityRelationshipSign", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence",
    "VOILUTFunction", "WindowCenter", "WindowWidth", *PRESENTATION,
})
# fmt: on

_DIRECTORY = "1.2.840.10008.1.3.10"
_CR_AND_DX_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.1": "CR",
    "1.2.840.10008.5.1.4.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "DX",
}
# JPEG (50 to 70) and JPEG-LS (80, 81); JPEG 2000 begins at 90.
_JPEG_SYNTAX_PREFIXES = tuple(f"1.2.840.10008.1.2.4.{tens}" for tens in (5, 6, 7, 8))


def decode_dicom(data: bytes, max_pixels: int, at_least: int) -> Radiograph:
    """Decode a DICOM radiograph (CR, DX, RG). Every other object is refused by name, before its pixels are touched.

    Inflated data may take at most 4 bytes per allowed pixel plus 16 MiB for the header.
    """
    dataset = _read(data, most_inflated=4 * max_pixels + (16 << 20))
    modality = _check_modality(dataset)
    _check_picture(dataset, data, max_pixels)
    _check_stored(dataset, data, max_pixels)
    decoded = decode_pixels(dataset, at_least)
    facts = Facts(
        media_type="application/dicom",
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        bits=int(dataset.BitsStored),
        modality=modality,
        body_part=body_part(dataset),
        view=view(dataset),
        laterality=laterality(dataset),
        study_uid=study_uid(dataset),
        polarity_inverted=decoded.inverted,
        remarks=(*decoded.remarks, *presentation_remarks(dataset)),
    )
    return Radiograph(with_square_pixels(decoded.grey, pixel_aspect(dataset)), facts, decoded.shown)


def _read(data: bytes, most_inflated: int) -> Dataset:
    try:
        dataset = dcmread(BytesIO(_inflated(data, most_inflated)), force=True, specific_tags=[*_WANTED, *OVERLAY_DATA])
        for keyword in _WANTED:  # Values are converted when they are first looked at; do it where failure is expected.
            if keyword not in _MAY_BE_ODD:
                dataset.get(keyword)
        for keyword in ("MediaStorageSOPClassUID", "TransferSyntaxUID"):
            dataset.file_meta.get(keyword)
        if "TransferSyntaxUID" not in dataset.file_meta:
            # A bare data set can only be told by how it reads; pixels in it that are packed cannot be told at all.
            implicit, little = dataset.original_encoding
            by_order = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else by_order
        return dataset
    except (MemoryError, Unscreenable):
        raise
    except EOFError:
        raise cut_off(None) from None
    except Exception:
        raise damaged("DICOM file") from None


def _inflated(data: bytes, most: int) -> bytes:
    """Undo the deflated transfer syntax under a limit, where pydicom has none. Other files pass through."""
    syntax = DeflatedExplicitVRLittleEndian.encode()
    at = data.find(b"\x02\x00\x10\x00UI", 132, 4096)
    if data[128:132] != b"DICM" or at < 0 or data[at + 8 : at + 8 + len(syntax)] != syntax:
        return data
    if data[132:138] != b"\x02\x00\x00\x00UL":
        raise damaged("DICOM file")
    start = 144 + int.from_bytes(data[140:144], "little")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(data[start:], most)
    except zlib.error:
        raise damaged("DICOM file") from None
    if inflater.unconsumed_tail:
        raise Unscreenable(
            "bomb", f"This deflated DICOM file unpacks to more than {most >> 20:,} MB. Export it uncompressed."
        )
    if not inflater.eof:
        raise cut_off(None)
    value = ExplicitVRLittleEndian.encode()
    meta = data[132:start].replace(syntax, value + b"\x00" * (len(syntax) - len(value)))
    return data[:132] + meta + plain


def _check_modality(dataset: Dataset) -> str:
    sop_class = str(dataset.get("SOPClassUID") or _meta(dataset, "MediaStorageSOPClassUID"))
    if sop_class == _DIRECTORY:
        raise Unscreenable(
            "no_picture", "This is a DICOMDIR, the index of a disc. Send the picture files that lie beside it."
        )
    stated = _stated_modalities(dataset)
    by_class = _CR_AND_DX_CLASSES.get(sop_class, "")
    radiographs = [modality for modality in stated if modality in RADIOGRAPHS]
    others = [modality for modality in stated if modality in OTHER_MODALITIES]
    # Some machines list all modalities of the study ("CT", "CR"), and some write "DR" or a word of their own; the
    # class says what the object is.
    if radiographs and (by_class or not others):
        return radiographs[0]
    if by_class and not others:
        return by_class
    modality = (others or stated or [""])[0]
    if not modality and not sop_class:
        raise damaged("DICOM file")
    raise Unscreenable(
        "wrong_modality",
        f"This is {name_of_modality(modality)}; only radiographs (CR, DX, RG) are screened. "
        "Leave it out of the upload.",
    )


def _stated_modalities(dataset: Dataset) -> list[str]:
    """The header's values of the modality, of which there should be one."""
    value = dataset.get("Modality") or ""
    values = value if isinstance(value, MultiValue) else [value]
    return [word for word in (str(found).strip().upper() for found in values) if word]


def _check_picture(dataset: Dataset, data: bytes, max_pixels: int) -> None:
    if "PixelData" not in dataset:
        _check_fragments(data)
        if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
            raise Unscreenable("unsupported", "This DICOM file holds floating-point pixels. Export it as 8 to 16 bits.")
        raise Unscreenable(
            "no_picture", "This DICOM file holds no picture, or is cut off before it. Export the image itself again."
        )
    try:
        frames = int(dataset.get("NumberOfFrames") or 1)
        rows, columns = int(dataset.Rows), int(dataset.Columns)
        allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
        dataset.HighBit = int(dataset.get("HighBit", stored - 1))
        dataset.PixelRepresentation = int(dataset.get("PixelRepresentation", 0))
        dataset.SamplesPerPixel = int(dataset.get("SamplesPerPixel", 1))
        dataset.PhotometricInterpretation = str(dataset.PhotometricInterpretation)
    except (AttributeError, TypeError, ValueError):
        raise damaged("DICOM file") from None
    if frames > 1:
        raise Unscreenable(
            "multi_frame", f"This DICOM file holds {frames:,} frames. Export each picture as a file of its own."
        )
    if rows * columns > max_pixels:
        raise too_many_pixels(columns, rows, max_pixels)
    in_place = 1 <= stored <= dataset.HighBit + 1 <= allocated
    if not rows or not columns or not in_place or allocated not in (8, 16, 32):
        raise Unscreenable(
            "unsupported",
            f"This DICOM file stores {stored} bits in {allocated}, which is not read here. Export it as 8 to 16 bits.",
        )


def _check_fragments(data: bytes) -> None:
    """Find a file that ends inside its packed pixel data, an element that pydicom then leaves out in silence."""
    start = max(data.rfind(b"\xe0\x7f\x10\x00" + form + b"\x00\x00\xff\xff\xff\xff") for form in (b"OB", b"OW"))
    if start < 0:
        return
    end = first = start + 12
    while data[end : end + 4] == b"\xfe\xff\x00\xe0" and end + 8 <= len(data):
        end += 8 + int.from_bytes(data[end + 4 : end + 8], "little")
    raise cut_off(min(99, 100 * (len(data) - first) // (end - first)) if end > len(data) else None)


def _check_stored(dataset: Dataset, data: bytes, max_pixels: int) -> None:
    """Find pixel data that end early, and code streams that hold a larger picture than the header says."""
    syntax = UID(str(_meta(dataset, "TransferSyntaxUID") or ""))
    pixels: bytes = dataset.PixelData
    if not syntax.is_transfer_syntax or not syntax.is_encapsulated:
        if dataset["PixelData"].is_undefined_length:
            raise damaged("DICOM file")
        subsampled = dataset.PhotometricInterpretation == "YBR_FULL_422"
        samples = 2 if subsampled else dataset.SamplesPerPixel
        wanted = dataset.Rows * dataset.Columns * samples * dataset.BitsAllocated // 8
        if len(pixels) < wanted:
            raise cut_off(100 * len(pixels) // wanted)
        return
    try:
        stream = get_frame(pixels, 0, number_of_frames=1)
    except MemoryError:
        raise
    except Exception:
        raise cut_off(None) from None
    if syntax.startswith(_JPEG_SYNTAX_PREFIXES) and stream[:2] == b"\xff\xd8":
        frame = read_frame(stream)
        if frame.rows * frame.columns > max_pixels:
            raise too_many_pixels(frame.columns, frame.rows, max_pixels)
        if frame.end is None:
            raise cut_off(None)
    size_marker = stream.find(b"\xff\x4f\xff\x51", 0, 4096)
    if size_marker >= 0 and not stream.startswith(b"\xff\xd8"):
        sizes = stream[size_marker + 8 : size_marker + 24]
        right, bottom, left, top = (int.from_bytes(sizes[i : i + 4]) for i in range(0, 16, 4))
        if (right - left) * (bottom - top) > max_pixels:
            raise too_many_pixels(right - left, bottom - top, max_pixels)


def _meta(dataset: Any, keyword: str) -> str:
    return str(getattr(dataset, "file_meta", {}).get(keyword, ""))
