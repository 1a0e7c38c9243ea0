"""Near copies are found whatever saving did to them, and other pictures of the same kind are not taken for them."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from screening.radiographs.rendition import fit_input, make_rendition
from training.data.duplicates import THUMBNAIL, contradictions, find_groups, leaks, name_pairs, near_copies
from training.data.manifest import Example, read_dataset
from training.data.phantoms import make_phantom
from training.data.pictures import square_renditions


def square(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return fit_input(make_rendition(picture, THUMBNAIL), THUMBNAIL.side)


def saved_again(picture: NDArray[np.uint8], size: tuple[int, int], quality: int) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(picture).resize(size).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def example(number: int, fractured: bool = False, part: str = "hand", mixed: str = "0") -> Example:
    name = f"IMG{number:07d}.jpg"
    return Example(name, Path(name), fractured, "", part, traits={"mixed": mixed})


@pytest.fixture(scope="module")
def squares() -> NDArray[np.uint8]:
    """Six phantoms; 6 is 0 saved again, 7 is 1 reduced and darker, 8 is 0 once more, 9 is 2 to the byte."""
    phantoms = [make_phantom(seed, fractured=seed % 2 == 0).picture for seed in range(6)]
    return np.stack(
        [square(picture) for picture in phantoms]
        + [
            square(saved_again(phantoms[0], (373, 454), 40)),
            square((saved_again(phantoms[1], (250, 304), 90) * 0.6).astype(np.uint8)),
            square(saved_again(phantoms[0], (746, 908), 70)),
            square(phantoms[2]),
        ]
    )


def test_copies_are_found_and_nothing_else(squares: NDArray[np.uint8]) -> None:
    assert sorted(near_copies(squares)) == [(0, 6), (0, 8), (1, 7), (2, 9), (6, 8)]


def test_copies_are_found_across_blocks(squares: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.data.duplicates._BLOCK", 3)
    assert sorted(near_copies(squares)) == [(0, 6), (0, 8), (1, 7), (2, 9), (6, 8)]


def test_pictures_without_contrast_are_copies_of_each_other_only(squares: NDArray[np.uint8]) -> None:
    with_blank = np.concatenate([squares[:3], np.zeros((2, 64, 64), np.uint8)])
    assert near_copies(with_blank) == [(3, 4)]


def test_groups_join_copies_over_others(squares: NDArray[np.uint8]) -> None:
    groups = find_groups([example(10 * index) for index in range(10)], squares, numbered_by_patient=True)
    assert groups == ["g0000", "g0001", "g0002", "g0003", "g0004", "g0005", "g0000", "g0001", "g0000", "g0002"]


def test_neighbouring_numbers_join_only_one_kind_and_only_where_numbers_follow_patients(
    squares: NDArray[np.uint8],
) -> None:
    examples = [
        *(example(1), example(2), example(3, fractured=True)),
        *(example(4, fractured=True, part="leg"), example(5, fractured=True, part="leg", mixed="1")),
        example(7, fractured=True, part="leg", mixed="1"),
    ]
    assert find_groups(examples, squares[:6], True) == ["g0000", "g0000", "g0001", "g0002", "g0003", "g0004"]
    assert len(set(find_groups(examples, squares[:6], False))) == 6


def test_leaks_and_contradictions_name_the_pictures(squares: NDArray[np.uint8]) -> None:
    examples = [example(10 * index, fractured=index in (0, 8)) for index in range(10)]
    assert leaks(examples, squares, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0]) == [("IMG0000010.jpg", "IMG0000070.jpg")]
    assert sorted(contradictions(examples, squares)) == [
        ("IMG0000000.jpg", "IMG0000060.jpg"),
        ("IMG0000060.jpg", "IMG0000080.jpg"),
    ]


def test_a_few_pairs_are_named_and_the_rest_counted() -> None:
    assert name_pairs([("a", "b")]) == "a and b"
    assert name_pairs([(f"a{n}", f"b{n}") for n in range(5)]) == "a0 and b0, a1 and b1, a2 and b2, and 2 more pairs"


def test_the_known_contradictions_of_fracatlas_are_found_and_its_groups_hide_no_copy(
    shared_data: Path, tmp_path: Path
) -> None:
    everything = read_dataset(shared_data / "fracatlas", leave_out=frozenset())
    known = {2886: 4243, 2998: 4280, 3034: 4314, 2952: 4262}
    numbers = {number for pair in known.items() for number in pair} | {4341}
    around = [e for e in everything if int(e.image_id[3:10]) in numbers or e.image_id < "IMG0000200"]
    squares = square_renditions(around, THUMBNAIL, tmp_path)
    found = {(int(a[3:10]), int(b[3:10])) for a, b in contradictions(around, squares)}
    assert found == {*known.items(), (3034, 4341)}
    theirs = {name: number for number, name in enumerate({e.group for e in around})}
    assert leaks(around, squares, [theirs[e.group] for e in around]) == []
