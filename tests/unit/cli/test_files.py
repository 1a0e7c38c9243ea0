"""Finding the files to send."""

import os
import sys
from pathlib import Path

import pytest

from screening.client.errors import ClientError
from screening.client.files import find_files, sha256_of


def test_folders_are_walked_in_order_and_names_tell_the_folder(tmp_path: Path) -> None:
    ward = tmp_path / "Ward 7"
    for name in ("b/IM0001", "a/IM0002", "a/IM0001", "z.jpg"):
        (ward / name).parent.mkdir(parents=True, exist_ok=True)
        (ward / name).write_bytes(b"x")
    found = find_files([ward, ward / "a" / "IM0002"])
    names = [file.name for file in found.files]
    assert names == ["Ward 7/z.jpg", "Ward 7/a/IM0001", "Ward 7/a/IM0002", "Ward 7/b/IM0001", "IM0002"]
    assert all(file.path.is_file() for file in found.files)


def test_litter_is_left_out_and_counted(tmp_path: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", ".git/config", "__MACOSX/._a.jpg", "a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = find_files([tmp_path])
    assert [file.path.name for file in found.files] == ["a.jpg"]
    assert found.skipped == 5


def test_a_hidden_folder_that_was_named_is_sent(tmp_path: Path) -> None:
    (tmp_path / ".scans").mkdir()
    (tmp_path / ".scans" / "a.jpg").write_bytes(b"x")
    assert [file.name for file in find_files([tmp_path / ".scans"]).files] == [".scans/a.jpg"]


def test_any_unicode_name_is_kept(tmp_path: Path) -> None:
    (tmp_path / "Hüfte – 手.png").write_bytes(b"x")
    assert find_files([tmp_path]).files[0].name == f"{tmp_path.name}/Hüfte – 手.png"


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems refuse such names")
def test_a_name_that_is_no_unicode_can_be_sent(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"R\xf6ntgen.jpg")).write_bytes(b"x")
    file = find_files([tmp_path]).files[0]
    assert file.name == f"{tmp_path.name}/R\N{REPLACEMENT CHARACTER}ntgen.jpg"
    assert sha256_of(file.path) == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


def test_a_link_that_leads_in_a_circle_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "again").symlink_to(tmp_path)
    found = find_files([tmp_path])
    assert [file.path.name for file in found.files] == ["a.jpg", "gone.jpg"]
    [problem] = found.problems
    assert str(tmp_path / "again") in problem
    assert "not followed" in problem


def test_a_path_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="no file or folder"):
        find_files([tmp_path / "nothing"])
