"""What a worklist is cut down to: the filters, how they stand in an address, and refusals of what is not understood."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, select, true
from sqlalchemy.orm import Session

from screening.bands import BAND_FILTERS, BandFilter
from screening.database.base import LARGEST_ID
from screening.database.review_tables import Review
from screening.database.tables import Job, Scan
from screening.errors import Refused
from screening.reviews.decisions import DECISIONS, REVIEWED, Reviewed
from screening.reviews.truth import is_decided, may_be_decided

LONGEST_SEARCH = 200
_ESCAPE = "!"


@dataclass(frozen=True)
class Filters:
    """All of them must hold. The default is the whole list of the active checkpoint."""

    run: int | None = None
    band: BandFilter | None = None
    received_from: date | None = None
    received_to: date | None = None
    """Days of UTC, both included."""
    body_part: str | None = None
    reviewed: Reviewed | None = None
    search: str | None = None
    """A part of the file name: of that in the run, where one is chosen, else of the first one the scan came with."""
    to_read: bool = False
    """The reading queue: what must be looked at, what is flagged, and the sample, as far as nobody reviewed it."""
    by_study: bool = False
    """Of the screened scans of a study only the one of highest probability stands in the list."""
    reader: str = ""
    """Who asks; `by_me`, holds and the reviews of others are seen from there."""
    all_reviews: bool = False
    """Whether the reviews of others are told whoever asks; else only those of scans that who asks has reviewed, too."""
    sample_rate: float = 0.0

    def query(self) -> dict[str, str]:
        """The parameters of an address that give these filters again."""
        given = {
            "view": "to_read" if self.to_read else None,
            "band": self.band,
            "run": None if self.run is None else str(self.run),
            "from": self.received_from.isoformat() if self.received_from else None,
            "to": self.received_to.isoformat() if self.received_to else None,
            "body_part": self.body_part,
            "reviewed": self.reviewed,
            "search": self.search,
            "group": "study" if self.by_study else None,
        }
        return {name: value for name, value in given.items() if value is not None}

    @property
    def of_scans(self) -> bool:
        """Whether something is asked of the scan itself, its jobs and reviews apart."""
        of_name = self.search is not None and self.run is None
        return of_name or any((self.received_from, self.received_to, self.body_part))

    @property
    def narrowed(self) -> bool:
        """Whether anything but a band, the reading queue or the grouping was chosen."""
        return bool(self.query().keys() - {"view", "band", "group"})


def read_filters(given: Mapping[str, Any], reader: str, sample_rate: float) -> Filters:
    """The filters of an address. Raises Refused with a sentence for a value that is not understood."""
    view = _one_of(given, "view", ("to_read",))
    filters = Filters(
        run=_run(given),
        band=cast(BandFilter | None, _one_of(given, "band", BAND_FILTERS)),
        received_from=_day(given, "from"),
        received_to=_day(given, "to"),
        body_part=given.get("body_part") or None,
        reviewed=cast(Reviewed | None, _one_of(given, "reviewed", REVIEWED)),
        search=(given.get("search") or "").strip()[:LONGEST_SEARCH] or None,
        to_read=view is not None,
        by_study=_one_of(given, "group", ("study",)) is not None,
        reader=reader,
        sample_rate=sample_rate,
    )
    if filters.to_read and (filters.band or filters.reviewed or filters.by_study):
        raise Refused(
            "queue_is_whole",
            "The view `to_read` is cut neither by band nor by review, and not grouped, because that would show which "
            "scans the random sample brought. Leave out band, reviewed and group.",
        )
    if filters.received_from and filters.received_to and filters.received_to < filters.received_from:
        raise Refused("bad_dates", "The last day lies before the first one. Exchange `from` and `to`.")
    return filters


def body_parts(session: Session) -> list[str]:
    """Every body part that a scan has, each found by one look into the index and not by reading all scans."""
    found: list[str] = []
    while True:
        smallest = select(func.min(Scan.body_part))
        following = session.scalar(smallest.where(Scan.body_part > found[-1]) if found else smallest)
        if following is None:
            return found
        found.append(following)


def refuse_unknown_body_part(filters: Filters, known: list[str]) -> None:
    if filters.body_part is not None and filters.body_part not in known:
        offer = f"Choose one of {', '.join(known)}." if known else "No scan tells its body part yet; leave it out."
        raise Refused("unknown_body_part", f"No scan has the body part {filters.body_part[:40]!r}. {offer}")


def scan_conditions(filters: Filters, scan: Any) -> list[ColumnElement[bool]]:
    """What must hold of a scan (the table or an alias of it), its jobs apart."""
    conditions: list[ColumnElement[bool]] = []
    if filters.received_from:
        conditions.append(scan.received_at >= datetime.combine(filters.received_from, time(), UTC))
    if filters.received_to:
        # To its last microsecond, because no day follows the last one that a date can be.
        conditions.append(scan.received_at <= datetime.combine(filters.received_to, time.max, UTC))
    if filters.body_part:
        conditions.append(scan.body_part == filters.body_part)
    if filters.search and filters.run is None:
        conditions.append(scan.file_name.ilike(_part(filters.search), escape=_ESCAPE))
    return conditions


def job_conditions(filters: Filters, job: Any) -> list[ColumnElement[bool]]:
    """What must hold of a job where a run is chosen."""
    conditions = [job.run_id == filters.run]
    if filters.search:
        conditions.append(job.file_name.ilike(_part(filters.search), escape=_ESCAPE))
    return conditions


def _part(search: str) -> str:
    """A pattern for whatever contains these signs; ILIKE on the bare column is what an index on trigrams answers."""
    for sign in (_ESCAPE, "%", "_"):
        search = search.replace(sign, _ESCAPE + sign)
    return f"%{search}%"


def review_conditions(filters: Filters, scan_id: Any, row_by_row: bool = False) -> list[ColumnElement[bool]]:
    """Whether readers decided about this scan, as the filter asks.

    row_by_row: look reviews up for each row, which is cheaper than what else is asked of the rows.
    """
    wanted = "unreviewed" if filters.to_read else filters.reviewed
    if wanted is None:
        return []
    in_force = and_(Review.scan_id == scan_id, Review.withdrawn_at.is_(None))
    if wanted == "unreviewed":
        return [lacks(select(Review.id).where(in_force))]
    decision = wanted if wanted in DECISIONS else None
    if wanted == "by_me" or (decision and not filters.all_reviews):
        in_force = and_(in_force, Review.reader == filters.reader)
    conditions = [~lacks(select(Review.id).where(in_force)) if row_by_row else exists().where(in_force)]
    if decision is not None:
        conditions += [] if row_by_row else [scan_id.in_(may_be_decided(decision))]
        conditions.append(is_decided(scan_id, decision))
    return conditions


def lacks(statement: Select[*tuple[Any, ...]]) -> ColumnElement[bool]:
    """Whether a statement that is correlated with a row finds nothing: looked up row by row, in the order of the list.

    NOT EXISTS says the same, but lets PostgreSQL make a join of it, for which it reads and sorts a whole archive where
    it thinks that few rows are left.
    """
    return ~func.coalesce(statement.with_only_columns(true()).limit(1).scalar_subquery(), false())


def in_run(filters: Filters, scan_id: Any) -> ColumnElement[bool]:
    """Whether the scan stands in the chosen run."""
    job = Job.__table__.alias("in_run")
    return exists().where(job.c.scan_id == scan_id, *job_conditions(filters, job.c))


def _one_of(given: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str | None:
    value: str | None = given.get(name) or None
    if value is not None and value not in known:
        choices = f"Choose one of {', '.join(known)}" if len(known) > 1 else f"It may be {known[0]}"
        raise Refused(f"unknown_{name}", f"The filter `{name}` knows no {value[:40]!r}. {choices}, or leave it out.")
    return value


def _run(given: Mapping[str, Any]) -> int | None:
    value = str(given.get("run") or "")
    if not value:
        return None
    if not (value.isascii() and value.isdecimal()):
        raise Refused("unknown_run", f"A run is given by its number, not by {value[:40]!r}.")
    # A number that fits no database is looked for, too, and not found; twenty digits are more than any that fits.
    return min(int(value[:20]), LARGEST_ID)


def _day(given: Mapping[str, Any], name: str) -> date | None:
    value: str | None = given.get(name) or None
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise Refused(f"bad_{name}", f"The filter `{name}` is a day such as 2026-03-31, not {value[:40]!r}.") from None
