"""How a rendition is made: its spec and the hash that names it. Standard library only, so that the web can read it."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class RenditionSpec:
    """How a rendition is made. Two specs that differ in any field give different renditions and different hashes."""

    version: int = 1
    side: int = 256
    """Length of the longest side in pixels; also the side of the square that the network sees."""
    low_percentile: float = 0.5
    high_percentile: float = 99.5

    def __post_init__(self) -> None:
        if self.version != 1:
            raise ValueError(f"rendition spec version {self.version} is not known here; install a newer release")
        if not 32 <= self.side <= 1024:
            raise ValueError(f"rendition side {self.side} is out of range; choose 32 to 1024 pixels")
        if not 0 <= self.low_percentile < self.high_percentile <= 100:
            raise ValueError("rendition percentiles must satisfy 0 <= low < high <= 100")

    @property
    def hash(self) -> str:
        """Sixteen hex digits that name this spec in object keys, rows and checkpoints."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RenditionSpec":
        return cls(**values)
