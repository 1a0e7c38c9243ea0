"""SIGTERM under load: every process ends within 30 s, what it had finished stays, and nothing has to be done twice."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis
from sqlalchemy import func, select

from screening.database.tables import Job, Prediction, Rendition
from tests.bundles import make_random_bundle
from tests.chaos.load import EDGE
from tests.installation import Installation, installation, phantom_png, wait_until
from tests.up import STOPS_WITHIN_S, Up

SCANS = 160


@pytest.fixture
def busy(tmp_path: Path, sqlite_url: str, redis_url: str) -> Iterator[Installation]:
    """An installation with plenty to do."""
    bundle = make_random_bundle(tmp_path / "bundle", side=64)
    with installation(tmp_path / "data", sqlite_url, redis_url, bundle, lease_s=60.0, slice_s=10.0) as made:
        run = made.open_run()
        for seed in range(SCANS):
            made.upload(run, f"{seed}.png", phantom_png(seed, (120, 100)))
        made.submit(run)
        made.start_all()
        yield made


def numbers(made: Installation) -> tuple[int, int]:
    """(predictions, renditions that are ready)"""
    with made.system.database.read() as session:
        ready = select(func.count()).select_from(Rendition).where(Rendition.state == "ready")
        return session.scalar(select(func.count()).select_from(Prediction)) or 0, session.scalar(ready) or 0


@pytest.mark.timeout(600)
def test_workers_stop_soon_and_hand_back_what_they_have_not_done(busy: Installation) -> None:
    for kind in ("screen", "prepare", "upkeep", "beat"):
        before = numbers(busy)
        if before[0] < SCANS:
            wait_until(lambda before=before: numbers(busy) > before, 120, "work is under way")  # type: ignore[misc]
        done = numbers(busy)
        process = busy.processes[kind]
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOPS_WITHIN_S) == 0, busy.log(kind)
        assert numbers(busy) >= done
        with busy.system.database.read() as session:
            if kind == "screen":
                assert session.scalar(select(func.count()).where(Job.state == "screening")) == 0
            if kind == "prepare":
                assert session.scalar(select(func.count()).where(Rendition.state == "working")) == 0
        busy.start(kind)
    # Leases last a minute here: had one been left behind, the run would end only after that.
    run = 1
    assert busy.wait_complete(run, 240).screened == SCANS
    with busy.system.database.read() as session:
        assert set(session.scalars(select(Job.attempts))) == {1}, "nothing was tried twice"


def test_beat_ends_also_where_it_waits_for_an_answer_of_redis(tmp_path: Path, sqlite_url: str, redis_url: str) -> None:
    bundle = make_random_bundle(tmp_path / "bundle", side=64)
    with (
        installation(tmp_path / "data", sqlite_url, redis_url, bundle) as made,
        Redis.from_url(redis_url) as redis,
    ):
        beat = made.start("beat")
        wait_until(lambda: redis.llen("upkeep") > 0, 60, "the first tick is sent")
        redis.client_pause(6000)
        time.sleep(2.5)  # It ticks each second, and waits now.
        beat.send_signal(signal.SIGTERM)
        assert beat.wait(STOPS_WITHIN_S) == 0, made.log("beat")


@pytest.mark.timeout(600)
def test_the_portal_finishes_the_upload_in_hand(tmp_path: Path) -> None:
    bundle = make_random_bundle(tmp_path / "checkpoints" / "random", side=64)
    up = Up(tmp_path / "data", bundle.folder.parent)
    up.start()
    try:
        with up.api() as api:
            run = api.post("/api/v1/runs", json={"name": "stopped", "lane": "routine"}).json()["id"]
            begun, go_on = threading.Event(), threading.Event()

            def body() -> Iterator[bytes]:
                head = f'--{EDGE}\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
                data = phantom_png(1)
                yield head.encode() + data[:1000]
                begun.set()
                go_on.wait(60)
                yield data[1000:] + f"\r\n--{EDGE}--\r\n".encode()

            answers: list[httpx.Response] = []

            def send() -> None:
                form = {"Content-Type": f"multipart/form-data; boundary={EDGE}"}
                with up.api() as sender:
                    answers.append(sender.post(f"/api/v1/runs/{run}/files", content=body(), headers=form, timeout=60))

            sending = threading.Thread(target=send)
            sending.start()
            assert begun.wait(60)
            portal = up.supervised()["gunicorn"]
            began = time.monotonic()
            portal.terminate()
            go_on.set()
            sending.join(60)
            portal.wait(STOPS_WITHIN_S)
            assert time.monotonic() - began < STOPS_WITHIN_S
        assert [answer.status_code for answer in answers] == [202]
        assert answers[0].json()["files"][0]["status"] == "accepted"
        assert up.stop() == 0
    finally:
        if up.process is not None and up.process.poll() is None:
            up.process.kill()
            up.process.wait()
        for process in up.supervised().values():
            process.kill()
