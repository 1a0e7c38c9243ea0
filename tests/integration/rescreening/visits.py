"""Archives of a test: files put into them, and visits as upkeep makes them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from screening.archives.registry import add_archive, claim_visit, want_visit
from screening.clock import utc_now
from screening.database.schedule_tables import Archive
from screening.ledger.lease import Lease
from screening.system import System
from tests.installation import phantom_png
from worker.archives import Visitor


class HasSystem(Protocol):
    """An installation, or a portal."""

    system: System


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (path.stat().st_mtime - 3600,) * 2)


def put_pictures(folder: Path, count: int) -> Path:
    """So many different pictures, named by their numbers. Returns the folder."""
    for seed in range(count):
        put(folder / f"{seed}.png", phantom_png(seed))
    return folder


def add(made: HasSystem, url: str, in_place: bool = False) -> int:
    with made.system.database.write() as session:
        return add_archive(session, utc_now(), url, in_place, "0 20 * * *", "UTC", "tests").id


def visit_now(made: HasSystem, archive_id: int, should_stop: Callable[[], bool] = lambda: False) -> Archive:
    """One visit, as upkeep makes it."""
    visitor = Visitor(made.system)
    with made.system.database.write() as session:
        want_visit(session, utc_now(), archive_id, "tests")
    with made.system.database.write() as session:
        lease = Lease.new(utc_now(), 60)
        archive = claim_visit(session, utc_now(), lease)
    assert archive is not None
    if should_stop():
        visitor.close()
    visitor.visit_one(archive, lease)
    with made.system.database.read() as session:
        return session.get_one(Archive, archive_id)
