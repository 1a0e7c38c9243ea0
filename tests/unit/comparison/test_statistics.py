"""The small statistics against scipy's, which serving machines do not have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from screening.comparison.statistics import cohens_kappa, mcnemar_exact, wilson_interval


@given(st.integers(0, 3000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_wilson_is_what_scipy_says(counts: tuple[int, int]) -> None:
    successes, trials = counts
    if trials == 0:
        assert wilson_interval(0, 0) == (0.0, 1.0)
        return
    wanted = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_mcnemar_is_the_two_sided_binomial_test_of_the_pairs_that_differ(only_before: int, only_after: int) -> None:
    if only_before + only_after == 0:
        assert mcnemar_exact(0, 0) == 1
        return
    wanted = binomtest(only_before, only_before + only_after, 0.5).pvalue
    assert mcnemar_exact(only_before, only_after) == pytest.approx(wanted, rel=1e-7, abs=1e-12)


def test_mcnemar_of_very_many_pairs_neither_overflows_nor_vanishes_wrongly() -> None:
    assert mcnemar_exact(100_000, 100_100) == pytest.approx(binomtest(100_000, 200_100, 0.5).pvalue, rel=1e-6)
    assert mcnemar_exact(1, 5000) == 0


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
