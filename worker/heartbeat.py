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

SIGNS_OFF_WITHIN_S = 5.0
"""A process that is asked to stop has half a minute; a busy database is not to take all of it for a row that ages."""


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
        leaving = threading.Thread(target=self._sign_off, name="sign-off", daemon=True)
        leaving.start()
        leaving.join(SIGNS_OFF_WITHIN_S)
        if leaving.is_alive():
            log.warning("could not sign off, the database is busy; the row will age")

    def _sign_off(self) -> None:
        try:
            with self._system.database.write() as session:
                sign_off(session, self.name)
        except SQLAlchemyError as error:
            log.warning("could not sign off; the row will age", error=str(error))

    def _run(self) -> None:
        while True:
            try:
                with self._system.database.write() as session:
                    beat(session, self._system.clock(), self.name, self._kind, self._details())
            except SQLAlchemyError as error:
                log.warning("heartbeat not written", error=str(error))
            if self._stopped.wait(BEAT_EVERY_S):
                return
