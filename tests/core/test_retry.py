"""Retry: one readable table of waits, and what is never given up."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.retry import GiveUp, RetryAt, decide

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
S, M, D = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("attempt", "retry_after", "forever", "wait"),
    [
        (1, None, False, 1 * S),
        (2, None, False, 2 * S),
        (3, None, False, 4 * S),
        (9, None, False, 256 * S),
        (10, None, False, 5 * M),
        (1_000_000, None, False, 5 * M),
        (0, None, False, 1 * S),
        (10, None, True, 512 * S),
        (11, None, True, 15 * M),
        (1, 17 * S, False, 17 * S),
        (8, 17 * S, False, 17 * S),
        (1, 30 * M, True, 30 * M),
        (1, 0 * S, False, 1 * S),
    ],
)
def test_the_wait_doubles_up_to_a_cap_or_is_what_was_asked_for(
    attempt: int,
    retry_after: timedelta | None,
    forever: bool,  # noqa: FBT001  # a column of the table
    wait: timedelta,
) -> None:
    """One second, doubled each time, five minutes (fifteen for ever) at most; the vendor's own wish comes first."""
    decision = decide(attempt=attempt, retry_after=retry_after, forever=forever, now=NOW, created_at=NOW)
    assert decision == RetryAt(NOW + wait)


def test_after_three_days_it_is_given_up_with_a_reason() -> None:
    """What is given up says after how many attempts; a moment before the end it is still tried."""
    assert decide(attempt=20, now=NOW, created_at=NOW - 3 * D + 5 * M) == RetryAt(NOW + 5 * M)
    assert decide(attempt=20, now=NOW, created_at=NOW - 3 * D) == GiveUp("tried 20 times in 3 days")
    assert isinstance(decide(attempt=10, now=NOW, created_at=NOW, retry_after=4 * D), GiveUp)


def test_what_waited_long_before_its_first_attempt_is_not_given_up_at_once() -> None:
    """Days off, and then a network that fails for a moment: the first failure is no reason to lose the message."""
    for attempt in range(1, 10):
        assert isinstance(decide(attempt=attempt, now=NOW, created_at=NOW - 4 * D), RetryAt)
    assert isinstance(decide(attempt=10, now=NOW, created_at=NOW - 4 * D), GiveUp)


def test_what_must_arrive_is_never_given_up() -> None:
    """A case waits for Slack however long it takes."""
    assert decide(attempt=9999, now=NOW, created_at=NOW - 300 * D, forever=True) == RetryAt(NOW + 15 * M)
