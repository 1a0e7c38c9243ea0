"""Leases: who may record the outcome of claimed work, and until when."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Lease:
    token: str
    until: datetime

    @classmethod
    def new(cls, now: datetime, seconds: float) -> "Lease":
        return cls(secrets.token_hex(16), now + timedelta(seconds=seconds))


def after_attempts(size: int, attempts: int) -> int:
    """How many to claim together of work that was tried so often: a quarter for each attempt, and one at least.

    What ends its worker is so alone after a few attempts, and what was claimed beside it is done.
    """
    return max(1, size >> (2 * attempts))


SET_ASIDE_CODE = "set_aside"


def set_aside_reason(attempts: int) -> str:
    """Why a scan that ended its worker again and again is not tried any more."""
    return (
        f"Screening stopped without a result {attempts} times, so this scan was set aside. "
        "A person must look at it; send it again to have it tried again."
    )
