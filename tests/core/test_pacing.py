"""The even pace: turns apart, a late one caught up with a little, and no second that holds more than the limit and one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.pacing import LATE_SECONDS, UNDERWAY_SECONDS, Pace


def sent_at(pace: Pace, wanted: list[float], *, takes: float = 0.0) -> list[float]:
    """Give when each message goes that is wanted at a time, one after the other, each waiting for its own turn."""
    went: list[float] = []
    landing: list[tuple[float, int]] = []
    for at in wanted:
        now = max(at, went[-1] if went else at)
        while True:
            while landing and landing[0][0] <= now:
                landed_at, turn = landing.pop(0)
                pace.land(turn, landed_at)
            wait = pace.wait(now)
            if not wait:
                break
            now = min(now + wait, landing[0][0]) if landing else now + wait
        went.append(now)
        landing.append((now + takes, pace.take(now)))
    return went


def test_a_crowd_goes_out_evenly() -> None:
    """Ten wanted at once at two a second: one each half second, and none sooner (but for what is caught up with)."""
    assert sent_at(Pace(2), [0.0] * 10) == pytest.approx([n / 2 for n in range(10)], abs=LATE_SECONDS + 1e-9)


def test_a_late_turn_is_caught_up_with_a_little_and_not_more() -> None:
    """After a pause of any length there is no crowd: turns begin anew, evenly."""
    went = sent_at(Pace(10), [0.0, *[100.0] * 5])
    assert went[1:] == pytest.approx([100 + n / 10 for n in range(5)], abs=LATE_SECONDS + 1e-9)
    late = Pace(1000)
    late.take(0.0)
    held_up = [late.take(0.5) for _ in range(100) if not late.wait(0.5)]
    assert len(held_up) <= 1000 * LATE_SECONDS + 2


def test_to_look_at_the_wait_takes_no_turn() -> None:
    """Whoever looks and goes away has used up nobody's turn."""
    pace = Pace(1)
    pace.land(pace.take(0.0), 0.0)
    assert [pace.wait(0.0) for _ in range(100)] == pytest.approx([1.0] * 100, abs=LATE_SECONDS + 1e-9)


def test_what_has_not_landed_counts_until_it_must_have() -> None:
    """While a message may yet arrive, it takes a place in every second to come; a call that hangs does so for a while."""
    pace = Pace(1)
    first, second = pace.take(0.0), pace.take(1.0)
    assert pace.wait(2.1) == pytest.approx(UNDERWAY_SECONDS - 2.1)
    pace.land(first, 2.2)
    assert pace.wait(2.3) == pytest.approx(0.9)
    assert pace.wait(3.2) == 0
    pace.land(second, 5.0)
    pace.land(second, 9.0)
    assert pace.wait(10.0) == 0


def test_it_may_be_forgotten_once_a_new_one_would_do_the_same() -> None:
    """At rest: nothing is on its way, and a second has passed since the last landed."""
    pace = Pace(1)
    assert pace.rests(0.0)
    turn = pace.take(0.0)
    assert not pace.rests(50.0)
    pace.land(turn, 50.0)
    assert not pace.rests(50.9)
    assert pace.rests(51.0)


@given(
    st.lists(
        st.tuples(st.floats(0, 20), st.floats(0, UNDERWAY_SECONDS - 0.01), st.floats(0, 1)), min_size=1, max_size=80
    ),
    st.sampled_from([1, 2, 5, 30]),
)
def test_whenever_messages_arrive_no_second_holds_more_than_the_limit_and_one(
    given_: list[tuple[float, float, float]], per_second: int
) -> None:
    """Whatever is wanted when, however long each call takes and wherever within it the message arrives."""
    pace, now = Pace(per_second), 0.0
    arrived: list[float] = []
    landing: list[tuple[float, int]] = []
    for wanted, takes, share in sorted(given_):
        now = max(now, wanted)
        while True:
            for each in sorted(landing):
                if each[0] <= now:
                    pace.land(each[1], each[0])
                    landing.remove(each)
            wait = pace.wait(now)
            if not wait:
                break
            now = min([now + wait, *(at for at, _ in landing)])
        arrived.append(now + takes * share)
        landing.append((now + takes, pace.take(now)))
    for start in arrived:
        assert len([at for at in arrived if start <= at < start + 1 - 1e-9]) <= per_second + 1
