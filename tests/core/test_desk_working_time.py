"""The working calendar: hand-made cases with dates that a person can check, and the properties that must always hold."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bot.desk.shop_yaml import parse_shop
from bot.desk.working_time import Calendar, country_problem, said_at
from bot.durations import Duration, parse_duration

COPENHAGEN = Calendar("Europe/Copenhagen", country="DK", own_days={(12, 24): (), (12, 31): ()})
HOUR = timedelta(hours=1)
SAUDI_WEEK = {weekday: ((time(9), time(17)),) for weekday in (6, 0, 1, 2, 3)}
RIYADH = Calendar("Asia/Riyadh", SAUDI_WEEK, country="SA")
LUNCH = Calendar(
    "Europe/Copenhagen",
    {d: ((time(9), time(12)), (time(13), time(17))) for d in range(4)} | {4: ((time(9), time(12)),)},
)
ALWAYS = Calendar("Europe/Copenhagen", {d: ((time(), time()),) for d in range(7)})
NEW_YORK = Calendar("America/New_York", country="US")
LORD_HOWE = Calendar("Australia/Lord_Howe", {d: ((time(1, 30), time(2, 15)), (time(2, 20), time(4))) for d in range(7)})


def at(text: str, calendar: Calendar = COPENHAGEN, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(calendar.zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("calendar", "begin", "days", "due"),
    [
        pytest.param(COPENHAGEN, "2026-11-23T10:00", 1, "2026-11-24T10:00", id="a plain Monday"),
        pytest.param(COPENHAGEN, "2026-11-27T16:30", 1, "2026-11-30T16:30", id="over a week-end"),
        pytest.param(
            COPENHAGEN, "2026-11-21T10:00", 1, "2026-11-24T09:00", id="from a Saturday: counted from Monday 09:00"
        ),
        pytest.param(
            COPENHAGEN, "2026-11-23T20:00", 1, "2026-11-25T09:00", id="from an evening: counted from the next morning"
        ),
        pytest.param(COPENHAGEN, "2026-11-23T17:00", 1, "2026-11-25T09:00", id="the moment of closing is closed"),
        pytest.param(
            COPENHAGEN,
            "2026-12-23T11:00",
            1,
            "2026-12-28T11:00",
            id="Christmas in Denmark: 24th of the team's own, 25th, 26th",
        ),
        pytest.param(COPENHAGEN, "2026-12-30T11:00", 1, "2027-01-04T11:00", id="New Year in Denmark"),
        pytest.param(COPENHAGEN, "2026-04-01T15:00", 1, "2026-04-07T15:00", id="Easter: five days off"),
        pytest.param(
            COPENHAGEN, "2026-05-01T10:00", 1, "2026-05-04T10:00", id="Great Prayer Day is no holiday any more"
        ),
        pytest.param(
            COPENHAGEN, "2026-03-27T10:00", 1, "2026-03-30T10:00", id="same time on the wall after the clock change"
        ),
        pytest.param(RIYADH, "2026-11-19T10:00", 1, "2026-11-22T10:00", id="Saudi week-end: Thursday to Sunday"),
        pytest.param(RIYADH, "2026-11-20T10:00", 1, "2026-11-23T09:00", id="from a Saudi Friday"),
        pytest.param(
            LUNCH, "2026-11-26T15:00", 1, "2026-11-27T12:00", id="a day that closes earlier: its closing time"
        ),
        pytest.param(LUNCH, "2026-11-23T12:30", 1, "2026-11-24T13:00", id="from the lunch break"),
        pytest.param(COPENHAGEN, "2026-11-23T10:00", 0, "2026-11-23T10:00", id="no day at all"),
        pytest.param(COPENHAGEN, "2026-11-23T10:00", 5, "2026-11-30T10:00", id="a working week"),
    ],
)
def test_business_days_end_where_a_person_would_expect(calendar: Calendar, begin: str, days: int, due: str) -> None:
    """Counting business days agrees with the calendar on the wall: week-ends, holidays, own days off, clock changes."""
    assert calendar.add_business_days(at(begin, calendar), days) == at(due, calendar)


TABLE = YAML(typ="safe", pure=True).load(Path(__file__).with_name("working_time.yaml").read_text(encoding="utf-8"))
OPEN_IN = {
    name: parse_shop(
        "name: x\nlanguages: [en]\ntime_zone: Europe/Copenhagen\ncountry: DK\nfallback_channel: C01\n"
        f"teams: {{ t: {{ channel: C02 }} }}\ncalendar: {json.dumps(given)}\n"
    ).calendar
    for name, given in TABLE["calendars"].items()
}


@pytest.mark.parametrize("case", [pytest.param(case, id=case["about"]) for case in TABLE["cases"]])
def test_due_times_agree_with_those_worked_out_by_hand(case: dict[str, Any]) -> None:
    """Christmas and New Year in Denmark, clock changes both ways, Saudi week-ends, nights, half days, as data."""
    calendar = OPEN_IN[case["calendar"]]
    due = at(case["due"], calendar, case.get("fold", 0))
    assert calendar.after(at(case["from"], calendar), parse_duration(case["length"])) == due


def test_a_half_day_and_a_moved_working_day_overrule_the_week() -> None:
    """A team's own hours on one date count before holidays and week-ends."""
    calendar = Calendar(
        "Europe/Copenhagen",
        country="DK",
        own_days={(12, 24): ((time(9), time(12)),), date(2026, 11, 28): ((time(10), time(14)),)},
    )
    assert calendar.is_open(at("2026-12-24T11:59"))
    assert not calendar.is_open(at("2026-12-24T12:00"))
    assert calendar.add_business_days(at("2026-11-27T15:00"), 1) == at("2026-11-28T14:00")


def test_working_time_is_measured_in_real_hours_across_a_clock_change() -> None:
    """The spring night has 23 hours and the autumn night 25, for a team that never closes."""
    assert ALWAYS.working_between(at("2026-03-29T00:00"), at("2026-03-30T00:00")) == 23 * HOUR
    assert ALWAYS.working_between(at("2026-10-25T00:00"), at("2026-10-26T00:00")) == 25 * HOUR
    assert ALWAYS.add_working(at("2026-03-29T01:30"), HOUR) == at("2026-03-29T03:30")


def test_a_time_that_spring_skips_opens_when_the_clock_jumps() -> None:
    """Opening hours that begin inside the gap begin with the first moment after it."""
    night = Calendar("Europe/Copenhagen", {6: ((time(2, 30), time(5)),)})
    assert night.next_open(at("2026-03-29T00:00")) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def test_working_hours_pause_overnight_and_end_at_closing_time() -> None:
    """Working hours go on the next morning, and a full day ends at its closing time, not at the next opening."""
    assert COPENHAGEN.add_working(at("2026-11-23T15:00"), 4 * HOUR) == at("2026-11-24T11:00")
    assert COPENHAGEN.add_working(at("2026-11-23T09:00"), 8 * HOUR) == at("2026-11-23T17:00")
    assert COPENHAGEN.after(at("2026-11-27T16:00"), Duration(span=2 * HOUR)) == at("2026-11-30T10:00")
    assert COPENHAGEN.working_between(at("2026-11-27T16:00"), at("2026-11-30T10:00")) == 2 * HOUR
    assert COPENHAGEN.working_between(at("2026-11-30T10:00"), at("2026-11-27T16:00")) == timedelta()


@pytest.mark.parametrize(
    ("begun", "language", "said"),
    [
        pytest.param("2026-11-23T10:00", "en", "one business day", id="nothing on the way: no more than that"),
        pytest.param(
            "2026-12-22T10:00",
            "en",
            "one business day",
            id="the day before the holidays",
        ),
        pytest.param(
            "2026-05-13T10:00",
            "en",
            "one business day, Thu 14 May is a holiday in Denmark (Ascension Day)",
            id="a holiday on the way",
        ),
        pytest.param(
            "2026-12-24T11:00",
            "en",
            "one business day, counted from Mon 28 Dec 09:00, when the team opens, "
            "Thu 24 Dec is a day off of the team's own, Fri 25 Dec is a holiday in Denmark (Christmas Day)",
            id="from a closed day",
        ),
        pytest.param(
            "2026-05-13T10:00",
            "da",
            "én arbejdsdag, tors. 14. maj er helligdag i Danmark (Kristi himmelfartsdag)",
            id="in the staff's language",
        ),
    ],
)
def test_the_reason_of_a_due_time_is_short_and_does_not_repeat_the_time(begun: str, language: str, said: str) -> None:
    """One reason: what was counted, from when if not from now, and each day off on the way, in the staff's language."""
    began = at(begun)
    due = COPENHAGEN.add_business_days(began, 1)
    assert COPENHAGEN.explain(began, due, language=language) == said


def test_of_many_days_off_only_the_first_are_named() -> None:
    """Over Easter and its week-end the reason stays one line."""
    calendar = replace(COPENHAGEN, own_days={date(2026, 4, 7): (), date(2026, 4, 8): ()})
    began = at("2026-04-01T15:00")
    said = calendar.explain(began, calendar.add_business_days(began, 1))
    assert said.count(" is a ") == 3
    assert said.endswith("and 2 more days off")


def test_a_moved_working_day_and_hours_are_named_as_such() -> None:
    """A Saturday that is worked is said, and a length in hours is called working hours."""
    calendar = replace(COPENHAGEN, own_days={date(2026, 11, 28): ((time(10), time(14)),)})
    began = at("2026-11-27T16:00")
    due = calendar.add_working(began, 3 * HOUR)
    assert due == at("2026-11-28T12:00")
    assert calendar.explain(began, due, Duration(span=3 * HOUR)) == "3 working hours, Sat 28 Nov is worked"


def test_a_time_for_staff_is_short_and_in_their_language() -> None:
    """Weekday, day, month and the clock of the team: nothing else."""
    moment = at("2026-11-30T10:00")
    assert said_at(moment, "Europe/Copenhagen") == "Mon 30 Nov 10:00"
    assert said_at(moment, "Europe/Copenhagen", "da") == "man. 30. nov. kl. 10.00"


def test_unknown_holiday_calendars_are_named() -> None:
    """A country, subdivision or category that the library does not know is refused in words, with what it knows."""
    assert country_problem("DK", None, ("public", "optional")) is None
    assert "XX" in (country_problem("XX", None, ("public",)) or ("",))[0]
    reason, known = country_problem("DE", "XX", ("public",)) or ("", [])
    assert "Germany" in reason
    assert "BY" in known
    assert "moon" in (country_problem("DK", None, ("moon",)) or ("",))[0]


def test_a_calendar_that_never_opens_is_refused() -> None:
    """A calendar without hours would have no due time at all."""
    with pytest.raises(ValueError, match="at least one day"):
        Calendar("Europe/Copenhagen", {0: ()})
    closed = Calendar(
        "Europe/Copenhagen",
        {0: ((time(9), time(10)),)},
        own_days={(m, d): () for m in range(1, 13) for d in range(1, 32)},
    )
    with pytest.raises(ValueError, match="never opens"):
        closed.next_open(at("2026-01-01T00:00"))


calendars = st.sampled_from([COPENHAGEN, RIYADH, LUNCH, ALWAYS, NEW_YORK, LORD_HOWE])
moments = st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # the strategy adds the zone
around_changes = st.builds(
    lambda day, minutes: datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minutes),
    st.sampled_from(["2026-03-28", "2026-10-24", "2026-03-08", "2026-11-01", "2026-04-04", "2026-10-03"]),
    st.integers(0, 2880),
)
any_moment = st.one_of(moments, around_changes)


def touches_working_time(calendar: Calendar, moment: datetime) -> bool:
    return calendar.is_open(moment) or calendar.is_open(moment - timedelta(microseconds=1))


@given(calendars, any_moment, st.integers(0, 8))
def test_a_due_time_is_never_in_closed_time_nor_in_the_past(calendar: Calendar, begun: datetime, days: int) -> None:
    """Whatever the calendar and the moment, the due time touches working time and does not lie before its beginning."""
    due = calendar.add_business_days(begun, days)
    assert due >= begun
    assert due.tzinfo is UTC
    assert touches_working_time(calendar, due)


@given(calendars, any_moment, any_moment, st.integers(0, 5))
def test_what_comes_later_is_not_due_earlier(calendar: Calendar, a: datetime, b: datetime, days: int) -> None:
    """Business days keep the order of arrival."""
    first, second = sorted((a, b))
    assert calendar.add_business_days(first, days) <= calendar.add_business_days(second, days)


@given(calendars, around_changes, st.integers(0, 200), st.integers(0, 3))
def test_order_is_kept_even_in_the_hour_that_autumn_repeats(
    calendar: Calendar, a: datetime, later: int, days: int
) -> None:
    """Two moments minutes apart around a clock change keep their order, too."""
    assert calendar.add_business_days(a, days) <= calendar.add_business_days(a + timedelta(minutes=later), days)


@given(calendars, any_moment, st.timedeltas(timedelta(), timedelta(hours=60)))
def test_working_time_added_is_working_time_measured(calendar: Calendar, begun: datetime, span: timedelta) -> None:
    """Adding and measuring working time are inverse to one another, and the result touches working time."""
    due = calendar.add_working(begun, span)
    assert calendar.working_between(begun, due) == span
    assert touches_working_time(calendar, due)


@given(calendars, any_moment)
def test_the_next_opening_is_open_and_nothing_before_it_is(calendar: Calendar, moment: datetime) -> None:
    """The next opening is open, not in the past, and no working time is skipped on the way there."""
    opening = calendar.next_open(moment)
    assert opening >= moment
    assert calendar.is_open(opening)
    assert calendar.working_between(moment, opening) == timedelta()


spans = st.timedeltas(timedelta(), timedelta(hours=40))


@given(calendars, any_moment, spans, spans)
def test_working_time_is_additive(calendar: Calendar, begun: datetime, first: timedelta, then: timedelta) -> None:
    """To add a length and then another is to add both at once."""
    assert calendar.add_working(calendar.add_working(begun, first), then) == calendar.add_working(begun, first + then)


@given(calendars, any_moment, any_moment, spans, spans)
def test_working_time_keeps_the_order_of_beginnings_and_of_lengths(
    calendar: Calendar, a: datetime, b: datetime, one: timedelta, other: timedelta
) -> None:
    """What begins later, or takes longer, is not due earlier."""
    (first, second), (short, long) = sorted((a, b)), sorted((one, other))
    assert calendar.add_working(first, short) <= calendar.add_working(second, short)
    assert calendar.add_working(first, short) <= calendar.add_working(first, long)


@given(calendars, any_moment, any_moment, any_moment)
def test_working_time_between_moments_adds_up(calendar: Calendar, a: datetime, b: datetime, c: datetime) -> None:
    """From the first to the last moment lies what lies before and after the one between."""
    first, middle, last = sorted((a, b, c))
    if last - first > timedelta(days=60):
        last = first + (last - first) % timedelta(days=60)
        middle = min(middle, last)
    parts = calendar.working_between(first, middle) + calendar.working_between(middle, last)
    assert parts == calendar.working_between(first, last)
