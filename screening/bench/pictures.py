"""The pictures that a benchmark screens: a person's own, or generated ones of the usual size."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

SIZE = (373, 454)
"""Width and height of nine in ten pictures of FracAtlas."""
ENDINGS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".dcm")


def pictures_in(folder: Path, most: int) -> list[Path]:
    """At most so many pictures below the folder, evenly spread over their sorted paths. Raises ValueError for none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not found:
        raise ValueError(f"{folder} holds no pictures ({', '.join(ENDINGS)}); name another with --images")
    if len(found) <= most:
        return found
    return [found[index * len(found) // most] for index in range(most)]


def make_pictures(folder: Path, count: int, seed: int = 1) -> list[Path]:
    """Generated JPEG files that look a little like bones, no two with the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    width, height = SIZE
    across = np.abs(np.linspace(-1, 1, width))
    paths = []
    for number in range(count):
        shaft = 1 / (1 + np.exp((across - rng.uniform(0.15, 0.4)) * 30))
        grey = 30 + 170 * shaft[None, :] * np.linspace(rng.uniform(0.6, 1), 1, height)[:, None]
        grey = grey + rng.normal(0, 8, (height, width))
        path = folder / f"phantom-{seed}-{number:06}.jpg"
        picture = Image.fromarray(grey.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))
        picture.save(path, quality=90)
        paths.append(path)
    return paths
