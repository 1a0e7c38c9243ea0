"""How sessions begin and end: links over HTTPS, tokens that are revoked, and people who sign in at the same time."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from screening.accounts import issue_sign_in_link, revoke_token, tokens_of
from screening.clock import utc_now
from screening.database.tables import Token, User
from tests.integration.web.conftest import Portal
from tests.integration.web.signing_in import csrf_of
from web import access

SITE = "https://xray.example"


def referer(policy: str, page: str) -> dict[str, str]:
    """What a browser says of where it comes from, on a page of this address, to the same site."""
    return {"no-referrer": {}, "strict-origin": {"Referer": f"{SITE}/"}, "same-origin": {"Referer": page}}[policy]


def test_a_sign_in_link_works_over_https_and_its_secret_stays_out_of_the_referer(portal: Portal) -> None:
    with portal.system.database.write() as session:
        secret = issue_sign_in_link(session, utc_now(), portal.people["operator"])
    for path in (f"/sign-in/{secret}", f"/sign-in/link?token={secret}"):
        client = portal.browser()
        page = client.get(path, base_url=SITE)
        headers = referer(page.headers["Referrer-Policy"], SITE + path)
        assert secret not in str(headers)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token
    form = {"secret": secret, "csrf_token": token.group(1)}
    foreign = client.post("/sign-in/link", data=form, headers={"Referer": "https://evil.example/"}, base_url=SITE)
    assert foreign.status_code == 400
    answer = client.post("/sign-in/link", data=form, headers=headers, base_url=SITE)
    assert (answer.status_code, answer.headers.get("Location")) == (302, "/"), answer.text


def by_token(portal: Portal, role: str) -> FlaskClient:
    """A browser that is signed in with the API token of this role."""
    client = portal.browser()
    answer = client.post("/sign-in", data={"token": portal.tokens[role], "csrf_token": csrf_of(client)})
    assert answer.status_code == 302
    assert client.get("/runs").status_code == 200
    return client


def test_a_session_ends_with_the_token_that_opened_it(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "TRUSTED_FOR_S", 0.0)
    now, people = utc_now(), portal.people
    browsers = {role: by_token(portal, role) for role in people}
    with portal.system.database.write() as session:
        [token] = tokens_of(session, people["reader"])
        revoke_token(session, now, people["reader"], token.id)
        of_operator = Token.user_id == people["operator"].user_id
        session.execute(update(Token).where(of_operator).values(expires_at=now - timedelta(seconds=1)))
        session.execute(update(User).where(User.name == people["administrator"].name).values(disabled_at=now))
    for role, browser in browsers.items():
        assert browser.get("/runs").headers["Location"].startswith("/sign-in"), role
        assert browser.get("/api/v1/runs").status_code == 401, role


def test_who_revokes_the_token_of_their_own_session_is_out_at_once(portal: Portal) -> None:
    browser = by_token(portal, "reader")
    page = browser.get("/account").text
    revoke = re.search(r'action="(/account/tokens/\d+/revoke)"', page)
    assert revoke
    browser.post(revoke.group(1), data={"csrf_token": csrf_of(browser, "/account")})
    assert browser.get("/runs").status_code == 302


def test_people_who_sign_in_with_tokens_do_not_use_up_each_others_tries(portal: Portal) -> None:
    for role in ("reader", "operator", "administrator"):
        for _ in range(3):
            by_token(portal, role)
