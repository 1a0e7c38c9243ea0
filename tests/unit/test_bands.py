"""Two thresholds make three bands of what was screened."""

import pytest

from screening.bands import BAND_FILTERS, BANDS, band_of


@pytest.mark.parametrize(
    ("probability", "band"),
    [
        (None, "must_look"),
        (0.0, "not_flagged"),
        (0.299, "not_flagged"),
        (0.3, "possible"),
        (0.599, "possible"),
        (0.6, "likely"),
        (1.0, "likely"),
    ],
)
def test_a_scan_at_a_threshold_is_over_it(probability: float | None, band: str) -> None:
    assert band_of(probability, 0.3, 0.6) == band


def test_equal_thresholds_leave_nothing_merely_possible() -> None:
    assert {band_of(p / 100, 0.5, 0.5) for p in range(101)} == {"likely", "not_flagged"}


def test_flagged_is_a_filter_and_no_band() -> None:
    assert set(BAND_FILTERS) - set(BANDS) == {"flagged"}
