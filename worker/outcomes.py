"""What came of claimed scans that were to be prepared, and how each outcome is recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from screening.archives.references import ArchiveAway
from screening.ledger.lease import SET_ASIDE_CODE, Lease
from screening.ledger.preparing import (
    PreparedScan,
    RenditionClaim,
    put_back,
    put_back_untried,
    record_ready,
    record_rejected,
    take_attempts_back,
)
from screening.ledger.reviving import ORIGINAL_MISSING_CODE
from screening.storage import StorageError

_NOT_READ = (
    "The original could not be read from storage in {attempts} tries, so it was set aside. A person must look at it; "
    "have the storage checked, then send the file again."
)


@dataclass(frozen=True)
class Rejection:
    code: str
    reason: str
    final: bool = True
    """False where the machine, and not the file, may be to blame."""

    @property
    def original_is_missing(self) -> bool:
        return self.code == ORIGINAL_MISSING_CODE


@dataclass(frozen=True)
class Hindrance:
    """Storage did not give the original of a scan, or did not take its pictures."""

    error: StorageError
    while_reading: bool

    @property
    def of_archive(self) -> bool:
        """Whether the archive that the original lies in is away, whatever storage itself does."""
        return isinstance(self.error, ArchiveAway)

    @property
    def of_original(self) -> bool:
        """Whether this one original may be to blame. Anything else is waited for, however long it takes."""
        return self.while_reading and not self.of_archive


Outcome = PreparedScan | Rejection | Hindrance


def record_outcomes(
    session: Session,
    lease: Lease,
    now: datetime,
    outcomes: Sequence[tuple[RenditionClaim, Outcome]],
    *,
    storage_away: bool,
    max_attempts: int,
) -> int:
    """Record what came of each claimed scan; none fails for another. Returns how many were rejected for good."""
    record_ready(session, lease, now, [item for _, item in outcomes if isinstance(item, PreparedScan)])
    if not storage_away:
        blameless = [(claim.scan_id, claim.spec) for claim, item in outcomes if _is_blameless(item)]
        take_attempts_back(session, lease, blameless)
    rejected = 0
    for claim, outcome in outcomes:
        if isinstance(outcome, Hindrance):
            rejected += _put_off(session, lease, now, claim, outcome, storage_away, max_attempts)
        elif isinstance(outcome, Rejection) and outcome.original_is_missing and storage_away:
            put_back_untried(session, lease, claim.scan_id, claim.spec)
        elif isinstance(outcome, Rejection):
            rejected += _reject(session, lease, now, claim, outcome)
    return rejected


def _is_blameless(outcome: Outcome) -> bool:
    return isinstance(outcome, Hindrance) and not outcome.of_original


def _put_off(
    session: Session,
    lease: Lease,
    now: datetime,
    claim: RenditionClaim,
    hindrance: Hindrance,
    storage_away: bool,
    max_attempts: int,
) -> bool:
    """Have a hindered scan tried again. Returns whether it was set aside instead, after too many attempts.

    Unless storage as a whole is away, it stays claimed: until its lease ends and the sweep has it tried again, whatever
    is less urgent has its turn.
    """
    if storage_away:
        put_back_untried(session, lease, claim.scan_id, claim.spec)
    elif hindrance.of_original and claim.attempts >= max_attempts:
        reason = _NOT_READ.format(attempts=claim.attempts)
        return _reject(session, lease, now, claim, Rejection(SET_ASIDE_CODE, reason))
    return False


def _reject(session: Session, lease: Lease, now: datetime, claim: RenditionClaim, rejection: Rejection) -> bool:
    """Returns whether it was rejected for good."""
    if not rejection.final:
        put_back(session, lease, claim.scan_id, claim.spec)
        return False
    return record_rejected(session, lease, now, claim.scan_id, claim.spec, rejection.code, rejection.reason)
