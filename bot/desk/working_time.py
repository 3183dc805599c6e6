"""When a team works: opening hours, holidays, days of its own, and counting in business days.

Pure: every moment comes in as an argument, and goes out in UTC. Wall clocks are looked at only to know where a day
begins, opens and closes; all adding and subtracting is done in UTC. Nothing of shop.yaml's form belongs here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

import holidays
from babel import Locale
from babel.dates import format_date, format_datetime

from bot.durations import Duration
from bot.public_days import holidays_of

Hours: TypeAlias = tuple[tuple[time, time], ...]
"""The opening periods of one day, in order and apart. An end of 00:00 is the midnight that ends the day."""

Day: TypeAlias = date | tuple[int, int]
"""One date, or (month, day) of every year."""

OFFICE_HOURS: Mapping[int, Hours] = {weekday: ((time(9), time(17)),) for weekday in range(5)}
"""Monday to Friday, 09:00–17:00."""

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "time": "EEE d MMM HH:mm",
        "day": "EEE d MMM",
        "one": "one business day",
        "days": "{n} business days",
        "hour": "one working hour",
        "hours": "{n} working hours",
        "minutes": "{n} minutes of working time",
        "counted": "counted from {time}, when the team opens",
        "holiday": "{day} is a holiday in {country} ({name})",
        "own": "{day} is a day off of the team's own",
        "worked": "{day} is worked",
        "more": "and {n} more days off",
    },
    "da": {
        "time": "EEE d. MMM 'kl.' HH.mm",
        "day": "EEE d. MMM",
        "one": "én arbejdsdag",
        "days": "{n} arbejdsdage",
        "hour": "én arbejdstime",
        "hours": "{n} arbejdstimer",
        "minutes": "{n} minutters arbejdstid",
        "counted": "regnet fra {time}, når teamet åbner",
        "holiday": "{day} er helligdag i {country} ({name})",
        "own": "{day} er teamets egen fridag",
        "worked": "{day} er arbejdsdag",
        "more": "og {n} fridage til",
    },
}
"""How a due time is explained, in the languages that the product speaks to staff."""
_NAMED_DAYS = 3
_ONE_DAY_LONG = Duration(business_days=1)
_ONE_DAY = timedelta(days=1)
_SEARCH_DAYS = 4000
"""How far ahead an opening is looked for: any calendar that ever opens does so within these eleven years."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The working time of one team.

    `zone` is an IANA name, `hours` the opening periods by weekday (0: Monday). Holidays are those of `country` (ISO
    code; None: none) and its `subdivision`, of the `categories` that the holidays library knows. `own_days` overrule
    all of that: closed days of the team's own (no periods), half days, and working days moved to a weekend.

    Raises:
        ValueError: no weekday has any hours.

    Source: the public holidays of Denmark omit 24 and 31 December, when most shops are closed all the same:
        https://holidays.readthedocs.io/en/latest/ (read 2025-11).
    """

    zone: str
    hours: Mapping[int, Hours] = field(default_factory=lambda: OFFICE_HOURS)
    country: str | None = None
    subdivision: str | None = None
    categories: tuple[str, ...] = ("public",)
    own_days: Mapping[Day, Hours] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a calendar that never opens."""
        if not any(self.hours.values()):
            msg = "a working calendar needs opening hours on at least one day of the week"
            raise ValueError(msg)

    def hours_on(self, day: date) -> Hours:
        """Tell the opening periods of `day`, a date in the calendar's own zone; empty where the team is off."""
        own = self._own_hours(day)
        if own is not None:
            return own
        return () if self.holiday_on(day) else self.hours.get(day.weekday(), ())

    def holiday_on(self, day: date, language: str = "en") -> str | None:
        """Name the holiday that falls on `day`, in a language where the library knows it in that one."""
        if self.country is None:
            return None
        return holidays_of(self.country, self.subdivision, self.categories, day.year, language).get(day)

    def is_open(self, at: datetime) -> bool:
        """Tell whether the team works at that moment. The moment of closing is closed."""
        return any(start <= at < end for start, end in self._opened(self._local(at).date()))

    def next_open(self, at: datetime) -> datetime:
        """Give `at` itself where the team is at work, or else the moment when it opens next.

        Raises:
            ValueError: the team's own days keep it closed for years.
        """
        return next(max(start, at.astimezone(UTC)) for start, end in self._openings(at) if end > at)

    def add_business_days(self, at: datetime, n: int) -> datetime:
        """Give the moment `n` business days after `at`: the same time on the wall, moved into that day's hours.

        From closed time the counting begins at the next opening. The result is never in closed time; where the day
        closes earlier than the time on the wall, it is the moment of closing.
        """
        begun = self.next_open(at)
        day = self._local(begun).date()
        for _ in range(n):
            day = next(later for later in _days(day + _ONE_DAY) if self._opened(later))
        wanted = _instant(day, self._wall_time(begun), self.tz) if n > 0 else begun
        for start, end in self._opened(day):
            if wanted <= end:
                return max(start, wanted)
        return self._opened(day)[-1][1]

    def add_working(self, at: datetime, span: timedelta) -> datetime:
        """Give the moment when `span` of working time has passed; closing time rather than the next opening."""
        left = max(span, timedelta())
        for start, end in self._openings(at):
            begun = max(start, at.astimezone(UTC))
            if end > at and begun + left <= end:
                return begun + left
            left -= max(end - begun, timedelta())
        raise AssertionError  # pragma: no cover  (the openings end with an exception of their own)

    def working_between(self, a: datetime, b: datetime) -> timedelta:
        """Tell how much working time lies between `a` and `b`; none where `b` is not later."""
        total, day, last = timedelta(), self._local(a).date(), self._local(b).date()
        while day <= last:
            for start, end in self._opened(day):
                total += max(min(end, b) - max(start, a), timedelta())
            day += _ONE_DAY
        return total

    def after(self, at: datetime, length: Duration) -> datetime:
        """Give the moment `length` of this calendar's time after `at`: business days, or working hours."""
        if length.business_days:
            return self.add_business_days(at, length.business_days)
        return self.add_working(at, length.span)

    def explain(self, at: datetime, due: datetime, length: Duration = _ONE_DAY_LONG, language: str = "en") -> str:
        """Say in few words why what came `at` is due at `due`, `length` later: what was counted, and the days off.

        The time itself is not said: see `said_at`. Of many days off on the way the first three are named.
        """
        words = _WORDS.get(language, _WORDS["en"])
        parts = [_length_in(words, length)]
        begun = self.next_open(at)
        if begun != at:
            parts.append(words["counted"].format(time=said_at(begun, self.zone, language)))
        day, last = self._local(at).date(), self._local(due).date()
        off: list[str] = []
        while day <= last:
            if why := self._why_odd(day, words, language):
                off.append(why)
            day += _ONE_DAY
        more = [words["more"].format(n=len(off) - _NAMED_DAYS)] if len(off) > _NAMED_DAYS else []
        return ", ".join([*parts, *off[:_NAMED_DAYS], *more])

    def _why_odd(self, day: date, words: Mapping[str, str], language: str) -> str | None:
        """Say why a day is not what its weekday is: off though it is usually worked, or the other way round."""
        usual, opened = bool(self.hours.get(day.weekday())), bool(self._opened(day))
        if usual == opened:
            return None
        named = format_date(day, words["day"], locale=language if language in _WORDS else "en")
        if opened:
            return words["worked"].format(day=named)
        holiday = self.holiday_on(day)
        if holiday is None or self._own_hours(day) is not None:
            return words["own"].format(day=named)
        country = _country_name(self.country or "", language)
        return words["holiday"].format(day=named, country=country, name=self.holiday_on(day, language))

    def _own_hours(self, day: date) -> Hours | None:
        return self.own_days.get(day, self.own_days.get((day.month, day.day)))

    @property
    def tz(self) -> ZoneInfo:
        """The clock on the team's wall."""
        return ZoneInfo(self.zone)

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(self.tz)

    def _wall_time(self, at: datetime) -> time:
        """Read the clock on the wall; in the hour that autumn repeats, the latest that it has shown yet.

        Without that, a later moment could become due before an earlier one.
        """
        local = self._local(at)
        if not local.fold:
            return local.time()
        first_pass = local.replace(fold=0).astimezone(UTC)
        change = _clock_change(first_pass, at.astimezone(UTC), self.tz)
        shown = self._local(change - timedelta(microseconds=1))
        return shown.time() if shown.date() == local.date() else local.time()

    def _opened(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        """Give the opening periods of a local day as moments; what the spring change swallows is left out."""
        spans = (
            (
                _instant(day, start, self.tz),
                _instant(day if end > time() else day + _ONE_DAY, end, self.tz),
            )
            for start, end in self.hours_on(day)
        )
        return tuple((start, end) for start, end in spans if start < end)

    def _openings(self, at: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Go through the opening periods from the local day of `at` on."""
        for day in _days(self._local(at).date()):
            yield from self._opened(day)


def said_at(at: datetime, zone: str, language: str = "en") -> str:
    """Write a time for staff, in few signs: ``Mon 23 Nov 10:00``."""
    known = language if language in _WORDS else "en"
    return format_datetime(at, _WORDS[known]["time"], tzinfo=ZoneInfo(zone), locale=known)


def said_length(length: Duration, language: str = "en") -> str:
    """Write a length of working time: ``one business day``, ``4 working hours``."""
    return _length_in(_WORDS.get(language, _WORDS["en"]), length)


def _length_in(words: Mapping[str, str], length: Duration) -> str:
    if length.business_days:
        return words["one"] if length.business_days == 1 else words["days"].format(n=length.business_days)
    minutes = round(length.span.total_seconds() / 60)
    if minutes % 60:
        return words["minutes"].format(n=minutes)
    return words["hour"] if minutes == 60 else words["hours"].format(n=minutes // 60)  # noqa: PLR2004 - of an hour


def country_problem(country: str, subdivision: str | None, categories: tuple[str, ...]) -> tuple[str, list[str]] | None:
    """Say what is wrong with a holiday calendar, and what it could be instead; None where nothing is."""
    known = holidays.list_supported_countries()
    if country not in known:
        return f"no holidays are known for country {country!r}", sorted(known)
    if subdivision is not None and subdivision not in known[country]:
        return f"{_country_name(country)} has no subdivision {subdivision!r} in the holiday calendar", list(
            known[country]
        )
    supported = holidays.country_holidays(country).supported_categories
    for category in categories:
        if category not in supported:
            return f"the holidays of {_country_name(country)} know no category {category!r}", list(supported)
    return None


@lru_cache(maxsize=256)
def _country_name(country: str, language: str = "en") -> str:
    return str(Locale(language if language in _WORDS else "en").territories.get(country, country))


def _days(first: date) -> Iterator[date]:
    for n in range(_SEARCH_DAYS):
        yield first + _ONE_DAY * n
    msg = "this calendar never opens: its own days close every day of every year"
    raise ValueError(msg)


def _instant(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """Give the moment at which a wall clock first shows, or in a spring gap jumps over, that time."""
    local = datetime.combine(day, wall.replace(fold=0), zone)
    first, second = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
    # PEP 495: only in a gap does the second reading lie before the first.
    return _clock_change(second, first, zone) if second < first else first


def _clock_change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Find the moment between two (in UTC) at which the zone's clock is changed. Changes fall on whole seconds."""
    old = before.astimezone(zone).utcoffset()
    low, high = before.replace(microsecond=0), after.replace(microsecond=0)
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == old else (low, middle)
    return high
