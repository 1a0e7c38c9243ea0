"""The states that rows go through, and the lanes that order them."""

import enum


class Lane(enum.IntEnum):
    """How urgent a run is; the smaller number is served first."""

    URGENT = 0
    ROUTINE = 1
    ARCHIVE = 2

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def from_label(cls, label: str) -> "Lane":
        try:
            return cls[label.upper()]
        except KeyError:
            raise ValueError(f"lane {label!r} is not known; choose urgent, routine or archive") from None


class RunState(enum.StrEnum):
    OPEN = "open"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    CANCELLED = "cancelled"


LIVE_RUNS = (RunState.OPEN, RunState.RUNNING)
"""Runs that workers take work from."""
UNFINISHED_RUNS = (*LIVE_RUNS, RunState.PAUSED)


class JobState(enum.StrEnum):
    PREPARING = "preparing"
    QUEUED = "queued"
    SCREENING = "screening"
    SCREENED = "screened"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = (JobState.PREPARING, JobState.QUEUED, JobState.SCREENING)
NOT_SCREENED = (JobState.REJECTED, JobState.FAILED)
"""Jobs that ended without a result."""


class WorkState(enum.StrEnum):
    """How far a rendition or a container has come."""

    WAITING = "waiting"
    WORKING = "working"
    READY = "ready"
    REJECTED = "rejected"
