"""The even pace: how many may go at once, how far apart the rest, and that lanes do not know of one another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.pacing import MAX_LANES, Pacer


def sent_at(pacer: Pacer, wanted: list[float], lane: str = "bot") -> list[float]:
    """Give when each message goes that is wanted at a time, each waiting for its own turn."""
    went = []
    for now in wanted:
        went.append(now + pacer.wait(lane, now))
        pacer.take(lane, now)
    return went


def test_a_crowd_goes_out_evenly() -> None:
    """Ten wanted at once at two a second: one each half second, and none sooner."""
    assert sent_at(Pacer(2), [0.0] * 10) == pytest.approx([n / 2 for n in range(10)])


def test_a_few_may_go_at_once_and_the_rest_apart() -> None:
    """A burst of three goes without waiting; the fourth waits its turn."""
    assert sent_at(Pacer(1, burst=3), [0.0] * 5) == pytest.approx([0, 0, 0, 1, 2])


def test_a_rest_gives_the_burst_back_and_no_more() -> None:
    """However long nothing was sent, never more than the burst goes at once afterwards."""
    assert sent_at(Pacer(1, burst=2), [0.0, 0.0, 100.0, 100.0, 100.0]) == pytest.approx([0, 0, 100, 100, 101])


def test_lanes_do_not_wait_for_one_another() -> None:
    """A full lane keeps no other waiting."""
    pacer = Pacer(1)
    for _ in range(50):
        pacer.take("chat:1", 0.0)
    assert pacer.wait("chat:1", 0.0) == pytest.approx(50)
    assert pacer.wait("chat:2", 0.0) == 0


def test_to_look_at_the_wait_takes_no_turn() -> None:
    """Whoever finds the wait too long and goes back to the outbox has used up nobody's turn."""
    pacer = Pacer(1)
    pacer.take("bot", 0.0)
    assert [pacer.wait("bot", 0.0) for _ in range(100)] == [1.0] * 100


def test_lanes_at_rest_are_forgotten_first() -> None:
    """The memory is bounded; the lane that is forgotten is the one that was used longest ago."""
    pacer = Pacer(0.001)
    for number in range(MAX_LANES + 1):
        pacer.take(str(number), 0.0)
    assert pacer.wait("0", 0.0) == 0
    assert pacer.wait("1", 0.0) > 0
    assert pacer.wait(str(MAX_LANES), 0.0) > 0


@given(
    st.lists(st.floats(0, 60), min_size=1, max_size=60).map(sorted),
    st.sampled_from([1.0, 5.0, 30.0]),
    st.integers(1, 5),
)
def test_no_second_ever_holds_more_than_rate_and_burst(wanted: list[float], per_second: float, burst: int) -> None:
    """Whenever messages are wanted: in any second at most the rate goes, and the burst beside it; and in order."""
    went = sent_at(Pacer(per_second, burst), wanted)
    assert went == sorted(went)
    for start in went:
        within = [at for at in went if start <= at < start + 1 - 1e-6]
        assert len(within) <= per_second + burst
