"""What a file is, from its first bytes, in a process that loads no decoder."""

import subprocess
import sys

import pytest

from screening.radiographs.sniff import HEAD_BYTES, Kind, sniff, why_refused
from tests.unit.radiographs import samples


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (samples.jpeg(), Kind.JPEG),
        (samples.png(), Kind.PNG),
        (samples.encoded(samples.bone(), "TIFF"), Kind.TIFF),
        (samples.dicom(), Kind.DICOM),
        (samples.dicom()[132:], Kind.DICOM),
        (b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100", Kind.DICOM),
        (b"\x00\x08\x00\x05CS\x00\x0aISO_IR 100", Kind.DICOM),
        (b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 100", Kind.DICOM),
        (samples.zipped({"a.jpg": b"x"}), Kind.ZIP),
        (samples.zipped({}), Kind.ZIP),
        (samples.tarred({"a.jpg": b"x"}), Kind.TAR),
        (samples.tarred({"a.jpg": b"x"}, "w:gz"), Kind.TAR_GZ),
        (samples.tarred({"a.jpg": b"x"}, "w:bz2"), Kind.TAR_BZ2),
        (samples.tarred({"a.jpg": b"x"}, "w:xz"), Kind.TAR_XZ),
    ],
    ids=lambda value: "data" if isinstance(value, bytes) else None,  # gzip writes the time into the bytes
)
def test_known_kinds_are_told_and_let_in(data: bytes, kind: Kind) -> None:
    assert sniff(data[:HEAD_BYTES]) is kind
    assert why_refused(data[:HEAD_BYTES]) is None


def test_a_dicom_file_may_have_another_format_in_its_preamble() -> None:
    assert sniff(b"II*\x00" + samples.dicom()[4:HEAD_BYTES]) is Kind.DICOM


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "empty", "The file is empty."),
        (b"Findings: no fracture.\n", "not_an_image", "a text"),
        ("Röntgenbild".encode() * 100, "not_an_image", "a text"),
        (b"GIF89a....", "not_an_image", "a GIF picture"),
        (b"BM\x36\x00\x00\x00", "not_an_image", "a BMP picture"),
        (b"%PDF-1.7", "not_an_image", "a PDF document"),
        (b"<!DOCTYPE html><html>", "not_an_image", "a web page"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "not_an_image", "a WebP picture"),
        (b"\x00\x00\x00\x18ftypheic", "not_an_image", "a HEIC picture"),
        (b"7z\xbc\xaf\x27\x1c", "not_an_image", "a 7z archive"),
        (b"\x00" * 600, "not_an_image", "zeros"),
        (bytes(range(256)), "not_an_image", "unknown kind"),
    ],
)
def test_everything_else_is_refused_by_name(data: bytes, code: str, words: str) -> None:
    problem = why_refused(data[:HEAD_BYTES])
    assert problem is not None
    assert problem.code == code
    assert words in problem.sentence
    assert "Send" in problem.sentence


def test_the_door_and_the_parent_of_the_decoder_load_no_decoders() -> None:
    code = (
        "import sys, screening.radiographs.sniff, screening.radiographs.decoder, screening.radiographs.unpacker;"
        "print([m for m in ('numpy', 'PIL', 'pydicom') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
