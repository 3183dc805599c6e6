"""Faults of Slack on demand, its rate limit, and the count of posts.

Decides what goes wrong with a call; `server` makes it so.

Source: https://docs.slack.dev/apis/web-api/rate-limits (one message a second and channel,
short bursts above it are let through).
"""

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import timedelta

POST_EVERY = timedelta(seconds=1)
POST_BURST = 4
ANY_METHOD = "*"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One planned failure of one call.

    Attributes:
        error: Slack's error code to answer with; empty to do the work.
        status: HTTP status of that answer.
        retry_after: Value of the Retry-After header, whole seconds.
        hang: Time to wait first.
        drop_reply: Do the work, then close the connection without an answer.
        is_lost: Do no work, and close the connection without an answer.
    """

    error: str = ""
    status: int = 200
    retry_after: int | None = None
    hang: timedelta = timedelta(0)
    drop_reply: bool = False
    is_lost: bool = False


NO_FAULT = Fault()


@dataclass(slots=True)
class Faults:
    """The planned failures, per method, first come first used."""

    planned: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))

    def plan(self, method: str, fault: Fault, times: int = 1) -> None:
        """Let the next calls of a method (`*`: of any) go wrong."""
        self.planned[method].extend([fault] * times)

    def forget(self) -> None:
        """Take back every failure that is still to come."""
        self.planned.clear()

    def next_for(self, method: str) -> Fault:
        """Return what is to go wrong with this call, and use it up."""
        for name in (method, ANY_METHOD):
            waiting = self.planned.get(name)
            if waiting:
                return waiting.popleft()
        return NO_FAULT


class PostRate:
    """Slack's limit for posts: an even pace for each channel with a small burst."""

    def __init__(self) -> None:
        self._free_at: dict[str, float] = {}
        self._posted_at: deque[tuple[float, str]] = deque(maxlen=100_000)

    def admits(self, channel_id: str) -> bool:
        """Whether a post is within the limit now; counted if so."""
        now = asyncio.get_running_loop().time()
        pace = POST_EVERY.total_seconds()
        free_at = max(self._free_at.get(channel_id, now), now)
        if free_at - now > pace * (POST_BURST - 1):
            return False
        self._free_at[channel_id] = free_at + pace
        return True

    def note(self, channel_id: str) -> None:
        """Record a post that reached Slack."""
        self._posted_at.append((asyncio.get_running_loop().time(), channel_id))

    def worst_second(self, channel_id: str | None) -> int:
        """Return the most posts within any one second of real time."""
        times = [at for at, channel in self._posted_at if channel_id in {None, channel}]
        worst = start = 0
        for end, at in enumerate(times):
            while at - times[start] >= 1:
                start += 1
            worst = max(worst, end - start + 1)
        return worst
