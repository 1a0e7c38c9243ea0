"""Asking the portal whether it is ready, and whether its port is free before it starts."""

import http.client
import ipaddress
import json
import socket

from screening.supervisor.errors import UpError

TIMEOUT_S = 2.0


def check_port_is_free(host: str, port: int) -> None:
    """Raises UpError where something else listens, or where this machine has no such address."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the portal does: addresses of connections that were closed a moment ago do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise UpError(
            f"Port {port} of {host} cannot be used ({error.strerror}). "
            "Stop what uses it, or choose another one: `screening up --port 8001`, or `make run PORT=8001`."
        ) from error


def local_host(host: str) -> str:
    """The host by which this machine itself reaches a server that is bound to `host`, as it stands in a URL."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return f"[{address}]" if address.version == 6 else str(address)


def why_not_ready(host: str, port: int) -> str | None:
    """None once the portal answers that it is ready, otherwise what keeps it, in a few words."""
    connection = http.client.HTTPConnection(local_host(host).strip("[]"), port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        if answer.status == 200:
            return None
        return f"the portal says: {_detail(answer.read(10_000))}"
    except (OSError, http.client.HTTPException):
        return "the portal does not answer yet"
    finally:
        connection.close()


def _detail(body: bytes) -> str:
    try:
        problem = json.loads(body)
        return str(problem.get("detail") or problem)
    except (ValueError, AttributeError):
        return body.decode("utf-8", "replace")[:200]
