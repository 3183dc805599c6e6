"""Moments as people write them, on a customer's clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.durations import Duration
from bot.trials.moments import parse_when

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
MONDAY = datetime(2026, 11, 23, 10, 0, tzinfo=COPENHAGEN)


def plainly(at: datetime, length: Duration) -> datetime:
    return at + length.span + timedelta(days=length.business_days)


def resolved(text: str, now: datetime = MONDAY) -> str:
    return f"{parse_when(text).after(now, COPENHAGEN, plainly).astimezone(COPENHAGEN):%a %Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("+2d", "Wed 2026-11-25 10:00"),
        ("+1d +3h", "Tue 2026-11-24 13:00"),
        ("10:00", "Mon 2026-11-23 10:00"),
        ("9:59", "Tue 2026-11-24 09:59"),
        ("today 18:30", "Mon 2026-11-23 18:30"),
        ("tomorrow 9:00", "Tue 2026-11-24 09:00"),
        ("mon 10:00", "Mon 2026-11-23 10:00"),
        ("Monday 09:00", "Mon 2026-11-30 09:00"),
        ("fri 17.30", "Fri 2026-11-27 17:30"),
        ("2026-12-24 09:00", "Thu 2026-12-24 09:00"),
        ("2026-12-24T09:00", "Thu 2026-12-24 09:00"),
    ],
)
def test_moments_are_counted_from_now_on_the_customers_clock(text: str, moment: str) -> None:
    """A moment is read the way it is meant: never before now, unless a date says so."""
    assert resolved(text) == moment


def test_seconds_past_the_minute_do_not_lose_a_day() -> None:
    """Ten o'clock is still now where it is ten o'clock and some seconds."""
    assert resolved("10:00", MONDAY.replace(second=5)) == "Mon 2026-11-23 10:00"


@pytest.mark.parametrize(
    ("night", "text", "utc"),
    [
        ("2026-03-28 12:00", "tomorrow 08:30", "2026-03-29 06:30"),
        ("2026-10-24 12:00", "tomorrow 08:30", "2026-10-25 07:30"),
        ("2026-10-24 12:00", "+24h", "2026-10-25 10:00"),
    ],
)
def test_a_clock_time_stays_itself_when_the_clocks_change(night: str, text: str, utc: str) -> None:
    """Half past eight is half past eight on the wall, while 24 hours are 24 hours."""
    now = datetime.fromisoformat(night).replace(tzinfo=COPENHAGEN)
    found = parse_when(text).after(now, COPENHAGEN, plainly)
    assert f"{found.astimezone(UTC):%Y-%m-%d %H:%M}" == utc


@pytest.mark.parametrize("text", ["", "soon", "+", "+2", "25:00", "2026-13-01 10:00", "2026-12-24", "xyz 9:00", "fri"])
def test_what_is_no_moment_is_refused_with_how_to_write_one(text: str) -> None:
    """The refusal says what a moment looks like."""
    with pytest.raises(ValueError, match=r"is not a moment; write \+2d"):
        parse_when(text)


@given(st.text(max_size=40))
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    """Whatever is typed, the answer is a moment or a plain refusal, never another error."""
    try:
        when = parse_when(text)
    except ValueError:
        return
    assert when.after(MONDAY, COPENHAGEN, plainly).tzinfo is not None
