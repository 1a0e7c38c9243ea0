"""`screening scan erase` and `screening run erase`: what must not be kept, such as files that were sent by mistake."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from screening.cli.installation import command_actor, data_option, explained, open_database, settings_beside

if TYPE_CHECKING:
    from screening.database.engine import Database
    from screening.erasure.erasing import Erased
    from screening.erasure.rows import Pseudonym
    from screening.storage import Storage

reason_option = click.option(
    "--reason", required=True, help="Why; kept in the audit trail. Do not name the person it is about."
)


@click.group
def scan() -> None:
    """Erase a scan that must not be kept."""


@scan.command("erase")
@click.argument("scan_id", metavar="ID")
@reason_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@explained
def erase_scan(scan_id: str, reason: str, yes: bool, data: Path | None) -> None:
    """Erase the scan ID: original, pictures, results, reviews and names. This cannot be undone.

    A row with its hash stays, so that the same file is not taken again. A file that an archive keeps is not touched.
    """
    from screening.clock import utc_now
    from screening.erasure.erasing import erase_scan as erase

    _confirm(yes, f"Erase the scan {scan_id} with its results and reviews?")
    database, storage, pseudonym = _opened(data)
    _tell(erase(database, storage, utc_now(), scan_id, reason, command_actor(), pseudonym))


@click.group
def run() -> None:
    """Erase what came with a run that must not be kept."""


@run.command("erase")
@click.argument("run_id", metavar="RUN", type=int)
@reason_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@explained
def erase_run(run_id: int, reason: str, yes: bool, data: Path | None) -> None:
    """Erase every scan that came with RUN and no other run, and all names of files in it. This cannot be undone.

    The run must be cancelled or complete.
    """
    from screening.clock import utc_now
    from screening.erasure.erasing import erase_run as erase

    _confirm(yes, f"Erase all scans that came with run {run_id} alone, with their results and reviews?")
    database, storage, pseudonym = _opened(data)
    _tell(erase(database, storage, utc_now(), run_id, reason, command_actor(), pseudonym))


def _confirm(yes: bool, question: str) -> None:
    if not yes:
        click.confirm(f"{question} This cannot be undone.", abort=True, err=True)


def _opened(data: Path | None) -> "tuple[Database, Storage, Pseudonym]":
    from screening.archives.references import WithReferences
    from screening.storage import open_storage
    from screening.system import pseudonym_of
    from screening.upkeep.ownership import check_own

    settings = settings_beside(data)
    key = settings.secret_key.get_secret_value()
    storage = WithReferences(open_storage(settings.resolved_storage_url))
    database = open_database(settings)
    # In another storage there would be nothing to remove, and the bytes would stay where they are.
    check_own(database, storage)
    return database, storage, lambda identifier: pseudonym_of(key, identifier)


def _tell(erased: "Erased") -> None:
    click.echo(f"Erased {erased.scans:,} scans: originals, pictures, results, reviews and names.")
    if erased.shared:
        click.echo(f"{erased.shared:,} scans came with other runs too and stay there.")
    if erased.archive_files:
        click.echo(
            f"{erased.archive_files:,} files of archives hold the same bytes and were not touched. Remove them there; "
            "until then, visits pass over them."
        )
    if erased.backups:
        click.echo(
            f"Backups that were made since then still hold it, unless `--keep` has let them go: {erased.backups[0]} to "
            f"{erased.backups[-1]}, {len(erased.backups):,} in all. Who restores one of them has to erase it again."
        )
    if erased.unfinished:
        raise click.ClickException(
            f"Storage did not remove all of it ({erased.trouble}). Have it mended, then call each of these, with a "
            "--reason:\n" + "\n".join(erased.unfinished)
        )
