"""Good files of every kind, and what may happen to their bytes on the way."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pydicom
from PIL import Image

from tests.unit.radiographs.samples import bone, dicom, encoded, jpeg, jpeg_dicom, png, tarred, without_preamble, zipped

LARGEST_SEED = 1 << 20
"""Larger files only make the same faults slower to find."""
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
_TELLING = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xd9",
)
"""Lengths and markers at the edge of what parsers expect."""


def generated() -> list[bytes]:
    """One file of each kind, made in memory."""
    grey = Image.fromarray(bone())
    return [
        jpeg(),
        jpeg(progressive=True),
        encoded(grey.convert("RGB"), "JPEG"),
        png(),
        encoded(Image.fromarray(bone(60_000).astype("uint16")), "PNG"),
        encoded(grey, "TIFF"),
        encoded(grey, "TIFF", compression="tiff_lzw"),
        encoded(grey, "TIFF", compression="jpeg"),
        dicom(),
        jpeg_dicom(),
        jpeg_dicom(extended=True),
        without_preamble(dicom()),
        *containers(),
    ]


def containers() -> list[bytes]:
    members = {"a.jpg": jpeg(), "folder/b.png": png(), "c.dcm": dicom()}
    return [zipped(members), tarred(members), tarred(members, "w:gz")]


def seeds() -> list[bytes]:
    """The generated files, pydicom's own test files (every transfer syntax), and real X-rays where they are at hand."""
    found = generated()
    folders = [
        Path(pydicom.__file__).parent / "data" / "test_files",
        SHARED / "dicom",
        SHARED / "fracatlas" / "damaged",
    ]
    for folder in folders:
        found += [_as_radiograph(path.read_bytes()) for path in sorted(folder.rglob("*")) if _is_small(path)]
    found += [path.read_bytes() for path in sorted((SHARED / "fracatlas" / "images").glob("*.jpg"))[:20]]
    return found


def _as_radiograph(data: bytes) -> bytes:
    """With the modality of a radiograph, explicit or implicit: pixels of any other are never decoded."""
    return re.sub(rb"(\x08\x00\x60\x00(?:CS\x02\x00|\x02\x00\x00\x00))(?:[A-Z]{2})", rb"\1DX", data, count=1)


def _is_small(path: Path) -> bool:
    return path.is_file() and 0 < path.stat().st_size <= LARGEST_SEED and path.suffix != ".csv"


def _place(data: bytes, rng: Random) -> int:
    """Anywhere, but half of the time in the headers, where the damage goes deepest."""
    return rng.randrange(min(len(data), 1024) if rng.random() < 0.5 else len(data))


def _flip(data: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    place = _place(data, rng)
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _overwrite(data: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    place, said = _place(data, rng), rng.choice(_TELLING)
    return data[:place] + said + data[place + len(said) :]


def _scramble(data: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    place, size = _place(data, rng), rng.randrange(1, 64)
    return data[:place] + rng.randbytes(size) + data[place + size :]


def _insert(data: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    place = _place(data, rng)
    return data[:place] + rng.randbytes(rng.randrange(1, 32)) + data[place:]


def _remove(data: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    place = _place(data, rng)
    return data[:place] + data[place + rng.randrange(1, 256) :]


def _cut(data: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    return data[: rng.randrange(1, len(data) + 1)]


def _repeat(data: bytes, rng: Random, _: Sequence[bytes]) -> bytes:
    place = _place(data, rng)
    return data[:place] + data[place : place + 512] * rng.randrange(2, 8) + data[place:]


def _splice(data: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: rng.randrange(1, len(data) + 1)] + other[rng.randrange(len(other)) :]


_DAMAGE: tuple[Callable[[bytes, Random, Sequence[bytes]], bytes], ...] = (
    _flip,
    _overwrite,
    _scramble,
    _insert,
    _remove,
    _cut,
    _repeat,
    _splice,
)


def damaged(seeds: Sequence[bytes], rng: Random) -> bytes:
    """One of the seeds after one to three kinds of damage; never empty."""
    data = rng.choice(seeds)
    for _ in range(rng.randrange(1, 4)):
        data = rng.choice(_DAMAGE)(data, rng, seeds) or b"\x00"
    return data
