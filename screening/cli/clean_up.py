"""`screening clean-up`: what lies in storage and is not needed, shown first, removed with --apply."""

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click

from screening.cli.installation import command_actor, data_option, explained, open_database, settings_beside


@click.command
@click.option("--apply", is_flag=True, help="Remove what is found. Without it nothing is changed.")
@click.option(
    "--keep-originals-days",
    "keep_days",
    type=click.IntRange(0, 36_500),
    help="Originals that were received longer ago are removed; 0 keeps all. [env: SCREENING_KEEP_ORIGINALS_DAYS]",
)
@click.option(
    "--grace-hours",
    type=click.IntRange(1, 24 * 365),
    default=24,
    show_default=True,
    help="What is younger is left alone: an upload may be about to name it.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Go on where the database does not know most originals, or where storage has lost them. Be sure why.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@data_option
@explained
def clean_up(
    apply: bool, keep_days: int | None, grace_hours: int, force: bool, as_json: bool, data: Path | None
) -> None:
    """Find what is not needed: temporary objects, objects that no scan names, originals after their time."""
    from screening.archives.references import WithReferences
    from screening.cli.display import print_json
    from screening.clock import utc_now
    from screening.storage import open_storage
    from screening.upkeep.clean_up import Policy
    from screening.upkeep.clean_up import clean_up as clean

    settings = settings_beside(data)
    days = settings.keep_originals_days if keep_days is None else keep_days
    policy = Policy(timedelta(hours=grace_hours), timedelta(days=days) if days else None)
    storage = WithReferences(open_storage(settings.resolved_storage_url))
    database = open_database(settings)
    removed = clean(database, storage, utc_now(), policy, command_actor(), apply=apply, force=force)
    if as_json:
        print_json({"applied": apply, "found": {kind: asdict(amount) for kind, amount in removed.items()}})
        return
    for kind, amount in removed.items():
        click.echo(f"{kind:<18}{amount.count:>9,} objects  {amount.size_bytes / 1e6:>12,.1f} MB")
        for key in amount.examples:
            click.echo(f"    such as {key}")
    if apply:
        click.echo("Removed, and recorded in the audit trail.")
    elif any(amount.count for amount in removed.values()):
        click.echo("Nothing was changed. Call it with --apply to remove these.")
    else:
        click.echo("Nothing is to be removed.")
