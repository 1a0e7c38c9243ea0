"""A process's sign of life: its own row, kept fresh by a thread, whatever the process is busy with."""

import os
import socket
import threading
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from screening.system import System
from screening.workers import BEAT_EVERY_S, beat, sign_off

log = structlog.get_logger()


def worker_name(kind: str) -> str:
    return f"{kind}@{socket.gethostname()}:{os.getpid()}"


class Heartbeat:
    """Beats every five seconds from `start` until `stop`."""

    def __init__(self, system: System, kind: str, details: Callable[[], dict[str, object]]) -> None:
        self.name = worker_name(kind)
        self._system = system
        self._kind = kind
        self._details = details
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        try:
            with self._system.database.write() as session:
                sign_off(session, self.name)
        except SQLAlchemyError:
            log.warning("could not sign off; the row will age")

    def _run(self) -> None:
        while True:
            try:
                with self._system.database.write() as session:
                    beat(session, self._system.clock(), self.name, self._kind, self._details())
            except SQLAlchemyError as error:
                log.warning("heartbeat not written", error=str(error))
            if self._stopped.wait(BEAT_EVERY_S):
                return
