"""`screening up`."""

import os
from pathlib import Path

import click

from screening.cli.installation import explained


@click.command
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the portal. [default: SCREENING_PORT or 8000]")
@click.option("--host", help="Address to listen on. [default: SCREENING_HOST or 127.0.0.1, this machine alone]")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of database, pictures, logs and secrets. [default: SCREENING_DATA_DIR or ./data]",
)
@explained
def up(port: int | None, host: str | None, data: Path | None) -> None:
    """Start everything on this machine and keep it running until Ctrl-C.

    Brings its own message broker, database and storage unless SCREENING_REDIS_URL, SCREENING_DATABASE_URL or
    SCREENING_STORAGE_URL name others.
    """
    from screening.settings import load_settings
    from screening.supervisor.up import up as run

    # An option is a setting by another name: settings are checked, and handed to the processes, in one way only.
    for name, value in (("PORT", port), ("HOST", host), ("DATA_DIR", data)):
        if value is not None:
            os.environ[f"SCREENING_{name}"] = str(value)
    run(load_settings())
