"""Good and bad files, made in memory: a bright bone on a dark ground in every format that is taken."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

ROWS, COLUMNS = 300, 240
STUDY_UID = "1.2.826.0.1.3680043.8.498.1234567890"
SECRETS = ("Doe^Jane", "19701231", "PATIENT-4711", "ACC-99", "St Elsewhere", "Dr^Who")


def bone(most: int = 255, dtype: type[np.unsignedinteger[Any]] = np.uint8) -> NDArray[Any]:
    """(ROWS, COLUMNS): a bone of `most` down the middle, soft tissue around it, air at the rim, a marker top left."""
    x = np.abs(np.arange(COLUMNS) - COLUMNS / 2) / (COLUMNS / 2)
    profile = np.where(x < 0.15, 1.0, np.where(x < 0.4, 0.5, 0.05))
    picture = np.tile(profile, (ROWS, 1)) * np.linspace(0.8, 1.0, ROWS)[:, None]
    picture[10:30, 10:40] = 0.9
    return np.rint(picture * most).astype(dtype)


DEEP = bone(4095, np.uint16)


def encoded(picture: Image.Image | NDArray[Any], form: str, **options: Any) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def jpeg(**options: Any) -> bytes:
    return encoded(bone(), "JPEG", **options)


def png(**options: Any) -> bytes:
    return encoded(bone(), "PNG", **options)


def bare_png(columns: int, rows: int, packed: bytes = b"", *, interlaced: bool = False) -> bytes:
    """A PNG whose header promises a size and whose data are whatever is given."""

    def chunk(kind: bytes, value: bytes) -> bytes:
        return len(value).to_bytes(4) + kind + value + zlib.crc32(kind + value).to_bytes(4)

    header = columns.to_bytes(4) + rows.to_bytes(4) + bytes((8, 0, 0, 0, interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def bare_tiff(
    picture: NDArray[Any], sample_format: int = 1, *, deflated: bool = False, strips: int = 1, kept: int | None = None
) -> bytes:
    """Forms that Pillow does not write, in the byte order of the picture. `kept`: how many strips there are.

    The sample format is 1 for unsigned, 2 for signed, 3 for floating point.
    """
    order = ">" if picture.dtype.byteorder == ">" else "<"
    rows, columns = picture.shape
    pieces = [part.tobytes() for part in np.split(picture, strips)][:kept]
    if deflated:
        pieces = [zlib.compress(piece) for piece in pieces]
    starts = [8 + sum(map(len, pieces[:number])) for number in range(len(pieces))]
    entries = [
        (256, [columns]),
        (257, [rows]),
        (258, [8 * picture.dtype.itemsize]),
        (259, [8 if deflated else 1]),
        (262, [1]),
        (273, starts),
        (277, [1]),
        (278, [rows // strips]),
        (279, [len(piece) for piece in pieces]),
        (339, [sample_format]),
    ]
    body = b"".join(pieces)
    directory = struct.pack(f"{order}H", len(entries))
    for tag, values in entries:
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            packed, body = struct.pack(f"{order}I", 8 + len(body)), body + packed
        directory += struct.pack(f"{order}HHI", tag, 4, len(values)) + packed
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}I", 8 + len(body)) + body + directory + bytes(4)


def dicom_dataset(picture: NDArray[Any] | None = None, **elements: Any) -> FileDataset:
    """A DX data set with a person's identity in it. `elements` set or, where None, remove elements."""
    picture = bone(4095, np.uint16) if picture is None else picture
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\x00" * 128)
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = STUDY_UID
    dataset.Modality = "DX"
    dataset.PatientName, dataset.PatientBirthDate, dataset.PatientID = SECRETS[:3]
    dataset.AccessionNumber, dataset.InstitutionName, dataset.ReferringPhysicianName = SECRETS[3:]
    dataset.BodyPartExamined, dataset.ViewPosition, dataset.ImageLaterality = "HAND", "PA", "L"
    dataset.Rows, dataset.Columns = picture.shape[:2]
    dataset.SamplesPerPixel = 1 if picture.ndim == 2 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if picture.ndim == 2 else "RGB"
    dataset.BitsAllocated = 8 * picture.dtype.itemsize
    dataset.BitsStored = 12 if dataset.BitsAllocated == 16 else dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(picture.dtype.kind == "i")
    if picture.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PixelData = picture.tobytes()
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def dicom(picture: NDArray[Any] | None = None, **elements: Any) -> bytes:
    return written(dicom_dataset(picture, **elements))


def written(dataset: Dataset) -> bytes:
    out = io.BytesIO()
    dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def without_preamble(data: bytes) -> bytes:
    """The bare data set of a DICOM file, as some old archives keep it: no preamble, no file meta information."""
    meta_length = int.from_bytes(data[140:144], "little")
    return data[144 + meta_length :]


def jpeg_dicom(extended: bool = False) -> bytes:
    """A DICOM file around a JPEG stream of 8 bits."""
    dataset = dicom_dataset(bone())
    dataset.file_meta.TransferSyntaxUID = JPEGExtended12Bit if extended else JPEGBaseline8Bit
    dataset.PixelData = encapsulate([jpeg(quality=95)])
    dataset["PixelData"].VR = "OB"
    return written(dataset)


def in_syntax(syntax: str) -> bytes:
    """The deep bone as DICOM in one of the packings that need no file of their own."""
    dataset = dicom_dataset()
    if syntax in (RLELossless, JPEG2000Lossless, JPEGLSLossless):
        dataset.compress(syntax)
        return written(dataset)
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = DEEP.astype(">u2").tobytes()
    return written(dataset)


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()
