"""Moments as people write them: ``+2d``, ``tomorrow 9:00``, ``fri 17:30``, ``2026-12-24 09:00``, ``10:00``.

Pure: a text in, a moment on the customer's clock out. They are used in flow tests and where a flow is played by hand.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.durations import Duration, parse_duration

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EXAMPLES = "write +2d, 10:00, tomorrow 9:00, fri 17:30 or 2026-12-24 09:00"

_CLOCK = re.compile(r"(\d{1,2})[:.](\d{2})")
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")


@dataclass(frozen=True, slots=True)
class When:
    """A moment as written: either `later` than some other one, or a `clock` time on a `day`.

    `day` is a date, ``tomorrow``, a day of the week (0: Monday), or None: the next time that the clock shows it.
    """

    later: tuple[Duration, ...] = ()
    clock: time | None = None
    day: date | int | str | None = None
    text: str = ""

    def after(self, now: datetime, zone: ZoneInfo, add: Callable[[datetime, Duration], datetime]) -> datetime:
        """Give the moment, in UTC.

        Args:
            now: from where it is counted; a day of the week or a clock time without a day is never earlier.
            zone: whose clock.
            add: adds a length of time, business days included.
        """
        now = now.astimezone(UTC)  # in a zone with summer time, 24 hours more are not always the same time tomorrow
        if self.clock is None:
            for each in self.later:
                now = add(now, each)
            return now
        today = now.astimezone(zone).date()
        if isinstance(self.day, date):
            days = [self.day]
        elif self.day == "tomorrow":
            days = [today + timedelta(days=1)]
        else:
            wanted = range(7) if self.day is None else (self.day,)
            days = [day for ahead in range(9) if (day := today + timedelta(days=ahead)).weekday() in wanted]
        moments = [datetime.combine(day, self.clock, zone).astimezone(UTC) for day in days]
        # To the minute: "10:00" at ten o'clock and some seconds is now, not tomorrow.
        return next((at for at in moments if at >= now.replace(second=0, microsecond=0)), moments[-1])


def parse_when(text: str) -> When:
    """Read a moment.

    Raises:
        ValueError: it is none; the message says how to write one.
    """
    words = text.strip().lower().replace("t", " ", 1).split() if _DATE.match(text.strip()) else text.lower().split()
    try:
        if words and words[0].startswith("+"):
            return When(tuple(parse_duration(each.removeprefix("+")) for each in words), text=text.strip())
        return _on_the_clock(words, text.strip())
    except ValueError:
        msg = f"{text.strip()!r} is not a moment; {EXAMPLES}"
        raise ValueError(msg) from None


def _on_the_clock(words: list[str], text: str) -> When:
    *before, clock = words or [""]
    shown = _CLOCK.fullmatch(clock)
    if shown is None or len(before) > 1:
        raise ValueError(text)
    at = time(int(shown[1]), int(shown[2]))
    if not before or before[0] == "today":
        return When(clock=at, text=text)
    day = before[0]
    if day == "tomorrow":
        return When(clock=at, day=day, text=text)
    written = _DATE.fullmatch(day)
    if written is not None:
        return When(clock=at, day=date(int(written[1]), int(written[2]), int(written[3])), text=text)
    return When(clock=at, day=DAYS.index(day[:3]), text=text)
