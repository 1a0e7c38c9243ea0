"""One labelled radiograph, and the error for a data set that cannot be used."""

from dataclasses import dataclass, field
from pathlib import Path

Box = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max as fractions of width and height of the picture as it is looked at: upright."""


class DatasetError(Exception):
    """A data set that cannot be used; the message names the file and row and says what to do."""


@dataclass(frozen=True)
class Example:
    """One labelled radiograph."""

    image_id: str
    path: Path
    fractured: bool
    group: str
    """Pictures of one group are never parted, because they may show the same patient."""
    body_part: str
    boxes: tuple[Box, ...] = ()
    traits: dict[str, str] = field(default_factory=dict)
    """The manifest's other columns, as written there."""
    source: str = ""
    """The row it was read from, as a complaint names it: "/data/manifest.csv row 7"."""
