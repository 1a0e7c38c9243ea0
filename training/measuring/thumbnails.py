"""Thumbnails of scans for a report that stays on this machine: the rendition, the fracture boxes, the map's peak."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from screening.radiographs.rendition import RenditionSpec, make_rendition
from training.data.manifest import Example
from training.data.pictures import load_grey
from training.measuring.errors import described, worst_alarms, worst_misses
from training.measuring.localization import peak
from training.measuring.sizes import content_of

SHOWN = RenditionSpec(side=288)
MOST = 12


def error_thumbnails(
    probabilities: NDArray[np.float64],
    examples: Sequence[Example],
    threshold: float,
    maps: NDArray[np.float32],
    side: int,
) -> dict[str, list[dict[str, Any]]]:
    """`misses` and `alarms`, the worst first: each `described`, with `uri`, `width`, `height`, `boxes` and `peak`.

    Boxes (x, y, width, height) and the peak (x, y) are in pixels of the thumbnail.
    """
    labels = np.array([e.fractured for e in examples])
    flagged = probabilities >= threshold

    def shown(index: int) -> dict[str, Any]:
        example = examples[index]
        grey = load_grey(example.path)
        picture = make_rendition(grey, SHOWN)
        height, width = picture.shape
        content = content_of(grey.shape[0], grey.shape[1], side)
        y, x = peak(maps[index], content)
        return {
            **described(index, example, probabilities, labels),
            "image_id": example.image_id,
            "uri": _data_uri(picture),
            "width": width,
            "height": height,
            "boxes": [
                (x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height) for x0, y0, x1, y1 in example.boxes
            ],
            "peak": (
                (x - content[1]) / (content[3] - content[1]) * width,
                (y - content[0]) / (content[2] - content[0]) * height,
            ),
        }

    return {
        "misses": [shown(i) for i in worst_misses(probabilities, labels, flagged)[:MOST]],
        "alarms": [shown(i) for i in worst_alarms(probabilities, labels, flagged)[:MOST]],
    }


def _data_uri(picture: NDArray[np.uint8]) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
