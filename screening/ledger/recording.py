"""What the network said of a batch, recorded in one transaction; scans that it could not answer for."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, column, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from screening.database.states import UNFINISHED, JobState
from screening.database.tables import Job, Prediction, Run
from screening.ledger.lease import Lease


@dataclass(frozen=True)
class Outcome:
    """What the network said of one scan."""

    scan_id: str
    probability: float
    activation_map: bytes


# Put together once: that costs SQLAlchemy more than to run them, and every batch runs each of them.
_HELD = (
    select(Job.scan_id).where(Job.lease_token == bindparam("token"), Job.state == JobState.SCREENING).with_for_update()
)
_FINISH = (
    update(Job)
    .where(
        Job.scan_id.in_(bindparam("scans", expanding=True)),
        Job.state.in_(UNFINISHED),
        Job.run_id.in_(select(Run.id).where(Run.checkpoint_id == bindparam("checkpoint"))),
    )
    .values(state=JobState.SCREENED, finished_at=bindparam("at"), lease_token=None, lease_until=None)
)
_UNIQUE = ["scan_id", "checkpoint_id"]
_OUTCOMES = (
    func.unnest(
        bindparam("scans", type_=postgresql.ARRAY(Prediction.scan_id.type)),
        bindparam("probabilities", type_=postgresql.ARRAY(Prediction.probability.type)),
        bindparam("maps", type_=postgresql.ARRAY(Prediction.activation_map.type)),
    )
    .table_valued(
        column("scan_id", Prediction.scan_id.type),
        column("probability", Prediction.probability.type),
        column("activation_map", Prediction.activation_map.type),
        name="outcomes",
    )
    .render_derived()
)
_OF_ALL = {
    name: bindparam(f"of_all_{name}", type_=getattr(Prediction, name).type)
    for name in ("checkpoint_id", "engine", "worker", "created_at")
}
_INSERT_COLUMNS = (
    postgresql.insert(Prediction)
    .from_select([*_OUTCOMES.c.keys(), *_OF_ALL], select(*_OUTCOMES.c, *_OF_ALL.values()))
    .on_conflict_do_nothing(index_elements=_UNIQUE)
)
"""PostgreSQL takes the columns of a batch as arrays: one statement, and the same one for every size of a batch."""
_INSERT_ROWS = sqlite.insert(Prediction).on_conflict_do_nothing(index_elements=_UNIQUE)


def record_batch(
    session: Session,
    lease: Lease,
    now: datetime,
    checkpoint_id: str,
    outcomes: Sequence[Outcome],
    engine: str,
    worker: str,
) -> int:
    """Record predictions and finish every job that waits for one of these scans, in one transaction.

    Outcomes of scans whose lease was lost are dropped: another worker has them. Predictions that are there already are
    left alone. Returns how many were recorded.
    """
    connection = session.connection()
    held = set(connection.scalars(_HELD, {"token": lease.token}))
    kept = [outcome for outcome in outcomes if outcome.scan_id in held]
    if not kept:
        return 0
    of_all = {"checkpoint_id": checkpoint_id, "engine": engine, "worker": worker, "created_at": now}
    if connection.dialect.name == "postgresql":
        connection.execute(
            _INSERT_COLUMNS,
            {
                **{f"of_all_{name}": value for name, value in of_all.items()},
                "scans": [outcome.scan_id for outcome in kept],
                "probabilities": [outcome.probability for outcome in kept],
                "maps": [outcome.activation_map for outcome in kept],
            },
        )
    else:
        connection.execute(
            _INSERT_ROWS,
            [
                {
                    **of_all,
                    "scan_id": outcome.scan_id,
                    "probability": outcome.probability,
                    "activation_map": outcome.activation_map,
                }
                for outcome in kept
            ],
        )
    finish_jobs(session, now, checkpoint_id, {outcome.scan_id for outcome in kept})
    return len(kept)


def finish_jobs(session: Session, now: datetime, checkpoint_id: str, scan_ids: Collection[str]) -> None:
    """Every live job of these scans under this checkpoint is screened, in whatever run it stands."""
    if scan_ids:
        session.connection().execute(_FINISH, {"scans": list(scan_ids), "checkpoint": checkpoint_id, "at": now})


def fail_scan(session: Session, lease: Lease, now: datetime, scan_id: str, code: str, reason: str) -> None:
    """End the claimed jobs of one scan with a reason; its neighbours in the batch are not touched."""
    session.execute(
        update(Job)
        .where(Job.scan_id == scan_id, Job.lease_token == lease.token, Job.state == JobState.SCREENING)
        .values(
            state=JobState.FAILED,
            problem_code=code,
            problem=reason,
            finished_at=now,
            lease_token=None,
            lease_until=None,
        )
    )
