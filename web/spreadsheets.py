"""Lists as CSV, sent as they are read, without anything that a spreadsheet would take for a formula."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from flask import Response, stream_with_context

from web import trail

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
PIECE = 1 << 16
_IN_MEMORY = 4 << 20


def csv_response(name: str, pieces: Iterator[str]) -> Response:
    """A CSV file of this name, sent piece by piece; the audit trail tells of it."""
    trail.exported(name)
    return Response(
        stream_with_context(pieces),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def csv_pieces(columns: Sequence[str], items: Iterable[Any]) -> Iterator[str]:
    """The header, then a line for each item with its attributes of these names, in pieces of about 64 kB."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for item in items:
        writer.writerow(cell(getattr(item, column)) for column in columns)
        if buffer.tell() > PIECE:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def at_one_moment(pieces: Iterable[str]) -> IO[str]:
    """All of a file that is read in one transaction, kept aside until a client has taken it, however slow that is."""
    kept = SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="")  # noqa: SIM115  who sends it closes it
    kept.writelines(pieces)
    kept.seek(0)
    return kept


def cell(value: Any) -> str:
    """A value as text; what begins like a formula is quoted, because file names come from anybody."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
