"""Which scans of the archive a schedule screens again, as JSON that is kept and as conditions in SQL."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Self

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from screening.bands import BAND_FILTERS
from screening.checkpoints import active, operating_point
from screening.database.base import LARGEST_ID
from screening.database.tables import Job, Prediction, Scan
from screening.errors import Refused
from screening.worklist.filters import Filters, body_parts, refuse_unknown_body_part

MOST_DAYS = 36_500


@dataclass(frozen=True)
class Selection:
    """Every condition that is given must hold; none given means every scan."""

    min_age_days: int | None = None
    """Received at least so many days before the firing."""
    max_age_days: int | None = None
    body_part: str | None = None
    band: str | None = None
    """As the active checkpoint sees it at the time of the firing; `flagged` is likely and possible together."""
    run: int | None = None
    study: str | None = None
    not_screened_since: str | None = None
    """A day (YYYY-MM-DD, UTC): no checkpoint has screened it on that day or later."""

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Self:
        """Read what a person or a row gives; what is empty counts as not given. Raises Refused."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise _bad(f"{unknown[0]!r} is not known; choose from {', '.join(known)}")
        plain: dict[str, Any] = {
            name: value.strip() if isinstance(value, str) else value for name, value in given.items()
        }
        kept = {name: value for name, value in plain.items() if value not in (None, "")}
        for name in ("min_age_days", "max_age_days", "run"):
            most = MOST_DAYS if name.endswith("days") else LARGEST_ID
            if name in kept and (type(kept[name]) is not int or not 0 <= kept[name] <= most):
                raise _bad(f"{name} is a whole number from 0 to {most}")
        for name in ("body_part", "band", "study", "not_screened_since"):
            if name in kept and (not isinstance(kept[name], str) or len(kept[name]) > 60):
                raise _bad(f"{name} is a short text")
        if kept.get("band", "flagged") not in BAND_FILTERS:
            raise _bad(f"the band is one of {', '.join(BAND_FILTERS)}")
        if "not_screened_since" in kept:
            _day(kept["not_screened_since"])
        if kept.get("min_age_days", 0) > kept.get("max_age_days", MOST_DAYS):
            raise _bad("min_age_days must not be over max_age_days")
        return cls(**kept)

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}

    def refuse_unknown_body_part(self, session: Session) -> None:
        """Raises Refused for one that no scan has. Where no scan tells its body part yet, none is unknown."""
        known = body_parts(session)
        if known:
            refuse_unknown_body_part(Filters(body_part=self.body_part), known)

    def conditions(self, session: Session, now: datetime) -> list[ColumnElement[bool]]:
        """Conditions on `Scan`. Raises Conflict for a band where no checkpoint is active."""
        found: list[ColumnElement[bool]] = []
        if self.min_age_days is not None:
            found.append(Scan.received_at <= now - timedelta(days=self.min_age_days))
        if self.max_age_days is not None:
            found.append(Scan.received_at >= now - timedelta(days=self.max_age_days))
        if self.body_part is not None:
            found.append(Scan.body_part == self.body_part)
        if self.study is not None:
            found.append(Scan.study == self.study)
        if self.run is not None:
            found.append(exists().where(Job.scan_id == Scan.id, Job.run_id == self.run))
        if self.not_screened_since is not None:
            since = _day(self.not_screened_since)
            found.append(~exists().where(Prediction.scan_id == Scan.id, Prediction.created_at >= since))
        if self.band is not None:
            found.append(_in_band(session, self.band))
        return found


def _in_band(session: Session, band: str) -> ColumnElement[bool]:
    checkpoint_id = active(session).id
    point = operating_point(session, checkpoint_id)
    of_active = select(Prediction.id).where(Prediction.scan_id == Scan.id, Prediction.checkpoint_id == checkpoint_id)
    if band == "must_look":
        return ~of_active.exists()
    if band in ("likely", "possible", "flagged"):
        lowest = point.likely_threshold if band == "likely" else point.threshold
        of_active = of_active.where(Prediction.probability >= lowest)
    if band in ("possible", "not_flagged"):
        below = point.likely_threshold if band == "possible" else point.threshold
        of_active = of_active.where(Prediction.probability < below)
    return of_active.exists()


def _day(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time(), tzinfo=UTC)
    except ValueError:
        raise _bad("not_screened_since is a day such as 2026-03-01") from None


def _bad(what: str) -> Refused:
    return Refused("bad_selection", f"The selection of scans is not understood: {what}.")
