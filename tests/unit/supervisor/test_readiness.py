"""Ports that are taken, addresses that are shown, and what keeps a portal from being ready."""

import socket

import pytest

from screening.supervisor.errors import UpError
from screening.supervisor.readiness import check_port_is_free, local_host, why_not_ready
from tests.conftest import free_port
from tests.unit.cli.server import Answer, scripted_server


def test_a_taken_port_is_told_with_the_way_out() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(UpError, match="make run PORT="):
            check_port_is_free("127.0.0.1", other.getsockname()[1])


def test_a_free_port_stays_free() -> None:
    port = free_port()
    check_port_is_free("127.0.0.1", port)
    check_port_is_free("localhost", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine(host: str) -> None:
    with pytest.raises(UpError, match=f"Port 8000 of {host}"):
        check_port_is_free(host, 8000)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("10.1.2.3", "10.1.2.3"), ("localhost", "localhost")],
)
def test_the_address_that_this_machine_uses(host: str, shown: str) -> None:
    assert local_host(host) == shown


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(body={"status": "ready"}), None),
        (Answer(503, {"detail": "The storage does not answer."}), "the portal says: The storage does not answer."),
        (Answer(hang_up=True), "the portal does not answer yet"),
    ],
)
def test_why_a_portal_is_not_ready(answer: Answer, why: str | None) -> None:
    with scripted_server(answer) as server:
        assert why_not_ready("127.0.0.1", int(server.url.rpartition(":")[2])) == why


def test_nobody_answers() -> None:
    assert why_not_ready("127.0.0.1", free_port()) == "the portal does not answer yet"
