"""Who may do what. Nothing answers without a sign-in or token, unless its view says that it is public."""

import functools
import hashlib
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask import Flask, Response, current_app, flash, g, redirect, request, url_for
from flask_login import current_user
from flask_wtf.csrf import CSRFError, CSRFProtect, validate_csrf

from screening.accounts import Identity, Role, identify_token
from web import current, sessions
from web.identities import identities
from web.problems import answer, is_program

View = TypeVar("View", bound=Callable[..., Any])

ONLY_IN_PERSON = (
    "An API token cannot do this, and neither can a session that was opened with one. "
    "Sign in with your password or a sign-in link."
)
_SAFE = ("GET", "HEAD", "OPTIONS")
_RANK: dict[str, int] = {"reader": 0, "operator": 1, "administrator": 2}

csrf = CSRFProtect()


def public(view: View) -> View:
    """Answers without sign-in."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def needs_role(role: Role) -> Callable[[View], View]:
    """The least role for a view. Without it, reading needs any role, and everything else an operator."""

    def mark(view: View) -> View:
        view.least_role = role  # type: ignore[attr-defined]
        return view

    return mark


def in_person(view: View) -> View:
    """Access is given and taken by people: an API token, which may have leaked, must not make another or a password."""

    @functools.wraps(view)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if not current.signed_in_as_person():
            return answer(403, "token_is_not_enough", ONLY_IN_PERSON)
        return view(*args, **kwargs)

    return cast(View, checked)


def background(view: View) -> View:
    """Pages ask for it by themselves, so it does not keep a session alive."""
    view.is_background = True  # type: ignore[attr-defined]
    return view


def may(role: Role) -> bool:
    """Whether the person who is asking has at least this role."""
    return _RANK[current.identity().role] >= _RANK[role]


def register_access(app: Flask) -> None:
    csrf.init_app(app)
    sessions.register_sessions(app)

    @app.before_request
    def guard() -> Response | None:
        view = current_app.view_functions.get(request.endpoint or "")
        if request.endpoint == "static" or getattr(view, "is_public", False):
            if request.method not in _SAFE:
                csrf.protect()
            return None
        secret = _bearer()
        if secret is not None:
            found = _owner_of(secret)
            if found is None:
                return answer(
                    401,
                    "wrong_token",
                    "This API token is not known, has expired, or was revoked. Make a new one on the account page.",
                )
            g.identity, g.opened = found, None
        elif current_user.is_authenticated:
            g.identity, g.opened = current_user.opened.who, current_user.opened
            if request.method not in _SAFE:
                _check_csrf()
            if not getattr(view, "is_background", False):
                sessions.keep_alive(g.opened)
        else:
            return _ask_to_sign_in()
        least = getattr(view, "least_role", "reader" if request.method in _SAFE else "operator")
        if request.routing_exception is None and _RANK[g.identity.role] < _RANK[least]:
            return answer(403, detail=f"This needs the role {least}; yours is {g.identity.role}. Ask an administrator.")
        return None


def safe_target(target: str | None) -> str:
    """A path on this site to go on to, or home: never another site, whatever the address says."""
    plain = target is not None and all(sign > " " for sign in target) and "\\" not in target
    if target is None or not plain or not target.startswith("/") or target.startswith("//"):
        return url_for("home.home")
    return target


def _owner_of(secret: str) -> Identity | None:
    """Whose API token this is."""
    system = current.system()

    def find() -> Identity | None:
        with system.database.read() as session:
            return identify_token(session, system.clock(), secret)

    return identities().look_up(f"token {hashlib.sha256(secret.encode()).hexdigest()}", find)


def _bearer() -> str | None:
    header = request.headers.get("Authorization", "")
    kind, _, secret = header.partition(" ")
    return secret.strip() if kind.lower() == "bearer" else None


def _check_csrf() -> None:
    """The portal's scripts send the token in a header, because looking for it in the form would read the files."""
    if not is_program():
        csrf.protect()
        return
    try:
        validate_csrf(request.headers.get("X-CSRF-Token"))
    except ValueError as error:
        raise CSRFError(str(error)) from error


def _ask_to_sign_in() -> Response:
    if is_program():
        return answer(401)
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    target = url_for("signin.form", next=wanted if wanted != "/" else None)
    if "HX-Request" in request.headers:
        return Response("", 401, {"HX-Redirect": url_for("signin.form")})
    if sessions.forget():
        flash("Your session has ended. Sign in to go on.")
    return redirect(target)  # type: ignore[return-value]
