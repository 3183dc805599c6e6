"""Who goes next: messages that were claimed wait here for their turn in the even pace, the urgent before the others.

A message to Telegram waits for its chat, then for the bot; one to Slack for its channel, an update for its method. A
429 of the other side closes a whole bot or method for a while. No message is read or sent here.
"""

import asyncio
import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from math import ceil

from bot.dispatch.attempts import PUT_OFF, NotYet
from bot.pacing import Pace
from bot.ports.records import Outgoing
from bot.ports.watch import Watch

AHEAD_SECONDS = 0.5
"""For how long ahead messages are claimed. What is urgent and comes later finds no more than that before it."""

WAYS: Mapping[str, tuple[str, ...]] = {
    "telegram": ("telegram",),
    "slack": ("slack:post", "slack:update", "slack:whisper"),
}
"""What can be closed: a bot at Telegram; at Slack a method, for its limits are of methods.

Source: https://docs.slack.dev/apis/web-api/rate-limits ("per API method per workspace"; read 2026-11-25).
"""

CLAIMED_TURNS = 2
"""How many turns of a line of Slack are claimed ahead."""

LINES_MAX = 256
"""How many lines may be there before those at rest are swept out."""

TIER_3_PER_SECOND = 50 / 60
"""What a workspace may call of ``chat.update`` in proportion to a channel's posts.

Source: https://docs.slack.dev/reference/methods/chat.update and https://docs.slack.dev/apis/web-api/rate-limits (tier
3: 50 a minute for each method and workspace; read 2026-11-25).
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many messages a second: a bot of Telegram, one of its chats, a channel of Slack."""

    telegram: float
    chat: float
    slack: float


@dataclass(frozen=True, slots=True)
class Closing:
    """What the other side has closed, for how much longer, and why."""

    way: str
    left: timedelta
    why: str


class _Line:
    """Those who wait for one pace; the next is the most urgent, and of several the one that came first."""

    def __init__(self, per_second: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._pace = Pace(per_second)
        self._waiting: list[tuple[int, int, asyncio.Future[int]]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def length(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Whether it may be forgotten."""
        return not self._waiting and self._pace.rests(self._loop.time())

    async def turn(self, priority: int) -> int:
        """Wait for a turn and take it; gives its number."""
        now = self._loop.time()
        if not self._waiting and not self._pace.wait(now):
            return self._pace.take(now)
        turn: asyncio.Future[int] = self._loop.create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), turn))
        self._set_timer(now)
        return await turn

    def land(self, turn: int) -> None:
        """End a turn that was taken."""
        now = self._loop.time()
        self._pace.land(turn, now)
        if self._waiting:
            self._set_timer(now)

    def send_back(self, error: Callable[[], Exception]) -> None:
        """Let nobody wait any longer: each is told why."""
        waiting, self._waiting = self._waiting, []
        for _, _, turn in waiting:
            if not turn.done():
                turn.set_exception(error())

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._pace.wait(now), self._let_go)

    def _let_go(self) -> None:
        self._timer = None
        while self._waiting:
            now = self._loop.time()
            if self._pace.wait(now):
                self._set_timer(now)
                return
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(self._pace.take(now))


class Turn:
    """What a message takes on its way: a turn in each line. It must be ended."""

    def __init__(self) -> None:
        """Hold none yet."""
        self._taken: list[tuple[_Line, int]] = []

    async def wait_in(self, line: _Line, priority: int) -> None:
        """Wait in one more line."""
        self._taken.append((line, await line.turn(priority)))

    def end(self) -> None:
        """Say that the message has landed, or was not sent."""
        for line, turn in self._taken:
            line.land(turn)
        self._taken.clear()


class Turns:
    """All lines of a program, and what the other side has closed."""

    def __init__(self, limits: Limits, watch: Watch, now: Callable[[], datetime]) -> None:
        """Keep to `limits`; tell `watch` who waited. `now` is the program's clock."""
        self._limits, self._watch, self._now = limits, watch, now
        self._lines: dict[str, _Line] = {}
        self._closed: dict[str, tuple[float, datetime, str]] = {}
        self._unnoted: set[str] = set()
        self._sweep_at = LINES_MAX
        self._booked: dict[str, float] = {}

    async def take(self, message: Outgoing) -> Turn:
        """Wait for a message's turn.

        Raises:
            NotYet: what it needs is closed, or was closed while it waited.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        turn = Turn()
        try:
            for name, per_second in self._way_of(message):
                self._demand_open(message)
                await turn.wait_in(self._line(name, per_second), message.priority)
            self._demand_open(message)
        except NotYet as error:
            turn.end()
            if error.retry_after:
                self._watch.waited(message.channel, "asked", error.retry_after.total_seconds())
            raise
        except BaseException:
            turn.end()
            raise
        waited = loop.time() - began
        if waited > 0.001:  # noqa: PLR2004 - less is no wait, but the loop's own pace
            self._watch.waited(message.channel, "pace", waited)
        return turn

    def close(self, message: Outgoing, wait: timedelta, why: str) -> None:
        """Send nothing by the way of `message` for so long: the other side asked for that, or cannot be reached."""
        closing = Closing(_method_of(message), wait, why)
        self.close_way(closing)
        self._unnoted.add(closing.way)

    def close_way(self, closing: Closing) -> None:
        """Send nothing by a way for so long; whoever waits there is sent back."""
        until = asyncio.get_running_loop().time() + closing.left.total_seconds()
        known = self._closed.get(closing.way)
        if known is None or known[0] < until:
            self._closed[closing.way] = until, self._now() + closing.left, closing.why
        self.send_back(closing.way, lambda: NotYet(closing.why, wait=closing.left))

    def is_closed(self, channel: str) -> bool:
        """Tell whether nothing at all may go to a channel. A closed method of Slack leaves the others open."""
        return self._left(channel) > 0

    def opens_at(self, channel: str) -> datetime | None:
        """Tell by the program's clock until when nothing may go to a channel; None: it is open."""
        known = self._closed.get(channel)
        return known[1] if known is not None and known[1] > self._now() else None

    def closings(self) -> list[Closing]:
        """Give what was closed and is not noted yet for whoever sends after us."""
        return [
            Closing(way, timedelta(seconds=self._left(way)), self._closed[way][2])
            for way in self._unnoted
            if self._left(way) > 0
        ]

    def noted(self, closings: Sequence[Closing]) -> None:
        """Say that these are noted."""
        self._unnoted.difference_update(each.way for each in closings)

    def ways_of(self, channel: str) -> tuple[str, ...]:
        """Give what of a channel can be closed by itself."""
        return WAYS[channel]

    def _left(self, way: str) -> float:
        """Give for how many seconds a way stays closed.

        The loop's clock goes on evenly, whatever becomes of the program's; but that one is moved where days are played.
        """
        if way not in self._closed:
            return 0.0
        until, until_at, _ = self._closed[way]
        return max(0.0, min(until - asyncio.get_running_loop().time(), (until_at - self._now()).total_seconds()))

    def send_back(self, way: str, error: Callable[[], Exception]) -> None:
        """Let nobody wait any longer in the lines of a channel, or of one of its ways."""
        for name, line in self._lines.items():
            if name.startswith(way):
                line.send_back(error)

    def room(self, channel: str, many: int) -> int:
        """Give how many messages may be claimed so that those before the turnstile go within `AHEAD_SECONDS`."""
        if channel != "telegram":
            return many
        line = self._lines.get("telegram")
        return min(many, max(1, ceil(self._limits.telegram * AHEAD_SECONDS)) - (line.length if line else 0))

    def of_a_lane(self, channel: str) -> int:
        """Give how many messages of one lane may be claimed at once."""
        return max(1, int(self._limits.chat * AHEAD_SECONDS)) if channel == "telegram" else 1000

    def spread(self, channel: str) -> "Spread":
        """Give who plans the turns of those that go to a channel, from how things stand now."""
        now = asyncio.get_running_loop().time()
        if channel == "telegram":
            return Spread(_anywhere, {}, {}, {}, now)
        waiting = {name: line.length for name, line in self._lines.items()}
        closed = {way: self._left(way) for way in WAYS[channel]}
        return Spread(self._way_of, dict(self._booked), waiting, closed, now)

    def keep(self, spread: "Spread") -> None:
        """Keep to what was planned: it has been committed."""
        self._booked.update(spread.booked)

    def _way_of(self, message: Outgoing) -> tuple[tuple[str, float], ...]:
        """Give the lines that a message waits in, one after the other."""
        if message.channel == "telegram":
            return (f"telegram:{message.lane}", self._limits.chat), ("telegram", self._limits.telegram)
        method = _method_of(message)
        if method == "slack:update":
            return ((method, self._limits.slack * TIER_3_PER_SECOND),)
        return ((f"{method}:{message.body.get('channel')}", self._limits.slack),)

    def _line(self, name: str, per_second: float) -> _Line:
        line = self._lines.get(name)
        if line is None:
            if len(self._lines) >= self._sweep_at:
                self._lines = {each: kept for each, kept in self._lines.items() if not kept.is_idle}
                # Of twice as many at least half are new: so a line is looked at about once.
                self._sweep_at = max(LINES_MAX, 2 * len(self._lines))
            line = self._lines[name] = _Line(per_second)
        return line

    def _demand_open(self, message: Outgoing) -> None:
        way = _method_of(message)
        if way not in self._closed:
            return
        left = self._left(way)
        if not left:
            del self._closed[way]
            return
        raise NotYet(self._closed[way][2], wait=timedelta(seconds=left))


def _anywhere(_message: Outgoing) -> tuple[tuple[str, float], ...]:
    return ()


class Spread:
    """Plans turns for a crowd: the next two of a line are claimed, the others come back to it one after the other.

    So a crowd before one channel of Slack neither takes the places of what goes elsewhere, nor is it looked at again
    before its time; and what comes later stands behind it. It is a value of its own: it may be asked in another thread.
    """

    def __init__(
        self,
        way_of: Callable[[Outgoing], tuple[tuple[str, float], ...]],
        booked: Mapping[str, float],
        waiting: Mapping[str, int],
        closed: Mapping[str, float],
        now: float,
    ) -> None:
        """Begin with until when turns are `booked`, how many are `waiting`, and for how long what is `closed`."""
        self._way_of, self._begun_with, self._closed, self._now = way_of, (booked, waiting), closed, now
        self.booked, self._waiting = dict(booked), dict(waiting)

    def anew(self) -> "Spread":
        """Give one that begins where this one began."""
        return Spread(self._way_of, *self._begun_with, self._closed, self._now)

    def put_off(self, message: Outgoing) -> timedelta:
        """Give for how long a message had better stay in the outbox; zero: its turn is near."""
        wait = 0.0
        for name, per_second in self._way_of(message):
            gap, closed = 1 / per_second, self._closed.get(_method_of(message), 0.0)
            before, booked = self._waiting.get(name, 0), self.booked.get(name, 0.0)
            # What was put off comes back when its turn is near: it is booked already.
            is_near = message.reason == PUT_OFF or booked - self._now < CLAIMED_TURNS * gap
            turn = max(self._now + closed + before * gap, booked)
            stays = bool(closed) or before >= CLAIMED_TURNS or not is_near
            if stays or message.reason != PUT_OFF:
                self.booked[name] = turn + gap
            if stays:
                wait = max(wait, turn - self._now)
            else:
                self._waiting[name] = before + 1
        return timedelta(seconds=wait)


def _method_of(message: Outgoing) -> str:
    """Give which of `WAYS` a message goes."""
    if message.channel == "telegram":
        return "telegram"
    return "slack:update" if message.body.get("ts") else f"slack:{'whisper' if message.kind == 'whisper' else 'post'}"
