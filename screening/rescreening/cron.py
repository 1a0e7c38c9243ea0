"""When a schedule is due: cron expressions on the wall clock of a time zone, and the windows that they open.

Rules of daylight saving are those of Debian's cron, which cronsim keeps: a fixed time that the clocks leave out comes
right after the gap, and one that they show twice comes at its first showing.
"""

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from screening.errors import Refused

LONGEST_SHIFT = timedelta(hours=3)
"""No change of clocks in use is longer."""
_FIELDS = 5


def check_cron(cron: str, zone: str) -> tuple[str, str]:
    """The cron expression (five fields) and the time zone as they are kept. Raises Refused."""
    cleaned = " ".join(cron.split())
    tz = _zone(zone)
    try:
        if len(cleaned.split()) != _FIELDS:
            raise CronSimError("five fields are needed")
        next(CronSim(cleaned, datetime(2026, 1, 1, tzinfo=tz)))
    except (CronSimError, StopIteration) as error:
        why = str(error) or "no day fits it"
        raise Refused(
            "bad_cron",
            f"{cleaned[:60] or 'Nothing'!r} is no time ({why}). Write minute, hour, day of the month, month and day of "
            "the week, such as 0 22 * * 1-5 for 22:00 from Monday to Friday.",
        ) from None
    return cleaned, tz.key


def check_window_end(window_end: str) -> str:
    """HH:MM. Raises Refused."""
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", window_end.strip())
    if found is None:
        raise Refused("bad_window_end", "The end of the window is a time such as 06:00. Write hours and minutes.")
    return f"{int(found[1]):02d}:{found[2]}"


def latest_due(cron: str, zone: str, now: datetime) -> datetime | None:
    """The latest moment (UTC) at or before `now` when this was due; None where it never was."""
    tz = ZoneInfo(zone)
    # Walking backwards from inside a night when clocks change could miss a showing of the same hour, so the walk
    # starts before any change that may be near, and comes forward again.
    due = next(CronSim(cron, (now - LONGEST_SHIFT).astimezone(tz), reverse=True), None)
    if due is None:
        return None
    latest: datetime = due.astimezone(UTC)
    for following in CronSim(cron, due):
        moment = following.astimezone(UTC)
        if moment > now:
            break
        latest = max(latest, moment)
    return latest


def next_due(cron: str, zone: str, after: datetime, count: int) -> list[datetime]:
    """The next moments (UTC) after `after`, the nearest first."""
    found: list[datetime] = []
    for following in CronSim(cron, after.astimezone(ZoneInfo(zone))):
        moment = following.astimezone(UTC)
        if moment > after:
            found.append(moment)
        if len(found) == count:
            break
    return found


def window_until(window_end: str, zone: str, start: datetime) -> datetime:
    """When (UTC) a window that opens at `start` ends: at the next showing of HH:MM, a day later at the latest.

    A time that the clocks leave out counts as if they had not been changed yet, and so does the end of a window that
    begins right after the hour that was left out and would end at once: it lasts as long as that hour, and not a day.
    """
    tz = ZoneInfo(zone)
    end = time.fromisoformat(window_end)
    day = start.astimezone(tz).date()
    showings = (
        datetime.combine(day + timedelta(days=days), end, tzinfo=tz).replace(fold=fold).astimezone(UTC)
        for days in range(3)
        for fold in (0, 1)
    )
    if start.astimezone(tz).time() == end and (left_out := _left_out_before(start, tz)):
        return start + left_out
    return next(showing for showing in showings if showing > start)


def _left_out_before(moment: datetime, tz: ZoneInfo) -> timedelta:
    """How much the clocks were put forward at this moment."""
    before, after = ((moment - timedelta(seconds=1)).astimezone(tz), moment.astimezone(tz))
    forward = (after.utcoffset() or timedelta()) - (before.utcoffset() or timedelta())
    return max(forward, timedelta())


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name.strip())
    except (ValueError, OSError, LookupError):
        raise Refused(
            "bad_time_zone", f"{name[:60]!r} is no time zone. Write its IANA name, such as Europe/Berlin or UTC."
        ) from None
