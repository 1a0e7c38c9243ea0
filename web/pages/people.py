"""People who may sign in, for administrators: add them, change their role, take their access away."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound as NoPage

from screening import accounts
from screening.database.tables import User
from web import current
from web.access import in_person, needs_role
from web.identities import forget_identities

blueprint = Blueprint("people-pages", __name__, url_prefix="/users")


@blueprint.get("")
@needs_role("administrator")
def people() -> str:
    with current.system().database.read() as session:
        return render_template(
            "people.html",
            people=accounts.all_accounts(session),
            roles=accounts.ROLES[::-1],
            shortest=accounts.SHORTEST_PASSWORD,
        )


@blueprint.post("")
@needs_role("administrator")
@in_person
def add() -> Response:
    system = current.system()
    name, password = request.form.get("name", "").strip(), request.form.get("password", "")
    with system.database.write() as session:
        added = accounts.add_user(
            session, system.clock(), name, request.form.get("role", ""), password or None, current.identity().name
        )
    flash(f"{added.name} may sign in.")
    return _to(added.user_id)


@blueprint.get("/<int:user_id>")
@needs_role("administrator")
def person(user_id: int) -> str:
    with current.system().database.read() as session:
        user = accounts.account_with_id(session, user_id)
        return render_template(
            "person.html",
            person=user,
            roles=accounts.ROLES[::-1],
            shortest=accounts.SHORTEST_PASSWORD,
            tokens=accounts.tokens_of(session, accounts.identity_of(user)),
            now=current.system().clock(),
        )


@blueprint.post("/<int:user_id>/<string:action>")
@needs_role("administrator")
@in_person
def act(user_id: int, action: str) -> Response:
    deeds: dict[str, Callable[[Session, datetime, User, str], str]] = {
        "role": _role,
        "password": _password,
        "disable": _disable,
        "enable": _enable,
    }
    if action not in deeds:
        raise NoPage
    system = current.system()
    with system.database.write() as session:
        user = accounts.account_with_id(session, user_id)
        said = deeds[action](session, system.clock(), user, current.identity().name)
    forget_identities()
    flash(said)
    # Who has changed what they may do themselves may not see this page any more.
    mine = user_id == current.identity().user_id
    return redirect(url_for("account-pages.account")) if mine else _to(user_id)  # type: ignore[return-value]


def _role(session: Session, now: datetime, user: User, actor: str) -> str:
    accounts.change_role(session, now, user, request.form.get("role", ""), actor)
    return f"{user.name} is {user.role} now."


def _password(session: Session, now: datetime, user: User, actor: str) -> str:
    opened = current.opened()
    staying = opened.id if opened and opened.who.user_id == user.id else None
    accounts.set_password(session, now, user, request.form.get("password", ""), actor, staying)
    return f"The password of {user.name} is set. Their sessions have ended; API tokens go on."


def _disable(session: Session, now: datetime, user: User, actor: str) -> str:
    accounts.disable_user(session, now, user, actor)
    return f"{user.name} is disabled: sessions have ended, links and API tokens are refused."


def _enable(session: Session, now: datetime, user: User, actor: str) -> str:
    accounts.enable_user(session, now, user, actor)
    return f"{user.name} may sign in again."


def _to(user_id: int) -> Response:
    return redirect(url_for("people-pages.person", user_id=user_id))  # type: ignore[return-value]
