"""The list of a comparison: every pair, the largest change of probability first, in pages cut by key."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session

from screening.bands import Band
from screening.comparison.pairs import NO_VERDICTS, Comparison, Kind, Pairs
from screening.cursors import decode_cursor, encode_cursor
from screening.database.tables import Scan

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
    fractured: bool | None
    """What a reader decided, or None where nobody did yet."""
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
    session: Session,
    comparison: Comparison,
    kind: Kind | None = None,
    limit: int = 100,
    cursor: str | None = None,
    verdicts: Mapping[str, bool] = NO_VERDICTS,
) -> ComparisonPage:
    """One page of the pairs, or of those of one kind. Raises Refused for a cursor that was not made here.

    verdicts: by scan, whether a reader decided that it shows a fracture.
    """
    limit = max(1, min(limit, LARGEST_PAGE))
    pairs = Pairs(comparison)
    statement = _ranked(pairs, kind).limit(limit + 1)
    if cursor:
        change, scan = decode_cursor(cursor, _place)
        statement = statement.where(or_(pairs.change < change, and_(pairs.change == change, pairs.scan > scan)))
    rows = session.execute(_described(statement)).all()
    items = [_item(comparison, row, verdicts) for row in rows[:limit]]
    return ComparisonPage(items, _encode(items[-1]) if len(rows) > limit else None)


def whole_comparison(
    session: Session, comparison: Comparison, kind: Kind | None = None, verdicts: Mapping[str, bool] = NO_VERDICTS
) -> Iterator[ComparedScan]:
    """Every item in one pass, a thousand rows in memory at a time, for exports."""
    # Sorted once, after the facts of the scans are joined.
    statement = _described(_ranked(Pairs(comparison), kind).order_by(None))
    for row in session.execute(statement.execution_options(yield_per=_ROWS_AT_ONCE)):
        yield _item(comparison, row, verdicts)


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


def _item(comparison: Comparison, row: Any, verdicts: Mapping[str, bool]) -> ComparedScan:
    return ComparedScan(
        scan=row.scan,
        file_name=row.file_name,
        kind=comparison.kind(row.before, row.after),
        before=row.before,
        after=row.after,
        change=row.after - row.before,
        band_before=comparison.before.band(row.before),
        band_after=comparison.after.band(row.after),
        fractured=verdicts.get(row.scan),
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
