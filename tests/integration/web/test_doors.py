"""Doors that anybody may knock at: sign-in, whatever its address claims to be, and readiness."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from screening.accounts import add_user
from screening.clock import utc_now
from screening.storage import ObjectMissing
from screening.system import System, open_system
from tests.integration.web.conftest import Portal
from tests.integration.web.signing_in import csrf_of
from web import create_app, health

PASSWORD = "correct horse battery"
STRANGER = "198.51.100.7"


@pytest.fixture
def behind_a_proxy(portal: Portal) -> Iterator[Portal]:
    """The portal as its guide has it deployed."""
    system = _changed(portal.system, trusted_proxies=1)
    portal.app = create_app(system)
    with portal.system.database.write() as session:
        add_user(session, utc_now(), "anna", "reader", PASSWORD, "tests")
    yield portal
    system.close()


def _changed(system: System, **changes: object) -> System:
    return open_system(system.settings.model_copy(update=changes))


def sign_in(client: FlaskClient, name: str, password: str, address: str) -> int:
    csrf = csrf_of(client)
    headers = {"X-Forwarded-For": address}
    form = {"name": name, "password": password, "csrf_token": csrf}
    return client.post("/sign-in", data=form, headers=headers).status_code


def test_a_limit_holds_whatever_address_a_guesser_claims(
    behind_a_proxy: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.passwords.check_password", lambda *_: None)
    stranger = behind_a_proxy.browser()
    answers = [sign_in(stranger, "Anna ", "guess", f"203.0.113.{number}") for number in range(8)]
    assert answers == [401] * 6 + [429] * 2
    # One address, which the proxy tells, and many names.
    others = [sign_in(stranger, f"name {number}", "guess", STRANGER) for number in range(32)]
    assert others == [401] * 30 + [429] * 2


def test_a_claimed_host_and_addresses_before_the_proxy_count_for_nothing(behind_a_proxy: Portal) -> None:
    seen: dict[str, Any] = {}
    app = behind_a_proxy.app

    @app.before_request
    def look() -> None:
        from flask import request

        seen.update(address=request.remote_addr, host=request.host, secure=request.is_secure)

    headers = {
        "X-Forwarded-For": f"203.0.113.9, {STRANGER}",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
    }
    behind_a_proxy.browser().get("/healthz", headers=headers)
    assert seen == {"address": STRANGER, "host": "localhost", "secure": True}


def test_a_stranger_does_not_keep_somebody_out_of_the_browser_in_which_they_sign_in(behind_a_proxy: Portal) -> None:
    own = behind_a_proxy.browser()
    assert sign_in(own, "anna", PASSWORD, "192.0.2.10") == 302
    stranger = behind_a_proxy.browser()
    answers = [sign_in(stranger, "anna", "guess", STRANGER) for _ in range(8)]
    assert answers == [401] * 6 + [429] * 2
    assert sign_in(behind_a_proxy.browser(), "anna", PASSWORD, "192.0.2.11") == 429, "unknown, in this minute"
    again = behind_a_proxy.browser()
    known = own.get_cookie("screening_known_8000")
    assert known is not None
    again.set_cookie("screening_known_8000", known.value)
    assert sign_in(again, "anna", PASSWORD, "192.0.2.10") == 302
    # What a stranger makes up or was given for another name counts for nothing.
    again.set_cookie("screening_known_8000", known.value[:-4])
    assert sign_in(again, "anna", PASSWORD, "192.0.2.10") == 429


def test_those_who_sign_in_use_up_no_tries_of_their_name(behind_a_proxy: Portal) -> None:
    for number in range(8):
        assert sign_in(behind_a_proxy.browser(), "anna", PASSWORD, f"192.0.2.{number}") == 302


def test_readiness_is_checked_once_in_a_few_seconds_however_many_ask(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counted:
        pings = 0

        def ping(self) -> None:
            self.pings += 1

        def get(self, key: str) -> bytes:
            raise ObjectMissing(key)

    storage = Counted()
    object.__setattr__(portal.system, "storage", storage)
    client = portal.browser()
    assert [client.get("/readyz").status_code for _ in range(20)] == [200] * 20
    assert storage.pings == 1, "in three seconds"
    monkeypatch.setattr(health, "BELIEVED_FOR_S", 0.0)
    assert client.get("/readyz").status_code == 200
    assert storage.pings == 2
