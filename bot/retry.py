"""When something that failed is tried again, and when no more. Pure decisions; doing so is dispatch's."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from bot.errors import DeliveryDelayed, DeliveryRefused, DeliveryUnknown

FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=5)
LONGEST_WAIT_FOREVER = timedelta(minutes=15)
GIVE_UP_AFTER = timedelta(days=3)


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
    error: DeliveryDelayed | DeliveryUnknown | DeliveryRefused,
    *,
    attempt: int,
    now: datetime,
    created_at: datetime,
    forever: bool = False,
    at_least_once: bool = False,
) -> Decision:
    """Decide what follows the failed `attempt` (counted from 1) of something that has waited since `created_at`.

    Waits 1 s, 2 s, 4 s … up to five minutes, for three days; or exactly as long as the other side asked.
    `at_least_once` also repeats what may have arrived (a reply of staff); otherwise that is given up, because a
    customer must not be asked twice. `forever` (a case to Slack) is never given up, whatever the error, and waits
    fifteen minutes at most.
    """
    match error:
        case DeliveryRefused() if not forever:
            return GiveUp(f"refused for good: {error.reason}")
        case DeliveryUnknown() if not (forever or at_least_once):
            return GiveUp("nobody can say whether it arrived; it is not repeated")
        case DeliveryRefused():
            # Only a person can mend it (a channel that is gone): no hurry.
            wait = LONGEST_WAIT_FOREVER
        case DeliveryDelayed(retry_after=timedelta() as asked):
            wait = max(asked, FIRST_WAIT)
        case _:
            # The exponent is bounded, so that even attempt one million is a number of seconds.
            doubled = FIRST_WAIT * 2 ** min(max(attempt - 1, 0), 20)
            wait = min(doubled, LONGEST_WAIT_FOREVER if forever else LONGEST_WAIT)
    if not forever and now + wait > created_at + GIVE_UP_AFTER:
        return GiveUp(f"tried {attempt} times in {GIVE_UP_AFTER.days} days: {error}")
    return RetryAt(now + wait)
