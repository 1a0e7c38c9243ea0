"""DICOM: grey scale, polarity, and no trace of a person."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from screening.radiographs.decode import decode
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.prepare import prepare
from screening.radiographs.problems import Unscreenable
from screening.radiographs.rendition import make_rendition
from screening.radiographs.rendition_file import load_rendition
from screening.radiographs.rendition_spec import RenditionSpec
from tests.unit.radiographs.samples import (
    DEEP,
    SECRETS,
    STUDY_UID,
    bone,
    dicom,
    in_syntax,
    jpeg_dicom,
    without_preamble,
)

LIMITS = DecodeLimits()
SPEC = RenditionSpec(side=128)


def test_values_of_32_bits_are_read_where_they_span_no_more_than_16(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = bone(4095, np.uint16).astype(np.uint32)
    near, far = (decode(dicom(picture + np.uint32(first)), LIMITS).grey for first in (0, 2**31))
    np.testing.assert_array_equal(near, far)


def greys(**elements: Any) -> np.ndarray[Any, Any]:
    return decode(dicom(**elements), LIMITS).grey.astype(np.float64)


@pytest.mark.parametrize(
    "make",
    [
        dicom,
        lambda: in_syntax(ImplicitVRLittleEndian),
        lambda: in_syntax(ExplicitVRBigEndian),
        lambda: in_syntax(DeflatedExplicitVRLittleEndian),
        lambda: in_syntax(RLELossless),
        lambda: in_syntax(JPEG2000Lossless),
        lambda: in_syntax(JPEGLSLossless),
        jpeg_dicom,
        lambda: jpeg_dicom(extended=True),
        lambda: without_preamble(dicom()),
        lambda: without_preamble(in_syntax(ImplicitVRLittleEndian)),
    ],
    ids=("explicit", "implicit", "big", "deflated", "rle", "jpeg2000", "jpeg-ls", "jpeg", "extended", "bare", "bare2"),
)
def test_every_transfer_syntax_shows_the_same_bone(make: Callable[[], bytes]) -> None:
    prepared = prepare(make(), SPEC, LIMITS)
    expected = make_rendition(DEEP, SPEC).astype(int)
    assert np.abs(load_rendition(prepared.rendition_png).astype(int) - expected).mean() < 3
    assert (prepared.facts.modality, prepared.facts.body_part) == ("DX", "hand")
    assert (prepared.facts.view, prepared.facts.laterality) == ("frontal", "left")
    assert prepared.facts.study_uid == STUDY_UID


def test_no_trace_of_a_person_leaves() -> None:
    with config.disable_value_validation():
        data = dicom(BodyPartExamined="HAND of Doe^Jane", ViewPosition="Doe^Jane")
    assert all(secret.encode() in data for secret in SECRETS)
    prepared = prepare(data, SPEC, LIMITS)
    left = json.dumps(prepared.facts.as_dict()).encode() + prepared.rendition_png + prepared.display_jpeg
    for secret in SECRETS:
        for part in secret.split("^"):
            assert part.encode() not in left
    assert STUDY_UID not in repr(prepared)


def test_a_study_identifier_that_is_none_does_not_leave() -> None:
    with config.disable_value_validation():
        data = dicom(StudyInstanceUID="Doe^Jane 1970")
    assert prepare(data, SPEC, LIMITS).facts.study_uid == ""


def test_low_values_that_are_bright_are_inverted() -> None:
    plain = prepare(dicom(), SPEC, LIMITS)
    inverted = prepare(dicom(4095 - DEEP, PhotometricInterpretation="MONOCHROME1"), SPEC, LIMITS)
    assert not plain.facts.polarity_inverted
    assert inverted.facts.polarity_inverted
    assert load_rendition(plain.rendition_png).tolist() == load_rendition(inverted.rendition_png).tolist()


def test_rescale_comes_before_the_window() -> None:
    shown = greys(RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=3000, WindowWidth=2001, VOILUTFunction="LINEAR")
    stored = 2.0 * DEEP - 1000
    inside = (stored > 2010) & (stored < 3990)
    assert np.all(shown[stored < 1999] == shown.min())
    assert np.all(shown[stored > 4001] == shown.max())
    slope = np.polyfit(stored[inside], shown[inside], 1)
    assert np.abs(np.polyval(slope, stored[inside]) - shown[inside]).max() < 1e-2 * np.ptp(shown)


@pytest.mark.parametrize(("function", "at_centre"), [("SIGMOID", 0.5), ("LINEAR_EXACT", 0.5)])
def test_other_window_functions_are_known(function: str, at_centre: float) -> None:
    centre = int(DEEP[150, 80])
    shown = greys(WindowCenter=[centre, 1], WindowWidth=[1000, 1], VOILUTFunction=function)
    share = (shown[150, 80] - shown.min()) / np.ptp(shown)
    assert abs(share - at_centre) < 0.05


def table(first: int, values: np.ndarray[Any, Any]) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [len(values), first, 16]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = values.astype(np.uint16).tobytes()
    item["LUTData"].VR = "OW"
    item.ModalityLUTType = "US"
    return Sequence([item])


@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
def test_look_up_tables_are_applied(keyword: str) -> None:
    root = np.sqrt(np.arange(4096) * 4095.0) * 15
    shown = greys(**{keyword: table(0, root)})
    expected = np.rint(root)[DEEP]
    assert np.abs((shown - shown.min()) - (expected - expected.min())).max() <= 1


def test_a_window_beside_all_values_is_passed_over_with_a_remark() -> None:
    prepared = prepare(dicom(WindowCenter=-5000, WindowWidth=100), SPEC, LIMITS)
    assert "window" in prepared.facts.remarks[0]
    assert np.abs(load_rendition(prepared.rendition_png).astype(int) - make_rendition(DEEP, SPEC)).max() <= 1


def test_a_window_of_no_width_means_nothing() -> None:
    assert prepare(dicom(WindowCenter=100, WindowWidth=0), SPEC, LIMITS).facts.remarks == ()


def test_padding_is_as_dark_as_the_darkest_pixel() -> None:
    padded = DEEP.astype(np.int16)
    padded[:, :60] = -2000
    shown = decode(dicom(padded, BitsStored=16, HighBit=15, PixelPaddingValue=-2000), LIMITS).grey
    assert shown[:, :60].max() == shown.min()
    assert np.ptp(shown) == np.ptp(DEEP[:, 60:].astype(int))


def test_overlays_in_unused_bits_are_cleared() -> None:
    drawn = DEEP.copy()
    drawn[100:120, 100:120] |= 0xF000
    assert np.array_equal(greys(picture=drawn), greys())


def test_signed_values_keep_their_sign() -> None:
    signed = (DEEP.astype(np.int32) - 2048).astype(np.int16)
    shown = decode(dicom(signed), LIMITS).grey
    assert np.array_equal(shown - shown.min(), (DEEP - DEEP.min()).astype(np.float32))


def test_colours_become_grey_with_a_remark() -> None:
    prepared = prepare(dicom(np.repeat(bone()[..., None], 3, axis=2)), SPEC, LIMITS)
    assert "colours" in prepared.facts.remarks[0]
    assert np.abs(load_rendition(prepared.rendition_png).astype(int) - make_rendition(bone(), SPEC)).max() <= 1


def test_contradicting_tags_are_remarked_and_the_picture_left_alone() -> None:
    prepared = prepare(dicom(PixelIntensityRelationshipSign=1), SPEC, LIMITS)
    assert "bone dark" in prepared.facts.remarks[0]
    assert not prepared.facts.polarity_inverted


def test_burnt_in_text_is_remarked() -> None:
    assert "burnt into" in prepare(dicom(BurnedInAnnotation="YES"), SPEC, LIMITS).facts.remarks[0]


READABLE = {
    "966_fixed.dcm": ("chest", True),
    "JPEG2KLossless_1s_1f_u_16_16.dcm": ("", False),
    "NM_Kakadu44_SOTmarkerincons.dcm": ("hand", False),
    "RG1_J2KI.dcm": ("chest", True),
    "RG1_JLSN.dcm": ("chest", True),
    "RG2_JLSL.dcm": ("hip", False),
    "RG2_JLSN.dcm": ("hip", False),
    "RG2_JPLL.dcm": ("hip", False),
    "RG2_JPLY_fixed.dcm": ("hip", False),
    "RG3_J2KI.dcm": ("extremity", True),
    "RG3_J2KR.dcm": ("extremity", True),
}


def test_real_dicom_radiographs_are_prepared_and_damaged_ones_refused(shared_data: Path) -> None:
    for file in sorted((shared_data / "dicom" / "radiographs").iterdir()):
        if file.name in READABLE:
            facts = prepare(file.read_bytes(), RenditionSpec(), LIMITS).facts
            assert (facts.body_part, facts.polarity_inverted) == READABLE[file.name]
        else:
            with pytest.raises(Unscreenable) as caught:
                prepare(file.read_bytes(), SPEC, LIMITS)
            assert caught.value.code == "damaged"


def test_the_same_picture_in_two_packings_gives_one_rendition(shared_data: Path) -> None:
    folder = shared_data / "dicom" / "radiographs"
    lossless, near = (
        load_rendition(prepare((folder / name).read_bytes(), SPEC, LIMITS).rendition_png).astype(int)
        for name in ("RG2_JLSL.dcm", "RG2_JPLL.dcm")
    )
    assert np.array_equal(lossless, near)
    assert Image.fromarray(lossless.astype(np.uint8)).size == (105, 128)
