"""The self-check passes on an honest bundle and refuses one whose network is not the one that was measured."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from screening.inference.bundle import GOLDEN, WEIGHTS, Bundle, BundleError
from screening.inference.choice import open_engine
from screening.inference.selfcheck import check_against_golden
from tests.bundles import make_random_bundle

Alter = Callable[[Callable[[Path], None]], Bundle]


def test_an_honest_bundle_passes(bundle: Bundle) -> None:
    result = check_against_golden(open_engine("openvino", bundle, "fp32", threads=2), bundle, "fp32")
    assert result.renditions == 6
    assert result.difference < 1e-4
    assert result.map_difference < 1e-4


def test_another_network_is_refused(altered: Alter, tmp_path: Path) -> None:
    other = make_random_bundle(tmp_path / "other", side=64, seed=1)

    def swap(folder: Path) -> None:
        for name in ("fp32.xml", "fp32.bin"):
            (folder / name).write_bytes((other.folder / name).read_bytes())

    swapped = altered(swap)
    with pytest.raises(BundleError, match=r"does not reproduce random-64 \(fp32\)"):
        check_against_golden(open_engine("openvino", swapped, "fp32", threads=1), swapped, "fp32")


def test_wrong_normalisation_is_refused(altered: Alter) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("torchvision")

    def alter(folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        weights["input.std"] = np.array(1.0, np.float16)
        save_file(weights, folder / WEIGHTS)

    wrong = altered(alter)
    with pytest.raises(BundleError, match="does not reproduce"):
        check_against_golden(open_engine("torch", wrong, "fp32", threads=1), wrong, "fp32")


def test_torch_reproduces_what_openvino_measured(bundle: Bundle) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    check_against_golden(open_engine("torch", bundle, "fp32", threads=1), bundle, "fp32")


@pytest.mark.parametrize(
    ("form", "shift", "passes"),
    [("fp32", 0.0005, True), ("fp32", 0.002, False), ("int8", 0.015, True), ("int8", 0.03, False)],
)
def test_tolerance_depends_on_the_arithmetic(altered: Alter, form: str, shift: float, passes: bool) -> None:
    def alter(folder: Path) -> None:
        golden = load_file(folder / GOLDEN)
        golden[f"{form}.probabilities"] = golden[f"{form}.probabilities"] + np.float32(shift)
        save_file(golden, folder / GOLDEN)

    shifted = altered(alter)
    engine = open_engine("openvino", shifted, form, threads=1)
    if passes:
        assert check_against_golden(engine, shifted, form).difference == pytest.approx(shift, abs=1e-4)
    else:
        with pytest.raises(BundleError, match="probabilities differ by"):
            check_against_golden(engine, shifted, form)


@pytest.mark.parametrize("alteration", ["flipped maps", "not a number", "no tensors for the form", "another side"])
def test_golden_tensors_that_do_not_fit_are_refused(altered: Alter, alteration: str) -> None:
    def alter(folder: Path) -> None:
        golden = load_file(folder / GOLDEN)
        match alteration:
            case "flipped maps":
                golden["fp32.maps"] = golden["fp32.maps"][:, :, ::-1].copy()
            case "not a number":
                golden["fp32.probabilities"][2] = np.nan
            case "no tensors for the form":
                del golden["fp32.maps"]
            case "another side":
                golden["renditions"] = golden["renditions"][:, :32, :32].copy()
        save_file(golden, folder / GOLDEN)

    wrong = altered(alter)
    with pytest.raises(BundleError):
        check_against_golden(open_engine("openvino", wrong, "fp32", threads=1), wrong, "fp32")
