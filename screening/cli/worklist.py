"""`screening worklist`: scans ranked for follow-up."""

import click

from screening.bands import BAND_FILTERS
from screening.cli.connection import Server, client_command
from screening.cli.display import print_json, print_worklist
from screening.reviews.decisions import REVIEWED

SHOWN = 50


@click.command
@click.option("--run", type=click.IntRange(min=1), help="Only the scans of this run.")
@click.option(
    "--band", type=click.Choice(BAND_FILTERS), help="Only this band; `flagged` is likely and possible together."
)
@click.option(
    "--reviewed",
    type=click.Choice(REVIEWED),
    help="Only what readers have not reviewed, have reviewed, or have decided so.",
)
@click.option("--limit", type=click.IntRange(min=1), help=f"At most so many. [default: {SHOWN}; with --json, all]")
@click.option("--json", "as_json", is_flag=True, help="Print the whole list as one JSON document.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the whole list as CSV.")
@client_command
def worklist(
    server: Server,
    run: int | None,
    band: str | None,
    reviewed: str | None,
    limit: int | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """List scans ranked for follow-up: what could not be screened first, then by falling probability."""
    from screening.client.runs import worklist_items

    if as_csv and (as_json or limit):
        raise click.UsageError("--csv prints the whole list; it goes neither with --json nor with --limit.")
    with server.connect() as connection:
        if as_csv:
            for piece in connection.get_text("/api/v1/worklist.csv", run=run, band=band, reviewed=reviewed):
                click.echo(piece, nl=False)
            return
        if not as_json and limit is None:
            limit = SHOWN
        items, operating_point = worklist_items(connection, run, band, limit, reviewed)
        found = list(items)
    if as_json:
        print_json({"items": found, "operating_point": operating_point})
    elif not found:
        click.echo("Nothing is in this list.")
    else:
        print_worklist(found)
        if len(found) == limit:
            click.echo(f"The first {limit} are shown; --limit, --json or --csv give more.", err=True)
