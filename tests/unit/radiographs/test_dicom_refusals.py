"""DICOM files that are refused: other modalities by name, limits, damage, each with its own reason."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import config
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from screening.radiographs.limits import DecodeLimits
from screening.radiographs.prepare import prepare
from screening.radiographs.problems import Unscreenable
from screening.radiographs.rendition_spec import RenditionSpec
from tests.unit.radiographs.samples import (
    DEEP,
    bone,
    dicom,
    dicom_dataset,
    in_syntax,
    written,
)

LIMITS = DecodeLimits()


def refusal(data: bytes, limits: DecodeLimits = LIMITS) -> Unscreenable:
    with pytest.raises(Unscreenable) as caught:
        prepare(data, RenditionSpec(side=128), limits)
    return caught.value


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CT_small.dcm", "a CT image"),
        ("MR_small.dcm", "a magnetic resonance image"),
        ("liver_1frame.dcm", "a segmentation"),
        ("rtdose.dcm", "a radiotherapy dose distribution"),
        ("rtplan.dcm", "a radiotherapy plan"),
        ("test-SR.dcm", "a structured report"),
        ("waveform_ecg.dcm", "an electrocardiogram"),
        ("examples_palette.dcm", "an ultrasound image"),
        ("image_dfl.dcm", "unstated origin"),
        ("badVR.dcm", "a radiotherapy dose distribution"),
    ],
)
def test_other_modalities_are_refused_by_name(name: str, words: str) -> None:
    file = get_testdata_file(name, download=False)
    assert isinstance(file, str)
    problem = refusal(Path(file).read_bytes())
    assert problem.code == "wrong_modality"
    assert words in problem.sentence
    assert "CR, DX, RG" in problem.sentence


def test_a_free_text_modality_is_not_quoted() -> None:
    with config.disable_value_validation():
        data = dicom(Modality="Doe Jane", SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    assert "Doe" not in refusal(data).sentence


CR_CLASS, CT_CLASS = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize(
    ("elements", "modality"),
    [
        ({"Modality": "DR"}, "DX"),
        ({"Modality": "DR", "SOPClassUID": CR_CLASS}, "CR"),
        ({"Modality": ["CR", "DX"]}, "CR"),
        ({"Modality": ["DR", "CR"]}, "CR"),
        ({"Modality": ["CT", "CR"], "SOPClassUID": CR_CLASS}, "CR"),
        ({"Modality": "X-RAY"}, "DX"),
        ({"Modality": "RG", "SOPClassUID": CT_CLASS}, "RG"),
        ({"Modality": None}, "DX"),
        ({"Modality": ""}, "DX"),
    ],
)
def test_a_radiograph_by_its_class_is_one_however_its_modality_is_written(
    elements: dict[str, Any], modality: str
) -> None:
    with config.disable_value_validation():
        data = dicom(**elements)
    assert prepare(data, RenditionSpec(side=128), LIMITS).facts.modality == modality


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"Modality": "MG"}, "a mammogram"),
        ({"Modality": ["OT", "MG"]}, "unstated origin"),
        ({"Modality": ["CT", "CR"], "SOPClassUID": CT_CLASS}, "a CT image"),
        ({"Modality": "DR", "SOPClassUID": CT_CLASS}, '"DR"'),
    ],
)
def test_a_class_does_not_overrule_another_modality(elements: dict[str, Any], words: str) -> None:
    problem = refusal(dicom(**elements))
    assert problem.code == "wrong_modality"
    assert words in problem.sentence


def deflate_bomb() -> bytes:
    dataset = dicom_dataset(bone())
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.PixelData = bytes(40 << 20)
    return written(dataset)


def code_stream_larger_than_its_header() -> bytes:
    dataset = dicom_dataset(bone())
    dataset.compress(JPEG2000Lossless)
    data = bytearray(written(dataset))
    size = data.index(b"\xff\x4f\xff\x51")
    data[size + 8 : size + 16] = (30_000).to_bytes(4) * 2
    return bytes(data)


def damaged_stream() -> bytes:
    dataset = dicom_dataset()
    dataset.compress(JPEG2000Lossless)
    data = bytearray(written(dataset))
    start = data.index(b"\xff\x93")
    data[start + 2 : start + 3000] = b"\xff\x55" * 1499
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (lambda: dicom(NumberOfFrames=3), "multi_frame", "3 frames"),
        (lambda: dicom(PixelData=None), "no_picture", "holds no picture"),
        (lambda: dicom(Rows=60_000, Columns=60_000), "too_many_pixels", "60,000 x 60,000"),
        (lambda: dicom(Rows=None), "damaged", "DICOM file"),
        (lambda: dicom(BitsStored=40), "unsupported", "40 bits"),
        (lambda: dicom(HighBit=65280), "unsupported", "12 bits in 16"),
        (lambda: dicom(np.zeros((200, 200), np.uint16)), "no_contrast", "one grey"),
        (lambda: dicom(Modality=None, SOPClassUID="1.2.840.10008.1.3.10"), "no_picture", "DICOMDIR"),
        (lambda: dicom(PixelData=DEEP.tobytes()[: DEEP.nbytes * 41 // 100]), "truncated", "41%"),
        (lambda: dicom()[:-40_000], "truncated", "72%"),
        (lambda: in_syntax(RLELossless)[:-2_000], "truncated", "cut off at"),
        (lambda: in_syntax(DeflatedExplicitVRLittleEndian)[:-2_000], "truncated", "cut off"),
        (lambda: in_syntax(JPEGLSLossless)[:-2_000], "truncated", "cut off at"),
        (damaged_stream, "damaged", "JPEG 2000"),
        (code_stream_larger_than_its_header, "too_many_pixels", "30,000 x 30,000"),
        (lambda: b"\x00" * 128 + b"DICM" + b"\xff" * 400, "damaged", "DICOM file"),
    ],
)
def test_bad_files_have_their_own_reason(make: Callable[[], bytes], code: str, words: str) -> None:
    problem = refusal(make())
    assert problem.code == code, problem.sentence
    assert words in problem.sentence


def test_a_deflate_bomb_is_stopped() -> None:
    assert refusal(deflate_bomb(), DecodeLimits(max_pixels=1_000_000)).code == "bomb"


def test_an_unknown_packing_is_named() -> None:
    dataset = dicom_dataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"  # MPEG2
    dataset.PixelData = encapsulate([zlib.compress(DEEP.tobytes())])
    problem = refusal(written(dataset))
    assert problem.code == "unsupported"
    assert "MPEG2" in problem.sentence


def test_real_files_of_other_modalities_are_refused(shared_data: Path) -> None:
    for file in sorted((shared_data / "dicom" / "other").iterdir()):
        assert refusal(file.read_bytes()).code == "wrong_modality"
