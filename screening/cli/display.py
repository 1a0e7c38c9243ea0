"""Showing names, numbers and tables on a terminal, safely and alike in every command."""

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text


def printable(text: object) -> str:
    """Text without anything that a terminal would take for a command; file names come from anybody."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in str(text))


def errors_console() -> Console:
    """For progress and messages; stdout stays for results."""
    return Console(stderr=True, highlight=False)


def print_json(document: object) -> None:
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], to_stderr: bool = False) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column == "probability" else "left")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(stderr=to_stderr, highlight=False)
    if not console.is_terminal:
        # Lines are for the next program then: never folded.
        console = Console(stderr=to_stderr, highlight=False, width=1000)
    console.print(table)


def print_worklist(items: Sequence[dict[str, Any]]) -> None:
    rows = [
        (
            item["band"].replace("_", " "),
            # Cut and not rounded, so that nothing under a threshold looks as if it were at it.
            "" if item["probability"] is None else f"{int(item['probability'] * 1000) / 1000:.3f}",
            item["file_name"],
            item["run"],
            item["reason"] or "",
        )
        for item in items
    ]
    print_table(("band", "probability", "file", "run", "reason"), rows)


def run_line(run: dict[str, Any]) -> str:
    """A run in one line."""
    counts = run["counts"]
    waiting = counts["preparing"] + counts["queued"] + counts["screening"]
    flagged = f"{counts['flagged']:,} flagged"
    if counts["flagged"]:
        flagged += f" ({counts['likely']:,} likely, {counts['possible']:,} possible)"
    parts = [
        f"run {run['id']} {run['state']}",
        f"{counts['screened']:,} of {counts['total']:,} screened",
        flagged,
    ]
    if waiting:
        parts.append(f"{waiting:,} waiting")
    for name, label in (("rejected", "cannot be screened"), ("failed", "failed"), ("refused", "refused at the door")):
        if counts.get(name):
            parts.append(f"{counts[name]:,} {label}")
    if counts.get("unpacking"):
        parts.append(f"{counts['unpacking']:,} archives to unpack")
    if run.get("rate_per_s"):
        parts.append(f"{run['rate_per_s']:.1f}/s")
    if run.get("eta_s") is not None:
        parts.append(f"{run['eta_s']:.0f} s left")
    return ", ".join(parts)
