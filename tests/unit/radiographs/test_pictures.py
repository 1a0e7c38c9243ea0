"""JPEG, PNG and TIFF: every good form gives the same bone, every bad one its own reason."""

import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from screening.radiographs.decode import decode
from screening.radiographs.greys import looks_inverted
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.prepare import prepare
from screening.radiographs.problems import Unscreenable
from screening.radiographs.rendition import make_rendition
from screening.radiographs.rendition_file import load_rendition
from screening.radiographs.rendition_spec import RenditionSpec
from tests.unit.radiographs import samples
from tests.unit.radiographs.samples import bare_tiff, bone, encoded, jpeg, png

LIMITS = DecodeLimits()
SPEC = RenditionSpec(side=128)
GREY = Image.fromarray(bone())
DEEP = bone(60000, np.uint16)


def refusal(data: bytes, limits: DecodeLimits = LIMITS) -> Unscreenable:
    with pytest.raises(Unscreenable) as caught:
        prepare(data, SPEC, limits)
    return caught.value


def with_alpha() -> Image.Image:
    image = GREY.convert("RGBA")
    image.putalpha(255)
    return image


GOOD = {
    "jpeg": jpeg(),
    "jpeg colour": encoded(GREY.convert("RGB"), "JPEG"),
    "jpeg progressive": encoded(GREY.convert("RGB"), "JPEG", progressive=True),
    "jpeg cmyk": encoded(GREY.convert("CMYK"), "JPEG"),
    "jpeg with padding after its end": jpeg() + b"\x00" * 2000,
    "png": png(),
    "png 16 bit": encoded(DEEP, "PNG"),
    "png palette": encoded(GREY.convert("P"), "PNG"),
    "png alpha": encoded(with_alpha(), "PNG"),
    "tiff": encoded(bone(), "TIFF"),
    "tiff 16 bit": encoded(DEEP, "TIFF"),
    "tiff lzw": encoded(bone(), "TIFF", compression="tiff_lzw"),
    "tiff deflate 16 bit": encoded(DEEP, "TIFF", compression="tiff_adobe_deflate"),
    "tiff float": encoded(bone().astype(np.float32) / 255, "TIFF"),
}


@pytest.mark.parametrize("name", GOOD)
def test_every_form_shows_the_same_bone(name: str) -> None:
    prepared = prepare(GOOD[name], SPEC, LIMITS)
    expected = make_rendition(bone(), SPEC).astype(int)
    assert prepared.rendition_size == (102, 128)
    assert prepared.display_size == (samples.COLUMNS, samples.ROWS)
    assert (prepared.facts.rows, prepared.facts.columns) == (samples.ROWS, samples.COLUMNS)
    assert np.abs(load_rendition(prepared.rendition_png).astype(int) - expected).mean() < 3


def test_transparent_parts_are_black() -> None:
    image = Image.new("RGBA", (100, 100), (255, 255, 255, 0))
    image.paste((200, 200, 200, 255), (40, 0, 60, 100))
    grey = decode(encoded(image, "PNG"), LIMITS).grey
    assert grey[50, 10] == 0
    assert grey[50, 50] == 200


def test_a_deep_tiff_that_stores_white_as_zero_is_inverted() -> None:
    stored = (60000 - DEEP.astype(int)).astype(np.uint16)
    data = bytearray(encoded(stored, "TIFF"))
    photometric = data.index(b"\x06\x01\x03\x00\x01\x00\x00\x00\x01\x00")
    data[photometric + 8] = 0
    prepared = prepare(bytes(data), SPEC, LIMITS)
    assert prepared.facts.polarity_inverted
    rendition = load_rendition(prepared.rendition_png)
    assert rendition[64, 51] > 200 > 50 > rendition[64, 2]


@pytest.mark.parametrize(
    ("picture", "sample_format"),
    [(DEEP.astype("<u4") << 16, 1), (DEEP.astype("<i4") - 30000, 2), (DEEP.astype("<f4"), 3)],
    ids=("unsigned", "signed", "float"),
)
def test_tiffs_of_32_bits_keep_their_order(picture: np.ndarray[Any, Any], sample_format: int) -> None:
    grey = decode(bare_tiff(picture, sample_format), LIMITS).grey
    assert np.array_equal(grey, picture.astype(np.float32))


def test_a_tiff_of_64_bits_is_said_to_be_unsupported() -> None:
    problem = refusal(bare_tiff(DEEP.astype("<f8"), 3))
    assert problem.code == "unsupported"
    assert "8 to 16 bits" in problem.sentence


def test_large_jpegs_are_reduced_while_they_are_decoded() -> None:
    large = np.asarray(GREY.resize((2304, 2880)))
    radiograph = decode(encoded(large, "JPEG"), LIMITS, at_least=1200)
    assert radiograph.grey.shape == (1440, 1152)
    assert (radiograph.facts.rows, radiograph.facts.columns) == (2880, 2304)
    whole = make_rendition(large, RenditionSpec()).astype(int)
    assert np.abs(make_rendition(radiograph.grey, RenditionSpec()).astype(int) - whole).mean() < 2


def test_large_deep_pictures_are_reduced_by_averaging() -> None:
    deep = np.repeat(np.repeat(DEEP, 10, axis=0), 10, axis=1)
    radiograph = decode(encoded(deep, "PNG", compress_level=1), LIMITS, at_least=300)
    assert radiograph.grey.shape == DEEP.shape
    assert np.abs(radiograph.grey - DEEP.astype(np.float32)).max() < 1


@pytest.mark.parametrize("share", [0.1, 0.41, 0.7, 0.98])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_a_cut_off_file_is_refused_with_how_much_there_is(form: str, share: float) -> None:
    rng = np.random.default_rng(1)
    whole = encoded(rng.integers(0, 255, (400, 400)).astype(np.uint8), form)
    problem = refusal(whole[: int(len(whole) * share)])
    assert problem.code == "truncated"
    found = re.search(r"cut off at (\d+)%", problem.sentence)
    assert found is not None, problem.sentence
    assert abs(int(found[1]) - 100 * share) < 4


def test_a_jpeg_cut_anywhere_is_never_taken() -> None:
    whole = jpeg()
    for end in range(200, len(whole) - 1, max(1, len(whole) // 40)):
        assert refusal(whole[:end]).code == "truncated"


def test_a_jpeg_is_found_cut_off_behind_zeros_or_a_false_end() -> None:
    whole = jpeg()
    half = whole[: len(whole) // 2]
    assert refusal(half + b"\x00" * 5000).code == "truncated"
    assert refusal(half + b"\xff\xd9").code == "truncated"


def test_a_jpeg_that_truly_ends_in_middle_grey_is_taken() -> None:
    picture = bone()
    picture[-64:] = 128
    assert prepare(encoded(picture, "JPEG"), SPEC, LIMITS).facts.rows == samples.ROWS


def test_a_progressive_jpeg_without_its_end_is_cut_off_somewhere() -> None:
    whole = encoded(GREY, "JPEG", progressive=True)
    assert refusal(whole[: int(len(whole) * 0.6)]).sentence == "The file is cut off before its end. Send it again."


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (samples.bare_png(30_000, 30_000), "too_many_pixels", "30,000 x 30,000"),
        (samples.bare_png(300, 200, zlib.compress(bytes(500))), "truncated", "cut off at 0%"),
        (b"\xff\xd8\xff\xd9", "damaged", "JPEG file"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "truncated", "cut off at 0%"),
        (jpeg().replace(b"\xff\xc0\x00\x0b\x08", b"\xff\xc0\x00\x0b\x0c"), "unsupported", "12 bits"),
        (b"II*\x00\x08\x00\x00\x00\xff\xff", "damaged", "TIFF file"),
        (encoded(np.full((200, 200), 77, np.uint8), "PNG"), "no_contrast", "one grey"),
        (encoded(bone()[:20, :20], "PNG"), "too_small", "20 x 20"),
        (encoded(GREY, "TIFF", save_all=True, append_images=[GREY]), "multi_frame", "several pages"),
        (encoded(GREY, "PNG", save_all=True, append_images=[Image.new("L", GREY.size)]), "multi_frame", "animation"),
        (samples.zipped({"a": b"b"}), "nested", "archive"),
        (b"just text", "not_an_image", "a text"),
    ],
)
def test_bad_pictures_have_their_own_reason(data: bytes, code: str, words: str) -> None:
    problem = refusal(data)
    assert problem.code == code
    assert words in problem.sentence


def test_a_jpeg_of_too_many_pixels_is_refused_by_its_header_alone() -> None:
    data = bytearray(jpeg())
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    assert refusal(bytes(data)).code == "too_many_pixels"


def test_a_png_with_a_wrong_checksum_is_damaged() -> None:
    data = bytearray(png())
    data[data.index(b"IDAT") + 20] ^= 0xFF
    assert refusal(bytes(data)).code in ("damaged", "truncated")


def test_extras_of_a_png_never_reach_the_decoder() -> None:
    bomb = b"iCCP" + b"x\x00\x00" + zlib.compress(bytes(50_000_000), 9)
    chunk = (len(bomb) - 4).to_bytes(4) + bomb + zlib.crc32(bomb).to_bytes(4)
    data = png()
    plain, stuffed = prepare(data, SPEC, LIMITS), prepare(data[:33] + chunk + data[33:], SPEC, LIMITS)
    assert plain == stuffed


def test_a_second_header_of_a_png_changes_no_size() -> None:
    small, large = png(), samples.bare_png(30_000, 30_000)
    problem = refusal(small[:33] + large[8:33] + small[33:])
    assert (problem.code, "PNG file" in problem.sentence) == ("damaged", True)


def test_a_file_over_the_size_limit_is_refused() -> None:
    assert refusal(jpeg(), DecodeLimits(max_file_bytes=100)).code == "too_large"


def test_display_images_carry_no_metadata_and_are_never_enlarged() -> None:
    exif = Image.Exif()
    exif[0x010E] = "Doe^Jane"
    prepared = prepare(encoded(GREY, "JPEG", exif=exif, comment=b"Doe^Jane"), SPEC, LIMITS)
    assert b"Doe" not in prepared.display_jpeg + prepared.rendition_png
    assert prepared.display_size == GREY.size


def test_a_large_display_image_has_1600_pixels_at_most() -> None:
    prepared = prepare(encoded(GREY.resize((1700, 2300)), "PNG"), SPEC, LIMITS)
    assert prepared.display_size == (1183, 1600)


def test_an_inverted_picture_is_remarked_and_left_alone() -> None:
    limb = np.zeros((300, 240), np.uint8)
    limb[:, 90:150] = 90
    limb[:, 112:128] = 200
    prepared = prepare(encoded(255 - limb, "PNG"), SPEC, LIMITS)
    assert any("looks inverted" in remark for remark in prepared.facts.remarks)
    assert load_rendition(prepared.rendition_png)[64, 2] == 255
    assert prepare(encoded(limb, "PNG"), SPEC, LIMITS).facts.remarks == ()


def test_white_collimator_borders_do_not_look_inverted() -> None:
    picture = np.full((256, 256), 255, np.uint8)
    picture[:, 60:190] = 10
    picture[:, 100:150] = 150
    assert not looks_inverted(picture)


def test_every_damaged_file_of_the_real_ones_is_cut_off_at_a_percentage(shared_data: Path) -> None:
    files = sorted((shared_data / "fracatlas" / "damaged").iterdir())
    assert len(files) == 59
    for file in files:
        assert re.fullmatch(r"The file is cut off at \d+%\. Send it again\.", refusal(file.read_bytes()).sentence)


def test_real_radiographs_are_prepared(shared_data: Path) -> None:
    for file in sorted((shared_data / "fracatlas" / "images").iterdir())[::160]:
        prepared = prepare(file.read_bytes(), RenditionSpec(), LIMITS)
        assert max(prepared.rendition_size) == 256
        assert prepared.facts.remarks == ()
