"""The bands of the worklist: what could not be screened, likely, possible, not flagged. Nothing is called normal.

Two thresholds make three bands of what was screened. The lower one is the operating point, which carries the promise
of sensitivity: whatever is at or over it is flagged. Flagged scans at or over the likely threshold are likely, the
others possible.
"""

from typing import Literal

Band = Literal["must_look", "likely", "possible", "not_flagged"]
BANDS: tuple[Band, ...] = ("must_look", "likely", "possible", "not_flagged")

BandFilter = Literal["must_look", "flagged", "likely", "possible", "not_flagged"]
BAND_FILTERS: tuple[BandFilter, ...] = ("must_look", "flagged", "likely", "possible", "not_flagged")
"""What a worklist can be cut down to; `flagged` is likely and possible together."""


def band_of(probability: float | None, threshold: float, likely_threshold: float) -> Band:
    """The band of a scan with this probability; None where it could not be screened."""
    if probability is None:
        return "must_look"
    if probability < threshold:
        return "not_flagged"
    return "likely" if probability >= likely_threshold else "possible"
