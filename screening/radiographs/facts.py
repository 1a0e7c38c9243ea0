"""What leaves the decoder: a scan's pictures, and facts that cannot name a person. Standard library only."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Facts:
    """Facts that may leave the decoder. No names, no dates, no identifiers, with one exception: `study_uid`."""

    media_type: str
    rows: int
    columns: int
    """Size of the original as it is to be looked at, in pixels (after EXIF orientation)."""
    bits: int
    """Bits of grey per pixel that the original holds."""
    modality: str = ""
    """CR, DX or RG for DICOM, empty for plain pictures."""
    body_part: str = ""
    """One lower-case word ("hand"), empty where unknown. Only words from a fixed list leave the decoder."""
    view: str = ""
    """One of "frontal", "lateral", "oblique" and "axial", or empty."""
    laterality: str = ""
    """One of "left", "right" and "both", or empty."""
    study_uid: str = field(default="", repr=False)
    """The raw DICOM identifier of the study. It can name a visit: the caller keeps only a keyed hash of it."""
    polarity_inverted: bool = False
    """True where dark and bright were exchanged, because the file said that its low values are bright."""
    remarks: tuple[str, ...] = ()
    """Sentences for the reader, such as "The picture looks inverted"."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Facts":
        return cls(**{**values, "remarks": tuple(values["remarks"])})


@dataclass(frozen=True)
class Prepared:
    """What is kept of one scan. Sizes are (width, height) in pixels."""

    rendition_png: bytes
    rendition_size: tuple[int, int]
    display_jpeg: bytes
    display_size: tuple[int, int]
    facts: Facts
    seconds: dict[str, float] = field(compare=False)
    """What `decode` and `rendition` took; the display image belongs to the latter. Two are equal whatever they took."""
