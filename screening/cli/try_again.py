"""`screening try-again`: scans that could not be prepared, counted by reason; tried again with --apply."""

from pathlib import Path

import click

from screening.cli.installation import command_actor, data_option, explained, open_database, settings_beside


@click.command
@click.argument("codes", nargs=-1, metavar="[CODE]...")
@click.option(
    "--apply", is_flag=True, help="Have scans with the named codes prepared again. Without it nothing changes."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@data_option
@explained
def try_again(codes: tuple[str, ...], apply: bool, as_json: bool, data: Path | None) -> None:
    """Count the scans that could not be prepared, by reason, and try them again.

    For use after a limit was raised or a newer release was installed: screening try-again too_many_pixels --apply
    """
    from screening.cli.display import print_json
    from screening.clock import utc_now
    from screening.upkeep.trying_again import rejected_by_reason
    from screening.upkeep.trying_again import try_again as try_them

    if apply and not codes:
        raise click.UsageError("Name the reasons whose scans are to be tried again, such as: too_many_pixels timeout")
    database = open_database(settings_beside(data))
    found = rejected_by_reason(database)
    chosen = {code: number for code, number in found.items() if not codes or code in codes}
    tried = try_them(database, utc_now(), codes, command_actor()) if apply else 0
    if as_json:
        print_json({"applied": apply, "found": chosen, "tried_again": tried})
        return
    for code, number in chosen.items():
        click.echo(f"{code:<18}{number:>9,} {'scan' if number == 1 else 'scans'}")
    if apply:
        click.echo(f"{tried:,} wait to be prepared again; recorded in the audit trail.")
    elif chosen:
        click.echo("Nothing was changed. Name reasons and add --apply to have their scans tried again.")
    else:
        click.echo("No scan was rejected for that." if codes else "No scan was rejected.")
