"""Keyset pages: parts that are read by key in either direction, and sections of parts that are merged by rank."""

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, literal, tuple_
from sqlalchemy.orm import Session

from screening.cursors import decode_cursor, encode_cursor
from screening.database.base import LARGEST_ID
from screening.errors import Conflict

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Row:
    """An item before it is described, and where it stands."""

    section: int
    part: int
    key: Key
    rank: float
    scan: str
    job: int | None
    """None where the list is not of one run: then the latest job speaks for the scan."""
    probability: float | None


@dataclass(frozen=True)
class Part:
    """Rows (scan, job, probability) in the order of a key, all of its columns rising or all falling.

    The key is compared as one row value, which databases answer from an index that begins with the same columns.
    """

    statement: Select[*tuple[Any, ...]]
    key: dict[str, Any]
    """By the name of a column of the rows, what it is in SQL."""
    falling: bool
    rank: Callable[[Any], float]
    """Falls along the part; parts of a section are merged by it."""
    behind: Callable[[float], Key]
    """The key behind which all rows of a smaller rank stand, and no row of a larger one."""

    def rows(self, session: Session, limit: int, place: Key | None, backwards: bool = False) -> list[Any]:
        """At most `limit` rows behind the place, or before it if backwards (the nearest first)."""
        falls = self.falling != backwards
        columns = list(self.key.values())
        statement = self.statement
        if place is not None:
            values = [literal(value, column.type) for value, column in zip(place, columns, strict=True)]
            here, there = tuple_(*columns), tuple_(*values)
            statement = statement.where(here < there if falls else here > there)
            leading = list(self.key).index("job") if "job" in self.key else 0
            if leading:
                # A row value over two tables starts no look into an index; what it says of the first table alone does.
                first, start = tuple_(*columns[:leading]), tuple_(*values[:leading])
                statement = statement.where(first <= start if falls else first >= start)
        ordered = statement.order_by(*(column.desc() if falls else column for column in columns))
        return list(session.execute(ordered.limit(limit)).all())


Section = tuple[Part, ...]


@dataclass(frozen=True)
class Place:
    """Behind what a page begins: a section, and in it the last key of each part that was listed, if any was."""

    section: int
    keys: tuple[Key | None, ...]

    def encode(self, checkpoint: str) -> str:
        """A cursor of the list of this checkpoint."""
        return encode_cursor(checkpoint, self.section, *self.keys)


def decode_place(cursor: str, sections: Sequence[Section], checkpoint: str) -> Place:
    """Raises Refused for a cursor that was not made for such a list, Conflict for one of another checkpoint's list: its
    pages do not join this one's, so that scans would come twice or never."""

    def read(of: Any, section: Any, *keys: Any) -> tuple[str, Place]:
        if not isinstance(of, str) or not isinstance(section, int) or not 0 <= section < len(sections):
            raise ValueError("the list has no such section")
        parts = sections[section]
        return of, Place(section, tuple(_key(part, key) for part, key in zip(parts, keys, strict=True)))

    of, place = decode_cursor(cursor, read)
    if of != checkpoint:
        raise Conflict(
            "other_checkpoint",
            "Another checkpoint was put in use since this list was begun, and it ranks the scans otherwise. Start "
            "again at the first page.",
        )
    return place


def forward(
    session: Session, sections: Sequence[Section], limit: int, place: Place | None
) -> tuple[list[Row], Place | None]:
    """(at most `limit` rows behind the place, the place behind the last of them or None at the end of the list)."""
    start = place or Place(0, (None,) * len(sections[0]))
    found: list[Row] = []
    for number in range(start.section, len(sections)):
        keys = start.keys if number == start.section else (None,) * len(sections[number])
        found += _merged(session, sections, number, limit + 1 - len(found), keys)
        if len(found) > limit:
            break
    page = found[:limit]
    if len(found) <= limit:
        return page, None
    last = page[-1].section
    keys = start.keys if last == start.section else (None,) * len(sections[last])
    latest = {row.part: row.key for row in page if row.section == last}
    return page, Place(last, tuple(latest.get(part, key) for part, key in enumerate(keys)))


def around(
    session: Session, sections: Sequence[Section], here: Row, before: int, behind: int
) -> tuple[list[Row], list[Row]]:
    """(rows before this place, the nearest first; rows behind it), whether or not a row stands in it now."""
    parts = sections[here.section]
    keys = tuple(here.key if part == here.part else each.behind(here.rank) for part, each in enumerate(parts))
    following = forward(session, sections, behind, Place(here.section, keys))[0]
    earlier: list[Row] = []
    for number in range(here.section, -1, -1):
        known = keys if number == here.section else (None,) * len(sections[number])
        earlier += _merged(session, sections, number, before - len(earlier), known, backwards=True)
        if len(earlier) >= before:
            break
    return earlier, following


def _merged(
    session: Session,
    sections: Sequence[Section],
    number: int,
    limit: int,
    keys: Sequence[Key | None],
    backwards: bool = False,
) -> list[Row]:
    if limit <= 0:
        return []
    streams = [
        _rows(part, number, index, part.rows(session, limit, key, backwards))
        for index, (part, key) in enumerate(zip(sections[number], keys, strict=True))
    ]
    if len(streams) == 1:
        return list(streams[0])
    merged = heapq.merge(*streams, key=lambda row: row.rank if backwards else -row.rank)
    return list(itertools.islice(merged, limit))


def _rows(part: Part, section: int, index: int, found: Sequence[Any]) -> Iterator[Row]:
    for row in found:
        key = tuple(getattr(row, name) for name in part.key)
        yield Row(section, index, key, part.rank(row), row.scan, row.job, row.probability)


def _key(part: Part, given: Any) -> Key | None:
    """A key from a cursor, checked: no database is asked for something that it could not hold."""
    if given is None:
        return None
    key = []
    for name, value in zip(part.key, given, strict=True):
        if name == "scan":
            fits = isinstance(value, str) and value.isalnum()
        elif name == "job":
            fits = isinstance(value, int) and 0 <= value <= LARGEST_ID
        else:
            fits = isinstance(value, int | float) and -1 <= value <= 2
        if not fits:
            raise ValueError(f"no {name} is like this")
        key.append(value)
    return tuple(key)
