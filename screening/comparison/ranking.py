"""The list of a comparison: every pair, the largest change of probability first, in pages cut by key."""

from collections.abc import Callable, Iterator, Sequence
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
from screening.reviews.verdicts import decided_by

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
    """What readers decided; None where nobody did, or they disagree, or it is kept back."""
    kept_back: bool
    """Whether what readers decided is shown to the one who asks only after their own review."""
    body_part: str | None
    view: str | None
    laterality: str | None
    study: str | None
    received_at: datetime


Place = tuple[float, str]
"""Where a page ended: the distance of its last pair, and its scan."""


@dataclass(frozen=True, slots=True)
class RankedPair:
    scan: str
    before: float
    after: float
    distance: float
    """Between both probabilities; the list falls by it."""


Ranker = Callable[[Session, Comparison, Kind | None, Place | None, int], Sequence[RankedPair]]


@dataclass(frozen=True)
class ComparisonPage:
    items: list[ComparedScan]
    next: str | None
    """Cursor of the next page; None at the end."""


def ranked_after(
    session: Session, comparison: Comparison, kind: Kind | None, after: Place | None, number: int
) -> list[RankedPair]:
    """So many pairs behind a place in the list, or from its beginning."""
    pairs = Pairs(comparison)
    statement = _ranked(pairs, kind).limit(number)
    if after is not None:
        change, scan = after
        statement = statement.where(or_(pairs.change < change, and_(pairs.change == change, pairs.scan > scan)))
    return [RankedPair(*row) for row in session.execute(statement)]


def comparison_page(
    session: Session,
    comparison: Comparison,
    kind: Kind | None = None,
    limit: int = 100,
    cursor: str | None = None,
    ranker: Ranker = ranked_after,
    reader: str = "",
) -> ComparisonPage:
    """One page of the pairs, or of those of one kind, as `reader` may see it.

    Raises Refused for a cursor that was not made here.
    """
    limit = max(1, min(limit, LARGEST_PAGE))
    after = decode_cursor(cursor, _place) if cursor else None
    pairs = ranker(session, comparison, kind, after, limit + 1)
    facts = {
        row.scan: row
        for row in session.execute(_facts(Scan.id.label("scan")).where(Scan.id.in_([pair.scan for pair in pairs])))
    }
    rows = [(pair, facts[pair.scan]) for pair in pairs[:limit] if pair.scan in facts]
    items = _items(session, comparison, rows, reader)
    return ComparisonPage(items, _encode(pairs[limit - 1]) if len(pairs) > limit else None)


def whole_comparison(
    session: Session, comparison: Comparison, kind: Kind | None = None, reader: str = ""
) -> Iterator[ComparedScan]:
    """Every item in one pass as `reader` may see it, a thousand rows in memory at a time, for exports."""
    pairs = _ranked(Pairs(comparison), kind).order_by(None).subquery()
    # Sorted once, after the facts of the scans are joined.
    statement = (
        _facts(*pairs.c).join(pairs, pairs.c.scan == Scan.id).order_by(pairs.c.distance.desc(), pairs.c.scan)
    ).execution_options(yield_per=_ROWS_AT_ONCE)
    for rows in session.execute(statement).partitions():
        yield from _items(session, comparison, [(row, row) for row in rows], reader)


def _ranked(pairs: Pairs, kind: Kind | None) -> Select[*tuple[Any, ...]]:
    statement = pairs.select(
        pairs.scan.label("scan"),
        pairs.before.label("before"),
        pairs.after.label("after"),
        pairs.change.label("distance"),
    ).order_by(pairs.change.desc(), pairs.scan)
    return statement if kind is None else statement.where(pairs.of_kind(kind))


def _facts(*columns: Any) -> Select[*tuple[Any, ...]]:
    """These columns, and what a list shows of each scan."""
    return select(
        *columns, Scan.file_name, Scan.body_part, Scan.view, Scan.laterality, Scan.study, Scan.received_at
    ).select_from(Scan)


def _items(
    session: Session, comparison: Comparison, rows: Sequence[tuple[Any, Any]], reader: str
) -> list[ComparedScan]:
    """rows: (a pair, the facts of its scan)."""
    scans = [pair.scan for pair, _ in rows]
    truth, own = truth_of(session, scans), decided_by(session, reader, scans)
    return [
        ComparedScan(
            scan=pair.scan,
            file_name=facts.file_name,
            kind=comparison.kind(pair.before, pair.after),
            before=pair.before,
            after=pair.after,
            change=pair.after - pair.before,
            band_before=comparison.before.band(pair.before),
            band_after=comparison.after.band(pair.after),
            reviewed=pair.scan in truth,
            fractured=truth.get(pair.scan) if pair.scan in own else None,
            kept_back=pair.scan in truth and pair.scan not in own,
            body_part=facts.body_part,
            view=facts.view,
            laterality=facts.laterality,
            study=facts.study,
            received_at=facts.received_at,
        )
        for pair, facts in rows
    ]


def _encode(pair: RankedPair) -> str:
    return encode_cursor(pair.distance, pair.scan)


def _place(change: Any, scan: Any) -> Place:
    if not isinstance(scan, str) or not scan.isalnum():
        raise ValueError("no scan has such an id")
    return float(change), scan
