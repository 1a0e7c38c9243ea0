"""The drift statistics against formulas worked out independently."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, ks_2samp

from screening.watching.drift import FEWEST_IN_REFERENCE, FEWEST_SCANS, PSI_LIMIT
from screening.watching.statistics import (
    BINS,
    PARTS,
    equal_parts,
    kolmogorov_smirnov,
    population_stability_index,
)


def histogram(values: np.ndarray) -> list[int]:
    return [int(count) for count in np.histogram(values, BINS, (0, 1))[0]]


def test_psi_is_the_sum_over_tenths_of_the_reference() -> None:
    rng = np.random.default_rng(1)
    reference, later = rng.beta(1, 5, 20_000), rng.beta(1.3, 4, 5_000)
    edges = [0, *(np.ceil(np.quantile(reference, np.arange(1, 10) / 10) * BINS) / BINS), 1]
    expected = np.histogram(reference, edges)[0] / len(reference)
    found = (np.histogram(later, edges)[0] + 0.5) / (len(later) + 5)
    wanted = float(((found - expected) * np.log(found / expected)).sum())
    assert population_stability_index(histogram(reference), histogram(later)) == pytest.approx(wanted, rel=1e-9)
    assert wanted > 0.2


def test_equal_shares_give_no_index_and_other_shares_a_positive_one() -> None:
    reference = histogram(np.random.default_rng(2).beta(1, 5, 10_000))
    assert population_stability_index(reference, reference) == pytest.approx(0, abs=1e-6)
    shares = [count / 10_000 for count in reference]
    other = histogram(np.random.default_rng(5).beta(1, 4, 3_000))
    assert population_stability_index(shares, other) == pytest.approx(population_stability_index(reference, other))
    assert population_stability_index(reference, reference[::-1]) > 1
    lost = [0] * (BINS - 1) + [500]
    assert 1 < population_stability_index(reference, lost) < 50


def test_chance_alone_hardly_ever_warns_at_the_smallest_numbers() -> None:
    """Draws at the limits follow the chi-square value that the limit was chosen by."""
    rng = np.random.default_rng(3)
    scale = 1 / FEWEST_SCANS + 1 / FEWEST_IN_REFERENCE
    drawn = [
        population_stability_index(
            histogram(rng.beta(1, 5, FEWEST_IN_REFERENCE)), histogram(rng.beta(1, 5, FEWEST_SCANS))
        )
        for _ in range(400)
    ]
    assert np.mean(drawn) == pytest.approx(scale * (PARTS - 1), rel=0.1)
    assert sum(value > PSI_LIMIT for value in drawn) <= 1
    assert chi2.sf(PSI_LIMIT / scale, PARTS - 1) < 1 / 8000


def test_ks_is_scipys_up_to_the_width_of_a_bin() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.beta(1, 5, 4_000), rng.beta(2, 4, 3_000)
    binned = kolmogorov_smirnov(histogram(one), histogram(other))
    assert binned == pytest.approx(ks_2samp(one, other).statistic, abs=0.02)
    assert binned <= ks_2samp(one, other).statistic + 1e-12


@given(st.lists(st.integers(0, 50), min_size=BINS, max_size=BINS).filter(any))
def test_parts_cover_every_bin_once_and_none_is_empty(counts: list[int]) -> None:
    parts = equal_parts(counts)
    assert [place for part in parts for place in part] == list(range(BINS))
    assert 1 <= len(parts) <= PARTS
    tenth = sum(counts) / PARTS
    for part in parts:
        held = [counts[place] for place in part]
        assert sum(held) > 0
        assert sum(held) <= 2 * tenth + max(held), "more than two tenths lie together only in one full bin"


def test_histograms_that_cannot_be_compared_are_refused() -> None:
    full = [1] * BINS
    for reference, counts in ((full, full[1:]), (full, [0] * BINS), ([0] * BINS, full)):
        with pytest.raises(ValueError, match="histogram"):
            population_stability_index(reference, counts)
        with pytest.raises(ValueError, match="histogram"):
            kolmogorov_smirnov(reference, counts)
