"""The pictures of a benchmark: a spread of a folder's, or generated ones that differ."""

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from screening.bench.pictures import SIZE, make_pictures, pictures_in


def test_generated_pictures_are_of_the_usual_size_and_all_differ(tmp_path: Path) -> None:
    paths = make_pictures(tmp_path, 5) + make_pictures(tmp_path, 5, seed=2)
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in paths}) == 10
    with Image.open(paths[0]) as picture:
        assert picture.size == SIZE


def test_a_large_folder_gives_a_spread_of_its_pictures(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.jpg").touch()
    (tmp_path / "notes.csv").touch()
    assert [path.stem for path in pictures_in(tmp_path, 5)] == ["0", "2", "4", "6", "8"]
    assert len(pictures_in(tmp_path, 50)) == 10


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no pictures"):
        pictures_in(tmp_path, 5)
