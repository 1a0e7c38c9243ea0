"""Wake-ups: coalesced, bounded, and never waited for."""

import time
from typing import Any

import pytest
from redis import Redis

from screening.queue import WAKE_UPS_WAITING, QueueName, Waker, make_celery, queue_depths
from tests.conftest import free_port, running_valkey
from tests.installation import wait_until


def test_a_wake_up_is_one_json_message_in_its_queue(redis_url: str) -> None:
    app = make_celery(redis_url, 5)
    Waker(app).wake(QueueName.SCREEN)
    wait_until(lambda: queue_depths(app)["screen"] == 1, 10, "the message has arrived")
    assert queue_depths(app) == {"prepare": 0, "screen": 1, "upkeep": 0}
    assert b"application/json" in Redis.from_url(redis_url).lrange("screen", 0, 0)[0]  # type: ignore[index]


def test_thousands_of_wake_ups_become_few_messages(redis_url: str) -> None:
    app = make_celery(redis_url, 5)
    waker = Waker(app)
    started = time.monotonic()
    for _ in range(5000):
        waker.wake(QueueName.PREPARE)
    assert time.monotonic() - started < 5
    wait_until(lambda: queue_depths(app)["prepare"] >= 1, 10, "a message has arrived")
    time.sleep(0.5)
    assert queue_depths(app)["prepare"] <= WAKE_UPS_WAITING


def test_wake_ups_nobody_takes_do_not_pile_up(redis_url: str) -> None:
    app = make_celery(redis_url, 5)
    waker = Waker(app)
    for _ in range(40):
        waker.wake(QueueName.SCREEN)
        time.sleep(0.06)
    assert queue_depths(app)["screen"] <= WAKE_UPS_WAITING


def test_nobody_waits_for_a_redis_that_is_away_and_wake_ups_go_on_when_it_is_back() -> None:
    port = free_port()
    app = make_celery(f"redis://127.0.0.1:{port}/0", 5)
    waker = Waker(app)
    started = time.monotonic()
    waker.wake(QueueName.SCREEN)
    assert time.monotonic() - started < 0.5
    with pytest.raises(Exception, match="refused"):
        queue_depths(app)
    with running_valkey(port):
        queue_depths(app)

        def woken() -> bool:
            waker.wake(QueueName.SCREEN)
            return queue_depths(app)["screen"] >= 1

        wait_until(woken, 10, "the thread that sends wake-ups is still at work")


def test_a_wake_up_over_a_connection_that_broke_is_sent_over_a_new_one() -> None:
    port = free_port()
    app = make_celery(f"redis://127.0.0.1:{port}/0", 5)
    waker = Waker(app)
    with running_valkey(port):
        waker.wake(QueueName.SCREEN)
        wait_until(lambda: queue_depths(app)["screen"] == 1, 10, "the first message has arrived")
    with running_valkey(port):
        waker.wake(QueueName.SCREEN)
        wait_until(lambda: queue_depths(app)["screen"] == 1, 10, "not even one wake-up is lost")


def test_wake_ups_share_a_connection(redis_url: str) -> None:
    app = make_celery(redis_url, 5)
    redis: Any = Redis.from_url(redis_url)
    waker = Waker(app)
    waker.wake(QueueName.SCREEN)
    wait_until(lambda: queue_depths(app)["screen"] == 1, 10, "the first message has arrived")
    before = redis.info("stats")["total_connections_received"]
    for sent in range(1, 6):
        waker.wake(QueueName.PREPARE)
        wait_until(lambda sent=sent: redis.llen("prepare") == sent, 10, "the message has arrived")  # type: ignore[misc]
    assert redis.info("stats")["total_connections_received"] == before


def test_a_process_that_ends_sends_its_last_wake_ups_and_hangs_up(redis_url: str) -> None:
    app = make_celery(redis_url, 5)
    redis: Any = Redis.from_url(redis_url)
    connected = redis.info("clients")["connected_clients"]
    waker = Waker(app)
    waker.wake(QueueName.PREPARE, QueueName.SCREEN)
    waker.close()
    assert queue_depths(app) == {"prepare": 1, "screen": 1, "upkeep": 0}
    assert redis.info("clients")["connected_clients"] == connected
    waker.wake(QueueName.UPKEEP)
    wait_until(lambda: queue_depths(app)["upkeep"] == 1, 10, "what came late is sent, too")


def test_a_process_that_ends_waits_only_a_moment_for_a_redis_that_is_away() -> None:
    waker = Waker(make_celery(f"redis://127.0.0.1:{free_port()}/0", 5))
    waker.wake(QueueName.SCREEN)
    started = time.monotonic()
    waker.close()
    assert time.monotonic() - started < 3


def test_ticks_of_a_beat_whose_clock_is_late_are_taken_all_the_same() -> None:
    for entry in make_celery("redis://127.0.0.1:1/0", 1.0).conf.beat_schedule.values():
        assert entry["options"]["expires"] >= 60
