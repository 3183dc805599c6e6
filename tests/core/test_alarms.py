"""Which alarms are on and what is said: once at the beginning, once at the end, never a flood, the same after a restart."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alarms import (
    CALM,
    LAG,
    SAME_AGAIN,
    UNREACHED,
    Alarm,
    Facts,
    Lag,
    Sign,
    Word,
    decide,
    in_words,
    read_book,
    signs,
    write_book,
)
from bot.silence import Silence

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
AWAY = Facts(unreached={"Telegram": "cannot be reached"})
WELL = Facts()


class Told:
    """Looks minute by minute, and keeps what was said. Each look reads and writes the book anew, as a restart would."""

    def __init__(self) -> None:
        self.now, self.kept = NOW, write_book({})
        self.words: list[Word] = []

    def look(self, facts: Facts, minutes: int = 1) -> list[str]:
        """Look at the same facts once a minute; gives what was said."""
        before = len(self.words)
        for _ in range(minutes):
            book = read_book(self.kept)
            known, words = decide(book, signs(facts, book, self.now), self.now)
            self.kept = write_book(known)
            self.words += words
            self.now += MINUTE
        return [word.text for word in self.words[before:]]

    def on(self) -> dict[str, Alarm]:
        """Give the alarms that are on now."""
        return {key: alarm for key, alarm in read_book(self.kept).items() if alarm.is_on(self.now)}


def test_an_alarm_is_told_once_when_it_begins_and_once_when_it_is_over() -> None:
    """Twelve minutes without Telegram: one word after the patience, one at the end that says how long it was."""
    told = Told()
    assert told.look(AWAY, int(UNREACHED / MINUTE)) == []
    [begun] = told.look(AWAY)
    assert begun == (
        "🚨 Telegram: cannot be reached\n→ see whether this machine reaches the internet; aftersale doctor says more"
    )
    assert told.look(AWAY, 8) == []
    assert list(told.on()) == ["unreached:Telegram"]
    assert told.look(WELL, 2) == []
    assert told.look(WELL) == ["✅ Resolved after 12 min: Telegram: cannot be reached"]
    assert told.look(WELL, 60) == []
    assert told.on() == {}


def test_what_passes_at_once_is_not_worth_a_word() -> None:
    """Trouble shorter than its patience, and a moment of calm within it, are told to nobody."""
    told = Told()
    for _ in range(20):
        assert told.look(AWAY, 2) == []
        assert told.look(WELL, 3) == []


def test_trouble_that_comes_and_goes_is_told_at_most_once_an_hour() -> None:
    """Five minutes away, five minutes well, all day long: one beginning an hour, each with its end."""
    told = Told()
    for _ in range(24 * 6):
        told.look(AWAY, 5)
        told.look(WELL, 5)
    begun = [word.text for word in told.words if word.text.startswith("🚨")]
    ended = [word.text for word in told.words if word.text.startswith("✅")]
    assert 12 <= len(begun) <= 24
    assert len(ended) == len(begun)


def test_a_calm_shorter_than_the_rule_does_not_end_it() -> None:
    """One good look within a long outage is no end, so no second beginning follows."""
    told = Told()
    told.look(AWAY, 10)
    told.look(WELL, 1)
    told.look(AWAY, 200)
    assert len(told.words) == 1


def test_several_troubles_with_one_service_are_one_alarm() -> None:
    """Telegram's polling and sending fail together: that is one thing to a person."""
    told = Told()
    both = Facts(unreached={"Telegram updates": "does not answer → wait", "Telegram sending": "nothing got through"})
    assert told.look(both, 5) == ["🚨 Telegram: does not answer\n→ wait"]


def test_more_poison_is_told_again_after_an_hour_and_less_is_not() -> None:
    """Each new failed row is worth a word, but never more than one an hour."""
    told = Told()
    assert told.look(Facts(failed={"inbox": 1, "outbox": 0})) == [
        "🚨 1 thing that came in could not be handled\n→ aftersale inbox list --state failed says why"
    ]
    assert told.look(Facts(failed={"inbox": 5}), 59) == []
    [more] = told.look(Facts(failed={"inbox": 7}))
    assert more.startswith("🚨 7 things that came in")
    assert told.look(Facts(failed={"inbox": 3}), 300) == []
    told.look(WELL, 2)
    assert told.look(WELL) == ["✅ Resolved after 6 h 1 min: 3 things that came in could not be handled"]


def test_a_queue_is_an_alarm_only_while_it_grows() -> None:
    """A long queue that is being worked off is nobody's alarm; one that grows is, until it has nearly caught up."""
    told = Told()
    falling = Facts(lags={"inbox (shop)": Lag(timedelta(hours=5), timedelta(hours=6))})
    unknown = Facts(lags={"inbox (shop)": Lag(timedelta(hours=5), None)})
    short = Facts(lags={"inbox (shop)": Lag(LAG - MINUTE, timedelta())})
    for facts in (falling, unknown, short):
        assert told.look(facts, 30) == []
    [begun] = told.look(Facts(lags={"inbox (shop)": Lag(LAG, LAG - 5 * MINUTE)}))
    assert begun.startswith("🚨 The inbox (shop) lags 10 min behind")
    assert told.look(falling, 30) == []
    assert list(told.on()) == ["lag:inbox (shop)"]
    told.look(Facts(lags={"inbox (shop)": Lag(MINUTE, 6 * MINUTE)}), 2)
    [ended] = told.look(Facts(lags={"inbox (shop)": Lag(timedelta(), MINUTE)}))
    assert ended.startswith("✅ Resolved after")


def test_what_waits_for_a_service_that_is_away_is_no_alarm_of_its_own() -> None:
    """Slack is away, so its messages wait: one alarm, not two; a queue of Telegram's has nothing to do with it."""
    long = Lag(timedelta(hours=1), timedelta(minutes=50))
    facts = Facts(unreached={"Slack": "not connected"}, lags={"outbox (slack)": long, "outbox (telegram)": long})
    assert [sign.key for sign in signs(facts, {}, NOW)] == ["unreached:Slack", "lag:outbox (telegram)"]


def test_a_duty_without_a_holder_is_a_problem_after_a_minute() -> None:
    """While a duty changes hands nothing is said; after that everybody must know."""
    told = Told()
    nobody = Facts(unheld=["telegram-polling"])
    assert told.look(nobody) == []
    [begun] = told.look(nobody)
    assert "no program has the duty 'telegram-polling'" in begun.lower()
    assert told.on()["duty:telegram-polling"].sign.weight == "problem"


def test_silence_goes_on_until_something_comes() -> None:
    """An alarm of the afternoon is not over because silence is usual in the evening; it is when an order comes."""
    told = Told()
    heard = NOW - timedelta(hours=3)
    wrong = Facts(silences={"shop": Silence(timedelta(hours=3), 12.0, heard)})
    [begun] = told.look(wrong)
    assert begun.startswith("🚨 Nothing has come from the shop for 3 h, which is longer than normal")
    usual = Facts(silences={"shop": Silence(timedelta(hours=9), 0.0, heard)})
    assert told.look(usual, 120) == []
    came = Facts(silences={"shop": Silence(MINUTE, 0.0, told.now)})
    told.look(came, 2)
    assert told.look(came)[0].startswith("✅ Resolved after 2 h 1 min: nothing has come from the shop")


def test_words_decided_twice_have_the_same_key() -> None:
    """Two decisions from the same book make the same keys, so that the outbox keeps the words once."""
    book, seen = {}, [Sign("failed:inbox", "1 thing", "look", level=1)]
    first, second = decide(book, seen, NOW)[1], decide(book, seen, NOW)[1]
    assert [word.key for word in first] == [word.key for word in second]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=400))
def test_never_a_flood_whatever_happens(looks: Sequence[tuple[bool, int]]) -> None:
    """In any hour at most one word begins about the same thing, and no end is told without its beginning."""
    told = Told()
    begun: list[datetime] = []
    ended = 0
    for is_away, failed in looks:
        at = told.now
        for text in told.look(Facts(unreached=AWAY.unreached if is_away else {}, failed={"inbox": failed}), 1):
            if text.startswith("🚨 Telegram"):
                begun.append(at)
            if text.startswith("✅") and "Telegram" in text:
                ended += 1
        assert ended <= len(begun)
    assert all(later - earlier >= SAME_AGAIN for earlier, later in itertools.pairwise(begun))


@pytest.mark.parametrize("text", [None, "", "{}", "[1]", "nonsense", '{"a": 1}', '{"a": {"says": 1}}'])
def test_a_book_that_cannot_be_read_is_an_empty_one(text: str | None) -> None:
    """A note of another version, or none, keeps nobody from telling."""
    assert read_book(text) == {}


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=-1), "0 s"),
        (timedelta(seconds=40), "40 s"),
        (timedelta(minutes=12, seconds=5), "12 min"),
        (timedelta(hours=3), "3 h"),
        (timedelta(hours=3, minutes=5), "3 h 5 min"),
        (timedelta(days=2, hours=4, minutes=5), "2 d 4 h"),
        (CALM, "2 min"),
    ],
)
def test_lengths_of_time_are_written_as_people_say_them(length: timedelta, words: str) -> None:
    """Two units at most, the large ones first."""
    assert in_words(length) == words
