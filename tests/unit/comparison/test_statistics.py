"""The small statistics against scipy's, which serving machines do not have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from screening.comparison.statistics import cohens_kappa, wilson_interval


@given(st.integers(0, 3000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_wilson_is_what_scipy_says(counts: tuple[int, int]) -> None:
    successes, trials = counts
    if trials == 0:
        assert wilson_interval(0, 0) == (0.0, 1.0)
        return
    wanted = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


def test_kappa_of_a_table_worked_by_hand() -> None:
    # 50 agreed yes, 10 and 5 differ, 35 agreed no: 0.85 agreed, 0.60 * 0.55 + 0.40 * 0.45 = 0.51 by chance.
    assert cohens_kappa(50, 10, 5, 35) == pytest.approx((0.85 - 0.51) / 0.49)
    assert cohens_kappa(0, 5, 5, 0) == pytest.approx(-1)
    assert cohens_kappa(9, 0, 0, 0) is None
    assert cohens_kappa(0, 0, 0, 0) is None


@pytest.mark.parametrize("counts", [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="impossible"):
        wilson_interval(*counts)
