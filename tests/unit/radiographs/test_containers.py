"""Zip and tar files, good and hostile, unpacked in the limited child as the product does it."""

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from screening.radiographs.containers import Member, members
from screening.radiographs.limits import ContainerLimits
from screening.radiographs.problems import Unscreenable
from screening.radiographs.unpacker import unpack
from tests.unit.radiographs.samples import dicom, jpeg, png, tarred, zipped

JPEG, PNG = jpeg(), png()
LIMITS = ContainerLimits()


def unpacked(tmp_path: Path, data: bytes, limits: ContainerLimits = LIMITS) -> list[Member]:
    """In this process, for speed; the child is tested with `unpack` below."""
    path = tmp_path / "container"
    path.write_bytes(data)
    with path.open("rb") as file:
        return list(members(file, limits))


def codes(found: list[Member]) -> dict[str, str]:
    return {member.name: member.problem.code if member.problem else "" for member in found}


def refusal(tmp_path: Path, data: bytes, limits: ContainerLimits = LIMITS) -> Unscreenable:
    with pytest.raises(Unscreenable) as caught:
        unpacked(tmp_path, data, limits)
    return caught.value


FILES = {"ward 7/hand.jpg": JPEG, "Ellenbogen Müller 骨折 🦴.png": PNG, "x.dcm": dicom()}
LITTER = {
    "__MACOSX/._hand.jpg": b"Mac",
    ".DS_Store": b"Mac",
    "a/Thumbs.db": b"Windows",
    "._b.jpg": b"Mac",
}


@pytest.mark.parametrize("mode", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_members_come_with_their_names_and_bytes_through_the_child(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "upload"
    path.write_bytes(zipped(FILES | LITTER) if mode == "zip" else tarred(FILES | LITTER, mode))
    found = list(unpack(path))
    assert {member.name: member.data for member in found} == FILES
    assert all(member.problem is None for member in found)


def test_an_empty_archive_has_no_members(tmp_path: Path) -> None:
    assert unpacked(tmp_path, zipped({})) == []


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_each_bad_member_has_its_reason_and_the_others_go_on(tmp_path: Path, pack: object) -> None:
    files = {
        "good.jpg": JPEG,
        "../../etc/passwd": JPEG,
        "/absolute.jpg": JPEG,
        "C:\\x.jpg": JPEG,
        "a\\..\\..\\b.jpg": JPEG,
        "inner.zip": zipped({"a.jpg": JPEG}),
        "inner.tar.gz": tarred({"a.jpg": JPEG}, "w:gz"),
        "report.txt": b"No fracture seen.",
        "nothing.jpg": b"",
        "sub\\folder.png": PNG,
        "last.jpg": JPEG,
    }
    found = unpacked(tmp_path, pack(files))  # type: ignore[operator]
    assert codes(found) == {
        "good.jpg": "",
        "../../etc/passwd": "unsafe_name",
        "/absolute.jpg": "unsafe_name",
        "C:\\x.jpg": "unsafe_name",
        "a\\..\\..\\b.jpg": "unsafe_name",
        "inner.zip": "nested",
        "inner.tar.gz": "nested",
        "report.txt": "not_an_image",
        "nothing.jpg": "empty",
        "sub\\folder.png": "",
        "last.jpg": "",
    }
    assert all(member.data is None for member in found if member.problem)


def test_links_and_devices_are_not_followed(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            entry = tarfile.TarInfo(f"kind {kind.decode()}")
            entry.type, entry.linkname = kind, "/etc/passwd"
            archive.addfile(entry)
    assert set(codes(unpacked(tmp_path, out.getvalue())).values()) == {"not_a_file"}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zip_archive:
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = 0o120777 << 16
        zip_archive.writestr(link, "/etc/passwd")
    assert codes(unpacked(tmp_path, out.getvalue())) == {"link.jpg": "not_a_file"}


def locked(data: bytes, names: int) -> bytes:
    """Set the flag that says "encrypted" on the first members of a zip file, in both of its places."""
    changed = bytearray(data)
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        for _ in range(names):
            at = data.index(magic, at + 1)
            changed[at + flags] |= 1
    return bytes(changed)


def test_an_encrypted_zip_is_refused_and_a_partly_encrypted_one_by_member(tmp_path: Path) -> None:
    data = zipped({"a.jpg": JPEG, "b.jpg": JPEG})
    assert refusal(tmp_path, locked(data, 2)).code == "encrypted"
    assert codes(unpacked(tmp_path, locked(data, 1))) == {"a.jpg": "encrypted", "b.jpg": ""}


def test_names_in_utf8_without_the_flag_are_read_as_meant(tmp_path: Path) -> None:
    data = zipped({"Röntgen.jpg": JPEG})
    assert b"\x00\x08" in data
    assert codes(unpacked(tmp_path, data.replace(b"\x14\x00\x00\x08", b"\x14\x00\x00\x00"))) == {"Röntgen.jpg": ""}


def test_names_that_are_no_text_are_shown_safely(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", encoding="utf-8", errors="surrogateescape", format=tarfile.GNU_FORMAT
    ) as archive:
        entry = tarfile.TarInfo("r\udcf6ntgen.jpg")
        entry.size = len(JPEG)
        archive.addfile(entry, io.BytesIO(JPEG))
    (member,) = unpacked(tmp_path, out.getvalue())
    assert member.name == "r\ufffdntgen.jpg"
    assert member.data == JPEG


def test_limits_on_members_and_sizes(tmp_path: Path) -> None:
    files = {f"{i}.jpg": JPEG for i in range(4)}
    for pack in (zipped, tarred):
        assert refusal(tmp_path, pack(files), ContainerLimits(max_members=3)).code == "too_many_files"
        total = ContainerLimits(max_total_bytes=3 * len(JPEG))
        assert refusal(tmp_path, pack(files), total).code == "bomb"
        found = unpacked(tmp_path, pack({"a.jpg": JPEG, "b.png": PNG}), ContainerLimits(max_member_bytes=len(PNG)))
        assert codes(found) == {"a.jpg": "too_large", "b.png": ""}


def test_bombs_are_stopped_before_they_grow(tmp_path: Path) -> None:
    zeros = b"\xff\xd8\xff" + bytes(40 << 20)
    assert codes(unpacked(tmp_path, zipped({"a.jpg": zeros}))) == {"a.jpg": "bomb"}
    assert refusal(tmp_path, tarred({"a.jpg": zeros}, "w:gz")).code == "bomb"
    assert refusal(tmp_path, tarred({"a.jpg": zeros}, "w:bz2")).code == "bomb"


def test_a_bomb_made_of_folders_and_links_is_stopped_too(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        entry = tarfile.TarInfo("../outside")
        entry.size = 40 << 20
        archive.addfile(entry, io.BytesIO(bytes(40 << 20)))
    assert refusal(tmp_path, out.getvalue()).code == "bomb"


def test_a_zip_whose_members_share_their_bytes_is_stopped(tmp_path: Path) -> None:
    """An overlapping bomb: one stream of data, listed many times in the table of contents."""
    block = b"\xff\xd8\xff" + np.random.default_rng(0).bytes(1 << 20)
    data = zipped({"a.jpg": block}, zipfile.ZIP_STORED)
    table = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[table:end]
    tail = bytearray(data[end:])
    tail[8:12] = (400).to_bytes(2, "little") * 2
    tail[12:16] = (400 * len(entry)).to_bytes(4, "little")
    limits = ContainerLimits(max_ratio=20, max_total_bytes=1 << 30)
    assert refusal(tmp_path, data[:table] + entry * 400 + bytes(tail), limits).code == "bomb"


@pytest.mark.parametrize("mode", ["zip", "w", "w:gz", "w:xz"])
def test_a_cut_off_archive_says_so(tmp_path: Path, mode: str) -> None:
    noise = {f"{i}.jpg": b"\xff\xd8\xff" + os.urandom(5000) for i in range(5)}
    data = zipped(noise) if mode == "zip" else tarred(noise, mode)
    assert refusal(tmp_path, data[: len(data) * 3 // 5]).code == "truncated"


def test_members_before_the_cut_are_kept(tmp_path: Path) -> None:
    data = tarred({"a.jpg": JPEG, "b.jpg": JPEG})
    path = tmp_path / "cut.tar"
    path.write_bytes(data[: len(JPEG) + 1600])
    found: list[str] = []
    with pytest.raises(Unscreenable) as caught:
        found.extend(member.name for member in unpack(path))
    assert caught.value.code == "truncated"
    assert found == ["a.jpg"]


def test_a_tar_file_cut_between_two_members_is_cut_off(tmp_path: Path) -> None:
    data = tarred({"a.jpg": JPEG, "b.jpg": JPEG})
    assert refusal(tmp_path, data[: data.index(b"b.jpg")]).code == "truncated"


def with_a_changed_header(data: bytes) -> bytes:
    at = data.index(b"b.jpg")
    return data[: at + 100] + b"7" + data[at + 101 :]


def with_a_zeroed_header(data: bytes) -> bytes:
    at = data.index(b"b.jpg")
    return data[:at] + bytes(512) + data[at + 512 :]


def without_bytes_before_it(data: bytes, count: int) -> bytes:
    at = data.index(b"b.jpg")
    return data[: at - count] + data[at:]


@pytest.mark.parametrize(
    "damage",
    [
        with_a_changed_header,
        with_a_zeroed_header,
        lambda data: without_bytes_before_it(data, 512),
        lambda data: without_bytes_before_it(data, 100),
        lambda data: data + data,
    ],
    ids=("changed header", "zeroed header", "512 missing", "100 missing", "joined"),
)
@pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=("plain", "gz"))
def test_a_tar_file_damaged_in_the_middle_never_ends_in_silence(
    tmp_path: Path, packed: Callable[[bytes], bytes], damage: Callable[[bytes], bytes]
) -> None:
    noise = b"\xff\xd8\xff" + np.random.default_rng(0).bytes(30_000)
    data = tarred({"a.jpg": noise, "b.jpg": noise, "c.jpg": noise})
    path = tmp_path / "damaged.tar"
    path.write_bytes(packed(damage(data)))
    found: list[str] = []
    with pytest.raises(Unscreenable) as caught:
        found.extend(member.name for member in unpack(path))
    assert caught.value.code == "damaged"
    assert found[0] == "a.jpg"


def test_a_long_name_that_has_lost_its_file_is_damage(tmp_path: Path) -> None:
    name = "x" * 200 + ".jpg"
    data = bytearray(tarred({"a.jpg": JPEG, name: JPEG, "c.jpg": JPEG}))
    at = data.rindex(b"x" * 100, 0, data.index(b"c.jpg"))
    data[at + 110] ^= 1
    assert refusal(tmp_path, bytes(data)).code == "damaged"


def test_the_checksum_behind_a_compressed_tar_file_is_looked_at(tmp_path: Path) -> None:
    data = bytearray(tarred({"a.jpg": JPEG, "b.jpg": JPEG}, "w:gz"))
    data[-6] ^= 1
    assert refusal(tmp_path, bytes(data)).code == "damaged"
    assert refusal(tmp_path, bytes(data[:-4])).code == "truncated"


def test_a_bomb_behind_the_end_of_a_tar_file_is_stopped(tmp_path: Path) -> None:
    assert refusal(tmp_path, gzip.compress(tarred({"a.jpg": JPEG}) + bytes(40 << 20))).code == "bomb"


def test_zeros_behind_the_end_of_a_tar_file_are_no_damage(tmp_path: Path) -> None:
    assert codes(unpacked(tmp_path, tarred({"a.jpg": JPEG}) + bytes(1 << 20))) == {"a.jpg": ""}


def test_a_compressed_file_without_a_tar_inside_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, gzip.compress(JPEG)).code == "unsupported"


def test_a_damaged_member_is_refused_alone(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.jpg": JPEG, "b.jpg": PNG}, zipfile.ZIP_STORED))
    data[200] ^= 0xFF
    assert codes(unpacked(tmp_path, bytes(data))) == {"a.jpg": "damaged", "b.jpg": ""}


def test_a_container_that_eats_memory_is_stopped_in_the_child(tmp_path: Path) -> None:
    """A tar header may promise gigabytes of extended header, which Python reads whole."""
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 3 << 30
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(entry.tobuf(tarfile.GNU_FORMAT))
        for _ in range(700):
            file.write(bytes(1 << 20))
    with pytest.raises(Unscreenable) as caught:
        list(unpack(path, ContainerLimits(memory_bytes=512 << 20)))
    assert caught.value.code in ("memory", "truncated")


def test_leaving_early_ends_the_child(tmp_path: Path) -> None:
    path = tmp_path / "upload.zip"
    path.write_bytes(zipped({f"{i}.jpg": JPEG for i in range(50)}))
    before = set(children())
    stream = unpack(path)
    next(stream)
    assert set(children()) - before
    stream.close()  # type: ignore[attr-defined]
    assert not set(children()) - before


def children() -> list[str]:
    tasks = Path("/proc/self/task")
    return [pid for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
