"""`screening migrate`."""

from pathlib import Path

import click

from screening.cli.installation import data_option, explained, settings_beside


@click.command
@data_option
@explained
def migrate(data: Path | None) -> None:
    """Bring the database to the schema of this release. Doing it twice is no error."""
    from screening.database.migrate import upgrade

    applied = upgrade(settings_beside(data).resolved_database_url)
    click.echo(f"Applied {', '.join(applied)}." if applied else "The database is up to date.")
