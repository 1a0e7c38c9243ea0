"""Browsers that are signed in."""

import re

from flask.testing import FlaskClient

from screening.accounts import issue_sign_in_link
from screening.clock import utc_now
from tests.integration.web.conftest import Portal


def csrf_of(client: FlaskClient, path: str = "/sign-in") -> str:
    found = re.search(r'name="csrf-token" content="([^"]+)"', client.get(path).text)
    assert found
    return found.group(1)


def sign_in(portal: Portal, role: str) -> tuple[FlaskClient, str]:
    """A browser that is signed in by a one-time link, and its CSRF token."""
    with portal.system.database.write() as session:
        secret = issue_sign_in_link(session, utc_now(), portal.people[role], "tests")
    client = portal.browser()
    answer = client.post("/sign-in/link", data={"secret": secret, "csrf_token": csrf_of(client)})
    assert answer.status_code == 302, answer.text
    return client, csrf_of(client, "/account")
