"""`screening archive`: folders and buckets whose files are screened as they come, on the server's machine."""

from pathlib import Path

import click

from screening.cli.installation import command_actor, data_option, explained, open_database, settings_beside

identity = click.argument("archive_id", metavar="ID", type=click.IntRange(min=1))


@click.group
def archive() -> None:
    """Have folders and buckets visited again and again, so that what is new in them is screened."""


@archive.command("add")
@click.argument("place", metavar="PATH|s3://BUCKET/PREFIX")
@click.option(
    "--in-place", is_flag=True, help="Copy nothing: originals are read where they lie, for as long as they lie there."
)
@click.option("--cron", default="0 20 * * *", show_default=True, help="When it is visited; see `schedule add`.")
@click.option("--time-zone", default="UTC", show_default=True)
@data_option
@explained
def add(place: str, in_place: bool, cron: str, time_zone: str, data: Path | None) -> None:
    """Register an archive. Its first visit begins within seconds.

    The upkeep and prepare processes must be able to read it. What is new is screened in the lane archive by the active
    checkpoint; the same picture is never screened twice.
    """
    from screening.archives import registry
    from screening.clock import utc_now

    settings = settings_beside(data)
    url = registry.archive_url(place, settings.resolved_storage_url)
    with open_database(settings).write() as session:
        made = registry.add_archive(session, utc_now(), url, in_place, cron, time_zone, command_actor())
    click.echo(f"Archive {made.id} is {url}{', read in place' if in_place else ''}.")


@archive.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@data_option
@explained
def list_archives(as_json: bool, data: Path | None) -> None:
    """List the archives and what their latest visits found."""
    from screening.archives import registry
    from screening.cli.display import print_json, print_table

    with open_database(settings_beside(data)).read() as session:
        found = registry.all_archives(session)
    if as_json:
        names = ("id", "url", "in_place", "cron", "time_zone", "found", "admitted", "refused", "problem")
        print_json(
            {
                "archives": [
                    {
                        **{name: getattr(row, name) for name in names},
                        "visited_at": row.visited_at.isoformat() if row.visited_at else None,
                        "visiting": row.lease_token is not None,
                    }
                    for row in found
                ]
            }
        )
    elif not found:
        click.echo("There are no archives. `screening archive add PATH` registers one.")
    else:
        rows = [
            (
                row.id,
                row.url,
                "in place" if row.in_place else "copied",
                f"{row.cron} {row.time_zone}",
                "now" if row.lease_token else f"{row.visited_at:%Y-%m-%d %H:%M} UTC" if row.visited_at else "not yet",
                f"{row.found:,} files, {row.admitted:,} admitted, {row.refused:,} refused",
                row.problem or "",
            )
            for row in found
        ]
        print_table(("id", "archive", "originals", "visits", "visited", "found", "problem"), rows)


@archive.command("scan")
@identity
@data_option
@explained
def scan(archive_id: int, data: Path | None) -> None:
    """Have the archive ID visited now; it begins within seconds."""
    from screening.archives import registry
    from screening.clock import utc_now

    with open_database(settings_beside(data)).write() as session:
        registry.want_visit(session, utc_now(), archive_id, command_actor())
    click.echo(
        f"Archive {archive_id} is visited as soon as upkeep looks; `screening archive list` shows how far it is."
    )


@archive.command("remove")
@identity
@data_option
@explained
def remove(archive_id: int, data: Path | None) -> None:
    """Visit the archive ID no more. Its scans and their results stay."""
    from screening.archives import registry
    from screening.clock import utc_now

    with open_database(settings_beside(data)).write() as session:
        registry.remove_archive(session, utc_now(), archive_id, command_actor())
    click.echo(f"Archive {archive_id} is visited no more.")
