"""The list of a comparison: every pair, the largest change of probability first, in pages cut by key."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session

from screening.bands import Band
from screening.comparison.pairs import Comparison, Kind, Pairs
from screening.cursors import decode_cursor, encode_cursor
from screening.database.tables import Scan
from screening.reviews.truth import truth_of

LARGEST_PAGE = 500
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class ComparedScan:
    scan: str
    file_name: str
    kind: Kind
    before: float
    after: float
    change: float
    """After less before."""
    band_before: Band
    band_after: Band
    reviewed: bool
    """Whether a reader has reviewed it, whatever came of it."""
    fractured: bool | None
    """What readers decided; None where nobody did, or they disagree."""
    body_part: str | None
    view: str | None
    laterality: str | None
    study: str | None
    received_at: datetime


@dataclass(frozen=True)
class ComparisonPage:
    items: list[ComparedScan]
    next: str | None
    """Cursor of the next page; None at the end."""


def comparison_page(
    session: Session, comparison: Comparison, kind: Kind | None = None, limit: int = 100, cursor: str | None = None
) -> ComparisonPage:
    """One page of the pairs, or of those of one kind. Raises Refused for a cursor that was not made here."""
    limit = max(1, min(limit, LARGEST_PAGE))
    pairs = Pairs(comparison)
    statement = _ranked(pairs, kind).limit(limit + 1)
    if cursor:
        change, scan = decode_cursor(cursor, _place)
        statement = statement.where(or_(pairs.change < change, and_(pairs.change == change, pairs.scan > scan)))
    rows = session.execute(_described(statement)).all()
    items = _items(session, comparison, rows[:limit])
    return ComparisonPage(items, _encode(items[-1]) if len(rows) > limit else None)


def whole_comparison(session: Session, comparison: Comparison, kind: Kind | None = None) -> Iterator[ComparedScan]:
    """Every item in one pass, a thousand rows in memory at a time, for exports."""
    # Sorted once, after the facts of the scans are joined.
    statement = _described(_ranked(Pairs(comparison), kind).order_by(None))
    for rows in session.execute(statement.execution_options(yield_per=_ROWS_AT_ONCE)).partitions():
        yield from _items(session, comparison, rows)


def _ranked(pairs: Pairs, kind: Kind | None) -> Select[*tuple[Any, ...]]:
    statement = pairs.select(
        pairs.scan.label("scan"),
        pairs.before.label("before"),
        pairs.after.label("after"),
        pairs.change.label("distance"),
    ).order_by(pairs.change.desc(), pairs.scan)
    return statement if kind is None else statement.where(pairs.of_kind(kind))


def _described(ranked: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """With what is known of each scan, looked up only for the rows of the page."""
    page = ranked.subquery()
    return (
        select(
            page,
            Scan.file_name,
            Scan.body_part,
            Scan.view,
            Scan.laterality,
            Scan.study,
            Scan.received_at,
        )
        .join(Scan, Scan.id == page.c.scan)
        .order_by(page.c.distance.desc(), page.c.scan)
    )


def _items(session: Session, comparison: Comparison, rows: Sequence[Any]) -> list[ComparedScan]:
    truth = truth_of(session, [row.scan for row in rows])
    return [_item(comparison, row, row.scan in truth, truth.get(row.scan)) for row in rows]


def _item(comparison: Comparison, row: Any, reviewed: bool, fractured: bool | None) -> ComparedScan:
    return ComparedScan(
        scan=row.scan,
        file_name=row.file_name,
        kind=comparison.kind(row.before, row.after),
        before=row.before,
        after=row.after,
        change=row.after - row.before,
        band_before=comparison.before.band(row.before),
        band_after=comparison.after.band(row.after),
        reviewed=reviewed,
        fractured=fractured,
        body_part=row.body_part,
        view=row.view,
        laterality=row.laterality,
        study=row.study,
        received_at=row.received_at,
    )


def _encode(item: ComparedScan) -> str:
    return encode_cursor(abs(item.change), item.scan)


def _place(change: Any, scan: Any) -> tuple[float, str]:
    if not isinstance(scan, str) or not scan.isalnum():
        raise ValueError("no scan has such an id")
    return float(change), scan
