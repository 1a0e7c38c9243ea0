"""`screening checkpoint`: list, verify, register, activate and tune checkpoints, on the server's machine."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from screening.cli.installation import command_actor, data_option, explained, open_database, settings_beside
from screening.inference.bundle import Bundle, read_bundle
from screening.settings import EngineKind, Settings


@click.group
def checkpoint() -> None:
    """List, verify, register and activate checkpoints, and set their operating points."""


@checkpoint.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@data_option
@explained
def list_checkpoints(as_json: bool, data: Path | None) -> None:
    """List the registered checkpoints; the active one is marked with `*`."""
    from screening import checkpoints
    from screening.cli.display import print_json, print_table

    with open_database(settings_beside(data)).read() as session:
        found: list[dict[str, Any]] = [
            {
                "id": row.id,
                "name": row.name,
                "form": row.form,
                "active": row.active,
                "registered_at": row.registered_at.isoformat(),
                "operating_point": checkpoints.operating_point_facts(session, row.id),
            }
            for row in checkpoints.all_checkpoints(session)
        ]
    if as_json:
        print_json({"checkpoints": found})
        return
    if not found:
        click.echo("No checkpoint is registered. `screening checkpoint register DIR` adds one.")
        return
    rows = [
        (
            "*" if c["active"] else "",
            c["id"],
            c["name"],
            c["form"],
            c["operating_point"]["name"],
            f"{c['operating_point']['threshold']:.3f}",
            f"{c['operating_point']['likely_threshold']:.3f}",
        )
        for c in found
    ]
    print_table(("", "id", "name", "form", "operating point", "flagged from", "likely from"), rows)


@checkpoint.command("verify")
@click.argument("which", metavar="DIR_OR_ID")
@click.option("--form", help="Only this form of a bundle. [default: all]")
@click.option("--engine", type=click.Choice(["auto", "openvino", "torch"]), help="[default: SCREENING_ENGINE]")
@data_option
@explained
def verify(which: str, form: str | None, engine: EngineKind | None, data: Path | None) -> None:
    """Check the files of a checkpoint and that this machine's engine reproduces its golden tensors."""
    from screening.inference.choice import open_engine
    from screening.inference.selfcheck import check_against_golden

    settings = settings_beside(data)
    with ExitStack() as temporary:
        bundle, registered_form = _find_bundle(which, settings, temporary)
        chosen = form or registered_form
        forms = [chosen] if chosen else list(bundle.forms)
        for name in forms:
            if name not in bundle.forms:
                raise click.UsageError(f"{bundle.name} has no form {name}. Choose one of {', '.join(bundle.forms)}.")
            opened = open_engine(engine or settings.engine, bundle, name, settings.engine_threads)
            check = check_against_golden(opened, bundle, name)
            click.echo(
                f"{bundle.name} {name} ({bundle.identity(name)}): files intact; {opened.name} on {opened.device} "
                f"reproduces {check.renditions} golden renditions, largest difference {check.difference:.2g}"
            )


@checkpoint.command("register")
@click.argument(
    "folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.option("--form", help="Which form of the bundle. [default: SCREENING_FORM, or the bundle's own default]")
@data_option
@explained
def register(folder: Path | None, form: str | None, data: Path | None) -> None:
    """Make the checkpoint bundle in DIR known; without DIR, every released one (SCREENING_CHECKPOINT_DIR).

    The first one of an installation becomes active. The storage is marked as that of this database, and one that
    belongs to another is refused.
    """
    from screening import checkpoints
    from screening.clock import utc_now
    from screening.storage import open_storage
    from screening.supervisor.installation import released_bundles
    from screening.upkeep.ownership import settle_own

    settings = settings_beside(data)
    folders = [folder] if folder else released_bundles(settings.checkpoint_dir)
    if not folders:
        raise click.UsageError(f"{settings.checkpoint_dir} holds no checkpoint bundle. Name the folder of one.")
    database, storage = open_database(settings), open_storage(settings.resolved_storage_url)
    settle_own(database, storage)
    for bundle in map(read_bundle, folders):
        chosen = form or (bundle.default_form if settings.form == "auto" else settings.form)
        checkpoint_id, new = checkpoints.register(database, storage, utc_now(), bundle, chosen, command_actor())
        click.echo(f"{bundle.name} {chosen} is registered{'' if new else ' already'}, as {checkpoint_id}.")


@checkpoint.command("activate")
@click.argument("checkpoint_id", metavar="ID")
@click.option("--reason", default="", help="Why; it is kept in the audit trail.")
@click.option(
    "--leave-unscreened",
    is_flag=True,
    help="Go on although flagged scans that nobody has read, or runs, are left to a former checkpoint.",
)
@data_option
@explained
def activate(checkpoint_id: str, reason: str, leave_unscreened: bool, data: Path | None) -> None:
    """Make the checkpoint ID the one that new runs use and the worklist shows.

    What it has not screened is told. Where flagged scans that nobody has read or live runs are left to a former
    checkpoint, nothing is done without --leave-unscreened.
    """
    from screening.activation import left_behind, put_to_use
    from screening.clock import utc_now

    database = open_database(settings_beside(data))
    chosen = put_to_use(database, utc_now(), checkpoint_id, command_actor(), reason, leave_unscreened)
    click.echo(f"{chosen.name} ({chosen.id}) is active.")
    with database.read() as session:
        left = left_behind(session, checkpoint_id)
    if left.sentence is not None:
        click.echo(f"{left.sentence} `screening checkpoint screen-rest` screens what is left.")


@checkpoint.command("screen-rest")
@data_option
@explained
def screen_rest(data: Path | None) -> None:
    """Screen what the active checkpoint has not screened yet, in a run of the lane archive."""
    from screening.activation import screen_the_rest
    from screening.clock import utc_now

    with open_database(settings_beside(data)).write() as session:
        opened = screen_the_rest(session, utc_now(), command_actor())
    click.echo(f"Run {opened.run_id} screens {opened.jobs:,} scans; it begins within seconds.")


@checkpoint.command("candidate")
@click.argument("checkpoint_id", metavar="[ID]", required=False)
@data_option
@explained
def candidate(checkpoint_id: str | None, data: Path | None) -> None:
    """Make the checkpoint ID the candidate, which schedules try on the archive; without ID, have no candidate."""
    from screening.clock import utc_now
    from screening.rescreening import candidates

    with open_database(settings_beside(data)).write() as session:
        if checkpoint_id is None:
            candidates.withdraw(session, utc_now(), command_actor())
            click.echo("There is no candidate now.")
        else:
            chosen = candidates.nominate(session, utc_now(), checkpoint_id, command_actor())
            click.echo(f"{chosen.name} ({chosen.id}) is the candidate.")


@checkpoint.command("operating-point")
@click.argument("checkpoint_id", metavar="ID")
@click.argument("point", metavar="POINT")
@click.option("--likely", type=float, help="The likely threshold. [default: the one in force]")
@click.option("--reason", required=True, help="Why; it is kept in the audit trail.")
@data_option
@explained
def operating_point(checkpoint_id: str, point: str, likely: float | None, reason: str, data: Path | None) -> None:
    """Flag scans of the checkpoint ID from POINT on: a threshold, or the name of an operating point of its card.

    Flagged scans at or over the likely threshold are likely, the others possible. Lists are ranked by it at once.
    """
    from screening import checkpoints
    from screening.clock import utc_now

    with open_database(settings_beside(data)).write() as session:
        try:
            threshold = float(point)
        except ValueError:
            threshold = checkpoints.card_threshold(session, checkpoint_id, point)
        change = checkpoints.set_operating_point(
            session, utc_now(), checkpoint_id, threshold, likely, reason, command_actor()
        )
        click.echo(
            f"{checkpoint_id} flags from {change.threshold:g} on ({change.name}), and calls likely from "
            f"{change.likely_threshold:g} on."
        )


def _find_bundle(which: str, settings: Settings, temporary: ExitStack) -> tuple[Bundle, str | None]:
    """(the bundle, None) of a folder, or (the bundle as it lies in storage, its form) of a checkpoint's id."""
    from screening import checkpoints
    from screening.storage import open_storage

    if Path(which).is_dir():
        return read_bundle(Path(which)), None
    with open_database(settings).read() as session:
        row = checkpoints.get(session, which)
    copy = temporary.enter_context(TemporaryDirectory(prefix="screening-"))
    return checkpoints.fetch_bundle(open_storage(settings.resolved_storage_url), which, Path(copy)), row.form
