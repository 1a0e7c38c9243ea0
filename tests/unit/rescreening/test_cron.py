"""When schedules are due: daylight saving both ways, month ends, and windows that cross them."""

from datetime import UTC, datetime, timedelta

import pytest

from screening.errors import Refused
from screening.rescreening.cron import check_cron, check_window_end, latest_due, next_due, window_until

BERLIN = "Europe/Berlin"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc]


def walked(cron: str, zone: str, start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    """Every firing that somebody sees who asks again and again what was due last."""
    seen: list[datetime] = []
    while start <= end:
        due = latest_due(cron, zone, start)
        if due is not None and (not seen or due != seen[-1]):
            seen.append(due)
        start += step
    return seen


def test_in_spring_a_time_that_is_left_out_comes_right_after_the_gap() -> None:
    # At 01:00 UTC of 29 March 2026 the clocks of Berlin go from 02:00 to 03:00.
    found = next_due("30 2 * * *", BERLIN, utc(2026, 3, 27, 12), 3)
    assert found == [utc(2026, 3, 28, 1, 30), utc(2026, 3, 29, 1, 0), utc(2026, 3, 30, 0, 30)]


def test_in_autumn_a_time_that_comes_twice_fires_at_its_first_showing() -> None:
    # At 01:00 UTC of 25 October 2026 the clocks of Berlin go from 03:00 back to 02:00.
    found = next_due("30 2 * * *", BERLIN, utc(2026, 10, 24, 12), 2)
    assert found == [utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)]


@pytest.mark.parametrize("cron", ["30 2 * * *", "0 2,3 * * *", "15 * * * *", "*/20 * * * *", "59 1 * * *"])
@pytest.mark.parametrize("day", [utc(2026, 3, 28, 12), utc(2026, 10, 24, 12)])
@pytest.mark.parametrize("zone", [BERLIN, "Australia/Lord_Howe", "America/New_York", "UTC"])
def test_looking_back_finds_what_looking_ahead_promised(cron: str, day: datetime, zone: str) -> None:
    end = day + timedelta(hours=30)
    ahead = [moment for moment in next_due(cron, zone, day, 400) if moment <= end]
    back = [moment for moment in walked(cron, zone, day, end, timedelta(minutes=5)) if moment > day]
    assert back == ahead
    assert back == sorted(set(back))


def test_looking_back_through_lord_howes_half_hour_and_new_yorks_hour() -> None:
    # Of 5 April 2026: at 15:00 UTC the day before, Lord Howe goes from 02:00 to 01:30; 01:45 comes twice there.
    back = walked("45 1 * * *", "Australia/Lord_Howe", utc(2026, 4, 4, 10), utc(2026, 4, 5, 20), timedelta(minutes=5))
    assert [moment for moment in back if moment > utc(2026, 4, 4, 10)] == [
        utc(2026, 4, 4, 14, 45),
        utc(2026, 4, 5, 15, 15),
    ]
    # Of 1 November 2026: New York's 01:30 comes at 05:30 and 06:30 UTC.
    assert latest_due("30 1 * * *", "America/New_York", utc(2026, 11, 1, 6, 45)) == utc(2026, 11, 1, 5, 30)


def test_month_ends() -> None:
    assert next_due("0 22 31 * *", "UTC", utc(2026, 1, 31, 22), 2) == [utc(2026, 3, 31, 22), utc(2026, 5, 31, 22)]
    assert next_due("0 22 L * *", "UTC", utc(2028, 1, 31, 22), 2) == [utc(2028, 2, 29, 22), utc(2028, 3, 31, 22)]
    assert latest_due("0 22 31 * *", "UTC", utc(2026, 3, 1)) == utc(2026, 1, 31, 22)
    assert latest_due("0 0 29 2 *", "UTC", utc(2027, 1, 1)) == utc(2024, 2, 29)


def test_a_window_ends_at_the_next_showing_of_its_time() -> None:
    assert window_until("06:00", BERLIN, utc(2026, 1, 10, 21)) == utc(2026, 1, 11, 5)
    assert window_until("23:30", BERLIN, utc(2026, 1, 10, 21)) == utc(2026, 1, 10, 22, 30)
    assert window_until("22:00", BERLIN, utc(2026, 1, 10, 21)) == utc(2026, 1, 11, 21), "a whole day"
    # The nights when clocks change are an hour shorter and longer; the window still ends at six.
    assert window_until("06:00", BERLIN, utc(2026, 3, 28, 21)) - utc(2026, 3, 28, 21) == timedelta(hours=7)
    assert window_until("06:00", BERLIN, utc(2026, 10, 24, 20)) - utc(2026, 10, 24, 20) == timedelta(hours=9)


def test_a_window_that_ends_inside_a_change_of_clocks_is_never_empty() -> None:
    assert window_until("02:30", BERLIN, utc(2026, 3, 28, 21)) == utc(2026, 3, 29, 1, 30), (
        "counted as before the change"
    )
    assert window_until("02:30", BERLIN, utc(2026, 10, 24, 20)) == utc(2026, 10, 25, 0, 30)
    assert window_until("02:45", BERLIN, utc(2026, 10, 25, 0, 50)) == utc(2026, 10, 25, 1, 45), "the second showing"


def test_a_window_that_the_clocks_leave_out_does_not_last_a_day() -> None:
    # 02:30 to 03:00 in Berlin, on the night when 02:00 to 03:00 is left out: it fires at 03:00.
    [start] = next_due("30 2 * * *", BERLIN, utc(2026, 3, 28, 12), 1)
    assert start == utc(2026, 3, 29, 1)
    assert window_until("03:00", BERLIN, start) == utc(2026, 3, 29, 2)
    assert window_until("06:00", BERLIN, start) == utc(2026, 3, 29, 4)
    assert window_until("03:00", BERLIN, utc(2026, 3, 30, 1)) == utc(2026, 3, 31, 1), "a whole day on any other"


@pytest.mark.parametrize("cron", ["", "61 * * * *", "* * * *", "0 0 30 2 *", "* * * * * *", "@daily", "a b c d e"])
def test_what_is_no_time_is_refused_with_an_example(cron: str) -> None:
    with pytest.raises(Refused, match="0 22"):
        check_cron(cron, "UTC")


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "\0"])
def test_what_is_no_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(Refused, match="IANA"):
        check_cron("0 22 * * *", zone)


def test_times_are_kept_in_one_form() -> None:
    assert check_cron("  0   22 * * mon ", " Europe/Berlin ") == ("0 22 * * mon", "Europe/Berlin")
    assert check_window_end("6:00") == "06:00"
    for wrong in ("24:00", "6", "06:60", "6am", ""):
        with pytest.raises(Refused):
            check_window_end(wrong)
