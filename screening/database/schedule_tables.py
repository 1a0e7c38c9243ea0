"""The tables of overnight re-screening. Their schema reaches a database through `migrations/` alone."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from screening.database.base import Base, RowId


class Schedule(Base):
    """When the archive is screened again, by which checkpoint, and which scans of it."""

    __tablename__ = "schedules"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    cron: Mapped[str] = mapped_column(String(100))
    time_zone: Mapped[str] = mapped_column(String(64))
    """An IANA name; `cron` and `window_end` are wall-clock times there."""
    window_end: Mapped[str] = mapped_column(String(5))
    """HH:MM. A firing's window ends when the clocks of `time_zone` next show it."""
    checkpoint_id: Mapped[str | None] = mapped_column(ForeignKey("checkpoints.id"))
    """None stands for the candidate at the time of the firing."""
    selection: Mapped[dict[str, Any]]
    most_scans: Mapped[int | None]
    """So many jobs at most in one run; None for no limit."""
    paused: Mapped[bool] = mapped_column(default=False)
    counts_from: Mapped[datetime]
    """Only what is due after it fires: the schedule was made, changed or resumed then."""
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Firing(Base):
    """One time that a schedule was due, and what came of it. The unique row is what keeps a firing single."""

    __tablename__ = "firings"
    __table_args__ = (
        UniqueConstraint("schedule_id", "scheduled_for"),
        Index(
            "ix_firings_open",
            "window_until",
            postgresql_where=text("ended_at IS NULL"),
            sqlite_where=text("ended_at IS NULL"),
        ),
    )
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedules.id"))
    scheduled_for: Mapped[datetime]
    window_until: Mapped[datetime]
    fired_at: Mapped[datetime]
    asked_by: Mapped[str | None] = mapped_column(String(100))
    """Who had it run now; None where the clock did."""
    late: Mapped[bool] = mapped_column(default=False)
    """Caught up after it was missed."""
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"), index=True)
    jobs: Mapped[int | None]
    """How many jobs it opened; None where it went on with a run that was there."""
    renditions: Mapped[int | None]
    """How many renditions had to be made anew for them."""
    plan: Mapped[dict[str, Any] | None]
    """The selection and the limit that its run was opened for; None where it opened none, or an older release did."""
    remark: Mapped[str | None] = mapped_column(Text)
    """A sentence for people about the selected scans that were left out."""
    screened: Mapped[int | None]
    """How many jobs of the run were screened while it was open, and below how many were rejected and failed. None
    until it is over for a moment, and where it had no run."""
    rejected: Mapped[int | None]
    failed: Mapped[int | None]
    ended_at: Mapped[datetime | None]
    note: Mapped[str | None] = mapped_column(String(40))
    """Why it ended: see `screening.rescreening.notes.NOTES`."""


class Archive(Base):
    """A folder or bucket that is visited again and again, so that what is new in it is admitted."""

    __tablename__ = "archives"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    """file:///folder or s3://bucket/prefix."""
    in_place: Mapped[bool] = mapped_column(default=False)
    cron: Mapped[str] = mapped_column(String(100))
    time_zone: Mapped[str] = mapped_column(String(64))
    visit_wanted: Mapped[bool] = mapped_column(default=False)
    """A person asked for a visit, or one was cut short."""
    visited_for: Mapped[datetime]
    """Visits that were due up to this moment are done or under way."""
    visited_at: Mapped[datetime | None]
    found: Mapped[int] = mapped_column(BigInteger, default=0)
    """Files that the latest visit saw, and below how many of them it admitted or refused."""
    admitted: Mapped[int] = mapped_column(BigInteger, default=0)
    refused: Mapped[int] = mapped_column(BigInteger, default=0)
    problem: Mapped[str | None] = mapped_column(Text)
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None]
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class ArchiveFile(Base):
    """A file of an archive as a visit saw it; with the same size and time it is not read again."""

    __tablename__ = "archive_files"
    __table_args__ = (UniqueConstraint("archive_id", "path"),)
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    archive_id: Mapped[int] = mapped_column(ForeignKey("archives.id"))
    path: Mapped[str] = mapped_column(Text)
    """Below the archive's folder or prefix."""
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    modified: Mapped[str] = mapped_column(String(80))
    """The modification time in nanoseconds, or a bucket's entity tag."""
    sha256: Mapped[str | None] = mapped_column(String(64))
    seen_at: Mapped[datetime]
