"""What a band means in words never says more than was measured."""

from typing import Any

import pytest

from screening.bands import BANDS
from web.band_words import at_least, band_meaning

MEASURED: dict[str, Any] = {
    "sensitivity_lower_95": 0.8789,
    "likely": {"ppv": 0.606},
}
UNMEASURED: dict[str, Any] = {"likely": None}


def test_a_promise_is_cut_and_not_rounded() -> None:
    assert [at_least(bound) for bound in (0.8799, 0.88, 1.0, 0.29)] == ["87%", "88%", "100%", "29%"]


@pytest.mark.parametrize("band", ["likely", "possible", "not_flagged"])
def test_the_measured_bound_is_named_and_nothing_else_is_promised(band: Any) -> None:
    assert "at least 87% of fractures (95% confidence, on the card's data)" in band_meaning(band, MEASURED)
    assert "%" not in band_meaning(band, UNMEASURED)
    assert "no figures" in band_meaning(band, UNMEASURED)


def test_likely_says_how_many_of_its_like_had_a_fracture() -> None:
    assert "61% had a fracture" in band_meaning("likely", MEASURED)
    assert "had a fracture" not in band_meaning("likely", {**MEASURED, "likely": None})


def test_no_band_is_called_normal() -> None:
    for band in BANDS:
        for point in (MEASURED, UNMEASURED):
            words = band_meaning(band, point).lower()
            assert "normal" not in words
            assert "no fracture" not in words
    assert "may still show a fracture" in band_meaning("not_flagged", MEASURED)
