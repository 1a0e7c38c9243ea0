"""Options and errors of the commands that talk to a server."""

import functools
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from screening.client.errors import ClientError
from screening.client.http import Connection

F = TypeVar("F", bound=Callable[..., object])

DEFAULT_SERVER = "http://127.0.0.1:8000"
LOCAL_DATA = Path("data")


@dataclass(frozen=True)
class Server:
    """Where to connect and as whom."""

    url: str
    token: str

    def connect(self) -> Connection:
        """Raises ClientError."""
        return Connection(self.url, self.token, on_wait=_Patience())


class _Patience:
    """Says once that the server is waited for."""

    def __init__(self) -> None:
        self._said = False

    def __call__(self, problem: ClientError) -> None:
        if not self._said:
            self._said = True
            click.echo(f"{problem} Trying again for a while ...", err=True)


def client_command(command: F) -> F:
    """Add --server and --token, hand them over as `server`, and say errors in a sentence with exit code 1."""

    @click.option(
        "--server", "url", envvar="SCREENING_SERVER", help=f"[env: SCREENING_SERVER; default: {DEFAULT_SERVER}]"
    )
    @click.option("--token", envvar="SCREENING_TOKEN", help="[env: SCREENING_TOKEN; default: data/operator.token]")
    @functools.wraps(command)
    def run(url: str | None, token: str | None, **given: object) -> object:
        try:
            return command(server=_server(url, token), **given)
        except ClientError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:
            # Whoever reads our output, such as `head`, has enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return None

    return run  # type: ignore[return-value]


def _server(url: str | None, token: str | None) -> Server:
    """The server and token as given, or those of the installation in ./data. Raises ClientError without a token."""
    if token is None and (url is None or _is_local(url)):
        token = _read(LOCAL_DATA / "operator.token")
    if not token:
        raise ClientError(
            "There is no API token. Give one with --token or SCREENING_TOKEN, or call this in the folder where "
            "`make run` was called; the file operator.token of the data folder holds one."
        )
    return Server(url or _local_address(), token.strip())


def _is_local(url: str) -> bool:
    return url.startswith(("http://127.0.0.1", "http://localhost", "http://[::1]"))


def _local_address() -> str:
    """Where the installation in ./data listens, as it noted at its start."""
    try:
        noted = json.loads(_read(LOCAL_DATA / "run" / "environment.json") or "{}")
        return f"http://127.0.0.1:{int(noted['SCREENING_PORT'])}"
    except (ValueError, KeyError, TypeError):
        return DEFAULT_SERVER


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except OSError:
        return None
