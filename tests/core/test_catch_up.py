"""Turns of late questions: nobody is lost, the rate holds, nobody is asked at night or twice a day, the order is kept."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from bot.catch_up import APART, Late, away, taken_with, turns
from bot.desk.shop import Guards

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
POLICY = Guards()
NO_QUIET = Guards(quiet_from=POLICY.quiet_to)

ZONES = st.sampled_from(["Europe/Copenhagen", "America/New_York", "Asia/Tokyo", "UTC"])
LATE = st.builds(
    lambda place, customer, due, life, is_reask, zone: Late(
        place, customer, NOW - due, NOW - due + life, is_reask=is_reask, zone=zone
    ),
    st.integers(),
    st.sampled_from([f"c-{number}" for number in range(12)]),
    st.timedeltas(timedelta(hours=1), timedelta(days=40)),
    st.timedeltas(timedelta(days=1), timedelta(days=60)),
    st.booleans(),
    ZONES,
)
MANY = st.lists(LATE, max_size=60)


def late(number: int, **changes: object) -> Late:
    given = {"customer_id": f"c-{number}", "due_at": NOW - timedelta(days=3), "expires_at": NOW + timedelta(days=9)}
    return Late(number, **{**given, **changes})  # type: ignore[arg-type]


@given(MANY, st.integers(1, 600))
def test_everybody_gets_one_turn(many: list[Late], per_hour: int) -> None:
    """Proves that nobody is lost and nobody gets two turns."""
    plan = turns(many, now=NOW, taken=[], per_hour=per_hour, policy=POLICY)
    assert sorted(map(id, many)) == sorted(id(turn.late) for turn in plan)


@given(MANY, MANY, st.sampled_from([1, 7, 60, 600]))
def test_the_rate_holds_whatever_was_given_before(many: list[Late], more: list[Late], per_hour: int) -> None:
    """Proves that all turns, those of an earlier plan included, are an even share of an hour apart, none before now."""
    first = turns(many, now=NOW, taken=[], per_hour=per_hour, policy=POLICY)
    taken = taken_with([], first, now=NOW, per_hour=per_hour)
    second = turns(more, now=NOW, taken=taken, per_hour=per_hour, policy=POLICY)
    ats = sorted(turn.at for turn in [*first, *second])
    assert all(at >= NOW for at in ats)
    share = timedelta(hours=1) / per_hour
    assert all(later - earlier >= share for earlier, later in pairwise(ats))


def test_a_turn_that_is_free_between_others_is_given() -> None:
    """Proves that a customer's second question, a day ahead, does not keep those who come after from today's turns."""
    first = turns([late(1), late(2, customer_id="c-1")], now=NOW, taken=[], per_hour=60, policy=NO_QUIET)
    taken = taken_with([], first, now=NOW, per_hour=60)
    (turn,) = turns([late(3)], now=NOW, taken=taken, per_hour=60, policy=NO_QUIET)
    assert turn.at == NOW + timedelta(minutes=1)
    assert taken_with(taken, [turn], now=NOW, per_hour=60)[0] == (NOW, NOW + timedelta(minutes=2))
    assert len(taken_with(taken, [turn], now=NOW + timedelta(minutes=2), per_hour=60)) == 1


def test_who_was_asked_today_waits_until_tomorrow() -> None:
    """Proves that a customer who answered a question an hour ago is not asked a late one right after it."""
    asked_at = NOW - timedelta(hours=1)
    (turn,) = turns([late(1, asked_at=asked_at)], now=NOW, taken=[], per_hour=60, policy=NO_QUIET)
    assert turn.at == asked_at + APART


@given(MANY)
def test_nobody_is_asked_at_night_or_twice_within_a_day(many: list[Late]) -> None:
    """Proves that each turn is outside the customer's own quiet hours, and a day apart from their other turns."""
    plan = turns(many, now=NOW, taken=[], per_hour=60, policy=POLICY)
    for turn in plan:
        clock = turn.at.astimezone(ZoneInfo(turn.late.zone)).time()
        assert POLICY.quiet_to <= clock < POLICY.quiet_from
    for customer in {each.customer_id for each in many}:
        ats = [turn.at for turn in plan if turn.late.customer_id == customer]
        assert all(second - first >= APART for first, second in pairwise(ats))


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 50), st.integers(1, 20)), max_size=40))
def test_the_most_pressing_goes_first(kinds: list[tuple[bool, int, int]]) -> None:
    """Proves the order where nobody has to stand back: remedies first, then by their own end, then the oldest."""
    many = [
        late(place, is_reask=is_reask, expires_at=NOW + timedelta(days=left), due_at=NOW - timedelta(days=ago))
        for place, (is_reask, left, ago) in enumerate(kinds)
    ]
    plan = turns(many, now=NOW, taken=[], per_hour=60, policy=NO_QUIET)
    ranks = [(not turn.late.is_reask, turn.late.expires_at, turn.late.due_at) for turn in plan]
    assert ranks == sorted(ranks)


def test_one_alone_begins_at_once() -> None:
    """Proves that a single late question in the daytime does not wait."""
    (turn,) = turns([late(1)], now=NOW, taken=[], per_hour=60, policy=POLICY)
    assert turn.at == NOW


def test_who_must_stand_back_lets_others_go_first() -> None:
    """Proves that a customer with two late questions does not keep the next one waiting for a day."""
    many = [late(1), late(2, customer_id="c-1", expires_at=NOW + timedelta(days=8)), late(3)]
    plan = turns(many, now=NOW, taken=[], per_hour=60, policy=NO_QUIET)
    assert [turn.late.id for turn in plan] == [2, 3, 1]
    assert plan[2].at == NOW + APART


def test_of_one_customers_questions_the_oldest_comes_first() -> None:
    """Proves that they are asked in the order in which they would have been, though the later one ends sooner."""
    delivered = late(1, due_at=NOW - timedelta(days=9), expires_at=NOW + timedelta(days=20))
    used = late(2, customer_id="c-1", due_at=NOW - timedelta(days=2), expires_at=NOW + timedelta(days=5))
    somebody = late(3, expires_at=NOW + timedelta(days=8))
    plan = turns([somebody, used, delivered], now=NOW, taken=[], per_hour=60, policy=NO_QUIET)
    assert [turn.late.id for turn in plan] == [1, 3, 2]


def test_how_late_something_is_told_in_hours_and_days() -> None:
    """Proves the words that `aftersale why` shows."""
    spans = [timedelta(minutes=61), timedelta(hours=47), timedelta(days=2), timedelta(days=30, hours=7)]
    assert [away(NOW - span, NOW) for span in spans] == ["1 hour", "47 hours", "2 days", "30 days"]
