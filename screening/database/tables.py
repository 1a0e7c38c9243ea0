"""The tables. Their schema reaches a database through `migrations/` alone."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from screening.database.base import Base, RowId

_MUST_LOOK = text("state IN ('rejected', 'failed')")


class Leased:
    """The columns of anything that a worker claims: attempts are counted before the risk is taken."""

    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None]
    problem_code: Mapped[str | None] = mapped_column(String(40))
    problem: Mapped[str | None] = mapped_column(Text)


class Scan(Base):
    __tablename__ = "scans"
    __table_args__ = (
        # What all originals take is added up again and again where there is a quota, over millions of rows.
        Index("ix_scans_kept", "original_in_place", "original_removed_at", "size_bytes"),
    )
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """The first 32 hex digits of the SHA-256."""
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(40))
    file_name: Mapped[str] = mapped_column(Text)
    """The name it first arrived under."""
    received_at: Mapped[datetime] = mapped_column(index=True)
    study: Mapped[str | None] = mapped_column(String(32), index=True)
    """A keyed hash of the study's identifier; the identifier itself is not kept."""
    modality: Mapped[str | None] = mapped_column(String(16))
    body_part: Mapped[str | None] = mapped_column(String(40), index=True)
    view: Mapped[str | None] = mapped_column(String(40))
    laterality: Mapped[str | None] = mapped_column(String(8))
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    original_removed_at: Mapped[datetime | None]
    """The original was removed after its time, or is lost; a file sent again brings it back."""
    original_in_place: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Storage has a reference to a file of an archive, and not the bytes."""
    erased_at: Mapped[datetime | None]
    """Erased by order: nothing but this row and its hash is left, so that the same bytes are not taken again."""


class Rendition(Leased, Base):
    __tablename__ = "renditions"
    __table_args__ = (
        Index(
            "ix_renditions_claim",
            "lane",
            "attempts",
            "queued_at",
            postgresql_where=text("state = 'waiting'"),
            sqlite_where=text("state = 'waiting'"),
        ),
        Index(
            "ix_renditions_lease",
            "lease_until",
            postgresql_where=text("state = 'working'"),
            sqlite_where=text("state = 'working'"),
        ),
    )
    scan_id: Mapped[str] = mapped_column(ForeignKey("scans.id"), primary_key=True)
    spec: Mapped[str] = mapped_column(String(16), primary_key=True)
    state: Mapped[str] = mapped_column(String(12))
    lane: Mapped[int] = mapped_column(SmallInteger)
    queued_at: Mapped[datetime]
    width: Mapped[int | None]
    height: Mapped[int | None]
    finished_at: Mapped[datetime | None]


class Checkpoint(Base):
    __tablename__ = "checkpoints"
    __table_args__ = (
        Index(
            "uq_checkpoints_active", "active", unique=True, postgresql_where=text("active"), sqlite_where=text("active")
        ),
        Index(
            "uq_checkpoints_candidate",
            "candidate",
            unique=True,
            postgresql_where=text("candidate"),
            sqlite_where=text("candidate"),
        ),
    )
    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    form: Mapped[str] = mapped_column(String(16))
    active: Mapped[bool] = mapped_column(default=False)
    rendition_spec: Mapped[str] = mapped_column(String(16))
    card: Mapped[dict[str, Any]]
    registered_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    candidate: Mapped[bool] = mapped_column(default=False, server_default=false())
    """The one that schedules try on the archive while another is active."""


class OperatingPointChange(Base):
    """Which thresholds apply; the latest row of a checkpoint is in force."""

    __tablename__ = "operating_point_changes"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    checkpoint_id: Mapped[str] = mapped_column(ForeignKey("checkpoints.id"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    threshold: Mapped[float] = mapped_column(Float(53))
    """A scan at or over it is flagged; the promise of sensitivity was measured for it."""
    likely_threshold: Mapped[float] = mapped_column(Float(53), server_default="1")
    """A flagged scan at or over it is likely, under it possible. Never below `threshold`. The database's own value is
    for rows that an older release writes while a newer one is being rolled out."""
    reason: Mapped[str] = mapped_column(Text)
    set_by: Mapped[str] = mapped_column(String(100))
    set_at: Mapped[datetime]


class Run(Base):
    __tablename__ = "runs"
    __table_args__ = (Index("ix_runs_state_lane_id", "state", "lane", "id"),)
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    lane: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[str] = mapped_column(String(12))
    checkpoint_id: Mapped[str] = mapped_column(ForeignKey("checkpoints.id"))
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    paused_by: Mapped[str | None] = mapped_column(String(100))
    """Who paused it, while it is paused: a schedule goes on only with what a schedule paused."""
    remark: Mapped[str | None] = mapped_column(Text)
    """A sentence for people about what is special in this run."""


class Job(Leased, Base):
    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("run_id", "scan_id", "file_name"),
        Index("ix_jobs_claim", "run_id", "state", "attempts", "id"),
        Index("ix_jobs_finished", "run_id", "finished_at"),
        Index("ix_jobs_must_look", "id", postgresql_where=_MUST_LOOK, sqlite_where=_MUST_LOOK),
        Index("ix_jobs_must_look_scan", "scan_id", postgresql_where=_MUST_LOOK, sqlite_where=_MUST_LOOK),
        Index(
            "ix_jobs_lease",
            "lease_until",
            postgresql_where=text("state = 'screening'"),
            sqlite_where=text("state = 'screening'"),
        ),
    )
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"))
    scan_id: Mapped[str] = mapped_column(ForeignKey("scans.id"), index=True)
    file_name: Mapped[str] = mapped_column(Text)
    """Under which name the scan came in this run; the same picture under two names is two jobs of one scan."""
    state: Mapped[str] = mapped_column(String(12))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class Prediction(Base):
    __tablename__ = "predictions"
    __table_args__ = (
        UniqueConstraint("scan_id", "checkpoint_id"),
        Index("ix_predictions_rank", "checkpoint_id", "probability", "scan_id"),
        CheckConstraint("probability >= 0 AND probability <= 1", name="probability_range"),
    )
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    scan_id: Mapped[str] = mapped_column(ForeignKey("scans.id"))
    checkpoint_id: Mapped[str] = mapped_column(ForeignKey("checkpoints.id"))
    probability: Mapped[float] = mapped_column(Float(53))
    activation_map: Mapped[bytes] = mapped_column(LargeBinary)
    engine: Mapped[str] = mapped_column(String(60))
    worker: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[datetime]


class Container(Leased, Base):
    """A zip or tar file whose members are yet to be submitted to its run."""

    __tablename__ = "containers"
    __table_args__ = (UniqueConstraint("run_id", "sha256"),)
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    file_name: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(12), index=True)
    lane: Mapped[int] = mapped_column(SmallInteger)
    queued_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class Receipt(Base):
    """What became of one submitted file."""

    __tablename__ = "receipts"
    __table_args__ = (
        UniqueConstraint("run_id", "sha256", "file_name"),
        Index("ix_receipts_run", "run_id", "id"),
        Index(
            "ix_receipts_rejected",
            "run_id",
            "id",
            postgresql_where=text("status = 'rejected'"),
            sqlite_where=text("status = 'rejected'"),
        ),
    )
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"))
    file_name: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str | None] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    scan_id: Mapped[str | None] = mapped_column(ForeignKey("scans.id"))
    container_id: Mapped[int | None] = mapped_column(ForeignKey("containers.id"))
    status: Mapped[str] = mapped_column(String(12))
    code: Mapped[str | None] = mapped_column(String(40))
    reason: Mapped[str | None] = mapped_column(Text)
    received_at: Mapped[datetime]


class Installation(Base):
    """Which installation this database is of: one row, made at its first start (`screening.upkeep.ownership`)."""

    __tablename__ = "installation"
    __table_args__ = (CheckConstraint("single = 1", name="one_row"),)
    single: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(String(32))


class Worker(Base):
    """A process that shows it is alive by this row, not by answering a broker."""

    __tablename__ = "workers"
    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    details: Mapped[dict[str, Any]]


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    password_hash: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class Token(Base):
    """An API token or a one-time sign-in link, kept as a hash only."""

    __tablename__ = "tokens"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    kind: Mapped[str] = mapped_column(String(12))
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class PortalSession(Base):
    """A browser that is signed in, known by the hash of what its cookie holds. Who signs out has no row any more."""

    __tablename__ = "portal_sessions"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    token_id: Mapped[int | None] = mapped_column(ForeignKey("tokens.id"))
    """The API token that opened it, and with which it ends."""
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    opened_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    """When its person last did something, to the minute."""


class AuditEvent(Base):
    """Who did what to what, and when. Rows are only ever added: triggers of the database refuse all else."""

    __tablename__ = "audit_events"
    __table_args__ = (Index("uq_audit_events_once", "once", unique=True),)
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any]]
    once: Mapped[str | None] = mapped_column(String(64))
    """What an event that is told once (in an hour, say) is known by; null for all others."""
