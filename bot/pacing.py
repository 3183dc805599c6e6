"""An even pace: the generic cell rate algorithm, as a pure value over a running clock in seconds.

Telegram allows about 30 messages a second for a bot and one a second in a chat; Slack one a second in a channel.
Source: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this and
https://docs.slack.dev/apis/web-api/rate-limits (read 2026-11-22).
"""

from collections import OrderedDict

MAX_LANES = 10_000
"""How many lanes are remembered; the one longest at rest is forgotten first (it is free anyhow)."""


class Pacer:
    """Gives each message of a lane its turn, `per_second` apart, after at most `burst` at once."""

    def __init__(self, per_second: float, burst: int = 1) -> None:
        """Allow `per_second` messages a second in each lane; `burst` of them may go without waiting."""
        self._gap = 1 / per_second
        self._slack = self._gap * (burst - 1)
        self._next: OrderedDict[str, float] = OrderedDict()

    def wait(self, lane: str, now: float) -> float:
        """Give how many seconds the next turn in a lane is off (0: at once); nothing is taken."""
        return max(0.0, self._next.get(lane, now) - self._slack - now)

    def take(self, lane: str, now: float) -> None:
        """Take the next turn in a lane."""
        due = max(self._next.pop(lane, now), now)
        self._next[lane] = due + self._gap
        if len(self._next) > MAX_LANES:
            self._next.popitem(last=False)
