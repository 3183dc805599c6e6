"""Reading a working calendar from shop.yaml. Which moments it makes working time is `bot.desk.working_time`'s."""

from collections.abc import Mapping
from datetime import time

from bot.desk.marked_yaml import Marked
from bot.desk.shop_values import calendar_day, period, time_zone
from bot.desk.working_time import OFFICE_HOURS, Calendar, Day, Hours, country_problem

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def read_calendar(given: Marked | None, default: Calendar) -> Calendar:
    """Read a calendar; whatever it leaves out is as in `default`."""
    if given is None:
        return default
    fields = given.fields("time_zone", "hours", "holidays", "closed", "open")
    country, subdivision, categories = default.country, default.subdivision, default.categories
    if "holidays" in fields:
        country, subdivision, categories = _holidays(fields["holidays"], default)
    hours = _week(fields["hours"]) if "hours" in fields else default.hours
    own_days = {**default.own_days, **_own_days(fields.get("closed"), fields.get("open"))}
    return Calendar(
        zone=fields.value("time_zone", time_zone, default.zone),
        hours=hours,
        country=country,
        subdivision=subdivision,
        categories=categories,
        own_days=own_days,
    )


def _holidays(given: Marked, default: Calendar) -> tuple[str | None, str | None, tuple[str, ...]]:
    if not given.is_mapping:
        word = given.text()
        return (None if word == "none" else word), None, ("public",)
    fields = given.fields("country", "subdivision", "categories")
    return (
        fields.value("country", str, default.country),
        fields.value("subdivision", str, None),
        tuple(word for _, word in fields["categories"].words()) if "categories" in fields else ("public",),
    )


def check_holidays(place: Marked | None, calendar: Calendar) -> None:
    """Complain at `place` where the calendar's holidays are of no known country, subdivision or category."""
    if place is None or not calendar.country:
        return
    problem = country_problem(calendar.country, calendar.subdivision, calendar.categories)
    if problem is not None:
        reason, known = problem
        wanted = reason.rpartition(" ")[2].strip("'")
        place.suggest(wanted, f"{reason} (`holidays: none` in the calendar does without)", known)


def _week(given: Marked) -> Mapping[int, Hours]:
    """Read ``mon-thu: 09:00-17:00``; days that are not named are closed."""
    week: dict[int, Hours] = {}
    for place, key, value in given.entries():
        days = _weekdays(key)
        if not days:
            place.suggest(key, f"{key!r} is not a day of the week, or a span of days such as mon-fri", _WEEKDAYS)
        for day in days:
            if day in week:
                place.refuse(f"{_WEEKDAYS[day]} has its hours already", "name each day once")
        periods = _periods(value)
        week.update(dict.fromkeys(days, periods))
    if not any(week.values()):
        if not given.complaints.found:
            given.refuse("a team must work on at least one day of the week", "write hours: { mon-fri: 09:00-17:00 }")
        return OFFICE_HOURS
    return week


def _weekdays(key: str) -> list[int]:
    first, dash, last = (part.strip() for part in key.lower().partition("-"))
    if first not in _WEEKDAYS or (dash and last not in _WEEKDAYS):
        return []
    start = _WEEKDAYS.index(first)
    length = (_WEEKDAYS.index(last) - start) % 7 if dash else 0
    return [(start + n) % 7 for n in range(length + 1)]


def _periods(given: Marked) -> Hours:
    """Read one period or several, or the word ``closed``."""
    if not given.is_list and not given.is_mapping and given.text() == "closed":
        return ()
    periods: list[tuple[time, time]] = []
    for item, word in given.words():
        for part in word.split(","):
            period = _period_of(item, part.strip())
            if period is None:
                continue
            if periods and (periods[-1][1] == time() or period[0] < periods[-1][1]):
                item.refuse(
                    f"{part.strip()} begins before the period in front of it ends", "write them in order and apart"
                )
                continue
            periods.append(period)
    return tuple(periods)


def _period_of(place: Marked, text: str) -> tuple[time, time] | None:
    try:
        start, end = period(text)
    except ValueError as error:
        place.refuse(str(error))
        return None
    if end != time() and end <= start:
        place.refuse(
            f"{text} ends before it begins", "a night shift is two periods: 22:00-24:00 and, the day after, 00:00-06:00"
        )
        return None
    return start, end


def _own_days(closed: Marked | None, opened: Marked | None) -> Mapping[Day, Hours]:
    days: dict[Day, Hours] = {}
    for item, _ in closed.words() if closed else ():
        day = item.read(calendar_day, None)
        if day is not None:
            days[day] = ()
    for place, key, value in opened.entries() if opened else ():
        day = place.read(calendar_day, None)
        if day is None:
            continue
        if day in days:
            place.refuse(f"{key} is both closed and open", "name it in one of the two")
        days[day] = _periods(value)
    return days
