"""Zip and tar files, member by member, under limits. Standard library only; run it where a crash costs nothing else."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO

from screening.radiographs.limits import ContainerLimits
from screening.radiographs.problems import Unscreenable, cut_off, damaged, too_large
from screening.radiographs.sniff import HEAD_BYTES, Kind, sniff, why_refused

_PIECE = 1 << 20
_MOST_NAME = 1024
_LEFT_BY_DESKTOPS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX"})
_ENCRYPTED = 0x1
_UTF8_NAME = 0x800


@dataclass(frozen=True)
class Member:
    """One file inside a container: either its bytes, or why it is not taken.

    name: as stored, with any Unicode, for showing only; it is never used as a path.
    """

    name: str
    data: bytes | None = None
    problem: Unscreenable | None = None


def members(file: BinaryIO, limits: ContainerLimits) -> Iterator[Member]:
    """Yield the members of a zip or tar file that is open at its start. Folders and desktop litter are passed over.

    Raises Unscreenable for what concerns the whole container: too many members, a bomb, a password, a lost end.
    """
    kind = sniff(file.read(HEAD_BYTES))
    file.seek(0)
    if kind is None or not kind.is_container:
        raise Unscreenable("not_an_image", "This is not a zip or tar archive. Send it as it is, not as an archive.")
    allowance = _Allowance(limits, packed_bytes=os.fstat(file.fileno()).st_size)
    yield from _zip_members(file, allowance) if kind is Kind.ZIP else _tar_members(file, kind, allowance)


class _Allowance:
    """Counts what has been unpacked so far, and stops a container that passes its limits."""

    def __init__(self, limits: ContainerLimits, packed_bytes: int) -> None:
        self.limits, self._packed = limits, packed_bytes
        self._unpacked = self._members = 0

    def count_member(self) -> None:
        self._members += 1
        if self._members > self.limits.max_members:
            raise Unscreenable(
                "too_many_files",
                f"The archive holds more than {self.limits.max_members:,} files. Split it into several archives.",
            )

    def check_total(self, unpacked: int) -> None:
        if unpacked > self.limits.max_total_bytes:
            raise Unscreenable(
                "bomb",
                f"The archive unpacks to more than {self.limits.max_total_bytes / 1e9:,.1f} GB. "
                "Split it into several archives.",
            )

    def count_bytes(self, size: int) -> None:
        self._unpacked += size
        self.check_total(self._unpacked)
        if self.is_out_of_ratio(self._unpacked, self._packed):
            raise _bomb()

    def is_out_of_ratio(self, unpacked: int, packed: int) -> bool:
        return unpacked > self.limits.ratio_free_bytes and unpacked > self.limits.max_ratio * max(1, packed)

    def read(self, stream: IO[bytes]) -> bytes:
        """Read a zip member to its end, counting. The zip reader stops at the size that was checked before."""
        got = bytearray()
        while piece := stream.read(_PIECE):
            self.count_bytes(len(piece))
            got += piece
        return bytes(got)


def _zip_members(file: BinaryIO, allowance: _Allowance) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError):
        # The table of contents stands at the end, so this is what a cut-off zip file looks like.
        raise Unscreenable(
            "truncated", "The zip archive's table of contents, at its end, is missing or damaged. Send it again."
        ) from None
    entries = [entry for entry in archive.infolist() if not entry.is_dir() and not _is_litter(entry.filename)]
    for _ in entries:
        allowance.count_member()
    allowance.check_total(sum(entry.file_size for entry in entries if not entry.flag_bits & _ENCRYPTED))
    if entries and all(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise Unscreenable("encrypted", "The zip archive is protected by a password. Pack it again without one.")
    for entry in entries:
        yield _zip_member(archive, entry, allowance)


def _zip_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, allowance: _Allowance) -> Member:
    name = _shown(_zip_name(entry))
    problem = _bad_name(entry.filename)
    if problem is None and entry.flag_bits & _ENCRYPTED:
        problem = Unscreenable("encrypted", "This file is protected by a password. Pack it again without one.")
    if problem is None and (entry.external_attr >> 28) == 0o12:
        problem = _not_a_file()
    if problem is None and entry.file_size > allowance.limits.max_member_bytes:
        problem = too_large(entry.file_size, allowance.limits.max_member_bytes)
    if problem is None and allowance.is_out_of_ratio(entry.file_size, entry.compress_size):
        problem = _bomb()
    if problem is not None:
        return Member(name, problem=problem)
    try:
        with archive.open(entry) as stream:
            return _judged(name, allowance.read(stream))
    except NotImplementedError:
        problem = Unscreenable(
            "unsupported", "This file is packed by an unusual method. Pack the archive as plain zip."
        )
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, RuntimeError):
        problem = damaged("file inside the archive")
    return Member(name, problem=problem)


def _tar_members(file: BinaryIO, kind: Kind, allowance: _Allowance) -> Iterator[Member]:
    stream = _Unpacked(_UNPACKERS[kind](file), allowance)
    seen = False
    try:
        with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape") as archive:
            for entry in archive:
                seen = True
                allowance.count_member()
                member = _tar_member(archive, entry, allowance)
                archive.members = []  # type: ignore[attr-defined]  # Streaming needs no table of what went by.
                if member is not None:
                    yield member
            # A whole archive ends with blocks of zeros, but tarfile takes a lost end for one, and a header that it
            # cannot read too: whatever stands behind that would be left out in silence.
            if stream.position < archive.offset + tarfile.BLOCKSIZE:
                raise cut_off(None)
            if not stream.only_zeros_follow(archive.offset):
                raise _broken_inside()
    except tarfile.ReadError as error:
        ends_early = any(words in str(error) for words in ("unexpected end", "empty header", "truncated header"))
        if seen or ends_early:
            raise (cut_off(None) if ends_early else _broken_inside()) from None
        raise Unscreenable(
            "unsupported", "This compressed file holds no tar archive. Unpack it, or send a zip archive."
        ) from None
    except EOFError:
        raise cut_off(None) from None
    except (tarfile.TarError, zlib.error, lzma.LZMAError, OSError, ValueError, OverflowError):
        raise damaged("archive") from None


class _Unpacked(io.RawIOBase):
    """A tar file after its decompression. Everything that comes out counts, headers and skipped members too."""

    def __init__(self, source: io.BufferedIOBase | IO[bytes], allowance: _Allowance) -> None:
        self._source, self._allowance = source, allowance
        self._last = b""
        self.position = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read(size)
        self.position += len(piece)
        self._allowance.count_bytes(len(piece))
        self._last = piece or self._last
        return piece

    def only_zeros_follow(self, offset: int) -> bool:
        """Read on to the end, where a compressed file has its checksum. `offset` lies in what was read last."""
        piece = self._last[offset - self.position :]
        while not piece.strip(b"\x00"):
            piece = self.read(_PIECE)
            if not piece:
                return True
        return False


_UNPACKERS: dict[Kind, Callable[[BinaryIO], io.BufferedIOBase | IO[bytes]]] = {
    Kind.TAR: lambda file: file,
    Kind.TAR_GZ: lambda file: gzip.GzipFile(fileobj=file),
    Kind.TAR_BZ2: bz2.BZ2File,
    Kind.TAR_XZ: lzma.LZMAFile,
}


def _tar_member(archive: tarfile.TarFile, entry: tarfile.TarInfo, allowance: _Allowance) -> Member | None:
    if entry.isdir() or _is_litter(entry.name):
        return None
    problem = _bad_name(entry.name)
    if problem is None and (not entry.isreg() or entry.issparse()):
        problem = _not_a_file()
    if problem is None and entry.size > allowance.limits.max_member_bytes:
        problem = too_large(entry.size, allowance.limits.max_member_bytes)
    stream = archive.extractfile(entry) if problem is None else None
    if problem is not None or stream is None:
        return Member(_shown(entry.name), problem=problem or _not_a_file())
    data = stream.read()
    if len(data) < entry.size:
        raise cut_off(None)
    return _judged(_shown(entry.name), data)


def _judged(name: str, data: bytes) -> Member:
    """A member that was read, unless its first bytes already say that it is nothing to screen."""
    head = data[:HEAD_BYTES]
    kind = sniff(head)
    if kind is not None and kind.is_container:
        problem: Unscreenable | None = Unscreenable(
            "nested", "This is an archive inside an archive. Unpack it, and send the pictures themselves."
        )
    else:
        problem = why_refused(head)
    return Member(name, problem=problem) if problem is not None else Member(name, data)


def _bad_name(name: str) -> Unscreenable | None:
    parts = name.replace("\\", "/").split("/")
    outside = ".." in parts or name.startswith(("/", "\\")) or (name[1:2] == ":" and name[:1].isalpha())
    if outside or len(name) > _MOST_NAME or "\x00" in name:
        return Unscreenable(
            "unsafe_name", "The file's name inside the archive points outside it. Pack the archive again."
        )
    return None


def _shown(name: str) -> str:
    """The name as text that every database and page takes: no half characters, no NUL, not endless."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\x00", "\ufffd")
    return text if len(text) <= _MOST_NAME else text[: _MOST_NAME - 1] + "…"


def _zip_name(entry: zipfile.ZipInfo) -> str:
    """Many programs store UTF-8 without saying so, and Python then reads it as code page 437."""
    if entry.flag_bits & _UTF8_NAME:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _is_litter(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return not _LEFT_BY_DESKTOPS.isdisjoint(parts) or parts[-1].startswith("._")


def _bomb() -> Unscreenable:
    return Unscreenable(
        "bomb", "The archive grows out of all proportion when it is unpacked, so it was stopped. Send the files singly."
    )


def _broken_inside() -> Unscreenable:
    return Unscreenable(
        "damaged",
        "The archive is damaged inside, or several were joined into one: what comes after that place was not read. "
        "Pack it again, or send each archive by itself.",
    )


def _not_a_file() -> Unscreenable:
    return Unscreenable("not_a_file", "This is a link or a device, not a file. Pack the file itself.")
