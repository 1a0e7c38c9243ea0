"""The prepare worker's inside, in this process: how many files it claims together."""

import time
from pathlib import Path

import pytest

import worker.prepare
from screening.inference.bundle import Bundle
from screening.radiographs.decoder import Decoder
from tests.installation import installation, phantom_png
from tests.integration.workers_within import prepare_all
from worker.prepare import group_size


def test_slow_files_are_claimed_few_at_a_time(
    tmp_path: Path, sqlite_url: str, redis_url: str, random_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that an urgent scan that comes meanwhile is prepared soon."""
    asked: list[int] = []
    claim, prepare = worker.prepare.claim_renditions, Decoder.prepare

    def counted(session, lease, now, limit):  # type: ignore[no-untyped-def]
        asked.append(limit)
        return claim(session, lease, now, limit)

    def slow(*arguments):  # type: ignore[no-untyped-def]
        time.sleep(0.3)
        return prepare(*arguments)

    monkeypatch.setattr(worker.prepare, "claim_renditions", counted)
    monkeypatch.setattr(Decoder, "prepare", slow)
    with installation(tmp_path / "data", sqlite_url, redis_url, random_bundle) as made:
        run = made.open_run()
        for seed in range(10):
            made.upload(run, f"{seed}.png", phantom_png(seed))
        made.submit(run)
        prepare_all(made)
    assert set(asked) <= {1, 2}


@pytest.mark.parametrize(
    ("files", "seconds", "together"),
    [(16, 0.1, 16), (16, 0.5, 16), (16, 2.0, 4), (4, 8.0, 2), (2, 0.2, 5), (1, 0.0, 16)],
)
def test_a_group_takes_about_half_a_second(files: int, seconds: float, together: int) -> None:
    assert group_size(2, files, seconds) == together
