"""Which archives there are, when each is due for a visit, and who is visiting it."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from screening import audit
from screening.archives.filling import submit_runs_of
from screening.archives.walking import address_of, local_path
from screening.database.base import LARGEST_ID
from screening.database.schedule_tables import Archive
from screening.errors import Conflict, NotFound, Refused
from screening.ledger.lease import Lease
from screening.rescreening.cron import check_cron, latest_due

DEFAULT_CRON = "0 20 * * *"


def archive_url(place: str, storage_url: str) -> str:
    """The URL of a folder or of s3://bucket/prefix. Raises Refused for what is neither, or holds our own storage.

    What our own storage holds is renditions and display images, too: they would be admitted as if they were scans.
    """
    refusal = Refused("bad_archive", f"{place} holds this installation's own storage. Name another folder or prefix.")
    own = urlsplit(storage_url)
    if place.startswith("s3://"):
        if not urlsplit(place).netloc:
            raise Refused("bad_archive", "The bucket has no name. Write s3://bucket or s3://bucket/prefix.")
        if own.scheme == "s3" and _overlap(urlsplit(place), own):
            raise refusal
        return place
    folder = Path(place).expanduser().resolve()
    if not folder.is_dir():
        raise Refused("bad_archive", f"{place} is no folder on this machine. Name a folder, or s3://bucket/prefix.")
    if own.scheme == "file":
        storage = Path(local_path(own.path)).resolve()
        if storage.is_relative_to(folder) or folder.is_relative_to(storage):
            raise refusal
    return address_of(str(folder))


def _overlap(one: SplitResult, other: SplitResult) -> bool:
    """Whether one of two prefixes lies within the other, in the same bucket of the same server."""
    buckets = {(each.netloc, parse_qs(each.query).get("endpoint", [""])[0].rstrip("/")) for each in (one, other)}
    first, second = (PurePosixPath("/", unquote(each.path.strip("/"))) for each in (one, other))
    return len(buckets) == 1 and (first.is_relative_to(second) or second.is_relative_to(first))


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
    """Visit it no more. What was admitted of it stays; a visit that is under way ends soon, its run is submitted."""
    archive = get_archive(session, archive_id)
    archive.removed_at = now
    archive.lease_token = None
    # The visit may open a run until it sees this.
    session.flush()
    submit_runs_of(session, now, archive_id, actor)
    audit.record(session, now, actor, "archive.removed", str(archive_id), {"url": archive.url})


def want_visit(session: Session, now: datetime, archive_id: int, actor: str) -> None:
    get_archive(session, archive_id).visit_wanted = True
    audit.record(session, now, actor, "archive.visit_wanted", str(archive_id))


def claim_visit(session: Session, now: datetime, lease: Lease) -> Archive | None:
    """Claim an archive whose visit is due, wanted, or was cut short.

    One that is wanted while a visit is under way is visited once more after it. A visit that was killed left its lease.
    """
    free = or_(Archive.lease_until.is_(None), Archive.lease_until < now)
    for archive in session.scalars(
        select(Archive).where(Archive.removed_at.is_(None), free).order_by(Archive.id).with_for_update(skip_locked=True)
    ):
        due = latest_due(archive.cron, archive.time_zone, now)
        is_due = due is not None and due > archive.visited_for
        if not (is_due or archive.visit_wanted or archive.lease_token is not None):
            continue
        if due is not None and is_due:
            archive.visited_for = due
        archive.visit_wanted = False
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
    still_wanted = {} if whole else {"visit_wanted": True}
    session.execute(
        update(Archive)
        .where(Archive.lease_token == lease.token)
        .values(lease_token=None, lease_until=None, visited_at=now, problem=problem, **still_wanted)
    )
