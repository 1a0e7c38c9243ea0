"""`screening backup` and `screening restore`."""

from pathlib import Path

import click

from screening.cli.installation import command_actor, data_option, explained, open_database, settings_beside

SHOWN = 5


@click.command
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--keep", type=click.IntRange(1), help="Keep so many backups in FOLDER, the latest. [default: all]")
@data_option
@explained
def backup(folder: Path, keep: int | None, data: Path | None) -> None:
    """Make a backup in FOLDER: database and objects of one moment. Everything may go on running.

    What an earlier backup in FOLDER holds is not copied again. Each installation needs a folder of its own. The secret
    key is not part of it: keep `secret.key`, or SCREENING_SECRET_KEY, in another safe place.
    """
    from screening import audit
    from screening.clock import utc_now
    from screening.storage import open_storage
    from screening.upkeep.backup.making import make_backup
    from screening.upkeep.backup.manifest import fingerprint

    settings = settings_beside(data)
    database = open_database(settings)
    storage = open_storage(settings.resolved_storage_url)
    secret = fingerprint(settings.secret_key.get_secret_value())
    made = make_backup(database, storage, utc_now(), folder, secret, keep)
    rows = sum(part.lines for part in made.manifest.tables.values())
    with database.write() as session:
        detail = {
            "rows": rows,
            "objects": made.manifest.objects.lines,
            "missing": made.missing,
            "folder": str(folder.resolve()),
        }
        audit.record(session, utc_now(), command_actor(), "backup.made", made.folder.name, detail)
    size = made.manifest.objects_bytes / 1e6
    click.echo(f"{made.folder}: {rows:,} rows and {made.manifest.objects.lines:,} objects ({size:,.1f} MB).")
    if made.removed:
        click.echo(f"Removed {made.removed} older backups.")
    if made.not_pruned:
        click.echo(
            f"What only they held is still in {folder}: {made.not_pruned}. Have its disk checked, or remove the backup "
            "that cannot be read; the next backup tries it again.",
            err=True,
        )
    if made.rotten:
        click.echo(
            f"{made.rotten:,} files of earlier backups had been damaged in {folder}. They were copied again where "
            "storage has them; have its disk checked.",
            err=True,
        )
    if made.missing or made.damaged:
        raise click.ClickException(
            f"The backup is complete but for {made.missing:,} originals that are missing and {len(made.damaged):,} "
            "that are damaged in storage. Call `screening doctor --storage`, which names them."
        )


@click.command
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--check", is_flag=True, help="Only read the whole backup and compare every hash.")
@click.option(
    "--take-over",
    is_flag=True,
    help="The installation of the backup is no more: go on as it, in its storage and its folder of backups.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The new data folder. [default: SCREENING_DATA_DIR or ./data]",
)
@click.option("--revoke-tokens", is_flag=True, help="Revoke every API token that the backup holds.")
@explained
def restore(folder: Path, check: bool, take_over: bool, data: Path | None, revoke_tokens: bool) -> None:
    """Restore the backup in FOLDER, or the latest of several, into an empty installation.

    Call it before the first `screening up` or `screening migrate`, with the settings that the installation will have.
    Before, put the old `secret.key` into the data folder, or set SCREENING_SECRET_KEY to it. Without --take-over this
    makes a copy, which needs an empty storage and a folder for its own backups. Everybody signs in again; users,
    passwords and API tokens are those of the backup, so who was disabled since then, or what was revoked, is valid
    again.
    """
    import os

    from screening import accounts
    from screening.clock import utc_now
    from screening.settings import load_settings
    from screening.storage import open_storage
    from screening.supervisor.folder import DataFolder
    from screening.upkeep.backup.manifest import fingerprint
    from screening.upkeep.backup.restoring import check_backup
    from screening.upkeep.backup.restoring import restore as bring_back

    if check:
        checked = check_backup(folder)
        _tell(
            f"{checked.rows:,} rows and {checked.objects:,} objects were read, of {checked.manifest.owner} as of "
            f"{checked.manifest.made_at}.",
            checked.damaged,
            "They were moved aside where they were there, and the next backup copies them again if storage has them.",
        )
        return
    if data is not None:
        os.environ["SCREENING_DATA_DIR"] = str(data)
    settings = load_settings()
    home = DataFolder(settings.data_dir)
    home.create()
    with home.lock():
        database = open_database(settings)
        storage = open_storage(settings.resolved_storage_url)
        done = bring_back(folder, database, storage, utc_now(), command_actor(), take_over=take_over)
        revoked = None
        if revoke_tokens:
            with database.write() as session:
                revoked = accounts.revoke_every_token(session, utc_now(), command_actor())
    secret = settings.secret_key.get_secret_value()
    # The variable goes before the file, which nothing reads then.
    put = "Set SCREENING_SECRET_KEY to the old one" if secret else f"Put the old one into {home.secret_key_file}"
    if not secret and home.secret_key_file.is_file():
        secret = home.secret_key()
    if fingerprint(secret) != done.manifest.secret:
        click.echo(
            "The secret key is not the one of the backup: everybody signs in again, and views of one visit that come "
            f"later do not find the earlier ones. {put} before the start.",
            err=True,
        )
    if revoked is None:
        click.echo(
            f"Users, passwords and API tokens are those of {done.manifest.made_at}: who was disabled since then, and "
            "tokens that were revoked, are valid again. Go through `screening user list`; a restore with "
            "`--revoke-tokens` revokes every token.",
            err=True,
        )
    else:
        click.echo(
            f"Revoked {revoked:,} API tokens. Users and passwords are those of {done.manifest.made_at}: go through "
            "`screening user list`.",
            err=True,
        )
    if done.not_in_backup:
        click.echo(
            f"The storage holds {done.not_in_backup:,} originals that the backup does not know: they came after it. "
            "Send those files again; `screening clean-up --apply` removes what nobody sent again after 24 hours.",
            err=True,
        )
    whose = "as that installation" if take_over else f"as a copy, installation {done.installation[:8]}"
    _tell(
        f"Restored {done.rows:,} rows and {done.objects:,} objects of {done.manifest.owner} as of "
        f"{done.manifest.made_at}, {whose}.",
        done.damaged,
        "`screening doctor --repair` makes again what can be made again.",
    )


def _tell(sentence: str, damaged: tuple[str, ...], step: str) -> None:
    click.echo(sentence)
    if damaged:
        raise click.ClickException(
            f"{len(damaged):,} objects are damaged in the backup, such as {', '.join(damaged[:SHOWN])}. {step}"
        )
