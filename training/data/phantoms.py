"""Generated phantoms: bone-like grey pictures, some with a fracture, that belong to no patient.

They feed the tests and the golden tensors of a checkpoint, where pictures of people have no business.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MANIFEST_COLUMNS = ("image_id", "fractured", "group", "body_part")


@dataclass(frozen=True)
class Phantom:
    """A grey picture (height, width) uint8 and, if fractured, its box as fractions of width and height."""

    picture: NDArray[np.uint8]
    box: tuple[float, float, float, float] | None


def make_phantom(seed: int, fractured: bool, height: int = 454, width: int = 373, gap_width: float = 0.024) -> Phantom:
    """Two shafts in soft tissue; a fracture is a dark oblique gap across one of them, with its ends apart.

    gap_width: of the height of the picture.
    """
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width, y / height
    lean = random.uniform(-0.15, 0.15)
    middle = 0.5 + lean * (y - 0.5)
    tissue = 70 * np.exp(-(((x - middle) / random.uniform(0.24, 0.32)) ** 4))
    picture = tissue.astype(np.float32)

    broken = int(random.integers(2))
    gap = random.uniform(0.3, 0.7)
    slope = random.uniform(-0.5, 0.5)
    displaced = random.uniform(0.015, 0.035) * random.choice((-1, 1))
    box = None
    for shaft in range(2):
        centre = middle + (shaft - 0.5) * random.uniform(0.2, 0.26)
        radius = random.uniform(0.045, 0.07) * (1 + 0.9 * np.abs(2 * y - 1) ** 3)
        if fractured and shaft == broken:
            line = gap + slope * (x - centre)
            centre = centre + np.where(y > line, displaced, 0)
        across = np.abs(x - centre) / radius
        # Cortical bone is brighter at the rim than in the marrow.
        bone = np.where(across < 1, 80 + 70 * across**4, 0)
        if fractured and shaft == broken:
            bone = np.where(np.abs(y - line) < gap_width / 2, bone * 0.15, bone)
            at = float(np.interp(gap, y[:, 0], centre[:, 0]))
            box = (max(0.0, at - 0.1), max(0.0, gap - 0.06), min(1.0, at + 0.1), min(1.0, gap + 0.06))
        picture = np.maximum(picture, tissue + bone * (y > 0.03) * (y < 0.97))
    picture = picture + random.normal(0, 4, picture.shape)
    return Phantom(np.clip(np.rint(picture), 0, 255).astype(np.uint8), box)


def write_phantom_dataset(
    folder: Path, groups: int, seed: int = 0, height: int = 120, width: int = 96, gap_width: float = 0.024
) -> None:
    """A data set in the layout that `read_dataset` reads: two pictures a group, every other group fractured."""
    (folder / "images").mkdir(parents=True)
    with (
        (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as manifest,
        (folder / "boxes.csv").open("w", newline="", encoding="utf-8") as boxes,
    ):
        rows, places = csv.writer(manifest), csv.writer(boxes)
        rows.writerow(MANIFEST_COLUMNS)
        places.writerow(("image_id", "x_min", "y_min", "x_max", "y_max"))
        for number in range(groups * 2):
            group, fractured = number // 2, number // 2 % 2 == 0
            phantom = make_phantom(seed * 100_000 + number, fractured, height, width, gap_width)
            name = f"phantom{number:04d}.png"
            Image.fromarray(phantom.picture).save(folder / "images" / name)
            rows.writerow((name, int(fractured), f"g{group:04d}", ("arm", "leg")[group // 2 % 2]))
            if phantom.box:
                places.writerow((name, *(f"{edge:.4f}" for edge in phantom.box)))
