"""`screening user`, `screening token`, `screening sign-in-link`: who may sign in."""

from pathlib import Path

import click

from screening.cli.installation import data_option, explained, settings_beside

ACTOR = "screening command"


@click.command
@click.option("--user", "name", default="operator", show_default=True, help="Who is signed in by it.")
@data_option
@explained
def sign_in_link(name: str, data: Path | None) -> None:
    """Print a fresh link that signs a user in once, within 12 hours."""
    from screening.clock import utc_now
    from screening.database.engine import Database
    from screening.supervisor.links import sign_in_link as fresh_link

    settings = settings_beside(data)
    click.echo(fresh_link(settings, Database(settings.resolved_database_url), utc_now, name))


@click.group
def user() -> None:
    """Add people who may sign in."""


@user.command("add")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["administrator", "operator", "reader"]),
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
    from screening.database.engine import Database

    settings = settings_beside(data)
    password = None
    if not no_password:
        password = click.prompt(
            f"Password of {name} (at least {accounts.SHORTEST_PASSWORD} characters)",
            hide_input=True,
            confirmation_prompt=True,
            err=True,
        )
    with Database(settings.resolved_database_url).write() as session:
        added = accounts.add_user(session, utc_now(), name, role, password, ACTOR)
    click.echo(f"Added {added.name} as {added.role}. `screening sign-in-link --user {added.name}` makes a link.")


@click.group
def token() -> None:
    """Add API tokens for programs."""


@token.command("add")
@click.argument("name")
@click.option("--user", "user_name", default="operator", show_default=True, help="In whose name the program acts.")
@data_option
@explained
def add_token(name: str, user_name: str, data: Path | None) -> None:
    """Make an API token called NAME and print it. It is shown this once."""
    from screening import accounts
    from screening.clock import utc_now
    from screening.database.engine import Database
    from screening.errors import NotFound

    settings = settings_beside(data)
    with Database(settings.resolved_database_url).write() as session:
        holder = accounts.find_user(session, user_name)
        if holder is None:
            raise NotFound(
                "unknown_user", f"There is no user {user_name}. Add one with `screening user add {user_name}`."
            )
        secret = accounts.issue_token(session, utc_now(), holder, name)
    click.echo(secret)
