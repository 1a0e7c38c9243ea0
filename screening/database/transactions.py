"""Transactions that are tried again when another worker's stood in their way."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from screening.database.engine import Database

TRIES = 5
TRIES_TO_RECORD = 7
"""For what a worker has finished: on average six seconds, in which a database server starts again."""
T = TypeVar("T")


def committed(database: Database, work: Callable[[Session], T], tries: int = TRIES) -> T:
    """Run `work` in one write transaction; after a deadlock or a lost connection, again from its beginning.

    Every function of the ledger is conditional, so doing it again is safe even where the first commit had arrived.
    """
    for attempt in range(1, tries + 1):
        try:
            with database.write() as session:
                return work(session)
        except OperationalError:
            if attempt == tries:
                raise
            time.sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311  spreads retries, guards nothing
    raise AssertionError("unreachable")
