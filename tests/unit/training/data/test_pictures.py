"""Pictures come to training exactly as they come to a worker, and damaged ones never do."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from screening.radiographs.limits import DecodeLimits
from screening.radiographs.prepare import prepare
from screening.radiographs.rendition import RenditionSpec, fit_input
from screening.radiographs.rendition_file import load_rendition
from training.data.manifest import DatasetError, Example, read_dataset
from training.data.phantoms import make_phantom, write_phantom_dataset
from training.data.pictures import box_masks, load_grey, square_renditions

SPEC = RenditionSpec(side=64)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_phantom_dataset(tmp_path / "data", groups=4)
    return tmp_path / "data"


def example_of(path: Path, boxes: tuple[tuple[float, float, float, float], ...] = ()) -> Example:
    return Example(path.name, path, bool(boxes), "g", "arm", boxes, source=f"manifest.csv row 2 of {path.parent.name}")


def save_turned(path: Path, orientation: int) -> None:
    """A phantom as a JPEG, stored so that EXIF `orientation` brings it upright again."""
    stored = Image.fromarray(make_phantom(1, True, 120, 96).picture)
    undo = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    turn = undo[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    (stored if turn is None else stored.transpose(turn)).save(path, quality=95, exif=exif)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_squares_are_what_a_worker_makes_of_the_same_bytes(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "turned.jpg"
    save_turned(path, orientation)
    assert load_grey(path).shape == (120, 96)
    served = load_rendition(prepare(path.read_bytes(), SPEC, DecodeLimits()).rendition_png)
    square = square_renditions([example_of(path)], SPEC, tmp_path / "cache")[0]
    assert np.array_equal(square, fit_input(served, 64))


def test_squares_come_from_the_cache(data: Path, tmp_path: Path) -> None:
    examples = read_dataset(data)
    first = square_renditions(examples, SPEC, tmp_path / "cache")
    said: list[str] = []
    again = square_renditions(examples, SPEC, tmp_path / "cache", said.append)
    assert np.array_equal(first, again)
    assert said == []


def test_a_box_mask_follows_the_picture_onto_the_square(data: Path) -> None:
    placed = example_of(read_dataset(data)[0].path, ((0.0, 0.0, 0.5, 0.25),))  # 96 wide, 120 high
    mask = box_masks([placed], side=80, stride=4)[0]
    # The picture is 64 x 80 on the square, from column 8; its left half ends at column 40, a quarter down at row 20.
    expected = np.zeros((20, 20), np.uint8)
    expected[0:5, 2:10] = 255
    assert np.array_equal(mask, expected)


def test_boxes_refer_to_the_upright_picture(tmp_path: Path) -> None:
    box = ((0.0, 0.0, 0.5, 0.25),)
    masks = []
    for orientation in (1, 6):
        save_turned(tmp_path / f"{orientation}.jpg", orientation)
        masks.append(box_masks([example_of(tmp_path / f"{orientation}.jpg", box)], side=80, stride=4)[0])
    assert np.array_equal(*masks)


def test_all_damaged_pictures_are_named_with_their_rows(data: Path, tmp_path: Path) -> None:
    for number in (3, 5):
        victim = data / "images" / f"phantom{number:04d}.png"
        victim.write_bytes(victim.read_bytes()[:2000])
    with pytest.raises(DatasetError) as caught:
        square_renditions(read_dataset(data), SPEC, tmp_path / "cache")
    first, second = str(caught.value).splitlines()
    assert "manifest.csv row 5: " in first
    assert "phantom0003.png is damaged" in first
    assert "manifest.csv row 7: " in second
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("ending", [b"", b"\xff\xd9"], ids=["cut off", "cut off behind a well-placed end marker"])
def test_a_truncated_jpeg_is_refused_even_where_pillow_would_fill_it_with_grey(
    tmp_path: Path, ending: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(make_phantom(1, False).picture).save(path, quality=90)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + ending)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with Image.open(path) as picture:
        picture.load()
    with pytest.raises(DatasetError, match=r"manifest.csv row 2 .*cut.jpg is damaged .*cut off"):
        square_renditions([example_of(path)], SPEC, tmp_path / "cache")


def test_no_damaged_file_of_fracatlas_is_ever_loaded(shared_data: Path) -> None:
    paths = sorted((shared_data / "fracatlas" / "damaged").glob("*.jpg"))
    assert len(paths) == 59
    for path in paths:
        with pytest.raises(DatasetError, match=path.name):
            load_grey(path)


def test_a_shoulder_that_exif_turns_comes_upright(shared_data: Path) -> None:
    assert load_grey(shared_data / "fracatlas" / "images" / "IMG0002628.jpg").shape == (373, 454)
