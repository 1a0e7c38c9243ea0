"""How sessions begin and end: links over HTTPS, tokens that are revoked, and people who sign in at the same time."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from screening.accounts import (
    check_password,
    find_user,
    identify_token,
    issue_sign_in_link,
    issue_token,
    revoke_token,
    tokens_of,
)
from screening.clock import utc_now
from screening.database.tables import Token, User
from tests.integration.web.conftest import Portal
from tests.integration.web.signing_in import csrf_of, sign_in
from web import identities

SITE = "https://xray.example"


def referer(policy: str, page: str) -> dict[str, str]:
    """What a browser says of where it comes from, on a page of this address, to the same site."""
    return {"no-referrer": {}, "strict-origin": {"Referer": f"{SITE}/"}, "same-origin": {"Referer": page}}[policy]


def test_a_sign_in_link_works_over_https_and_its_secret_stays_out_of_the_referer(portal: Portal) -> None:
    with portal.system.database.write() as session:
        secret = issue_sign_in_link(session, utc_now(), portal.people["operator"], "tests")
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
    monkeypatch.setattr(identities, "TRUSTED_FOR_S", 0.0)
    now, people = utc_now(), portal.people
    browsers = {role: by_token(portal, role) for role in people}
    with portal.system.database.write() as session:
        [token] = tokens_of(session, people["reader"])
        revoke_token(session, now, people["reader"], token.id, "tests")
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


def cookie_of(client: FlaskClient, portal: Portal) -> str:
    cookie = client.get_cookie(portal.app.config["SESSION_COOKIE_NAME"])
    assert cookie is not None
    return cookie.value


def with_cookie(portal: Portal, value: str) -> FlaskClient:
    """Another browser, to which the cookie of a session was copied."""
    client = portal.browser()
    client.set_cookie(portal.app.config["SESSION_COOKIE_NAME"], value)
    return client


def turn_clock(portal: Portal, by: timedelta) -> None:
    object.__setattr__(portal.system, "clock", lambda: utc_now() + by)


def test_a_cookie_that_was_copied_opens_nothing_after_sign_out(portal: Portal) -> None:
    browser, csrf = sign_in(portal, "operator")
    copied = with_cookie(portal, cookie_of(browser, portal))
    other, _ = sign_in(portal, "operator")
    assert copied.get("/api/v1/runs").status_code == 200
    assert browser.post("/sign-out", data={"csrf_token": csrf}).headers["Location"] == "/sign-in"
    assert copied.get("/api/v1/runs").status_code == 401
    answer = copied.get("/runs")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/sign-in?next=/runs")
    assert "Your session has ended" in copied.get("/sign-in").text
    assert other.get("/runs").status_code == 200, "a plain sign-out ends one session"


def test_signing_out_everywhere_ends_every_session_of_that_person(portal: Portal) -> None:
    browser, csrf = sign_in(portal, "operator")
    elsewhere, _ = sign_in(portal, "operator")
    reader, _ = sign_in(portal, "reader")
    answer = browser.post("/sign-out/everywhere", data={"csrf_token": csrf})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/sign-in")
    for gone in (browser, elsewhere):
        assert gone.get("/api/v1/runs").status_code == 401
    assert reader.get("/api/v1/runs").status_code == 200
    assert portal.api("operator").get("/api/v1/runs").status_code == 200, "API tokens go on"


def test_a_session_ends_when_nobody_is_at_work_and_pages_that_ask_by_themselves_do_not_count(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "TRUSTED_FOR_S", 0.0)
    run = portal.api().open_run()
    browser, csrf = sign_in(portal, "operator")
    for minutes in (50, 100):
        turn_clock(portal, timedelta(minutes=minutes))
        assert browser.get("/runs").status_code == 200, f"at work in minute {minutes}"
    turn_clock(portal, timedelta(minutes=150))
    assert browser.get(f"/runs/{run}/status").status_code == 200
    hold = browser.put(f"/api/v1/scans/{'0' * 32}/hold", headers={"X-CSRF-Token": csrf})
    assert hold.status_code == 404, "known, but no scan"
    with browser.get("/static/portal.css") as style:
        assert style.status_code == 200
    turn_clock(portal, timedelta(minutes=165))
    assert browser.get(f"/runs/{run}/status").status_code == 302
    assert browser.get("/api/v1/runs").status_code == 401


def test_a_session_ends_after_half_a_day_whatever_is_done_in_it(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "TRUSTED_FOR_S", 0.0)
    browser, _ = sign_in(portal, "operator")
    for minutes in range(30, 12 * 60, 30):
        turn_clock(portal, timedelta(minutes=minutes))
        assert browser.get("/api/v1/workers").status_code == 200, minutes
    turn_clock(portal, timedelta(hours=12, seconds=1))
    assert browser.get("/api/v1/workers").status_code == 401


def test_pages_and_polls_do_not_send_the_cookie_anew(portal: Portal) -> None:
    run = portal.api().open_run()
    browser, _ = sign_in(portal, "operator")
    for path in ("/", "/static/portal.css", f"/runs/{run}/status", "/api/v1/runs"):
        with browser.get(path) as answer:
            assert "Set-Cookie" not in answer.headers, path


def test_a_token_makes_no_token_and_takes_no_access(portal: Portal) -> None:
    """What leaks must end when it is revoked."""
    administrator = portal.people["administrator"]
    deeds = (
        ("/account/tokens", {"name": "child"}),
        ("/account/password", {"password": "correct horse battery", "again": "correct horse battery"}),
        ("/users", {"name": "friend", "role": "administrator", "password": "correct horse battery"}),
        (f"/users/{administrator.user_id}/password", {"password": "correct horse battery"}),
        (f"/users/{portal.people['reader'].user_id}/disable", {}),
    )
    by_session = by_token(portal, "administrator")
    csrf = csrf_of(by_session, "/account")
    for path, form in deeds:
        bearer = portal.api("administrator")
        assert bearer.client.post(path, data=form, headers=bearer.headers).status_code == 403, path
        refused = by_session.post(path, data={**form, "csrf_token": csrf})
        assert (refused.status_code, "Sign in with your password" in refused.text) == (403, True), path
    with portal.system.database.read() as session:
        assert len(tokens_of(session, administrator)) == 1
        assert find_user(session, "friend") is None
        assert check_password(session, administrator.name, "correct horse battery") is None
    assert "An API token opened this session" in by_session.get("/account").text


def test_tokens_end_after_a_year_or_as_chosen_and_older_ones_go_on(portal: Portal) -> None:
    browser, csrf = sign_in(portal, "reader")
    for form in ({"name": "default"}, {"name": "short", "days": "30"}):
        assert browser.post("/account/tokens", data={**form, "csrf_token": csrf}).status_code == 200
    assert browser.post("/account/tokens", data={"name": "x", "days": "9999", "csrf_token": csrf}).status_code == 400
    with portal.system.database.write() as session:
        _, default, short = tokens_of(session, portal.people["reader"])
        for token, days in ((default, 365), (short, 30)):
            assert token.expires_at is not None
            assert token.expires_at - token.created_at == timedelta(days=days)
        old = issue_token(session, utc_now(), portal.people["reader"], "of an older release", "tests", lifetime=None)
        later = utc_now() + timedelta(days=4000)
        assert identify_token(session, later, old) == portal.people["reader"]
        assert identify_token(session, later, portal.tokens["reader"]) is None
