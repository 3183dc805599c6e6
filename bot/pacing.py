"""An even pace, and never more than a limit in any second: a pure value over a running clock in seconds.

When a message reaches the other side is not known, only that it lies between its start and its landing. So a turn is
given only where, whichever moment it was for each of those on their way, no second holds more than the limit and one.

Telegram allows about 30 messages a second for a bot and one a second in a chat; Slack one a second in a channel.
Source: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this and
https://docs.slack.dev/apis/web-api/rate-limits (read 2026-11-22).
"""

from collections import deque

LATE_SECONDS = 0.02
"""How much of a late turn is caught up with: timers and a busy loop are late by about as much."""

UNDERWAY_SECONDS = 3.0
"""How long a message that has not landed may yet be about to arrive; after that it has, or never will."""


class Pace:
    """Gives turns `per_second`, evenly. Each turn that was taken is to be ended with `land`."""

    __slots__ = ("_gap", "_landed", "_limit", "_next", "_turn", "_underway")

    def __init__(self, per_second: float) -> None:
        """Allow `per_second` in any second, and one."""
        self._gap, self._limit = 1 / per_second, max(1, int(per_second))
        self._next = float("-inf")
        self._turn = 0
        self._underway: dict[int, float] = {}
        self._landed: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Give how many seconds the next turn is off at least (0: it may be taken); nothing is taken."""
        landed = self._landed
        while landed and landed[0] <= now - 1:
            landed.popleft()
        crowded = 0.0
        if len(self._underway) + len(landed) > self._limit:
            started = [at for at in self._underway.values() if at > now - UNDERWAY_SECONDS]
            over = len(started) + len(landed) - self._limit - 1
            if over >= 0:
                # So many have to be a second past, or never to come.
                leave = sorted([*(at + 1 for at in landed), *(at + UNDERWAY_SECONDS for at in started)])
                crowded = leave[over] - now
        return max(0.0, self._next - now, crowded)

    def take(self, now: float) -> int:
        """Take the next turn; give its number, for `land`."""
        self._next = max(self._next, now - LATE_SECONDS) + self._gap
        self._turn += 1
        self._underway[self._turn] = now
        return self._turn

    def land(self, turn: int, now: float) -> None:
        """Say that what was sent on a turn has arrived by now, or never will."""
        if self._underway.pop(turn, None) is not None:
            self._landed.append(now)

    def rests(self, now: float) -> bool:
        """Tell whether it may be forgotten: a new one would give the same turns."""
        return not self._underway and self._next <= now and (not self._landed or self._landed[-1] <= now - 1)
