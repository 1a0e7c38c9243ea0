"""`screening status`: how far a run has come."""

import click

from screening.cli.connection import Server, client_command
from screening.cli.display import errors_console, print_json, printable, run_line


@click.command
@click.argument("run", type=click.IntRange(min=1))
@click.option("--watch", is_flag=True, help="Go on until the run has ended.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as one JSON document; with --watch, as it ended.")
@client_command
def status(server: Server, run: int, watch: bool, as_json: bool) -> None:
    """Show how far RUN has come."""
    from screening.client.runs import get_run, watch_run

    with server.connect() as connection:
        if watch:
            console = errors_console()
            with console.status("") as line:
                document = watch_run(connection, run, lambda seen: line.update(run_line(seen)))
        else:
            document = get_run(connection, run)
    if as_json:
        print_json(document)
    else:
        click.echo(f"{printable(document['name'])} ({document['lane']})")
        click.echo(run_line(document))
