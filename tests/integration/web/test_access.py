"""Who may do what: nothing answers without sign-in, and every role does what it may and no more."""

import re
from datetime import timedelta

import pytest

from screening.accounts import add_user, issue_sign_in_link, issue_token
from screening.clock import utc_now
from tests.integration.web.conftest import Portal
from tests.integration.web.signing_in import csrf_of, sign_in

PUBLIC = {
    "static",
    "health.healthz",
    "health.readyz",
    "signin.form",
    "signin.submit",
    "signin.link",
    "signin.redeem",
    "account-pages.theme",
}
OPERATOR = "operator"
OF_READERS = ("reviews.", "holds.")


def addresses(portal: Portal) -> list[tuple[str, str, str]]:
    """(endpoint, method, path) of every route, with made-up values in the path."""
    found = []
    for rule in portal.app.url_map.iter_rules():
        path = re.sub(r"<string:[^>]+>", "x", re.sub(r"<int:[^>]+>", "1", rule.rule))
        path = re.sub(r"<path:[^>]+>", "portal.css", path)
        found += [(rule.endpoint, method, path) for method in sorted(rule.methods or ()) if method != "OPTIONS"]
    return found


def test_nothing_answers_without_sign_in(portal: Portal) -> None:
    client = portal.browser()
    checked = 0
    for endpoint, method, path in addresses(portal):
        if endpoint in PUBLIC:
            continue
        answer = client.open(path, method=method)
        checked += 1
        if path.startswith(("/api/", "/metrics")):
            assert answer.status_code == 401, f"{method} {path}"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert answer.content_type == "application/problem+json"
        else:
            assert (answer.status_code, answer.headers["Location"][:8]) == (302, "/sign-in"), f"{method} {path}"
    assert checked > 40
    assert client.get("/nothing/here").headers["Location"].startswith("/sign-in")
    assert client.get("/api/nothing").status_code == 401


def test_a_wrong_or_revoked_token_is_refused(portal: Portal) -> None:
    client = portal.browser()
    for header in ("Bearer wrong", "bearer ", "Bearer"):
        assert client.get("/api/v1/runs", headers={"Authorization": header}).status_code == 401, header
    assert client.get("/api/v1/runs", headers={"Authorization": "Basic eDp5"}).status_code == 401
    browser, csrf = sign_in(portal, OPERATOR)
    headers = {"Authorization": f"Bearer {portal.tokens[OPERATOR]}"}
    assert client.get("/api/v1/runs", headers=headers).status_code == 200
    page = browser.get("/account").text
    revoke = re.search(r'action="(/account/tokens/\d+/revoke)"', page)
    assert revoke
    browser.post(revoke.group(1), data={"csrf_token": csrf})
    answer = client.get("/api/v1/runs", headers=headers)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (401, "wrong_token")


def test_a_reader_reads_and_changes_nothing_but_reviews(portal: Portal) -> None:
    reader = portal.api("reader")
    for path in ("/api/v1/runs", "/api/v1/worklist", "/api/v1/checkpoints", "/api/v1/workers", "/metrics"):
        assert reader.get(path).status_code == 200, path
    run = portal.api().open_run()
    for endpoint, method, path in addresses(portal):
        if method in ("GET", "HEAD") or not path.startswith("/api/") or endpoint.startswith(OF_READERS):
            continue
        answer = reader.client.open(path.replace("/1/", f"/{run}/"), method=method, headers=reader.headers, json={})
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (403, "not_allowed"), endpoint
    browser, csrf = sign_in(portal, "reader")
    assert browser.get("/runs/new").status_code == 403
    assert browser.post(f"/runs/{run}/cancel", data={"csrf_token": csrf}).status_code == 403
    assert "Upload X-rays" not in browser.get("/").text


def test_only_an_administrator_activates_a_checkpoint_and_sees_the_audit_trail(portal: Portal) -> None:
    [checkpoint] = portal.api().get("/api/v1/checkpoints").get_json()["items"]
    path = f"/api/v1/checkpoints/{checkpoint['id']}/activate"
    assert portal.api().post(path).status_code == 403
    assert portal.api("administrator").post(path).get_json()["active"] is True
    assert portal.api("administrator").post("/api/v1/checkpoints/nothing/activate").status_code == 404
    path = f"/api/v1/checkpoints/{checkpoint['id']}/operating-point"
    assert portal.api().put(path, {"threshold": 0.3, "reason": "why"}).status_code == 403
    assert "Audit trail" not in sign_in(portal, OPERATOR)[0].get("/system").text
    assert "Audit trail" in sign_in(portal, "administrator")[0].get("/system").text


def test_a_form_or_call_from_another_site_is_refused(portal: Portal) -> None:
    browser, csrf = sign_in(portal, OPERATOR)
    refused = browser.post("/api/v1/runs", json={"name": "forged"})
    assert (refused.status_code, refused.get_json(force=True)["code"]) == (400, "csrf")
    assert browser.post("/account/tokens", data={"name": "forged"}).status_code == 400
    assert browser.post("/sign-out").status_code == 400
    assert browser.post("/api/v1/runs", json={"name": "own"}, headers={"X-CSRF-Token": csrf}).status_code == 201
    assert portal.browser().post("/sign-in", data={"token": portal.tokens[OPERATOR]}).status_code == 400


def test_a_sign_in_link_works_once_and_not_by_looking_at_it(portal: Portal) -> None:
    with portal.system.database.write() as session:
        secret = issue_sign_in_link(session, utc_now(), portal.people[OPERATOR], "tests")
        old = issue_sign_in_link(session, utc_now() - timedelta(hours=13), portal.people[OPERATOR], "tests")
    client = portal.browser()
    for path in (f"/sign-in/{secret}", f"/sign-in/link?token={secret}"):
        assert f'value="{secret}"' in client.get(path).text
    form = {"secret": secret, "csrf_token": csrf_of(client)}
    assert client.post("/sign-in/link", data=form).headers["Location"] == "/"
    assert client.get("/").status_code == 200
    other = portal.browser()
    form["csrf_token"] = csrf_of(other)
    again = other.post("/sign-in/link", data=form)
    assert again.status_code == 401
    assert "used already" in again.text
    assert other.post("/sign-in/link", data={**form, "secret": old}).status_code == 401


def test_password_and_token_sign_in(portal: Portal) -> None:
    with portal.system.database.write() as session:
        add_user(session, utc_now(), "Ånna", "reader", "correct horse battery", "tests")
    client = portal.browser()
    csrf = csrf_of(client)
    wrong = client.post("/sign-in", data={"name": "Ånna", "password": "wrong", "csrf_token": csrf})
    assert wrong.status_code == 401
    assert "do not fit" in wrong.text
    right = client.post(
        "/sign-in", data={"name": "Ånna", "password": "correct horse battery", "csrf_token": csrf, "next": "/worklist"}
    )
    assert right.headers["Location"] == "/worklist"
    cookie = next(value for value in right.headers.getlist("Set-Cookie") if value.startswith("screening_session"))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Ånna" in client.get("/").text
    out = client.post("/sign-out", data={"csrf_token": csrf_of(client, "/account")})
    assert out.headers["Location"] == "/sign-in"
    assert client.get("/").status_code == 302
    other = portal.browser()
    assert (
        other.post("/sign-in", data={"token": portal.tokens["reader"], "csrf_token": csrf_of(other)}).status_code == 302
    )


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "js:x", "\t//e"])
def test_nobody_is_sent_on_to_another_site(portal: Portal, target: str) -> None:
    client = portal.browser()
    form = {"token": portal.tokens["reader"], "csrf_token": csrf_of(client), "next": target}
    assert client.post("/sign-in", data=form).headers["Location"] == "/"


def test_guessing_is_slowed_down(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without its slow hash, which is not what is tried here.
    monkeypatch.setattr("web.passwords.check_password", lambda *_: None)
    client = portal.browser()
    csrf = csrf_of(client)
    for guess in ({"name": "a"}, {"token": "a"}):
        answers = [client.post("/sign-in", data={**guess, "csrf_token": csrf}) for _ in range(8)]
        assert [answer.status_code for answer in answers] == [401] * 6 + [429] * 2, guess
        assert int(answers[-1].headers["Retry-After"]) > 0
    for other in ({"name": "b"}, {"token": "b"}):
        assert client.post("/sign-in", data={**other, "csrf_token": csrf}).status_code == 401, other


def test_a_new_token_is_shown_once_and_works(portal: Portal) -> None:
    browser, csrf = sign_in(portal, "reader")
    page = browser.post("/account/tokens", data={"name": "script <b>", "csrf_token": csrf})
    secret = re.search(r"<code>(scr_[^<]+)</code>", page.text)
    assert secret
    assert "script &lt;b&gt;" in page.text
    assert secret.group(1) not in browser.get("/account").text
    headers = {"Authorization": f"Bearer {secret.group(1)}"}
    assert portal.browser().get("/api/v1/worklist", headers=headers).status_code == 200


def test_a_disabled_user_is_out_within_seconds(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy import update

    from screening.database.tables import User
    from web import identities

    monkeypatch.setattr(identities, "TRUSTED_FOR_S", 0.0)
    browser, _ = sign_in(portal, OPERATOR)
    assert browser.get("/").status_code == 200
    with portal.system.database.write() as session:
        session.execute(update(User).values(disabled_at=utc_now()))
    assert browser.get("/").status_code == 302
    assert portal.api().get("/api/v1/runs").status_code == 401


def test_a_token_of_a_fresh_user_works_at_once(portal: Portal) -> None:
    with portal.system.database.write() as session:
        who = add_user(session, utc_now(), "late", "reader", None, "tests")
        secret = issue_token(session, utc_now(), who, "late", "tests")
    headers = {"Authorization": f"Bearer {secret}"}
    assert portal.browser().get("/api/v1/worklist", headers=headers).status_code == 200
