"""DICOM: tables, windows and bits, as they should be and as some machines write them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from screening.radiographs.decode import decode
from screening.radiographs.facts import Prepared
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.prepare import prepare
from screening.radiographs.problems import Unscreenable
from screening.radiographs.rendition_file import load_rendition
from screening.radiographs.rendition_spec import RenditionSpec
from tests.unit.radiographs.samples import DEEP, dicom, dicom_dataset, written

LIMITS = DecodeLimits()
SPEC = RenditionSpec(side=128)
ROOT = np.rint(np.sqrt(np.arange(4096) * 4095.0))


def prepared(data: bytes) -> Prepared:
    return prepare(data, SPEC, LIMITS)


def rendition(data: bytes) -> np.ndarray[Any, Any]:
    return load_rendition(prepared(data).rendition_png).astype(int)


def likeness(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def element(keyword: str, form: str, value: Any) -> DataElement:
    """One element of any value representation, be it the right one for its tag or not."""
    with config.disable_value_validation():
        return DataElement(keyword, form, value)


def table(descriptor: list[int], data: Any, form: str = "OW") -> Sequence:
    item = Dataset()
    item.add(element("LUTDescriptor", "US", descriptor))
    item.add(element("LUTData", form, data))
    item.ModalityLUTType = "US"
    return Sequence([item])


def words(values: np.ndarray[Any, Any], order: str = "<") -> bytes:
    return values.astype(order + "u2").tobytes()


EIGHT = np.rint(ROOT / 16.0625)


@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize(
    ("bits", "data", "form"),
    [
        (16, words(ROOT), "OW"),
        (12, words(ROOT), "OW"),
        (9, words(np.rint(ROOT / 8.02)), "OW"),
        (16, ROOT.astype(int).tolist(), "US"),
        (8, words(EIGHT), "OW"),
        (8, EIGHT.astype(np.uint8).tobytes(), "OW"),
        (8, EIGHT.astype(int).tolist(), "US"),
        (16, words(ROOT) + bytes(10), "OW"),
    ],
)
def test_a_table_is_read_in_every_form_that_it_comes_in(keyword: str, bits: int, data: Any, form: str) -> None:
    found = prepared(dicom(**{keyword: table([4096, 0, bits], data, form)}))
    expected = rendition(dicom(ROOT[DEEP].astype(np.uint16)))
    assert np.abs(load_rendition(found.rendition_png).astype(int) - expected).max() <= 2
    assert found.facts.remarks == ()


@pytest.mark.parametrize(("syntax", "order"), [(ImplicitVRLittleEndian, "<"), (ExplicitVRBigEndian, ">")])
def test_a_table_is_read_in_every_byte_order(syntax: str, order: str) -> None:
    dataset = dicom_dataset(VOILUTSequence=table([4096, 0, 16], words(ROOT, order)))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = words(DEEP, order)
    expected = rendition(dicom(ROOT[DEEP].astype(np.uint16)))
    assert np.abs(rendition(written(dataset)) - expected).max() <= 1


def test_values_beyond_a_table_become_its_last_entry() -> None:
    ramp = words(np.arange(65536))
    found = rendition(dicom(RescaleSlope=20, RescaleIntercept=0, VOILUTSequence=table([0, 0, 16], ramp)))
    assert (
        likeness(found, rendition(dicom(np.minimum(DEEP * 20.0, 65535).astype(np.uint16), BitsStored=16, HighBit=15)))
        > 0.999
    )


def test_a_table_may_begin_below_zero() -> None:
    signed = (DEEP.astype(int) - 2048).astype(np.int16)
    found = rendition(dicom(signed, VOILUTSequence=table([4096, 65536 - 2048, 16], words(ROOT))))
    assert np.abs(found - rendition(dicom(ROOT[DEEP].astype(np.uint16)))).max() <= 1


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_falling_rescale_never_exchanges_dark_and_bright(function: str) -> None:
    window = {"WindowCenter": 2000, "WindowWidth": 3000, "VOILUTFunction": function}
    rising = dicom(RescaleSlope=1, RescaleIntercept=0, **window)
    falling = dicom(4095 - DEEP, RescaleSlope=-1, RescaleIntercept=4095, **window)
    assert np.abs(rendition(rising) - rendition(falling)).max() <= 1
    assert rendition(falling)[64, 51] > 200 > 60 > rendition(falling)[64, 2]


@pytest.mark.parametrize(
    ("function", "centre", "width", "expected"),
    [
        # x, then what becomes of it as a share of the output range, by the formulas of PS3.3 C.11.2.1.2 and C.11.2.1.3.
        ("LINEAR", 2048, 4096, {0: 0.0, 2047.5: 0.5, 4095: 1.0}),
        ("LINEAR", 1000, 1, {999: 0.0, 1000: 1.0}),
        ("LINEAR_EXACT", 2000, 1000, {1500: 0.0, 1750: 0.25, 2000: 0.5, 2500: 1.0}),
        ("SIGMOID", 2000, 1000, {2000: 0.5, 2500: 1 / (1 + math.exp(-2)), 1000: 1 / (1 + math.exp(4))}),
    ],
)
def test_windows_follow_the_formulas(function: str, centre: int, width: int, expected: dict[float, float]) -> None:
    ramp = np.tile(np.arange(4096, dtype=np.uint16), (64, 1))
    data = dicom(ramp, WindowCenter=centre, WindowWidth=width, VOILUTFunction=function)
    radiograph = decode(data, LIMITS, at_least=5000)
    assert radiograph.shown is not None
    black, white = radiograph.shown
    row = (radiograph.grey[0].astype(float) - black) / (white - black)
    for value, share in expected.items():
        assert np.interp(value, np.arange(4096), row) == pytest.approx(share, abs=1e-3)


def test_values_at_the_upper_end_of_their_bits_are_read() -> None:
    assert np.array_equal(decode(dicom(DEEP << 4, HighBit=15), LIMITS).grey, decode(dicom(), LIMITS).grey)
    noisy = (DEEP << 4) | 0x5
    assert np.array_equal(decode(dicom(noisy, HighBit=15), LIMITS).grey, decode(dicom(), LIMITS).grey)
    signed = (DEEP.astype(int) - 2048).astype(np.int16)
    one, other = decode(dicom(signed << 4, HighBit=15), LIMITS).grey, decode(dicom(signed), LIMITS).grey
    assert np.array_equal(one, other)


def with_element(keyword: str, form: str, value: Any, **others: Any) -> bytes:
    dataset = dicom_dataset(**others)
    dataset.add(element(keyword, form, value))
    with config.disable_value_validation():
        return written(dataset)


ODD_HINTS: dict[str, Callable[[], bytes]] = {
    "blank first centre": lambda: with_element("WindowCenter", "LO", ["", "2000"], WindowWidth=1000),
    "decimal comma": lambda: with_element("WindowCenter", "LO", "2000,5", WindowWidth=1000),
    "not a number": lambda: with_element("WindowWidth", "LO", "NaN", WindowCenter=2000),
    "two functions": lambda: with_element(
        "VOILUTFunction", "CS", ["LINEAR", "SIGMOID"], WindowCenter=2000, WindowWidth=9
    ),
    "unknown function": lambda: dicom(VOILUTFunction="CUBIC", WindowCenter=2000, WindowWidth=9),
    "short table": lambda: dicom(VOILUTSequence=table([4096, 0, 16], words(ROOT)[:100])),
    "empty table": lambda: dicom(VOILUTSequence=Sequence([Dataset()])),
    "table that is a text": lambda: with_element("VOILUTSequence", "LO", "none"),
}


def as_decimal(data: bytes) -> bytes:
    """What was written as free text, so that the writer takes it, says that it is a decimal string or the like."""
    for element_number, form in ((b"\x50\x10", b"DS"), (b"\x51\x10", b"DS")):
        data = data.replace(b"\x28\x00" + element_number + b"LO", b"\x28\x00" + element_number + form)
    return data


@pytest.mark.parametrize("name", ODD_HINTS)
def test_an_odd_hint_for_the_display_costs_a_remark_and_no_picture(name: str) -> None:
    found = prepared(as_decimal(ODD_HINTS[name]()))
    assert [remark for remark in found.facts.remarks if "cannot be read" in remark]
    assert likeness(load_rendition(found.rendition_png), rendition(dicom())) > 0.999


def test_a_window_takes_the_place_of_a_table_that_cannot_be_read() -> None:
    window = {"WindowCenter": 1000, "WindowWidth": 1000}
    found = prepared(dicom(VOILUTSequence=Sequence([Dataset()]), **window))
    assert len(found.facts.remarks) == 1
    assert np.array_equal(load_rendition(found.rendition_png), rendition(dicom(**window)))


@pytest.mark.parametrize(
    "odd",
    [
        {"RescaleSlope": "", "RescaleIntercept": ""},
        {"RescaleSlope": "", "RescaleIntercept": "5"},
        {"WindowCenter": "", "WindowWidth": ""},
        {"VOILUTFunction": "", "VOILUTSequence": Sequence([]), "ModalityLUTSequence": Sequence([])},
    ],
)
def test_an_empty_element_is_as_good_as_none(odd: dict[str, Any]) -> None:
    found = prepared(dicom(**odd))
    assert found.facts.remarks == ()
    assert np.array_equal(load_rendition(found.rendition_png), rendition(dicom()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: dicom(ModalityLUTSequence=table([4096, 0, 16], words(ROOT)[:100])),
        lambda: dicom(ModalityLUTSequence=Sequence([Dataset()])),
        lambda: with_element("RescaleSlope", "LO", "one", RescaleIntercept=0),
        lambda: with_element("RescaleIntercept", "LO", "inf", RescaleSlope=1),
    ],
)
def test_values_that_cannot_be_known_are_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(Unscreenable) as caught:
        prepared(make())
    assert caught.value.code == "damaged"
    assert "grey scale" in caught.value.sentence


def region(form: str) -> bytes:
    item = Dataset()
    item.add(element("CodeMeaning", "LO", "Hand"))
    data = dicom(BodyPartExamined=None, AnatomicRegionSequence=Sequence([item]))
    return data.replace(b"\x08\x00\x04\x01LO", b"\x08\x00\x04\x01" + form.encode())


@pytest.mark.parametrize(
    "make",
    [
        lambda: with_element("AnatomicRegionSequence", "LO", "HAND", BodyPartExamined=None),
        lambda: region("ZZ"),
        lambda: with_element("BodyPartExamined", "CS", ["HAND", "WRIST"]),
        lambda: with_element("PixelPaddingValue", "LO", "black"),
        lambda: with_element("PixelIntensityRelationshipSign", "LO", "up"),
    ],
)
def test_an_odd_fact_is_left_out_and_the_picture_taken(make: Callable[[], bytes]) -> None:
    found = prepared(make())
    assert np.array_equal(load_rendition(found.rendition_png), rendition(dicom()))


def test_whatever_is_changed_in_a_header_only_a_reason_comes_out() -> None:
    rng = np.random.default_rng(5)
    whole = dicom(
        DEEP[::4, ::4],
        VOILUTSequence=table([4096, 0, 8], EIGHT.astype(np.uint8).tobytes()[:64]),
        ModalityLUTSequence=table([64, 0, 16], words(ROOT[:64])),
        WindowCenter=["2000", "1"],
        WindowWidth=["1000", "1"],
        RescaleSlope=1,
        RescaleIntercept=0,
        AnatomicRegionSequence=Sequence([Dataset()]),
    )
    header = whole.rindex(b"\xe0\x7f\x10\x00")
    taken = 0
    for _ in range(600):
        data = bytearray(whole)
        for at in rng.integers(132, header, rng.integers(1, 4)):
            data[at] = rng.integers(0, 256)
        try:
            decode(bytes(data), LIMITS)
            taken += 1
        except Unscreenable:
            pass
    assert 0 < taken < 600
