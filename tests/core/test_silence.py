"""When silence is longer than normal: tiny shops sleep, busy ones do not, and what is learnt survives a restart."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.silence import AT_LEAST, EXPECTED, Habit, Inbound, Silence, hour_of_week, read_inbound, write_inbound

MONDAY = datetime(2026, 10, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def arrivals(seed: int, days: int, a_day: int, *, from_hour: int, to_hour: int) -> list[datetime]:
    """Give times at which something came in, `a_day` at random between two hours of each day."""
    rng = random.Random(seed)  # noqa: S311 - chance that can be repeated
    span = (to_hour - from_hour) * 3600
    return sorted(
        MONDAY + timedelta(days=day, hours=from_hour, seconds=rng.randrange(span))
        for day in range(days)
        for _ in range(a_day)
    )


def watch(came: list[datetime], until: datetime, every: timedelta = 5 * MINUTE) -> Iterator[tuple[datetime, Silence]]:
    """Look every so often, hear what came since, and give each look's silence of the shop."""
    now, known, heard = MONDAY, Inbound(MONDAY), 0
    while now < until:
        now += every
        before = heard
        while heard < len(came) and came[heard] <= now:
            heard += 1
        known = known.hearing(now, heard, {"shop": came[heard - 1]} if heard > before else {})
        if "shop" in known.last:
            yield now, known.silences()["shop"]


def first_word(came: list[datetime], until: datetime) -> datetime | None:
    """Give when the silence first counts as longer than normal."""
    return next((at for at, silence in watch(came, until) if silence.is_longer_than_normal), None)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("a_day", [1, 3, 15])
def test_a_small_shop_is_never_alarmed_at_night_nor_on_its_ordinary_days(seed: int, a_day: int) -> None:
    """One, three or fifteen orders a day, at random between nine and eight: ten weeks without one word."""
    came = arrivals(seed, 70, a_day, from_hour=9, to_hour=20)
    assert first_word(came, came[-1]) is None


@pytest.mark.parametrize("seed", range(3))
def test_a_small_shop_that_fell_silent_is_told_so_by_day(seed: int) -> None:
    """After seven weeks of eight orders a day nothing comes any more: noticed within days, and not in the night."""
    came = arrivals(seed, 49, 8, from_hour=9, to_hour=20)
    first = first_word(came, came[-1] + timedelta(days=6))
    assert first is not None
    assert timedelta(hours=12) < first - came[-1] < timedelta(days=4)
    assert 9 <= first.hour <= 20


@pytest.mark.parametrize("seed", range(3))
def test_a_busy_shop_that_falls_silent_is_told_so_within_hours(seed: int) -> None:
    """An order every two minutes, day and night: no false word in four weeks, and soon one when none comes any more."""
    came = arrivals(seed, 28, 720, from_hour=0, to_hour=24)
    first = first_word(came, came[-1] + timedelta(hours=6))
    assert first is not None
    assert AT_LEAST < first - came[-1] < timedelta(hours=4)


def test_a_shop_that_keeps_sundays_is_not_alarmed_on_monday_morning() -> None:
    """Closed from Saturday evening to Monday nine o'clock: normal, because it is so every week."""
    weekdays = [at for at in arrivals(3, 42, 40, from_hour=9, to_hour=18) if at.weekday() < 6]
    assert first_word(weekdays, weekdays[-1]) is None


def test_a_shop_that_sends_one_batch_a_day_may_be_late() -> None:
    """Thousands of rows once a day promise no more than one thing a day: hours late is no alarm, days are."""
    came = [MONDAY + timedelta(days=day, hours=6, seconds=number) for day in range(42) for number in range(500)]
    assert first_word(came, came[-1] + timedelta(days=2)) is None
    assert first_word(came, came[-1] + timedelta(days=16)) is not None


def test_nothing_is_expected_before_an_hour_of_the_week_was_seen_twice() -> None:
    """A new shop is not told what is normal by a program that cannot know."""
    once = week_of(Habit())
    assert once.expected(hour_of_week(MONDAY)) == 0
    twice = week_of(once)
    assert twice.expected(hour_of_week(MONDAY)) > 1


def test_what_is_usual_follows_the_shop() -> None:
    """A shop that grows is soon expected to go on, and one that shrinks is soon left in peace."""
    habit = Habit()
    for _ in range(8):
        habit = week_of(habit)
    assert habit.expected(0) > 2
    for _ in range(16):
        habit = week_of(habit, quarters=())
    assert habit.expected(0) < 0.5


def test_the_time_when_the_program_was_off_is_no_silence() -> None:
    """Three days off add nothing to what was missed, and are not learnt; a short restart is a pause like any other."""
    habit = Habit(usual=dict.fromkeys(range(168), (4.0, 5)))
    known = Inbound(MONDAY, 1, {"shop": MONDAY}, {"shop": habit})
    off = known.hearing(MONDAY + timedelta(days=3), 1, {})
    assert off.silences()["shop"].missed == 0
    assert off.habits["shop"].usual == habit.usual
    soon = known.hearing(MONDAY + 6 * MINUTE, 1, {})
    assert soon.silences()["shop"].missed == pytest.approx(0.4)


def test_a_silence_that_is_known_to_be_wrong_is_not_learnt() -> None:
    """While the alarm is on, the broken hours do not become the new normal."""
    habit = Habit(usual=dict.fromkeys(range(168), (4.0, 5)))
    known = Inbound(MONDAY, 1, {"shop": MONDAY}, {"shop": habit})
    for look in range(1, 40):
        known = known.hearing(MONDAY + look * 10 * MINUTE, 1, {}, alarmed=frozenset({"shop"}))
    assert known.habits["shop"].usual == habit.usual
    assert known.silences()["shop"].missed > EXPECTED


def week_of(habit: Habit, quarters: tuple[int, ...] = (0, 1, 3)) -> Habit:
    """Give what is known after a week in which something came in these quarters of Monday's first hour."""
    for quarter in quarters:
        habit = habit.hearing(MONDAY + quarter * 15 * MINUTE, MINUTE, is_news=True)
    habit = habit.hearing(MONDAY + 59 * MINUTE, MINUTE, is_news=False)
    return habit.hearing(MONDAY + HOUR, MINUTE, is_news=False)


@given(
    st.dictionaries(
        st.sampled_from(["shop", "telegram", "slack"]),
        st.tuples(
            st.integers(0, 167),
            st.frozensets(st.integers(0, 3)),
            st.dictionaries(st.integers(0, 167), st.tuples(st.sampled_from([0.0, 0.25, 3.5]), st.integers(1, 500))),
        ),
    )
)
def test_what_was_learnt_is_kept_as_it_was(
    habits: dict[str, tuple[int, frozenset[int], dict[int, tuple[float, int]]]],
) -> None:
    """Written and read again it is the same; and the note stays small."""
    known = Inbound(
        MONDAY + HOUR,
        7,
        dict.fromkeys(habits, MONDAY),
        {name: Habit(hour, heard, 1.5, usual) for name, (hour, heard, usual) in habits.items()},
    )
    text = write_inbound(known)
    assert read_inbound(text, MONDAY) == known
    assert len(text) < 20_000


@pytest.mark.parametrize("text", [None, "", "{}", "[]", "nonsense", '{"looked_at": 3}'])
def test_what_cannot_be_read_is_learnt_anew(text: str | None) -> None:
    """A note of another version, or none, keeps nobody from listening."""
    assert read_inbound(text, MONDAY) == Inbound(MONDAY)
