"""Reading the receipts of a run: page by page, counted, all of them, or only the refusals."""

from collections.abc import Iterator, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from screening.database.tables import Receipt

STATUSES = ("accepted", "duplicate", "rejected")
_AT_A_TIME = 1000


def receipts_of(
    session: Session, run_id: int, after: int = 0, limit: int = 1000, status: str | None = None
) -> Sequence[Receipt]:
    """Receipts of a run, of one status where it is given, in the order in which the files came."""
    statement = select(Receipt).where(Receipt.run_id == run_id, Receipt.id > after).order_by(Receipt.id).limit(limit)
    return session.scalars(statement.where(Receipt.status == status) if status else statement).all()


def every_receipt(session: Session, run_id: int) -> Iterator[Receipt]:
    """All of them, read a thousand at a time."""
    after = 0
    while page := receipts_of(session, run_id, after, _AT_A_TIME):
        yield from page
        after = page[-1].id
        session.expunge_all()


def receipt_counts(session: Session, run_id: int) -> dict[str, int]:
    """How many receipts of a run there are of each status."""
    statement = select(Receipt.status, func.count()).where(Receipt.run_id == run_id).group_by(Receipt.status)
    return {**dict.fromkeys(STATUSES, 0), **dict(session.execute(statement).all())}
