"""The portal as it is deployed (gunicorn, one process), on SQLite and without workers, to be measured."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from screening.accounts import Identity, add_user
from screening.clock import utc_now
from screening.database.engine import Database
from screening.database.migrate import upgrade
from screening.database.tables import Checkpoint, OperatingPointChange

PATIENCE_S = 120


@dataclass
class Portal:
    url: str
    database: Database
    person: Identity
    pid: int


@contextmanager
def portal(port: int) -> Iterator[Portal]:
    """With an active checkpoint `c` of rendition spec `s`, and an operator; everything is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="portal-"))
    database_url = f"sqlite:///{folder}/screening.db"
    upgrade(database_url)
    database = Database(database_url)
    environment = {
        "SCREENING_DATA_DIR": str(folder),
        "SCREENING_DATABASE_URL": database_url,
        "SCREENING_REDIS_URL": "redis://127.0.0.1:1/0",
        "SCREENING_SECRET_KEY": "benchmark" * 5,
        "SCREENING_PORT": str(port),
        "SCREENING_WEB_WORKERS": "1",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:web.gunicorn_conf", "web.wsgi:app"]
    server = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    try:
        person = _furnish(database)
        _wait_until_up(server, port)
        yield Portal(f"http://127.0.0.1:{port}", database, person, server.pid)
    finally:
        server.terminate()
        server.wait(30)
        database.dispose()
        shutil.rmtree(folder)


def _furnish(database: Database) -> Identity:
    now = utc_now()
    with database.write() as session:
        session.add(
            Checkpoint(id="c", name="c", form="fp32", active=True, rendition_spec="s", card={}, registered_at=now)
        )
        session.flush()
        point = {"name": "p", "threshold": 0.5, "likely_threshold": 0.8, "reason": "benchmark", "set_by": "benchmark"}
        session.add(OperatingPointChange(checkpoint_id="c", set_at=now, **point))
        return add_user(session, now, "benchmark", "operator", None, "benchmark")


def _wait_until_up(server: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):
                return
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("The portal did not start.") from None
            time.sleep(0.2)
