"""One's own account: API tokens, the theme, signing out."""

from flask import Blueprint, Response, redirect, render_template, request, url_for

from screening import accounts
from screening.errors import Refused
from web import current
from web.access import forget_identities, needs_role, public, safe_target
from web.pages.signin import leave

blueprint = Blueprint("account-pages", __name__)

LONGEST_TOKEN_NAME = 100
A_YEAR_S = 365 * 24 * 3600


@blueprint.get("/account")
def account() -> str:
    return _page(None)


@blueprint.post("/account/tokens")
@needs_role("reader")
def make_token() -> str:
    name = request.form.get("name", "").strip()
    if not name or len(name) > LONGEST_TOKEN_NAME:
        raise Refused("bad_name", f"The name of a token has 1 to {LONGEST_TOKEN_NAME} characters. Name its purpose.")
    system = current.system()
    with system.database.write() as session:
        secret = accounts.issue_token(session, system.clock(), current.identity(), name)
    return _page(secret)


@blueprint.post("/account/tokens/<int:token_id>/revoke")
@needs_role("reader")
def revoke_token(token_id: int) -> Response:
    system = current.system()
    with system.database.write() as session:
        accounts.revoke_token(session, system.clock(), current.identity(), token_id)
    forget_identities()
    return redirect(url_for("account-pages.account"))  # type: ignore[return-value]


@blueprint.post("/sign-out")
@needs_role("reader")
def sign_out() -> Response:
    return leave()


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
    with current.system().database.read() as session:
        tokens = accounts.tokens_of(session, current.identity())
    return render_template("account.html", tokens=tokens, secret=secret)
