"""Times per stage: differences between two looks, per scan."""

import threading

import pytest

from screening.bench.stages import Totals, batch_fill, ms_per_scan
from worker.stages import StageTimes


def test_only_what_came_between_the_looks_counts() -> None:
    before = {"screen, infer": (2.0, 100), "screen, claim": (0.1, 100)}
    after = {"screen, infer": (5.0, 400), "screen, claim": (0.1, 100), "screen, record": (0.6, 300)}
    assert ms_per_scan(before, after) == pytest.approx({"screen, infer": 10.0, "screen, record": 2.0})


def test_how_full_batches_were() -> None:
    assert batch_fill(Totals({}, 2, 64), Totals({}, 6, 160), 32) == 0.75
    with pytest.raises(RuntimeError, match="no batch"):
        batch_fill(Totals({}, 2, 64), Totals({}, 2, 64), 32)


def test_a_stage_that_failed_is_not_counted() -> None:
    stages = StageTimes()
    with pytest.raises(RuntimeError), stages.timing("infer", 32):
        raise RuntimeError
    assert stages.as_details() == {}
    with stages.timing("infer", 32):
        pass
    assert stages.as_details()["infer"]["scans"] == 32


def test_threads_lose_nothing() -> None:
    stages = StageTimes()

    def add() -> None:
        for _ in range(2000):
            stages.add("decode", 0.5, 1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stages.as_details() == {"decode": {"seconds": 4000.0, "scans": 8000}}
