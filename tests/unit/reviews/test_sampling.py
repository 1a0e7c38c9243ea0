"""The sample: the asked share of scans, the same ones at every look."""

import hashlib

import pytest

from screening.reviews.sampling import in_sample, sample_bound

IDS = [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(20_000)]


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_about_the_asked_share_is_in_it(rate: float) -> None:
    assert sum(in_sample(scan, rate) for scan in IDS) / len(IDS) == pytest.approx(rate, rel=0.15)


def test_a_larger_rate_only_adds() -> None:
    small = {scan for scan in IDS if in_sample(scan, 0.02)}
    assert small
    assert small <= {scan for scan in IDS if in_sample(scan, 0.05)}


def test_the_ends() -> None:
    assert not any(in_sample(scan, 0) for scan in IDS)
    assert all(in_sample(scan, 1) for scan in [*IDS, "f" * 32])


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_share_beyond_the_ends_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        sample_bound(rate)
