"""Checkpoints that living screen workers refuse to serve, as their signs of life say."""

from datetime import datetime

from sqlalchemy.orm import Session

from screening.workers import alive


def refused_checkpoints(session: Session, now: datetime) -> dict[str, str]:
    """Checkpoint id: why a screen worker refuses it."""
    refused: dict[str, str] = {}
    for worker in alive(session, now, "screen"):
        refused.update(worker.details.get("refused", {}))
    return refused
