"""What a file is, from its first bytes alone. Nothing is decoded: safe in the web process. Standard library only."""

from enum import StrEnum
from typing import Literal

from screening.radiographs.problems import Unscreenable

HEAD_BYTES = 512
"""How many first bytes `sniff` wants to see: enough for the tar magic at 257 and the DICOM magic at 128."""


class Kind(StrEnum):
    JPEG = "jpeg"
    PNG = "png"
    TIFF = "tiff"
    DICOM = "dicom"
    ZIP = "zip"
    TAR = "tar"
    TAR_GZ = "tar.gz"
    TAR_BZ2 = "tar.bz2"
    TAR_XZ = "tar.xz"

    @property
    def is_container(self) -> bool:
        return self in _CONTAINERS

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self]


_CONTAINERS = frozenset({Kind.ZIP, Kind.TAR, Kind.TAR_GZ, Kind.TAR_BZ2, Kind.TAR_XZ})

_MEDIA_TYPES = {
    Kind.JPEG: "image/jpeg",
    Kind.PNG: "image/png",
    Kind.TIFF: "image/tiff",
    Kind.DICOM: "application/dicom",
    Kind.ZIP: "application/zip",
    Kind.TAR: "application/x-tar",
    Kind.TAR_GZ: "application/gzip",
    Kind.TAR_BZ2: "application/x-bzip2",
    Kind.TAR_XZ: "application/x-xz",
}

_MAGIC = (
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"II*\x00", Kind.TIFF),
    (b"MM\x00*", Kind.TIFF),
    (b"II+\x00", Kind.TIFF),
    (b"MM\x00+", Kind.TIFF),
    (b"PK\x03\x04", Kind.ZIP),
    (b"PK\x05\x06", Kind.ZIP),
    (b"PK\x07\x08", Kind.ZIP),
    (b"\x1f\x8b\x08", Kind.TAR_GZ),
    (b"BZh", Kind.TAR_BZ2),
    (b"\xfd7zXZ\x00", Kind.TAR_XZ),
)

_REFUSED = (
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"%PDF", "a PDF document"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture outside DICOM"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture outside DICOM"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
    (b"\xd0\xcf\x11\xe0", "an Office document"),
    (b"8BPS", "a Photoshop document"),
    (b"SIMPLE  =", "a FITS picture"),
)

# Value representations that may open a data set, for DICOM files written without preamble.
_FIRST_VRS = frozenset({b"UL", b"UI", b"CS", b"LO", b"SH", b"DA", b"OB"})

_WANTED = "Send JPEG, PNG, TIFF or DICOM files, or a zip or tar archive of them."


def sniff(head: bytes) -> Kind | None:
    """Tell the kind of a file from its first `HEAD_BYTES` bytes; None where it is nothing that this system takes.

    A DICOM file may carry another format's header in its preamble, so the DICOM magic is looked at first.
    A gzip, bzip2 or xz file is called a tar file without unpacking it; what is inside is found later.
    """
    if head[128:132] == b"DICM":
        return Kind.DICOM
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[257:262] == b"ustar" or _is_old_tar(head):
        return Kind.TAR
    if _is_bare_dicom(head):
        return Kind.DICOM
    return None


def why_refused(head: bytes) -> Unscreenable | None:
    """Why a file that starts with these bytes is turned away at the door, or None where it is let in."""
    if not head:
        return Unscreenable("empty", "The file is empty. Send it again from where it was exported.")
    if sniff(head) is not None:
        return None
    return Unscreenable("not_an_image", f"This is {_describe(head)}, not a radiograph. {_WANTED}")


def _describe(head: bytes) -> str:
    for magic, name in _REFUSED:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP picture"
    if head[4:8] == b"ftyp":
        return "a HEIC picture" if head[8:11] in (b"hei", b"mif", b"hev") else "a video"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if start.startswith((b"<?xml", b"<svg")):
        return "an XML text"
    if not head.strip(b"\x00"):
        return "a file of zeros"
    return "a text" if _is_text(head) else "a file of unknown kind"


def _is_text(head: bytes) -> bool:
    # The head may end inside a character of several bytes; up to three last bytes may therefore fail to decode.
    for cut in range(4):
        try:
            text = head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return all(sign.isprintable() or sign in "\t\r\n\f" for sign in text)
    return False


def _is_bare_dicom(head: bytes) -> bool:
    """Best effort for data sets without preamble: the first element is in group 2 or 8, and early in it."""
    if len(head) < 12:
        return False
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        group = int.from_bytes(head[0:2], order)
        element = int.from_bytes(head[2:4], order)
        if group not in (2, 8) or element > 0x60:
            continue
        if head[4:6] in _FIRST_VRS:
            return True
        if order == "little" and 0 < int.from_bytes(head[4:8], "little") <= 128 and int.from_bytes(head[8:10]) > 0:
            return True
    return False


def _is_old_tar(head: bytes) -> bool:
    """A tar file from before POSIX has no magic; its header's checksum tells it."""
    if len(head) < 512 or not head[0]:
        return False
    try:
        stated = int(head[148:156].split(b"\x00")[0].strip() or b"x", 8)
    except ValueError:
        return False
    return stated == sum(head[:148]) + 8 * 32 + sum(head[156:512])
