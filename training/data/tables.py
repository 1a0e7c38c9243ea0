"""CSV tables with a header: every row whole, and every complaint with the file and the line."""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from training.data.example import DatasetError

COUNT = "fracture_count"
"""The one column of traits that counts; the others say yes or no."""


def read_rows(
    path: Path, required: Sequence[str], optional: Collection[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a table with their line numbers, the header being line 1. UTF-8, with or without a byte order mark.

    Raises DatasetError for a missing, unreadable or empty file, for missing, unknown or doubled columns, and for a row
    with too few or too many fields.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""))
    columns = _next_fields(path, reader) or []
    _check_columns(path, columns, required, optional)
    empty = True
    while (fields := _next_fields(path, reader)) is not None:
        if not fields:
            continue
        empty = False
        if len(fields) != len(columns):
            raise DatasetError(
                f"{path} row {reader.line_num}: it has {len(fields)} fields and not {len(columns)}; correct the row"
            )
        yield reader.line_num, dict(zip(columns, fields, strict=True))
    if empty:
        raise DatasetError(f"{path} holds no row below its header; write one row for each picture")


def check_traits(where: str, traits: dict[str, str]) -> None:
    """Raises DatasetError where a column that describes a picture holds what is not understood later."""
    for name, value in traits.items():
        if name == COUNT and not (value == "" or value.isdecimal()):
            raise DatasetError(f"{where}: {name} is {value!r}; write a whole number, or nothing")
        if name != COUNT and value not in ("", "0", "1"):
            raise DatasetError(f"{where}: {name} is {value!r}; write 0 or 1, or nothing")


def _next_fields(path: Path, reader: "csv._reader") -> list[str] | None:
    """The fields of the next row, None behind the last one."""
    first = reader.line_num + 1
    try:
        return next(reader, None)
    except csv.Error as error:
        raise DatasetError(
            f"{path} row {first}: it cannot be read ({error}); look for a quotation mark that is not closed"
        ) from error


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); name a folder with this file in it") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise DatasetError(f"{path} row {row}: it is not UTF-8 text; save the table as CSV in UTF-8") from error


def _check_columns(path: Path, columns: list[str], required: Sequence[str], optional: Collection[str]) -> None:
    if not columns:
        raise DatasetError(f"{path} is empty; its first row names the columns {', '.join(required)}")
    known = [*required, *(name for name in optional if name not in required)]
    wrong = {
        "missing": [name for name in required if name not in columns],
        "unknown": [name for name in columns if name not in known],
        "doubled": sorted({name for name in columns if columns.count(name) > 1}),
    }
    found = [f"{kind} columns {', '.join(names)}" for kind, names in wrong.items() if names]
    if found:
        raise DatasetError(f"{path} row 1: {'; '.join(found)}; known are {', '.join(known)}")
