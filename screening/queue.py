"""The Celery app's factory, queue and task names, and wake-ups that are sent after a commit.

A message says only "there is work": the work itself stands in SQL. Losing one, or getting one twice, costs at most a
sweep. So nothing here retries for long, and nobody waits for it.
"""

import threading
import time
from enum import StrEnum
from typing import Any

import structlog
from celery import Celery
from kombu import Connection, Exchange, Queue
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

log = structlog.get_logger()

TROUBLE = (RedisError, KombuError, OSError)
"""What a broker that is away, or a connection that broke, is told by."""
WAKE_UPS_WAITING = 16
"""With so many wake-ups in a queue one more would tell its workers nothing."""
TICKS_EXPIRE_S = 60.0
"""A tick of beat that waited this long is of no use. Not much shorter, because the clock of beat's machine says when it
expires and that of the worker's machine whether it has: were they apart by more, no tick would ever be taken."""
SHORTEST_PAUSE_S = 0.05
"""Wake-ups of one queue within this time become one message."""
LAST_WORDS_TAKE_S = 1.0
"""A process that ends waits no longer than this for its last wake-ups; the sweeper sends them again."""


class QueueName(StrEnum):
    PREPARE = "prepare"
    SCREEN = "screen"
    UPKEEP = "upkeep"


TASKS = {
    QueueName.PREPARE: "worker.prepare",
    QueueName.SCREEN: "worker.screen",
    QueueName.UPKEEP: "worker.sweep",
}
OVERNIGHT_TASK = "worker.overnight"
"""On the queue of upkeep too, but a task of its own: a long opening of a run must not be mixed up with a sweep."""


def make_celery(redis_url: str, sweep_every_s: float) -> Celery:
    """A Celery app that sends and takes JSON messages on three queues and keeps no results."""
    app = Celery("screening", broker=redis_url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_queues=[Queue(name, Exchange(name), routing_key=name) for name in QueueName],
        task_default_queue=QueueName.UPKEEP,
        task_create_missing_queues=False,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_connect_timeout": 2,
            "socket_timeout": 10,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "retry_on_timeout": False,
        },
        beat_schedule={
            "sweep": {
                "task": TASKS[QueueName.UPKEEP],
                "schedule": sweep_every_s,
                "options": {"queue": QueueName.UPKEEP, "expires": max(TICKS_EXPIRE_S, sweep_every_s)},
            },
            "overnight": {
                "task": OVERNIGHT_TASK,
                "schedule": sweep_every_s,
                "options": {"queue": QueueName.UPKEEP, "expires": max(TICKS_EXPIRE_S, sweep_every_s)},
            },
        },
        timezone="UTC",
    )
    return app


class Waker:
    """Sends wake-ups from a thread of its own, so that no request and no batch ever waits for Redis.

    The thread keeps its connection: making one for each wake-up takes a tenth of what an upload costs the portal.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Connection | None = None
        self._wanted: set[QueueName] = set()
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    def wake(self, *queues: QueueName) -> None:
        """Tell the workers of these queues that there is work. Returns at once; call it after the commit."""
        with self._changed:
            self._wanted.update(queues)
            # Started at the first call, not before: a server that forks would leave the thread behind.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._send, name="waker", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Send what is still wanted, and hang up."""
        with self._changed:
            self._closing = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(LAST_WORDS_TAKE_S)

    def _send(self) -> None:
        try:
            while wanted := self._next():
                for queue in wanted:
                    self._publish(queue)
                time.sleep(SHORTEST_PAUSE_S)
        finally:
            self._hang_up()

    def _next(self) -> set[QueueName]:
        """The queues to wake next, waited for; none once nothing is wanted any more."""
        with self._changed:
            while not self._wanted and not self._closing:
                self._changed.wait()
            wanted, self._wanted = self._wanted, set()
            return wanted

    def _publish(self, queue: QueueName) -> None:
        """Over the connection that is kept, and where that one broke in the meantime over a new one."""
        if self._connection is not None:
            try:
                return self._publish_over(self._connection, queue)
            except TROUBLE:
                self._hang_up()
        try:
            self._connection = self._app.connection_for_write()
            self._publish_over(self._connection, queue)
        except TROUBLE as error:
            # The sweeper finds the work in SQL and sends this again.
            log.warning("wake-up not sent", queue=str(queue), error=str(error))
            self._hang_up()

    def _publish_over(self, connection: Connection, queue: QueueName) -> None:
        if _depth(connection, queue) < WAKE_UPS_WAITING:
            self._app.send_task(TASKS[queue], queue=queue, connection=connection, retry=False)

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()


def _depth(connection: Connection, queue: str) -> int:
    channel: Any = connection.default_channel
    return int(channel.client.llen(queue))


def queue_depths(app: Celery) -> dict[str, int]:
    """Messages that wait in each queue. Raises RedisError or OSError where Redis does not answer."""
    with app.connection_for_write() as connection:
        return {str(queue): _depth(connection, queue) for queue in QueueName}
