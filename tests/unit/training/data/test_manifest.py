"""Reading a data set with a manifest: what is kept, and that every complaint names the file and the row."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data.manifest import DatasetError, read_dataset
from training.data.phantoms import write_phantom_dataset

BOX_HEADER = "image_id,x_min,y_min,x_max,y_max\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_phantom_dataset(tmp_path / "data", groups=4)
    return tmp_path / "data"


def test_reads_labels_groups_boxes_and_where_they_stand(data: Path) -> None:
    said: list[str] = []
    examples = read_dataset(data, progress=said.append)
    assert [e.fractured for e in examples] == [True, True, False, False] * 2
    assert [e.group for e in examples[:4]] == ["g0000", "g0000", "g0001", "g0001"]
    assert [len(e.boxes) for e in examples[:4]] == [1, 1, 0, 0]
    assert examples[5].source == f"{data / 'manifest.csv'} row 7"
    assert said == [f"reading {data / 'manifest.csv'}"]


def test_left_out_images_are_not_read(data: Path) -> None:
    kept = read_dataset(data, leave_out=frozenset({"phantom0000.png"}))
    assert kept[0].image_id == "phantom0001.png"


def test_a_table_saved_by_a_spreadsheet_program_is_read(data: Path) -> None:
    manifest = data / "manifest.csv"
    manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert len(read_dataset(data)) == 8


def test_without_groups_copies_share_one_and_contradictions_and_damage_stay_out(data: Path) -> None:
    images = data / "images"
    first, third, fifth = (Image.open(images / f"phantom{number:04d}.png") for number in (0, 2, 4))
    first.save(images / "again.jpg", quality=80)
    third.save(images / "doubtful.jpg", quality=80)
    fifth.save(images / "cut.jpg")
    (images / "cut.jpg").write_bytes((images / "cut.jpg").read_bytes()[:1500])
    rows = [line.split(",") for line in (data / "manifest.csv").read_text().split()]
    rows += [["again.jpg", "1", "", "arm"], ["doubtful.jpg", "1", "", "arm"], ["cut.jpg", "1", "", "leg"]]
    (data / "manifest.csv").write_text("".join(f"{name},{label},{part}\n" for name, label, _, part in rows))

    said: list[str] = []
    examples = read_dataset(data, progress=said.append)
    groups = {e.image_id: e.group for e in examples}
    assert groups["again.jpg"] == groups["phantom0000.png"]
    assert len(set(groups.values())) == len(examples) - 1
    assert groups.keys().isdisjoint({"doubtful.jpg", "phantom0002.png", "cut.jpg"})
    told = "\n".join(said)
    assert "has no column group" in told
    assert "left out as damaged (1): cut.jpg" in told
    assert "left out as near copies with opposite labels: phantom0002.png and doubtful.jpg" in told


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        text = (data / name).read_text()
        assert old in text
        (data / name).write_text(text.replace(old, new))

    return change


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda data: (data / name).write_bytes(content) and None


def box(row: str) -> Callable[[Path], None]:
    return write("boxes.csv", (BOX_HEADER + row + "\n").encode())


def column(name: str, value: str) -> Callable[[Path], None]:
    """A column more, which holds this value in its first row."""

    def change(data: Path) -> None:
        header, first, *rest = (data / "manifest.csv").read_text().splitlines()
        lines = [f"{header},{name}", f"{first},{value}", *(f"{line}," for line in rest)]
        (data / "manifest.csv").write_text("\n".join(lines))

    return change


UNCLOSED = b'image_id,fractured,body_part\nphantom0000.png,1,arm\n"phantom0001.png,1,arm\n' + b"a,0,arm\n" * 20_000


def remove(name: str) -> Callable[[Path], None]:
    return lambda data: (data / name).unlink()


def put_a_folder(name: str) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        (data / name).unlink()
        (data / name).mkdir()

    return change


def unfractured(data: Path) -> None:
    edit("manifest.csv", ",1,g", ",0,g")(data)
    (data / "boxes.csv").unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (remove("images/phantom0002.png"), r"manifest.csv row 4: .*phantom0002.png does not exist; restore"),
        (put_a_folder("images/phantom0002.png"), r"manifest.csv row 4: .*phantom0002.png is a folder and not a pict"),
        (edit("manifest.csv", "phantom0003.png,0", "phantom0003.png,yes"), r"manifest.csv row 5: fractured is 'yes'"),
        (edit("manifest.csv", "phantom0003.png,0", "phantom0003.png,"), r"manifest.csv row 5: fractured is ''"),
        (edit("manifest.csv", "phantom0001", "phantom0000"), r"row 3: phantom0000.png is already in .*csv row 2"),
        (edit("manifest.csv", "g0003,leg", ",leg"), r"manifest.csv row 8: phantom0006.png has no group"),
        (edit("manifest.csv", "g0003,leg", "g0003,"), r"manifest.csv row 8: phantom0006.png has no body_part"),
        (edit("manifest.csv", "phantom0001.png,1,g0000,arm", "phantom0001.png,1"), r"csv row 3: it has 2 fields and n"),
        (edit("manifest.csv", "phantom0001.png,1,", "phantom0001.png,1,,"), r"manifest.csv row 3: it has 5 fields and"),
        (edit("manifest.csv", "body_part", "bodypart"), r"row 1: missing columns body_part; unknown columns bodypart"),
        (edit("manifest.csv", "group,body_part", "body_part,body_part"), r"row 1: doubled columns body_part"),
        (edit("manifest.csv", "g0002", "g\n0002"), r"manifest.csv row 6: it has 3 fields and not 4"),
        (column("fracture_count", "1.0"), r"manifest.csv row 2: fracture_count is '1.0'; write a whole number"),
        (column("hardware", "yes"), r"manifest.csv row 2: hardware is 'yes'; write 0 or 1"),
        (write("manifest.csv", UNCLOSED), r"manifest.csv row 3: it cannot be read .* quotation mark"),
        (unfractured, r"manifest.csv holds one class only \(8 rows\)"),
        (remove("manifest.csv"), r"data holds neither manifest.csv nor dataset.csv"),
        (put_a_folder("manifest.csv"), r"manifest.csv cannot be read \(Is a directory\)"),
        (write("manifest.csv", b""), r"manifest.csv is empty; its first row names"),
        (write("manifest.csv", b"image_id,fractured,body_part\n"), r"manifest.csv holds no row below its header"),
        (write("manifest.csv", b"image_id,fractured,body_part\na,0,\xe9\n"), r"manifest.csv row 2: it is not UTF-8"),
        (box("phantom0000.png,0.5,0.1,0.4,0.2"), r"boxes.csv row 2: a box needs"),
        (box("phantom0000.png,0.1,0.1,0.4,1.2"), r"boxes.csv row 2: a box needs"),
        (box("phantom0000.png,nan,0.1,0.4,0.2"), r"boxes.csv row 2: a box needs"),
        (box("phantom0000.png,left,0.1,0.4,0.2"), r"boxes.csv row 2: could not convert .*'left'"),
        (box("phantom0000.png,0.1,0.1,0.4"), r"boxes.csv row 2: it has 4 fields and not 5"),
        (box("phantom0002.png,0.1,0.1,0.4,0.2"), r"boxes.csv row 2: phantom0002.png has a box and is not fractured"),
        (box("phantom.png,0.1,0.1,0.4,0.2"), r"boxes.csv row 2: phantom.png is not in the manifest"),
    ],
)
def test_complaints_name_the_file_and_the_row(data: Path, change: Callable[[Path], None], words: str) -> None:
    change(data)
    with pytest.raises(DatasetError, match=words):
        read_dataset(data)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere holds neither"):
        read_dataset(tmp_path / "nowhere")


def test_phantoms_differ_enough_to_be_no_copies(tmp_path: Path) -> None:
    write_phantom_dataset(tmp_path / "data", groups=8)
    rows = [line.split(",") for line in (tmp_path / "data" / "manifest.csv").read_text().split()]
    (tmp_path / "data" / "manifest.csv").write_text("".join(f"{a},{b},{d}\n" for a, b, _, d in rows))
    assert len(np.unique([e.group for e in read_dataset(tmp_path / "data")])) == 16
