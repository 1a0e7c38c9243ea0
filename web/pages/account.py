"""One's own account: password, API tokens, the theme, signing out."""

from datetime import timedelta

from flask import Blueprint, Flask, Response, flash, redirect, render_template, request, url_for
from flask_limiter import Limiter

from screening import accounts
from screening.errors import Refused
from web import current, sessions, trail
from web.access import in_person, needs_role, public, safe_target
from web.identities import forget_identities
from web.passwords import A_YEAR_S, FAILURES_PER_NAME, failed, owner_of_password

blueprint = Blueprint("account-pages", __name__)

LONGEST_TOKEN_NAME = 100
TOKEN_DAYS = (365, 90, 30)


def limit_tries(app: Flask, limiter: Limiter) -> None:
    """Who has taken over a session must not find out the password by trying."""
    view = app.view_functions["account-pages.set_password"]
    limited = limiter.limit(FAILURES_PER_NAME, key_func=_own_password, deduct_when=failed)(view)
    app.view_functions["account-pages.set_password"] = limited


@blueprint.get("/account")
def account() -> str:
    return _page(None)


@blueprint.post("/account/password")
@needs_role("reader")
@in_person
def set_password() -> Response:
    """Another password of one's own. Every other session ends; who has a password must know it."""
    system, me, opened = current.system(), current.identity(), current.opened()
    password = request.form.get("password", "")
    with system.database.read() as session:
        has_password = accounts.account_with_id(session, me.user_id).password_hash is not None
    if has_password and owner_of_password(me.name, request.form.get("current", "")) is None:
        raise Refused("wrong_password", "The present password is not this one. Check it, and set the new one again.")
    if password != request.form.get("again"):
        raise Refused("passwords_differ", "The new password was typed in two ways. Type it twice alike.")
    with system.database.write() as session:
        user = accounts.account_with_id(session, me.user_id)
        accounts.set_password(session, system.clock(), user, password, me.name, opened.id if opened else None)
    forget_identities()
    flash("Your password is set. You are signed out everywhere else; API tokens go on.")
    return _back()


@blueprint.post("/account/tokens")
@needs_role("reader")
@in_person
def make_token() -> str:
    name = request.form.get("name", "").strip()
    if not name or len(name) > LONGEST_TOKEN_NAME:
        raise Refused("bad_name", f"The name of a token has 1 to {LONGEST_TOKEN_NAME} characters. Name its purpose.")
    days = request.form.get("days", str(TOKEN_DAYS[0]))
    if days not in map(str, TOKEN_DAYS):
        raise Refused("bad_days", f"A token works for {', '.join(map(str, TOKEN_DAYS))} days. Choose one of these.")
    system, me = current.system(), current.identity()
    with system.database.write() as session:
        secret = accounts.issue_token(session, system.clock(), me, name, me.name, timedelta(days=int(days)))
    return _page(secret)


@blueprint.post("/account/tokens/<int:token_id>/revoke")
@needs_role("reader")
def revoke_token(token_id: int) -> Response:
    system, me = current.system(), current.identity()
    with system.database.write() as session:
        accounts.revoke_token(session, system.clock(), me, token_id, me.name)
    forget_identities()
    return _back()


@blueprint.post("/sign-out")
@needs_role("reader")
def sign_out() -> Response:
    sessions.leave(current.opened())
    flash("You are signed out.")
    return redirect(url_for("signin.form"))  # type: ignore[return-value]


@blueprint.post("/sign-out/everywhere")
@needs_role("reader")
def sign_out_everywhere() -> Response:
    me = current.identity()
    with current.system().database.write() as session:
        ended = accounts.end_sessions_of(session, me.user_id)
        trail.record_in(session, "signed.out", me.name, {"everywhere": ended})
    forget_identities()
    sessions.leave(None)
    flash("You are signed out everywhere. API tokens go on.")
    return redirect(url_for("signin.form"))  # type: ignore[return-value]


@blueprint.post("/theme")
@public
def theme() -> Response:
    """Dark for the reading room, light on request; kept in a cookie, so that it is there before the first pixel."""
    chosen = "light" if request.form.get("theme") == "light" else "dark"
    response = redirect(safe_target(request.form.get("next")))
    response.set_cookie(
        "theme",
        chosen,
        max_age=A_YEAR_S,
        httponly=True,
        samesite="Lax",
        secure=current.system().settings.https,
    )
    return response  # type: ignore[return-value]


def _page(secret: str | None) -> str:
    system, me = current.system(), current.identity()
    with system.database.read() as session:
        return render_template(
            "account.html",
            tokens=accounts.tokens_of(session, me),
            secret=secret,
            now=system.clock(),
            has_password=accounts.account_with_id(session, me.user_id).password_hash is not None,
            as_person=current.signed_in_as_person(),
            shortest=accounts.SHORTEST_PASSWORD,
            days=TOKEN_DAYS,
            settings=system.settings,
        )


def _own_password() -> str:
    return f"own password {current.identity().user_id}"


def _back() -> Response:
    return redirect(url_for("account-pages.account"))  # type: ignore[return-value]
