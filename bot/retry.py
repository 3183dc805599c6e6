"""When something that failed is tried again, and when no more. Pure decisions; doing so is dispatch's."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=5)
LONGEST_WAIT_FOREVER = timedelta(minutes=15)
GIVE_UP_AFTER = timedelta(days=3)
ATTEMPTS_AT_LEAST = 10
"""However long something had waited before (the program was off, its lane was held up): so often it is tried first."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again then."""

    at: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not try again; `reason` is for whoever looks at what was left undone."""

    reason: str


Decision: TypeAlias = RetryAt | GiveUp


def decide(
    *,
    attempt: int,
    now: datetime,
    created_at: datetime,
    retry_after: timedelta | None = None,
    forever: bool = False,
) -> Decision:
    """Decide what follows the failed `attempt` (counted from 1) of something that has waited since `created_at`.

    Waits 1 s, 2 s, 4 s … up to five minutes, for three days, and at least ten times; or `retry_after` where the other
    side asked for that.
    What must arrive (`forever`) is never given up, and waits up to fifteen minutes.
    """
    if retry_after is not None:
        wait = max(retry_after, FIRST_WAIT)
    else:
        # The exponent is bounded, so that even attempt one million is a number of seconds.
        doubled = FIRST_WAIT * 2 ** min(max(attempt - 1, 0), 20)
        wait = min(doubled, LONGEST_WAIT_FOREVER if forever else LONGEST_WAIT)
    if not forever and attempt >= ATTEMPTS_AT_LEAST and now + wait > created_at + GIVE_UP_AFTER:
        return GiveUp(f"tried {attempt} times in {GIVE_UP_AFTER.days} days")
    return RetryAt(now + wait)
