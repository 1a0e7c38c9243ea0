"""Signing in: by password, by API token, or by a one-time link; and signing out."""

import hashlib
import threading

from flask import Blueprint, Flask, Response, flash, redirect, render_template, request, session, url_for
from flask_limiter import Limiter
from flask_login import login_user, logout_user

from screening import audit
from screening.accounts import Identity, check_password, id_of_token, identify_token, redeem_sign_in_link
from web import current
from web.access import SignedIn, public, safe_target

blueprint = Blueprint("signin", __name__, url_prefix="/sign-in")

TRIES_PER_ADDRESS = "30 per minute; 300 per hour"
TRIES_PER_NAME = "6 per minute; 60 per hour"
# Checking a password takes 64 MiB for a moment; one at a time keeps a burst of tries from taking all the memory.
_one_password = threading.Lock()


def limit_tries(app: Flask, limiter: Limiter) -> None:
    """Slow down who guesses: counted by address, and by the name or token that is tried."""
    view = app.view_functions["signin.submit"]
    view = limiter.limit(TRIES_PER_ADDRESS, key_func=_address)(view)
    view = limiter.limit(TRIES_PER_NAME, key_func=_name_or_token)(view)
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
            who, token_id = identify_token(database, system.clock(), token), id_of_token(database, token)
        wrong = "This token is not known, or it was revoked. Check that you copied all of it."
    else:
        with _one_password, system.database.read() as database:
            who = check_password(database, name, password)
        wrong = "Name and password do not fit. Check both, or ask an administrator for a sign-in link."
    if who is None:
        return render_template("sign_in.html", wrong=wrong, name=name, next=request.form.get("next", "")), 401
    _enter(who, "token" if token else "password", token_id)
    return redirect(safe_target(request.form.get("next")))  # type: ignore[return-value]


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
        who = redeem_sign_in_link(database, system.clock(), request.form.get("secret", ""))
    if who is None:
        wrong = (
            "This link was used already or is too old. Make a new one with `screening sign-in-link`, "
            "or sign in another way."
        )
        return render_template("sign_in.html", wrong=wrong, next=""), 401
    _enter(who, "link")
    return redirect(url_for("home.home"))  # type: ignore[return-value]


def _enter(who: Identity, way: str, token_id: int | None = None) -> None:
    """Begin a session, which ends with the token if one opened it; what the browser's cookie said before is dropped."""
    system = current.system()
    with system.database.write() as database:
        audit.record(database, system.clock(), who.name, "signed.in", who.name, {"by": way})
    session.clear()
    session.permanent = True
    login_user(SignedIn(who, token_id))


def leave() -> Response:
    logout_user()
    session.clear()
    flash("You are signed out.")
    return redirect(url_for("signin.form"))  # type: ignore[return-value]


def _address() -> str:
    return f"address {request.remote_addr}"


def _name_or_token() -> str:
    token = request.form.get("token", "").strip()
    if token:
        return f"token {hashlib.sha256(token.encode()).hexdigest()}"
    return f"name {request.form.get('name', '').strip().lower()}"
