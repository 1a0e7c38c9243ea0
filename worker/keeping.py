"""Keeping a lease while work takes its time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import SQLAlchemyError

log = structlog.get_logger()


@contextmanager
def kept_lease(renew: Callable[[], object], every_s: float) -> Iterator[None]:
    """Call `renew` every `every_s` seconds until the block ends. A renewal that fails is tried again in its turn."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(every_s):
            try:
                renew()
            except SQLAlchemyError as error:
                log.warning("lease not renewed", error=str(error))

    keeper = threading.Thread(target=keep, name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
