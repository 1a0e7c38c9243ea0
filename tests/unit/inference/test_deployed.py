"""The checkpoints that ship with this repository are reproduced by the engines, whatever the batch size."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from screening.inference.bundle import CARD, GOLDEN, read_bundle
from screening.inference.choice import open_engine
from screening.inference.selfcheck import PROBABILITY_TOLERANCE, check_against_golden

CHECKPOINTS = Path(__file__).parents[3] / "checkpoints"
FOLDERS = sorted(card.parent for card in CHECKPOINTS.glob(f"*/{CARD}"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_openvino_reproduces_every_form(folder: Path) -> None:
    bundle = read_bundle(folder)
    golden = load_file(folder / GOLDEN)
    for form in bundle.forms:
        engine = open_engine("openvino", bundle, form)
        check_against_golden(engine, bundle, form)
        for count in (1, 3, 11):
            order = np.arange(count) % len(golden["renditions"])
            answer = engine.predict(golden["renditions"][order])
            np.testing.assert_allclose(
                answer.probabilities,
                golden[f"{form}.probabilities"][order],
                atol=PROBABILITY_TOLERANCE[engine.precision],
            )


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_torch_reproduces_the_fp32_form(folder: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    bundle = read_bundle(folder)
    check_against_golden(open_engine("torch", bundle, "fp32"), bundle, "fp32")
