"""`screening token` and `screening sign-in-link`: secrets that sign programs and people in."""

from datetime import timedelta
from pathlib import Path

import click

from screening.cli.installation import command_actor, data_option, explained, open_database, settings_beside

DAYS = 365


@click.command
@click.option("--user", "name", default="operator", show_default=True, help="Who is signed in by it.")
@data_option
@explained
def sign_in_link(name: str, data: Path | None) -> None:
    """Print a fresh link that signs a user in once, within 12 hours."""
    from screening.clock import utc_now
    from screening.supervisor.links import sign_in_link as fresh_link

    settings = settings_beside(data)
    click.echo(fresh_link(settings, open_database(settings), utc_now, name, command_actor()))


@click.group
def token() -> None:
    """Add API tokens for programs."""


@token.command("add")
@click.argument("name")
@click.option("--user", "user_name", default="operator", show_default=True, help="In whose name the program acts.")
@click.option(
    "--days", type=click.IntRange(1, 3650), default=DAYS, show_default=True, help="So long it works, unless revoked."
)
@data_option
@explained
def add_token(name: str, user_name: str, days: int, data: Path | None) -> None:
    """Make an API token called NAME and print it. It is shown this once."""
    from screening import accounts
    from screening.clock import utc_now

    settings = settings_beside(data)
    with open_database(settings).write() as session:
        holder = accounts.enabled_user(session, user_name)
        secret = accounts.issue_token(session, utc_now(), holder, name, command_actor(), timedelta(days=days))
    click.echo(secret)
