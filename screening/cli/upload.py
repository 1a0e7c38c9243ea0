"""`screening upload`: send files and folders, and account for every file."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from screening.cli.connection import Server, client_command
from screening.cli.display import errors_console, print_json, print_table, print_worklist, printable, run_line
from screening.client import runs
from screening.client.errors import ClientError
from screening.client.files import Found, find_files
from screening.client.http import Connection
from screening.client.uploading import FileReceipt, Upload

HEAD = 10
NOT_ALL = 3
INTERRUPTED = 130
_CLOSED = ("run_closed", "unknown_run")
"""What the server says of a run that takes nothing more, however often it is asked."""


@click.command
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option("--name", help="Name of the run. [default: the name of the first path]")
@click.option(
    "--lane",
    type=click.Choice(["urgent", "routine", "archive"]),
    default="routine",
    show_default=True,
    help="How urgent it is.",
)
@click.option("--run", "run_id", type=click.IntRange(min=1), help="Send into this open run, as after an interruption.")
@click.option("--wait", is_flag=True, help="Wait until the run has ended, and show the top of its worklist.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: run, receipts, totals.")
@client_command
def upload(
    server: Server, paths: tuple[Path, ...], name: str | None, lane: str, run_id: int | None, wait: bool, as_json: bool
) -> None:
    """Send files and folders of X-rays as one run. What the server has already is not sent again.

    Folders are walked; hidden files are left out. DICOM, JPEG, PNG, TIFF, zip and tar are taken; every file gets a
    receipt that says whether it was accepted.

    \b
    Exit codes: 0 all files are in (with --wait: and screened); 1 it could not be done; 2 wrong call;
    3 it is done, but some files were rejected or folders left out (with --wait: or scans could not be screened).
    """
    found = find_files(paths)
    if not found.files:
        why = "".join(f" Left out: {printable(problem)}." for problem in found.problems)
        raise ClientError(f"There is no file to send in {', '.join(str(path) for path in paths)}.{why}")
    with server.connect() as connection:
        if run_id is None:
            run_id = runs.open_run(connection, name if name is not None else _name_of(paths), lane)["id"]
        receipts = _send(connection, run_id, found, as_json)
        run = runs.submit_run(connection, run_id)
        items: list[dict[str, Any]] = []
        if wait:
            run = _wait(connection, run_id)
            items = list(runs.worklist_items(connection, run_id, None, HEAD)[0])
    if as_json:
        print_json({**_document(run, receipts, found), **({"worklist": items} if wait else {})})
    else:
        _account(run, receipts, found)
        if wait:
            print_worklist(items)
    rejected = any(receipt.status == "rejected" for receipt in receipts)
    if rejected or found.problems or (wait and runs.not_screened(run)):
        click.get_current_context().exit(NOT_ALL)


def _name_of(paths: tuple[Path, ...]) -> str:
    first = printable(paths[0].resolve().name)[:150]
    return first if len(paths) == 1 else f"{first} and {len(paths) - 1} more"


def _send(connection: Connection, run_id: int, found: Found, as_json: bool) -> list[FileReceipt]:
    console = errors_console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[done]:,} of {task.fields[files]:,}"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        total = sum(_size(file.path) for file in found.files)
        task = progress.add_task("sending", total=total, done=0, files=len(found.files))

        def note(receipt: FileReceipt, size: int) -> None:
            progress.update(task, advance=size, done=len(sending.receipts))

        sending = Upload(connection, run_id, note)
        try:
            sending.send(found.files)
        except ClientError as error:
            progress.stop()
            if as_json:
                print_json({"error": str(error), **_document({"id": run_id}, sending.receipts, found)})
            if error.code in _CLOSED:
                raise
            raise ClientError(f"{error} {_resume(run_id, len(sending.receipts), len(found.files))}") from error
        except KeyboardInterrupt:
            progress.stop()
            click.echo(f"Interrupted. {_resume(run_id, len(sending.receipts), len(found.files))}", err=True)
            # The sending threads may be in the middle of a large file; Python would wait for them at its end.
            os._exit(INTERRUPTED)
    return sending.receipts


def _resume(run_id: int, done: int, files: int) -> str:
    return (
        f"{done:,} of {files:,} files have a receipt and run {run_id} is still open: "
        f"call this again with --run {run_id}, and only what is missing is sent."
    )


def _wait(connection: Connection, run_id: int) -> dict[str, Any]:
    console = errors_console()
    columns = (TextColumn("screening"), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None)

        def note(run: dict[str, Any]) -> None:
            progress.update(
                task, description=run_line(run), total=run["counts"]["total"] or None, completed=runs.ended_jobs(run)
            )

        try:
            return runs.watch_run(connection, run_id, note)
        except KeyboardInterrupt:
            progress.stop()
            click.echo(f"The server goes on; `screening status {run_id} --watch` shows how far it is.", err=True)
            raise


def _account(run: dict[str, Any], receipts: list[FileReceipt], found: Found) -> None:
    refused = [receipt for receipt in receipts if receipt.status == "rejected"]
    if refused:
        print_table(("not accepted", "reason"), [(receipt.path, receipt.reason or "") for receipt in refused])
    for problem in found.problems:
        click.echo(f"Left out: {printable(problem)}", err=True)
    totals = _totals(receipts)
    line = (
        f"{totals['files']:,} files: {totals['accepted']:,} accepted, "
        f"{totals['duplicate']:,} the server had already, {totals['rejected']:,} rejected"
    )
    if found.skipped:
        line += f"; {found.skipped:,} hidden or system files were left out"
    click.echo(f"{line}.")
    click.echo(run_line(run))


def _totals(receipts: list[FileReceipt]) -> dict[str, int]:
    by_status = Counter(receipt.status for receipt in receipts)
    return {"files": len(receipts), **{status: by_status[status] for status in ("accepted", "duplicate", "rejected")}}


def _document(run: dict[str, Any], receipts: list[FileReceipt], found: Found) -> dict[str, Any]:
    return {
        "run": run,
        "totals": _totals(receipts),
        "skipped": found.skipped,
        "problems": found.problems,
        "receipts": [receipt.as_dict() for receipt in receipts],
    }


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
