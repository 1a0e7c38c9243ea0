"""Reading a data set: what is kept, and that every complaint names the file and the row."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from screening.radiographs.rendition import RenditionSpec, fit_input, make_rendition
from training.dataset import DatasetError, Example, box_masks, load_grey, read_dataset, square_renditions
from training.phantoms import write_phantom_dataset


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_phantom_dataset(tmp_path / "data", groups=4)
    return tmp_path / "data"


def test_reads_labels_groups_and_boxes(data: Path) -> None:
    examples = read_dataset(data)
    assert [e.fractured for e in examples] == [True, True, False, False] * 2
    assert [e.group for e in examples[:4]] == ["g0000", "g0000", "g0001", "g0001"]
    assert [len(e.boxes) for e in examples[:4]] == [1, 1, 0, 0]


def test_left_out_images_are_not_read(data: Path) -> None:
    kept = read_dataset(data, leave_out=frozenset({"phantom0000.png"}))
    assert kept[0].image_id == "phantom0001.png"


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        text = (data / name).read_text()
        assert old in text
        (data / name).write_text(text.replace(old, new))

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda data: (data / name).unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (remove("images/phantom0002.png"), r"manifest.csv row 4: .*phantom0002.png does not exist"),
        (edit("manifest.csv", "phantom0003.png,0", "phantom0003.png,yes"), r"row 5: fractured is 'yes'"),
        (edit("manifest.csv", "phantom0001.png", "phantom0000.png"), r"row 3: phantom0000.png is already in row 2"),
        (edit("manifest.csv", "g0003,leg", ",leg"), r"row 8: phantom0006.png has no group"),
        (edit("manifest.csv", "phantom0001.png,1,g0000,arm", "phantom0001.png,1"), r"row 3: it does not have 4 fields"),
        (edit("manifest.csv", "body_part", "bodypart"), r"row 1: missing columns body_part; unknown columns bodypart"),
        (edit("manifest.csv", ",1,g", ",0,g"), r"one class only \(8 rows\)"),
        (remove("manifest.csv"), r"manifest.csv cannot be read"),
        (
            lambda data: (data / "boxes.csv").write_text(
                "image_id,x_min,y_min,x_max,y_max\nphantom0000.png,0.5,0.1,0.4,0.2\n"
            ),
            r"boxes.csv row 2: a box needs",
        ),
    ],
)
def test_complaints_name_the_row(data: Path, change: Callable[[Path], None], words: str) -> None:
    change(data)
    with pytest.raises(DatasetError, match=words):
        read_dataset(data)


def test_a_damaged_image_is_named(data: Path, tmp_path: Path) -> None:
    victim = data / "images" / "phantom0005.png"
    victim.write_bytes(victim.read_bytes()[:2000])
    with pytest.raises(DatasetError, match=r"phantom0005.png is damaged"):
        square_renditions(read_dataset(data), RenditionSpec(side=64), tmp_path / "cache")


def test_renditions_are_those_of_serving_and_come_from_the_cache(data: Path, tmp_path: Path) -> None:
    examples, spec = read_dataset(data), RenditionSpec(side=64)
    first = square_renditions(examples, spec, tmp_path / "cache")
    expected = fit_input(make_rendition(load_grey(examples[3].path), spec), 64)
    assert np.array_equal(first[3], expected)
    said: list[str] = []
    again = square_renditions(examples, spec, tmp_path / "cache", said.append)
    assert np.array_equal(first, again)
    assert said == []


def test_box_masks_follow_the_picture_onto_the_square(data: Path) -> None:
    example = read_dataset(data)[0]  # 96 wide, 120 high
    placed = Example(example.image_id, example.path, True, "g", "arm", ((0.0, 0.0, 0.5, 0.25),))
    mask = box_masks([placed], side=80, stride=4)[0]
    # The picture is 64 x 80 on the square, from column 8; its left half ends at column 40, a quarter down at row 20.
    expected = np.zeros((20, 20), np.uint8)
    expected[0:5, 2:10] = 255
    assert np.array_equal(mask, expected)
