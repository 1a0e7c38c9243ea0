"""Who may do what. Nothing answers without a sign-in or token, unless its view says that it is public."""

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, redirect, request, url_for
from flask_login import LoginManager, UserMixin, current_user
from flask_wtf.csrf import CSRFError, CSRFProtect, validate_csrf

from screening.accounts import Identity, Role, get_user, identify_token, owner_of_token
from web import current
from web.problems import answer, is_program

View = TypeVar("View", bound=Callable[..., Any])

TRUSTED_FOR_S = 5.0
"""How long an identity is believed before the database is asked again; a revoked token works no longer than this."""
MOST_REMEMBERED = 1000
_SAFE = ("GET", "HEAD", "OPTIONS")
_OPENED_BY = "token "
_RANK: dict[str, int] = {"reader": 0, "operator": 1, "administrator": 2}

csrf = CSRFProtect()


class SignedIn(UserMixin):
    """A user as Flask-Login keeps one: the session cookie holds the id alone, of the user or of the API token that
    opened the session."""

    def __init__(self, identity: Identity, token_id: int | None = None) -> None:
        self.id = str(identity.user_id) if token_id is None else f"{_OPENED_BY}{token_id}"
        self.identity = identity


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


def may(role: Role) -> bool:
    """Whether the person who is asking has at least this role."""
    return _RANK[current.identity().role] >= _RANK[role]


class IdentityCache:
    """Identities that were just looked up, so that a burst of requests asks the database once in a few seconds."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Identity]] = {}
        self._lock = threading.Lock()

    def look_up(self, key: str, find: Callable[[], Identity | None]) -> Identity | None:
        """Only positive answers are kept: a new token works at once."""
        now = time.monotonic()
        known = self._known.get(key)
        if known is not None and now - known[0] < TRUSTED_FOR_S:
            return known[1]
        found = find()
        with self._lock:
            self._known.pop(key, None)
            if found is not None:
                if len(self._known) >= MOST_REMEMBERED:
                    self._known.clear()
                self._known[key] = (now, found)
        return found

    def forget(self) -> None:
        with self._lock:
            self._known.clear()


def register_access(app: Flask) -> None:
    identities = IdentityCache()
    app.extensions["screening-identities"] = identities
    csrf.init_app(app)
    manager = LoginManager()
    manager.init_app(app)

    def find_user(user_id: int) -> Identity | None:
        with current.system().database.read() as session:
            return get_user(session, user_id)

    def find_owner(token_id: int) -> Identity | None:
        system = current.system()
        with system.database.read() as session:
            return owner_of_token(session, system.clock(), token_id)

    def find_token(secret: str) -> Identity | None:
        system = current.system()
        with system.database.read() as session:
            return identify_token(session, system.clock(), secret)

    @manager.user_loader
    def load(session_id: str) -> SignedIn | None:
        if session_id.startswith(_OPENED_BY):
            token_id = int(session_id.removeprefix(_OPENED_BY))
            found = identities.look_up(f"session of {session_id}", lambda: find_owner(token_id))
            return SignedIn(found, token_id) if found else None
        found = identities.look_up(f"user {session_id}", lambda: find_user(int(session_id)))
        return SignedIn(found) if found else None

    @app.before_request
    def guard() -> Response | None:
        view = current_app.view_functions.get(request.endpoint or "")
        if request.endpoint == "static" or getattr(view, "is_public", False):
            if request.method not in _SAFE:
                csrf.protect()
            return None
        secret = _bearer()
        if secret is not None:
            key = hashlib.sha256(secret.encode()).hexdigest()
            found = identities.look_up(f"token {key}", lambda: find_token(secret))
            if found is None:
                return answer(
                    401,
                    "wrong_token",
                    "This API token is not known, or it was revoked. Make a new one on the account page.",
                )
            g.identity = found
        elif current_user.is_authenticated:
            g.identity = current_user.identity
            if request.method not in _SAFE:
                _check_csrf()
        else:
            return _ask_to_sign_in()
        least = getattr(view, "least_role", "reader" if request.method in _SAFE else "operator")
        if request.routing_exception is None and _RANK[g.identity.role] < _RANK[least]:
            return answer(403, detail=f"This needs the role {least}; yours is {g.identity.role}. Ask an administrator.")
        return None


def forget_identities() -> None:
    """After a change of rights: this process asks the database again at once, the others within seconds."""
    current_app.extensions["screening-identities"].forget()


def safe_target(target: str | None) -> str:
    """A path on this site to go on to, or home: never another site, whatever the address says."""
    plain = target is not None and all(sign > " " for sign in target) and "\\" not in target
    if target is None or not plain or not target.startswith("/") or target.startswith("//"):
        return url_for("home.home")
    return target


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
    return redirect(target)  # type: ignore[return-value]
