"""The tables of reading: what readers decided, and who looks at what. Their schema comes from `migrations/` alone."""

from datetime import datetime

from sqlalchemy import Float, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from screening.database.base import Base, RowId

_IN_FORCE = text("withdrawn_at IS NULL")


class Review(Base):
    """What one reader decided about one scan. Rows are added and withdrawn, never changed: of one reader's reviews of a
    scan, the latest that is not withdrawn counts."""

    __tablename__ = "reviews"
    __table_args__ = (
        Index("ix_reviews_scan", "scan_id", "id", postgresql_where=_IN_FORCE, sqlite_where=_IN_FORCE),
        Index("ix_reviews_reader", "reader", "id"),
    )
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    scan_id: Mapped[str] = mapped_column(ForeignKey("scans.id"))
    reader: Mapped[str] = mapped_column(String(100))
    verdict: Mapped[str] = mapped_column(String(16))
    """fracture, no_fracture, unsure or poor_quality."""
    comment: Mapped[str | None] = mapped_column(Text)
    checkpoint_id: Mapped[str | None] = mapped_column(ForeignKey("checkpoints.id"))
    """The checkpoint whose result the reader was shown, its probability and its threshold at that moment; None for a
    scan that could not be screened."""
    probability: Mapped[float | None] = mapped_column(Float(53))
    threshold: Mapped[float | None] = mapped_column(Float(53))
    sampled: Mapped[bool]
    """Whether the scan was not flagged and came to the reader by the random sample alone."""
    sample_rate: Mapped[float | None] = mapped_column(Float(53))
    """The rate of the sample at that moment, over 0 to 1; None for a scan that was not sampled, and in rows of an
    earlier release, which did not keep it."""
    reviewed_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


class Hold(Base):
    """A reader has this scan open; until the hold ends, others are shown it as taken."""

    __tablename__ = "holds"
    scan_id: Mapped[str] = mapped_column(ForeignKey("scans.id"), primary_key=True)
    reader: Mapped[str] = mapped_column(String(100))
    held_since: Mapped[datetime]
    held_until: Mapped[datetime]
