"""`screening health`: has this kind of process, on this machine, shown a sign of life? For container health checks."""

import socket
from pathlib import Path

import click

from screening.cli.installation import data_option, explained, open_database, settings_beside
from screening.settings import Settings


@click.command
@click.option(
    "--kind", type=click.Choice(["web", "prepare", "screen", "upkeep", "beat"]), required=True, help="Which process."
)
@data_option
@explained
def health(kind: str, data: Path | None) -> None:
    """Exit 0 when a process of this kind on this machine is alive, 1 when not.

    Workers and beat are told by their heartbeat, the portal by its answer.
    """
    settings = settings_beside(data)
    if kind == "web":
        from screening.supervisor.readiness import why_not_ready

        trouble = why_not_ready(settings.host, settings.port)
    else:
        trouble = _heartbeat_missing(settings, kind)
    if trouble is not None:
        raise click.ClickException(f"{kind}: {trouble}.")
    click.echo(f"{kind}: alive")


def _heartbeat_missing(settings: Settings, kind: str) -> str | None:
    from screening.database.server_clock import clock_of
    from screening.workers import ALIVE_WITHIN, alive

    here = f"@{socket.gethostname()}:"
    database = open_database(settings)
    now = clock_of(database)()
    with database.read() as session:
        if any(here in worker.name for worker in alive(session, now, kind)):
            return None
    return f"no heartbeat on this machine within {ALIVE_WITHIN.seconds} seconds; its log says why"
