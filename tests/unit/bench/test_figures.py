"""Medians, ratios, quantiles, and what is told of a slower run."""

import pytest

from screening.bench.figures import Measure, Ratio, other_machine, quantile, slower_than


def measures(**values: list[float]) -> dict[str, Measure]:
    return {name: Measure(name, name.title(), values=found) for name, found in values.items()}


def test_a_ratio_is_one_of_medians() -> None:
    found = measures(whole=[90, 30, 60], script=[20, 30, 10])
    assert Ratio("", "whole", "script").of(found) == 3


def test_a_ratio_of_what_was_not_measured_is_none() -> None:
    found = measures(whole=[90])
    found["script"] = Measure("script", "Script", left_out="torch is not installed here")
    assert Ratio("", "whole", "script").of(found) is None
    assert Ratio("", "whole", "nothing").of(found) is None


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.5, 10), (0.95, 19), (1, 20), (0, 1)],
)
def test_quantiles_are_values_that_occurred(share: float, expected: float) -> None:
    assert quantile([float(value) for value in range(20, 0, -1)], share) == expected


def test_a_quantile_of_nothing_is_none() -> None:
    assert quantile([], 0.5) is None


def test_only_what_became_slower_is_told() -> None:
    stored = {"measures": {name: {"median": 100.0, "unit": "images/s"} for name in ("same", "slower", "gone")}}
    stored["measures"]["latency"] = {"median": 100.0, "unit": "s"}
    now = measures(same=[91], slower=[80, 89, 85], latency=[10], new=[1])
    assert slower_than(stored, now, 0.1) == ["Slower: 85.0 images/s, was 100.0 (-15%)"]


def test_a_baseline_of_another_machine_is_told() -> None:
    here = {"cores": 2, "processor": "AMD EPYC (AVX2)", "python": "3.11"}
    assert other_machine({**here, "python": "3.13"}, here) is None
    for then in ({**here, "processor": "AMD EPYC (AVX2, AVX-512)"}, {**here, "cores": 4}, {}):
        assert "Compare the ratios" in str(other_machine(then, here))
