"""Grey pictures as arrays: from any Pillow mode, made smaller early, judged for polarity."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from screening.radiographs.facts import Facts
from screening.radiographs.rendition import Grey

WORKING_SIDE = 1200
"""A picture is reduced while it is decoded, by a whole factor, as long as its longest side stays at least this long.
The display image has at most 1600 and may come out between the two; the rendition needs far less."""

_STRIP_PIXELS = 1 << 17
"""A strip and what is computed from it fit the processor's cache, which halves the time for a large picture."""


@dataclass(frozen=True)
class Radiograph:
    """One decoded radiograph.

    grey: (height, width), bone bright; uint8, uint16 or float32. It may be smaller than `facts.rows` x `facts.columns`,
    by a whole factor.
    """

    grey: Grey
    facts: Facts
    shown: tuple[float, float] | None = None
    """The grey values that the file itself wants shown as black and as white; None where it does not say."""


def working_side(rendition_side: int) -> int:
    """The length below which no decoder reduces, so that a rendition is always made from twice as many pixels."""
    return max(WORKING_SIDE, 2 * rendition_side)


def grey_of(image: Image.Image) -> Grey:
    """The grey values of a loaded Pillow picture of any mode: (height, width). What is transparent counts as black."""
    mode = image.mode
    if mode == "L":
        return np.asarray(image)
    if mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16, copy=False)
    if mode in ("I", "F"):
        return np.nan_to_num(np.asarray(image).astype(np.float32), posinf=0.0, neginf=0.0)
    if "transparency" in image.info or mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        with_alpha = image if mode in ("LA", "RGBA") else image.convert("RGBA")
        return np.asarray(ImageChops.multiply(with_alpha.convert("L"), with_alpha.getchannel("A")))
    if mode in ("LAB", "HSV"):
        image = image.convert("RGB")
    return np.asarray(image.convert("L"))


def shrink(
    values: NDArray[np.generic],
    at_least: int,
    tone: Callable[[NDArray[np.generic]], NDArray[np.float32]] | None = None,
) -> Grey:
    """Reduce by averaging blocks of a whole factor, keeping the longest side at least `at_least` pixels.

    values: (height, width). `tone` maps stored values to grey before averaging. Works strip by strip, so that a large
    picture is never held twice. Returns uint8 for uint8 without a tone, float32 where anything was computed.
    """
    rows, columns = values.shape
    factor = max(1, max(rows, columns) // at_least)
    if tone is None and factor == 1 and values.dtype in (np.uint8, np.uint16, np.float32):
        return values  # type: ignore[return-value]
    if tone is None and values.dtype == np.uint8:
        return np.asarray(Image.fromarray(values).reduce(factor))
    step = factor * max(1, _STRIP_PIXELS // (columns * factor))
    strips = []
    for top in range(0, rows, step):
        strip = values[top : top + step]
        grey = strip.astype(np.float32) if tone is None else tone(strip)
        strips.append(grey if factor == 1 else np.asarray(Image.fromarray(grey).reduce(factor)))
    return np.concatenate(strips)


def looks_inverted(rendition: NDArray[np.uint8]) -> bool:
    """True where a rendition strongly suggests bone dark on a bright ground.

    The rim of a limb's radiograph is mostly air, hence dark. Of 802 FracAtlas pictures none passes all three tests as
    it is, and four in five do when inverted. Bright collimator borders pass the first two, but leave dark air beside
    the limb. A film that is filled by the trunk can pass all three, so the caller leaves those out.
    """
    rim = max(2, round(0.04 * max(rendition.shape)))
    ring = np.concatenate(
        [rendition[:rim].ravel(), rendition[-rim:].ravel(), rendition[:, :rim].ravel(), rendition[:, -rim:].ravel()]
    )
    return bool(np.median(ring) > 200 and np.mean(rendition > 200) > 0.5 and np.mean(rendition < 55) < 0.1)
