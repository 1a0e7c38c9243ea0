"""Signing in: by password, by API token, or by a one-time link."""

import hashlib

from flask import Blueprint, Flask, Response, redirect, render_template, request, url_for
from flask_limiter import Limiter

from screening import accounts, audit
from web import current, trail
from web.access import public, safe_target
from web.passwords import (
    FAILURES_PER_NAME,
    TRIES_PER_ADDRESS,
    failed,
    guesser,
    owner_of_password,
    remember_browser,
)
from web.sessions import enter

blueprint = Blueprint("signin", __name__, url_prefix="/sign-in")


def limit_tries(app: Flask, limiter: Limiter) -> None:
    """Slow down who guesses: tries are counted by address, failures by the name or token that is tried."""
    view = app.view_functions["signin.submit"]
    view = limiter.limit(TRIES_PER_ADDRESS, key_func=_address)(view)
    view = limiter.limit(FAILURES_PER_NAME, key_func=_name_or_token, deduct_when=failed)(view)
    app.view_functions["signin.submit"] = view
    link = app.view_functions["signin.redeem"]
    app.view_functions["signin.redeem"] = limiter.limit(TRIES_PER_ADDRESS, key_func=_address)(link)


@blueprint.get("")
@public
def form() -> str:
    return render_template("sign_in.html", next=request.args.get("next", ""))


@blueprint.post("")
@public
def submit() -> Response | tuple[str, int]:
    name, password = request.form.get("name", ""), request.form.get("password", "")
    token = request.form.get("token", "").strip()
    system = current.system()
    token_id = None
    if token:
        with system.database.read() as database:
            who = accounts.identify_token(database, system.clock(), token)
            token_id = accounts.id_of_token(database, token)
        wrong = "This token is not known, has expired, or was revoked. Check that you copied all of it."
    else:
        who = owner_of_password(name, password)
        wrong = "Name and password do not fit. Check both, or ask an administrator for a sign-in link."
    if who is None:
        _note_failure("token" if token else "password", name)
        return render_template("sign_in.html", wrong=wrong, name=name, next=request.form.get("next", "")), 401
    enter(who, "token" if token else "password", token_id)
    response: Response = redirect(safe_target(request.form.get("next")))  # type: ignore[assignment]
    if not token:
        remember_browser(response, name)
    return response


@blueprint.get("/link")
@blueprint.get("/<string:secret>")
@public
def link(secret: str | None = None) -> Response:
    """A page that sends itself: programs which look ahead at links must not use the link up."""
    page = Response(render_template("sign_in_link.html", secret=secret or request.args.get("token", "")))
    # The origin alone: the secret in this address stays out of it, and over HTTPS the check of the form asks for it.
    page.headers["Referrer-Policy"] = "strict-origin"
    return page


@blueprint.post("/link")
@public
def redeem() -> Response | tuple[str, int]:
    system = current.system()
    with system.database.write() as database:
        who = accounts.redeem_sign_in_link(database, system.clock(), request.form.get("secret", ""))
    if who is None:
        _note_failure("link", "")
        wrong = (
            "This link was used already or is too old. Make a new one with `screening sign-in-link`, "
            "or sign in another way."
        )
        return render_template("sign_in.html", wrong=wrong, next=""), 401
    enter(who, "link")
    return redirect(url_for("home.home"))  # type: ignore[return-value]


def _note_failure(way: str, name: str) -> None:
    """What was typed is told only where it is the name of a user: people type passwords into that field, too."""
    system = current.system()
    with system.database.write() as database:
        known = way == "password" and accounts.has_account(database, name)
        subject = name if known else {"password": "an unknown name", "token": "a token", "link": "a link"}[way]
        audit.record_failed_sign_in(database, system.clock(), trail.address(), subject, way)


def _address() -> str:
    return f"address {trail.address()}"


def _name_or_token() -> str:
    token = request.form.get("token", "").strip()
    if token:
        return f"token {hashlib.sha256(token.encode()).hexdigest()}"
    return guesser(request.form.get("name", ""))
