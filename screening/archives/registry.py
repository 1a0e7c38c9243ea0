"""Which archives there are, when each is due for a visit, and who is visiting it."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from screening import audit
from screening.archives.walking import address_of
from screening.database.base import LARGEST_ID
from screening.database.schedule_tables import Archive
from screening.errors import Conflict, NotFound, Refused
from screening.ledger.lease import Lease
from screening.rescreening.cron import check_cron, latest_due

DEFAULT_CRON = "0 20 * * *"


def archive_url(place: str, storage_url: str) -> str:
    """The URL of a folder or of s3://bucket/prefix. Raises Refused for what is neither, or holds our own storage."""
    if place.startswith("s3://"):
        if not urlsplit(place).netloc:
            raise Refused("bad_archive", "The bucket has no name. Write s3://bucket or s3://bucket/prefix.")
        return place
    folder = Path(place).expanduser().resolve()
    if not folder.is_dir():
        raise Refused("bad_archive", f"{place} is no folder on this machine. Name a folder, or s3://bucket/prefix.")
    own = urlsplit(storage_url)
    if own.scheme == "file":
        storage = Path(unquote(own.path)).resolve()
        if storage.is_relative_to(folder) or folder.is_relative_to(storage):
            raise Refused("bad_archive", f"{place} holds this installation's own storage. Name another folder.")
    return address_of(str(folder))


def add_archive(
    session: Session, now: datetime, url: str, in_place: bool, cron: str, time_zone: str, actor: str
) -> Archive:
    """Register an archive; its first visit is due at once. Raises Refused, or Conflict for one that is known."""
    cron, zone = check_cron(cron, time_zone)
    if session.scalar(select(Archive.id).where(Archive.url == url, Archive.removed_at.is_(None))) is not None:
        raise Conflict("archive_exists", f"{url} is an archive already.")
    archive = Archive(
        url=url,
        in_place=in_place,
        cron=cron,
        time_zone=zone,
        visit_wanted=True,
        visited_for=now,
        created_by=actor,
        created_at=now,
    )
    session.add(archive)
    session.flush()
    audit.record(session, now, actor, "archive.added", str(archive.id), {"url": url, "in_place": in_place})
    return archive


def all_archives(session: Session) -> Sequence[Archive]:
    return session.scalars(select(Archive).where(Archive.removed_at.is_(None)).order_by(Archive.id)).all()


def get_archive(session: Session, archive_id: int) -> Archive:
    """Raises NotFound."""
    archive = session.get(Archive, archive_id) if 0 < archive_id <= LARGEST_ID else None
    if archive is None or archive.removed_at is not None:
        raise NotFound("unknown_archive", f"There is no archive {archive_id}. `screening archive list` names them.")
    return archive


def remove_archive(session: Session, now: datetime, archive_id: int, actor: str) -> None:
    """Visit it no more. What was admitted of it stays; a visit that is under way ends soon."""
    archive = get_archive(session, archive_id)
    archive.removed_at = now
    archive.lease_token = None
    audit.record(session, now, actor, "archive.removed", str(archive_id), {"url": archive.url})


def want_visit(session: Session, now: datetime, archive_id: int, actor: str) -> None:
    get_archive(session, archive_id).visit_wanted = True
    audit.record(session, now, actor, "archive.visit_wanted", str(archive_id))


def claim_visit(session: Session, now: datetime, lease: Lease) -> Archive | None:
    """Claim an archive whose visit is due, wanted, or was cut short. Until the visit ends it stays wanted."""
    free = or_(Archive.lease_until.is_(None), Archive.lease_until < now)
    for archive in session.scalars(
        select(Archive).where(Archive.removed_at.is_(None), free).order_by(Archive.id).with_for_update(skip_locked=True)
    ):
        due = latest_due(archive.cron, archive.time_zone, now)
        is_due = due is not None and due > archive.visited_for
        if not (is_due or archive.visit_wanted):
            continue
        if due is not None and is_due:
            archive.visited_for = due
        archive.visit_wanted = True
        archive.lease_token, archive.lease_until = lease.token, lease.until
        archive.found = archive.admitted = archive.refused = 0
        archive.problem = None
        session.flush()
        return archive
    return None


def renew_visit(session: Session, lease: Lease, until: datetime) -> bool:
    """Keep a claimed archive longer; False where it was removed or the lease was lost, and the visit must end."""
    renewed = update(Archive).where(Archive.lease_token == lease.token).values(lease_until=until).returning(Archive.id)
    return session.scalar(renewed) is not None


def end_visit(session: Session, lease: Lease, now: datetime, *, whole: bool, problem: str | None = None) -> None:
    """Give the archive back. A visit that was not whole is taken up again by whoever is next."""
    session.execute(
        update(Archive)
        .where(Archive.lease_token == lease.token)
        .values(lease_token=None, lease_until=None, visited_at=now, problem=problem, visit_wanted=not whole)
    )
