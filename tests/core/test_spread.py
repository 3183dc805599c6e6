"""Planning the turns of a crowd before one channel of Slack: evenly, in order, and nobody else waits."""

from datetime import UTC, datetime, timedelta

from bot.dispatch.attempts import PUT_OFF
from bot.dispatch.turns import CLAIMED_TURNS, Spread
from bot.ports.records import Outgoing

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
CLOCK = 1000.0


def line(number: int, channel: str = "C1", *, reason: str | None = None) -> Outgoing:
    body = {"channel": channel, "text": "x"}
    return Outgoing(f"{channel}-{number}", "slack", f"case:{number}", "thread", body, NOW, NOW, reason=reason)


def way_of(message: Outgoing) -> tuple[tuple[str, float], ...]:
    return ((f"slack:post:{message.body['channel']}", 1.0),)


def spread(
    booked: dict[str, float] | None = None,
    waiting: dict[str, int] | None = None,
    closed: float = 0.0,
    now: float = CLOCK,
) -> Spread:
    return Spread(way_of, booked or {}, waiting or {}, {"slack:post": closed}, now)


def seconds(planned: Spread, *messages: Outgoing) -> list[float]:
    return [round(planned.put_off(each) / timedelta(seconds=1), 3) for each in messages]


def test_a_crowd_is_claimed_for_two_turns_and_comes_back_evenly() -> None:
    """Of ten, two are claimed; the others come back a second apart, in order; another channel is not kept waiting."""
    planned = spread()
    assert seconds(planned, *map(line, range(10))) == [0, 0, 2, 3, 4, 5, 6, 7, 8, 9]
    assert seconds(planned, line(1, "C2")) == [0]


def test_what_comes_later_stands_behind_and_what_was_put_off_has_its_turn() -> None:
    """A newcomer does not overtake the crowd; who comes back at its time goes."""
    planned = spread()
    seconds(planned, *map(line, range(10)))
    later = spread(planned.booked, now=CLOCK + 2)
    assert seconds(later, line(2, reason=PUT_OFF), line(50)) == [0, 8]
    assert seconds(later, line(51)) == [9]


def test_a_crowd_that_comes_back_all_at_once_is_put_off_anew() -> None:
    """After a pause all turns that were booked are past: still only two are claimed."""
    planned = spread(now=CLOCK + 3600)
    assert seconds(planned, *(line(n, reason=PUT_OFF) for n in range(5))) == [0, 0, 2, 3, 4]
    assert seconds(planned, line(9)) == [5]


def test_who_waits_in_line_counts() -> None:
    """With two in line already nothing more is claimed."""
    planned = spread(waiting={"slack:post:C1": CLAIMED_TURNS})
    assert seconds(planned, line(1), line(2)) == [2, 3]


def test_nothing_is_claimed_for_what_is_closed() -> None:
    """Slack asked for half a minute: all come back after it, a second apart."""
    planned = spread(closed=30.0)
    assert seconds(planned, line(1), line(2, reason=PUT_OFF), line(3)) == [30, 31, 32]


def test_done_again_it_plans_the_same() -> None:
    """A transaction that is done anew begins where the first began."""
    planned = spread()
    first = seconds(planned.anew(), *map(line, range(5)))
    assert seconds(planned.anew(), *map(line, range(5))) == first
