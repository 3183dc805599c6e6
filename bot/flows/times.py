"""Moments on the customer's own clock: the next one within a window of hours and days.

Pure. Business days and the shop's calendar are the desk's; quiet hours are the guards'.
"""

from datetime import UTC, datetime, timedelta

from bot.flows.facts import local_time
from bot.flows.model import Window

_DAYS_AHEAD = 9

YEARS = range(2000, 2101)
"""Whatever lies beyond is a slip, and would overflow arithmetic."""


def next_in(window: Window, at: datetime, zone: str) -> datetime:
    """Return `at` itself where it lies in the window, else the moment at which the window next opens.

    A window that ends before it begins goes on past midnight; one that ends as it begins lasts the whole day. The hour
    that a clock change leaves out opens with the next one that there is.
    """
    local = local_time(zone, at)
    for ahead in range(-1, _DAYS_AHEAD):
        day = local.date() + timedelta(days=ahead)
        if window.days and day.weekday() not in window.days:
            continue
        opens = datetime.combine(day, window.begins, local.tzinfo).astimezone(UTC)
        last = day if window.ends > window.begins else day + timedelta(days=1)
        closes = datetime.combine(last, window.ends, local.tzinfo).astimezone(UTC)
        if opens <= at < closes:
            return at
        if opens > at:
            return opens
    return at


def is_sensible(at: datetime) -> bool:
    """Tell whether somebody can have meant that moment."""
    return at.year in YEARS


def on_the_clock(wall: datetime, zone: str, now: datetime) -> datetime:
    """Return the moment at which the customer's clock shows `wall` (a time without a zone)."""
    return wall.replace(tzinfo=local_time(zone, now).tzinfo).astimezone(UTC)
