"""The first hour of an import, judged: which shares stop it, and that a few say nothing."""

import pytest

from bot.desk.shop import Bounds
from bot.imports import ENOUGH, Outcome, beyond

BOUNDS = Bounds(unhappy=0.3, blocked=0.1, unknown=0.1)


@pytest.mark.parametrize(
    ("outcome", "wrong"),
    [
        (Outcome(asked=100, unhappy=30, blocked=10, unknown=10), []),
        (Outcome(asked=100, unhappy=31), ["31 of 100 were unhappy (31%; the bound is 30%)"]),
        (Outcome(asked=50, blocked=6), ["6 of 50 blocked the bot (12%; the bound is 10%)"]),
        (Outcome(asked=50, unknown=50), ["50 of 50 may not have got it (100%; the bound is 10%)"]),
        (Outcome(asked=ENOUGH - 1, unhappy=ENOUGH - 1), []),
        (Outcome(), []),
    ],
)
def test_shares_beyond_their_bounds_are_named(outcome: Outcome, wrong: list[str]) -> None:
    """At the bound all is well, above it is not, and of a handful nothing is concluded."""
    assert beyond(outcome, BOUNDS) == wrong
