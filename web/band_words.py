"""What the bands are called, and what they mean in words: with what was measured, and never more than that."""

import math
from collections.abc import Mapping
from typing import Any

from screening.bands import Band

BAND_WORDS = {
    "must_look": "Must look",
    "flagged": "Flagged",
    "likely": "Likely",
    "possible": "Possible",
    "not_flagged": "Not flagged",
}
_ON = "(95% confidence, on the card's data)"


def at_least(share: float) -> str:
    """A lower bound in percent, cut and not rounded: what is promised must hold."""
    return f"{math.floor(share * 100 + 1e-9)}%"


def band_meaning(band: Band, point: Mapping[str, Any]) -> str:
    """One or two sentences for readers. `point` is what `operating_point_facts` says of the thresholds in force."""
    if band == "must_look":
        return "It could not be screened, so a person must look at it."
    bound = point.get("sensitivity_lower_95")
    caught = None if bound is None else at_least(bound)
    if band == "not_flagged":
        missed = (
            "The card has no figures for the threshold in force."
            if caught is None
            else f"The threshold catches at least {caught} of fractures {_ON}; the others lie under it."
        )
        return f"Not flagged: under the threshold. {missed} It may still show a fracture."
    promise = (
        "over the threshold in force, for which the card has no figures"
        if caught is None
        else f"over the threshold that catches at least {caught} of fractures {_ON}"
    )
    if band == "possible":
        return f"Flagged: {promise}, but under the likely threshold."
    likely = point["likely"]
    share = f" Of the scans over it, {likely['ppv']:.0%} had a fracture (on the card's data)." if likely else ""
    return f"Flagged: {promise}, and over the likely threshold, too.{share}"
