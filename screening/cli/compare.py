"""`screening compare`: what another checkpoint changes for the scans that both have screened."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from screening.cli.connection import Server, client_command
from screening.cli.display import print_json, print_table

SHOWN = 20
KINDS = ("newly_flagged", "no_longer_flagged", "band_changed", "moved", "unchanged")


@click.command
@click.argument("before")
@click.argument("after")
@click.option("--run", type=click.IntRange(min=1), help="Only the scans of this run.")
@click.option("--body-part", help="Only scans of this body part.")
@click.option(
    "--moved", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="A change over it counts as a move."
)
@click.option("--kind", type=click.Choice(KINDS), help="List only scans of this kind.")
@click.option("--limit", type=click.IntRange(1, 500), default=SHOWN, show_default=True, help="List so many at most.")
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write all scans to this file as CSV instead of listing some; `-` for stdout.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as one JSON document.")
@client_command
def compare(
    server: Server,
    before: str,
    after: str,
    kind: str | None,
    limit: int,
    csv_file: Path | None,
    as_json: bool,
    **scope: Any,
) -> None:
    """Compare the checkpoints BEFORE and AFTER, named by their ids, over the scans that both have screened."""
    if csv_file is not None and as_json:
        raise click.UsageError("--csv writes the scans and --json prints the numbers; give one of them.")
    asked = {"before": before, "after": after, **scope}
    with server.connect() as connection:
        if csv_file is not None:
            _write(connection.get_text("/api/v1/comparisons.csv", **asked, kind=kind), csv_file)
            return
        summary = connection.get("/api/v1/comparisons/summary", **asked)
        if as_json:
            print_json(summary)
            return
        page = connection.get("/api/v1/comparisons", **asked, kind=kind, limit=limit)
    for sentence in summary["sentences"]:
        click.echo(sentence)
    if page["items"]:
        click.echo()
        print_table(("change", "before", "", "after", "", "file", "scan"), [_row(item) for item in page["items"]])
    if page["next"]:
        click.echo(f"The {limit} largest changes are shown; --limit gives more, --csv all.", err=True)


def _write(pieces: Iterable[str], target: Path) -> None:
    """Write all or nothing: an answer that breaks off leaves no file that looks complete."""
    if str(target) == "-":
        for piece in pieces:
            click.echo(piece, nl=False)
        return
    partial = target.with_name(f".{target.name}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as out:
            out.writelines(pieces)
        partial.replace(target)
    except OSError as error:
        raise click.ClickException(f"{target} cannot be written ({error.strerror}). Choose another file.") from error
    finally:
        partial.unlink(missing_ok=True)


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    return (
        f"{item['change']:+.3f}",
        _cut(item["before"]),
        item["band_before"].replace("_", " "),
        _cut(item["after"]),
        item["band_after"].replace("_", " "),
        item["file_name"],
        item["scan"],
    )


def _cut(probability: float) -> str:
    """Cut and not rounded, so that nothing under a threshold looks as if it were at it."""
    return f"{int(probability * 1000) / 1000:.3f}"
