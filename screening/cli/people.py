"""`screening user`: who may sign in, as what, and who may no longer."""

from contextlib import AbstractContextManager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from screening.cli.installation import command_actor, data_option, explained, open_database, settings_beside

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

ROLE = click.Choice(["administrator", "operator", "reader"])


@click.group
def user() -> None:
    """Add people who may sign in, change what they may do, and take their access away."""


@user.command("list")
@data_option
@explained
def list_users(data: Path | None) -> None:
    """List everybody: name, role, and how they sign in."""
    from screening import accounts

    with _accounts(data) as session:
        for one in accounts.all_accounts(session):
            way = "password" if one.password_hash else "links alone"
            disabled = f", disabled {one.disabled_at:%Y-%m-%d %H:%M} UTC" if one.disabled_at else ""
            click.echo(f"{one.name}: {one.role}, {way}{disabled}")


@user.command("add")
@click.argument("name")
@click.option(
    "--role",
    type=ROLE,
    default="reader",
    show_default=True,
    help="Readers read the worklist, operators send runs as well, administrators do everything.",
)
@click.option("--no-password", is_flag=True, help="They sign in by links alone.")
@data_option
@explained
def add_user(name: str, role: str, no_password: bool, data: Path | None) -> None:
    """Add the user NAME; the password is asked for."""
    from screening import accounts
    from screening.clock import utc_now

    password = None if no_password else _asked_password(name)
    with _accounts(data) as session:
        added = accounts.add_user(session, utc_now(), name, role, password, command_actor())
    click.echo(f"Added {added.name} as {added.role}. `screening sign-in-link --user {quote(added.name)}` makes a link.")


@user.command("role")
@click.argument("name")
@click.argument("role", type=ROLE)
@data_option
@explained
def change_role(name: str, role: str, data: Path | None) -> None:
    """Make NAME administrator, operator or reader, within seconds."""
    from screening import accounts
    from screening.clock import utc_now

    with _accounts(data) as session:
        accounts.change_role(session, utc_now(), accounts.account_of(session, name), role, command_actor())
    click.echo(f"{name} is {role} now.")


@user.command("password")
@click.argument("name")
@data_option
@explained
def set_password(name: str, data: Path | None) -> None:
    """Give NAME another password, which is asked for. Sessions of NAME end; API tokens go on."""
    from screening import accounts
    from screening.clock import utc_now

    with _accounts(data) as session:
        accounts.account_of(session, name)
    password = _asked_password(name)
    with _accounts(data) as session:
        accounts.set_password(session, utc_now(), accounts.account_of(session, name), password, command_actor())
    click.echo(f"The password of {name} is set. Sessions of before have ended.")


@user.command("disable")
@click.argument("name")
@data_option
@explained
def disable_user(name: str, data: Path | None) -> None:
    """Take the access of NAME away within seconds: sessions end, links and API tokens are refused."""
    from screening import accounts
    from screening.clock import utc_now

    with _accounts(data) as session:
        accounts.disable_user(session, utc_now(), accounts.account_of(session, name), command_actor())
    click.echo(f"{name} is disabled. `screening user enable {quote(name)}` gives the access back.")


@user.command("enable")
@click.argument("name")
@data_option
@explained
def enable_user(name: str, data: Path | None) -> None:
    """Give NAME the access back, with the password and the API tokens of before."""
    from screening import accounts
    from screening.clock import utc_now

    with _accounts(data) as session:
        accounts.enable_user(session, utc_now(), accounts.account_of(session, name), command_actor())
    click.echo(f"{name} may sign in again.")


def _accounts(data: Path | None) -> "AbstractContextManager[Session]":
    """One transaction on the database of the installation that the settings name."""
    return open_database(settings_beside(data)).write()


def _asked_password(name: str) -> str:
    from screening import accounts

    password: str = click.prompt(
        f"Password of {name} (at least {accounts.SHORTEST_PASSWORD} characters)",
        hide_input=True,
        confirmation_prompt=True,
        err=True,
    )
    return password
