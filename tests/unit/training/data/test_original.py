"""FracAtlas as downloaded: two folders, a table of other columns, boxes in PASCAL VOC, groups found by number."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data.manifest import DatasetError, read_dataset
from training.data.original import COLUMNS

VOC = """<annotation><filename>{name}</filename><size><width>200</width><height>100</height><depth>1</depth></size>
<object><name>fractured</name><bndbox><xmin>20</xmin><ymin>10</ymin><xmax>100</xmax><ymax>101</ymax></bndbox></object>
</annotation>"""

# number, folder, hand, leg, hip, shoulder, mixed, fractured as the table says it
PICTURES = [
    (10, "Non_fractured", 1, 0, 0, 0, 0, 0),
    (11, "Non_fractured", 1, 0, 0, 0, 0, 0),
    (12, "Non_fractured", 1, 0, 0, 1, 1, 0),
    (13, "Fractured", 0, 1, 0, 0, 0, 1),
    (14, "Fractured", 0, 1, 0, 0, 0, 0),
    (16, "Fractured", 0, 1, 0, 0, 0, 1),
    (20, "Non_fractured", 0, 0, 1, 0, 0, 0),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    voc = tmp_path / "Annotations" / "PASCAL VOC"
    voc.mkdir(parents=True)
    lines = [",".join(COLUMNS)]
    for number, folder, hand, leg, hip, shoulder, mixed, fractured in PICTURES:
        name = f"IMG{number:07d}.jpg"
        (tmp_path / "images" / folder).mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (6, 8), np.uint8))
        coarse.resize((200, 100)).save(tmp_path / "images" / folder / name)
        lines.append(f"{name},{hand},{leg},{hip},{shoulder},{mixed},0,0,{fractured},{fractured},1,0,0")
        if folder == "Fractured":
            (voc / f"IMG{number:07d}.xml").write_text(VOC.format(name=name))
    (tmp_path / "dataset.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_reads_the_download_and_says_what_it_found(data: Path) -> None:
    said: list[str] = []
    examples = {int(e.path.stem[3:]): e for e in read_dataset(data, progress=said.append)}
    assert list(examples) == [10, 11, 12, 13, 14, 16, 20]
    assert {n: e.body_part for n, e in examples.items() if n in (10, 12, 13, 20)} == {
        10: "hand",
        12: "hand",
        13: "leg",
        20: "hip",
    }
    assert examples[12].traits["mixed"] == "1"
    assert examples[13].boxes == ((0.1, 0.1, 0.5, 1.0),)
    assert examples[10].boxes == ()
    told = "\n".join(said)
    assert "FracAtlas as downloaded" in told
    assert "fracture boxes for 3 of 3 fractured pictures" in told


def test_the_folder_is_the_label_and_the_reader_is_told(data: Path) -> None:
    said: list[str] = []
    examples = {e.image_id: e for e in read_dataset(data, progress=said.append)}
    assert examples["IMG0000014.jpg"].fractured
    assert "labelled by their folder and not by dataset.csv: IMG0000014.jpg" in said


def test_neighbouring_numbers_of_one_kind_share_a_group(data: Path) -> None:
    group = {int(e.path.stem[3:]): e.group for e in read_dataset(data)}
    assert group[10] == group[11]
    assert group[13] == group[14]
    # 12 shows several parts, 13 is fractured, 15 is missing before 16.
    assert len({group[n] for n in (10, 12, 13, 16, 20)}) == 5


def test_damaged_pictures_of_the_download_are_left_out_by_name(data: Path) -> None:
    victim = data / "images" / "Non_fractured" / "IMG0000011.jpg"
    victim.write_bytes(victim.read_bytes()[:-200])
    said: list[str] = []
    assert "IMG0000011.jpg" not in {e.image_id for e in read_dataset(data, progress=said.append)}
    assert "left out as damaged (1): IMG0000011.jpg" in said


def table(old: str, new: str) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        text = (data / "dataset.csv").read_text()
        assert old in text
        (data / "dataset.csv").write_text(text.replace(old, new))

    return change


def annotation(text: str) -> Callable[[Path], None]:
    return lambda data: (data / "Annotations" / "PASCAL VOC" / "IMG0000013.xml").write_text(text) and None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (table("IMG0000011.jpg", "IMG0000099.jpg"), r"dataset.csv row 3: IMG0000099.jpg is neither in .*Fractured"),
        (table("IMG0000011.jpg", "IMG0000010.jpg"), r"dataset.csv row 3: IMG0000010.jpg is already in .*row 2"),
        (table("IMG0000011.jpg", ""), r"dataset.csv row 3: .* is a folder and not a picture"),
        (table("IMG0000011.jpg,1", "IMG0000011.jpg,x"), r"dataset.csv row 3: hand is 'x'; write 0 or 1"),
        (table("shoulder", "elbow"), r"dataset.csv row 1: missing columns shoulder; unknown columns elbow"),
        (annotation("<annotation>"), r"IMG0000013.xml holds no readable boxes"),
        (
            annotation("<annotation><size><width>9</width></size></annotation>"),
            r"xml holds no .*size/height is missing",
        ),
        (annotation(VOC.replace("<xmax>100", "<xmax>20")), r"xml holds no readable boxes \(a box without extent\)"),
        (annotation(VOC.replace("<width>200", "<width>0")), r"xml holds no readable boxes"),
        (annotation("<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>"), r"xml declares entities"),
    ],
)
def test_complaints_name_the_file_and_the_row(data: Path, change: Callable[[Path], None], words: str) -> None:
    change(data)
    with pytest.raises(DatasetError, match=words):
        read_dataset(data)
