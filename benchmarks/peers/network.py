"""What both HTTP peers serve: a file's bytes to a square, and squares through the bundle's own network.

It runs in the environment of a peer, where this project is not installed, and is written as a user of a serving
framework would write it: Pillow reads and resizes, OpenVINO computes.
"""

import io
import os
from pathlib import Path

import numpy as np
import openvino as ov
from PIL import Image

BATCH = 32
WAIT_S = 0.02
FORM = Path(os.environ["PEER_NETWORK"])
"""The .xml file of a form of the checkpoint."""
SIDE = int(os.environ["PEER_SIDE"])


def square_of(data: bytes) -> np.ndarray:
    """The longest side at SIDE pixels, centred on black: (1, SIDE, SIDE) uint8."""
    picture = Image.open(io.BytesIO(data))
    picture.draft("L", (SIDE, SIDE))
    picture = picture.convert("L")
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    square = Image.new("L", (SIDE, SIDE))
    square.paste(picture, ((SIDE - picture.width) // 2, (SIDE - picture.height) // 2))
    return np.asarray(square)[None]


class Network:
    """The checkpoint in OpenVINO, with the settings that screening uses."""

    def __init__(self) -> None:
        hints = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "PERFORMANCE_HINT": "THROUGHPUT"}
        self._compiled = ov.Core().compile_model(FORM, "CPU", hints)

    def probabilities(self, squares: np.ndarray) -> np.ndarray:
        """(n,) of squares (n, 1, SIDE, SIDE) uint8."""
        logits = self._compiled([squares])["logits"]
        return 1 / (1 + np.exp(-logits))
