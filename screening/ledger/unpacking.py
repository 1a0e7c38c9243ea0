"""Containers: zip and tar files claimed, unpacked into their run, or refused whole."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from screening.database.states import WorkState
from screening.database.tables import Container, Receipt
from screening.ledger.lease import Lease
from screening.ledger.reviving import ANEW, TRIED_AGAIN_WHEN_SENT


@dataclass(frozen=True)
class ContainerClaim:
    container_id: int
    run_id: int
    sha256: str
    file_name: str


def claim_container(
    session: Session, lease: Lease, now: datetime, beside_lane: int | None = None
) -> ContainerClaim | None:
    """Claim the most urgent container that waits.

    beside_lane: the lane of the container that the claimant has in hand already. Then only a more urgent one is
    claimed that was never tried: one that ends its worker is alone when it is tried again.
    """
    waiting = select(Container).where(Container.state == WorkState.WAITING)
    if beside_lane is not None:
        waiting = waiting.where(Container.lane < beside_lane, Container.attempts == 0)
    container = session.scalar(
        waiting.order_by(Container.lane, Container.attempts, Container.id).limit(1).with_for_update(skip_locked=True)
    )
    if container is None:
        return None
    container.state = WorkState.WORKING
    container.attempts += 1
    container.lease_token = lease.token
    container.lease_until = lease.until
    return ContainerClaim(container.id, container.run_id, container.sha256, container.file_name)


def renew_container(session: Session, lease: Lease, container_id: int, until: datetime) -> bool:
    """Keep a claimed container longer; False where the lease was lost and the holder must stop."""
    return (
        session.scalar(
            update(Container).where(*_held(lease, container_id)).values(lease_until=until).returning(Container.id)
        )
        is not None
    )


def record_unpacked(session: Session, lease: Lease, now: datetime, container_id: int) -> bool:
    return _finish(session, lease, now, container_id, WorkState.READY, None, None)


def record_container_rejected(
    session: Session, lease: Lease, now: datetime, container_id: int, code: str, reason: str
) -> bool:
    """Refuse a container; what was admitted of it before stays, and its receipt says why it ended."""
    if not _finish(session, lease, now, container_id, WorkState.REJECTED, code, reason):
        return False
    reject_container_receipt(session, container_id, code, reason)
    return True


def reject_container_receipt(session: Session, container_id: int, code: str, reason: str) -> None:
    container = session.get_one(Container, container_id)
    session.execute(
        update(Receipt)
        .where(
            Receipt.run_id == container.run_id,
            Receipt.sha256 == container.sha256,
            Receipt.scan_id.is_(None),
        )
        .values(status="rejected", code=code, reason=reason)
    )


def revive_container(session: Session, now: datetime, run_id: int, lane: int, sha256: str) -> bool:
    """Have a container unpacked that came again into its run after it was rejected for what that mends.

    Its receipts take the refusal back. Returns whether there was such a container.
    """
    revived = session.scalar(
        update(Container)
        .where(
            Container.run_id == run_id,
            Container.sha256 == sha256,
            Container.state == WorkState.REJECTED,
            Container.problem_code.in_(TRIED_AGAIN_WHEN_SENT),
        )
        .values(state=WorkState.WAITING, lane=lane, queued_at=now, **ANEW)
        .returning(Container.id)
    )
    if revived is not None:
        session.execute(
            update(Receipt)
            .where(Receipt.run_id == run_id, Receipt.sha256 == sha256, Receipt.scan_id.is_(None))
            .values(status="accepted", code="container", reason=None)
        )
    return revived is not None


def release_container(session: Session, lease: Lease, container_id: int) -> None:
    """Hand a container back untried; members that were admitted already are known when it is taken up again."""
    session.execute(
        update(Container)
        .where(*_held(lease, container_id))
        .values(state=WorkState.WAITING, lease_token=None, lease_until=None, attempts=Container.attempts - 1)
    )


def take_container_attempt_back(session: Session, lease: Lease, container_id: int) -> None:
    """Leave a container claimed, as if this attempt had not been made: it is tried again when the lease has ended."""
    session.execute(update(Container).where(*_held(lease, container_id)).values(attempts=Container.attempts - 1))


def container_is_wanted(session: Session, sha256: str) -> bool:
    """Whether a run still has to unpack the container with these bytes."""
    return (
        session.scalar(
            select(Container.id)
            .where(Container.sha256 == sha256, Container.state.in_((WorkState.WAITING, WorkState.WORKING)))
            .limit(1)
        )
        is not None
    )


def _held(lease: Lease, container_id: int) -> tuple[ColumnElement[bool], ...]:
    return (
        Container.id == container_id,
        Container.lease_token == lease.token,
        Container.state == WorkState.WORKING,
    )


def _finish(
    session: Session,
    lease: Lease,
    now: datetime,
    container_id: int,
    state: WorkState,
    code: str | None,
    reason: str | None,
) -> bool:
    return (
        session.scalar(
            update(Container)
            .where(*_held(lease, container_id))
            .values(
                state=state,
                problem_code=code,
                problem=reason,
                finished_at=now,
                lease_token=None,
                lease_until=None,
            )
            .returning(Container.id)
        )
        is not None
    )
