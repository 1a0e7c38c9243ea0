"""A file that is being replaced: the old one or the new one, at every moment."""

import json
from pathlib import Path

import pytest

from screening.whole_files import whole_file, write_json_whole


def test_until_all_is_written_the_old_file_stands(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    with whole_file(path) as stream:
        stream.write(b"first")
        assert not path.exists()
    with whole_file(path) as stream:
        stream.write(b"sec")
        assert path.read_bytes() == b"first"
        stream.write(b"ond")
    assert path.read_bytes() == b"second"


def test_what_broke_off_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    write_json_whole(path, ["whole"])
    with pytest.raises(OSError, match="disk"), whole_file(path) as stream:
        stream.write(b"ha")
        raise OSError("the disk is full")
    assert json.loads(path.read_text("utf-8")) == ["whole"]
    write_json_whole(path, {"é": "again"})
    assert [file.name for file in tmp_path.iterdir()] == ["recipe.json"]
    assert json.loads(path.read_text("utf-8")) == {"é": "again"}
