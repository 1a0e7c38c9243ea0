"""Numbers are written as people write them."""

from web.presentation import per_scan, probability, threshold


def test_the_time_of_a_scan_is_never_a_power_of_ten() -> None:
    took = {"claim": 0.0011, "load": 0.0124, "infer": 3.05, "map": 20.0}
    stages = {name: {"seconds": seconds, "scans": 10} for name, seconds in took.items()}
    assert per_scan(stages) == "claim 0.11, load 1.2, infer 305, map 2,000 ms"


def test_a_probability_under_the_threshold_never_looks_as_if_it_were_at_it() -> None:
    at = 0.0750000001
    below, over = at - 1e-9, at + 1e-3
    assert probability(below) < threshold(at) <= probability(over)
