"""Access is given and taken away: the page of people, passwords, and the last administrator."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from screening.accounts import add_user, check_password, find_user, issue_sign_in_link
from screening.clock import utc_now
from screening.database.tables import AuditEvent
from tests.integration.web.conftest import Portal
from tests.integration.web.signing_in import csrf_of, sign_in

OLD, NEW = "correct horse battery", "staple battery horse"


def by_password(portal: Portal, name: str, password: str) -> FlaskClient | None:
    """A browser that is signed in by password; None where name and password do not fit."""
    client = portal.browser()
    form = {"name": name, "password": password, "csrf_token": csrf_of(client)}
    return client if client.post("/sign-in", data=form).status_code == 302 else None


def test_a_disabled_user_is_refused_at_the_next_request_and_comes_back(portal: Portal) -> None:
    reader = portal.people["reader"]
    leaver, _ = sign_in(portal, "reader")
    with portal.system.database.write() as session:
        link = issue_sign_in_link(session, utc_now(), reader, "tests")
    administrator, csrf = sign_in(portal, "administrator")
    page = f"/users/{reader.user_id}"
    assert "Take the access away" in administrator.get(page).text
    assert administrator.post(f"{page}/disable", data={"csrf_token": csrf}).headers["Location"] == page
    assert leaver.get("/api/v1/runs").status_code == 401
    assert portal.api("reader").get("/api/v1/runs").status_code == 401
    assert "Disabled" in administrator.get("/users").text
    assert administrator.post(f"{page}/enable", data={"csrf_token": csrf}).status_code == 302
    assert portal.api("reader").get("/api/v1/runs").status_code == 200, "tokens work again"
    assert leaver.get("/api/v1/runs").status_code == 401, "sessions of before do not"
    other = portal.browser()
    form = {"secret": link, "csrf_token": csrf_of(other)}
    assert other.post("/sign-in/link", data=form).status_code == 401, "links of before do not"


def test_the_last_administrator_stays(portal: Portal) -> None:
    me = portal.people["administrator"]
    administrator, csrf = sign_in(portal, "administrator")
    page = f"/users/{me.user_id}"
    for action, form in (("disable", {}), ("role", {"role": "reader"})):
        refused = administrator.post(f"{page}/{action}", data={**form, "csrf_token": csrf})
        assert (refused.status_code, "last administrator" in refused.text) == (409, True), action
    promoted = f"/users/{portal.people['operator'].user_id}/role"
    assert administrator.post(promoted, data={"role": "administrator", "csrf_token": csrf}).status_code == 302
    demoted = administrator.post(f"{page}/role", data={"role": "reader", "csrf_token": csrf})
    assert demoted.headers["Location"] == "/account"
    assert "Role: reader" in administrator.get("/account").text
    assert administrator.get("/users").status_code == 403
    assert portal.api("operator").get("/users").status_code == 200


def test_people_are_added_with_a_role_and_a_password(portal: Portal) -> None:
    administrator, csrf = sign_in(portal, "administrator")
    form = {"name": "Ånna", "role": "operator", "password": OLD, "csrf_token": csrf}
    assert administrator.post("/users", data=form).status_code == 302
    assert administrator.post("/users", data=form).status_code == 409
    assert administrator.post("/users", data={**form, "name": "b", "password": "short"}).status_code == 400
    assert administrator.post("/users", data={**form, "name": "b", "role": "king"}).status_code == 400
    browser = by_password(portal, "Ånna", OLD)
    assert browser is not None
    assert "Role: operator" in browser.get("/account").text
    for role in ("reader", "operator"):
        other, token = sign_in(portal, role)
        assert other.get("/users").status_code == 403
        assert other.post("/users", data={**form, "name": role, "csrf_token": token}).status_code == 403
        assert "/users" not in other.get("/system").text
    assert administrator.get("/users/999999999999999999999").status_code == 404
    assert administrator.post("/users/1/nothing", data={"csrf_token": csrf}).status_code == 404


def test_a_password_that_leaked_is_changed_by_its_owner_and_every_other_session_ends(portal: Portal) -> None:
    with portal.system.database.write() as session:
        add_user(session, utc_now(), "anna", "reader", OLD, "tests")
    mine, thief = by_password(portal, "anna", OLD), by_password(portal, "anna", OLD)
    assert mine is not None
    assert thief is not None
    form = {"current": OLD, "password": NEW, "again": NEW, "csrf_token": csrf_of(mine, "/account")}
    for wrong in ({"current": "wrong"}, {"again": "other"}, {"password": "short", "again": "short"}):
        assert mine.post("/account/password", data={**form, **wrong}).status_code == 400, wrong
    assert thief.get("/api/v1/runs").status_code == 200
    assert mine.post("/account/password", data=form).headers["Location"] == "/account"
    assert "Your password is set" in mine.get("/account").text
    assert thief.get("/api/v1/runs").status_code == 401
    assert by_password(portal, "anna", OLD) is None
    assert by_password(portal, "anna", NEW) is not None


def test_an_administrator_sets_a_password_and_every_session_of_before_ends(portal: Portal) -> None:
    with portal.system.database.write() as session:
        anna = add_user(session, utc_now(), "anna", "reader", OLD, "tests")
    browser = by_password(portal, "anna", OLD)
    assert browser is not None
    administrator, csrf = sign_in(portal, "administrator")
    form = {"password": NEW, "csrf_token": csrf}
    assert administrator.post(f"/users/{anna.user_id}/password", data=form).status_code == 302
    assert browser.get("/api/v1/runs").status_code == 401
    with portal.system.database.read() as session:
        assert check_password(session, "anna", NEW) == find_user(session, "anna")
        set_by = select(AuditEvent.actor).where(AuditEvent.action == "user.password_set")
        assert session.scalars(set_by).all() == [portal.people["administrator"].name]


def test_who_has_no_password_sets_one(portal: Portal) -> None:
    browser, csrf = sign_in(portal, "reader")
    form = {"password": NEW, "again": NEW, "csrf_token": csrf}
    assert browser.post("/account/password", data=form).status_code == 302
    assert by_password(portal, portal.people["reader"].name, NEW) is not None


def test_a_present_password_is_not_found_out_by_trying(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    with portal.system.database.write() as session:
        add_user(session, utc_now(), "anna", "reader", OLD, "tests")
    browser = by_password(portal, "anna", OLD)
    assert browser is not None
    # Without its slow hash, which is not what is tried here.
    monkeypatch.setattr("web.passwords.check_password", lambda *_: None)
    form = {"current": "guess", "password": NEW, "again": NEW, "csrf_token": csrf_of(browser, "/account")}
    answers = [browser.post("/account/password", data=form).status_code for _ in range(8)]
    assert answers == [400] * 6 + [429] * 2
