"""Keeping messages on their way: claimed ahead of their turns, sent side by side, their marks committed in groups.

No rule about what may go, or what follows from it, stands here.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from bot.dispatch.attempts import AT_MOST_ONCE, NotYet, Outcome
from bot.dispatch.claiming import LEASE, claim
from bot.dispatch.marking import mark_all, recover
from bot.dispatch.turns import Closing, Limits, Spread, Turns
from bot.errors import DeliveryDelayed, DeliveryRefused, DeliveryUnknown
from bot.messages import House
from bot.ports.channels import Channel
from bot.ports.records import Outgoing
from bot.ports.store import Database, UnitOfWork
from bot.ports.watch import Attempt, Nobody, Watch

PLACES: Mapping[str, int] = {"telegram": 256, "slack": 32}
"""How many messages of a channel are on their way side by side."""

MARK_AGAIN = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between attempts to commit what came of messages; the last between all further ones."""

AT_A_TIME = 8
"""How many sends are begun before the loop does something else: begun all at once they would hold it up."""

CROWD_SECONDS = 0.005
"""How long a claim for a few rows waits for more of them, while many others are on their way anyhow."""

_NOTE = "closed:"


@dataclass(frozen=True, slots=True)
class _Mark:
    """An outcome that is to be committed, and who waits until it is."""

    outcome: Outcome
    done: asyncio.Future[None]

    def is_done(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Dispatcher:
    """Keeps messages on their way, in the order of their lanes, and commits their marks in groups.

    Each channel has places of its own, so that a crowd before Slack keeps no customer waiting.
    """

    def __init__(  # noqa: PLR0913 - what is handed in at the root, by name
        self,
        database: Database,
        house: House,
        channels: Mapping[str, Channel],
        *,
        now: Callable[[], datetime],
        limits: Limits,
        places: Mapping[str, int] = PLACES,
        lease: timedelta = LEASE,
        on_error: Callable[[Outgoing, Exception], None] = lambda _message, _error: None,
        on_landed: Callable[[], None] = lambda: None,
        is_passing: Callable[[Exception], bool] = lambda _error: False,
        watch: Watch | None = None,
    ) -> None:
        """Send through `channels`, at most `places` of each side by side, and not faster than `limits`.

        `on_error` hears of our own faults; `on_landed` is called when there is room again, and whatever waited behind
        may be due. `is_passing` tells trouble of the database, which passes, from a fault in what is to be stored.
        """
        self._database, self._house, self._channels = database, house, channels
        self._now, self._places, self._lease = now, places, lease
        self._on_error, self._on_landed, self._is_passing = on_error, on_landed, is_passing
        self._watch = watch or Nobody()
        self._turns = Turns(limits, self._watch, now)
        self._flying: dict[str, set[asyncio.Task[None]]] = {name: set() for name in channels}
        self._in_hand: set[int | None] = set()
        self._unmarked: list[_Mark] = []
        self._marking: asyncio.Task[None] | None = None
        self._tries: Counter[int | None] = Counter()
        self._right_until: dict[str, float] = {}
        self._recalled: set[str] = set()
        self._is_leaving = False

    # who may send

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels that it sends on."""
        return tuple(self._channels)

    def allow(self, channel: str, until: float) -> None:
        """Send on a channel until that time of the event loop's clock, and no longer unless it is said again."""
        self._right_until[channel] = until

    def forbid(self, channel: str) -> None:
        """Send nothing more on a channel; what waits for its turn goes back to the outbox."""
        self._right_until[channel] = 0
        self._recalled.discard(channel)
        self._turns.send_back(channel, _not_ours)

    def opens_at(self, channel: str) -> datetime | None:
        """Tell until when the other side has closed a channel; None: it is open."""
        return self._turns.opens_at(channel)

    def has_right(self, channel: str) -> bool:
        """Tell whether we may send on a channel at this moment."""
        return not self._is_leaving and asyncio.get_running_loop().time() < self._right_until.get(channel, float("inf"))

    # claiming

    async def pump(self, limit: int = 200) -> int:
        """Claim what is due on every channel that has room, and set it on its way.

        Gives how many rows were looked at; 0: nothing is due, or whatever is due waits for room.
        """
        return sum([await self._pump(name, limit) for name in self._channels])

    async def _pump(self, channel: str, limit: int) -> int:
        room = self._room(channel, limit)
        if 0 < room < min(limit, len(self._flying[channel])) // 4:
            await asyncio.sleep(CROWD_SECONDS)
            room = self._room(channel, limit)
        if room <= 0:
            return 0
        if channel not in self._recalled:
            await self._recall(channel)
            return 1
        now, began = self._now(), asyncio.get_running_loop().time()
        of_a_lane, plan = self._turns.of_a_lane(channel), self._turns.spread(channel)

        def work(uow: UnitOfWork, *, careful: bool = False) -> tuple[list[Outgoing], int, Spread]:
            spread = plan.anew()  # the transaction may be done again from its start
            ready, seen = claim(
                uow,
                self._house,
                channel,
                now,
                room,
                self._lease,
                careful=careful,
                of_a_lane=of_a_lane,
                put_off=spread.put_off,
            )
            return ready, seen, spread

        try:
            ready, seen, spread = await self._database.run(work)
        except Exception:  # noqa: BLE001 - a row spoils the batch, or the database is away: then this raises as well
            ready, seen, spread = await self._database.run(partial(work, careful=True))
        self._turns.keep(spread)
        self._in_hand.update(each.id for each in ready)
        lanes: dict[str, list[Outgoing]] = {}
        for message in ready:
            lanes.setdefault(message.lane, []).append(message)
        for number, lane in enumerate(lanes.values(), 1):
            task = asyncio.create_task(self._send_lane(lane, began))
            self._flying[channel].add(task)
            task.add_done_callback(partial(self._landed, channel))
            if not number % AT_A_TIME:
                await asyncio.sleep(0)
        return seen

    def _room(self, channel: str, limit: int) -> int:
        if not self.has_right(channel) or self._turns.is_closed(channel):
            return 0
        return self._turns.room(channel, min(limit, self._places.get(channel, 1) - len(self._flying[channel])))

    def _landed(self, channel: str, task: asyncio.Task[None]) -> None:
        self._flying[channel].discard(task)
        self._on_landed()

    @property
    def flying(self) -> int:
        """How many lanes have messages on their way."""
        return sum(len(tasks) for tasks in self._flying.values())

    async def landed(self) -> None:
        """Wait until nothing is on its way any more."""
        while self.flying:
            await asyncio.gather(*(task for tasks in self._flying.values() for task in tasks), return_exceptions=True)

    async def leave(self) -> None:
        """Claim no more, and wait until what is on its way has landed.

        What waits for its turn goes back. Marks that cannot be committed are given up after a minute, and settled when
        their leases end.
        """
        self._is_leaving = True
        for channel in self._channels:
            self.forbid(channel)
        await self.landed()

    async def recover(self, *, everything: bool = False) -> int:
        """Settle what a dead sender left behind; `everything`: no other can be alive, so no lease is waited for."""
        now, own = self._now(), frozenset(self._in_hand)
        by = now + 2 * self._lease if everything else now
        return await self._database.run(lambda uow: recover(uow, self._house, now, by, own))

    # sending

    async def _send_lane(self, lane: Sequence[Outgoing], claimed: float) -> None:
        """Send the messages of one lane one after the other; what has to wait keeps those behind it waiting, too."""
        waiting: DeliveryDelayed | None = None
        for message in lane:
            outcome = Outcome(message, error=waiting) if waiting else await self._send(message, claimed)
            if isinstance(outcome.error, DeliveryDelayed):
                waiting = outcome.error
            elif isinstance(outcome.error, DeliveryUnknown) and message.kind not in AT_MOST_ONCE:
                waiting = NotYet("what was said before it is said once more")
            await self._mark(outcome)

    async def _send(self, message: Outgoing, claimed: float) -> Outcome:
        try:
            turn = await self._turns.take(message)
        except NotYet as error:
            return Outcome(message, error=error)
        try:
            self._on_landed()
            if not self._may_go(message, claimed):
                return Outcome(message, error=_not_ours())
            external = await self._channels[message.channel].deliver(message)
        except DeliveryDelayed as error:
            if error.everyone and error.retry_after:
                self._turns.close(message, error.retry_after, str(error))
            return self._attempted("delayed", Outcome(message, error=error))
        except DeliveryUnknown as error:
            return self._attempted("unknown", Outcome(message, error=error))
        except DeliveryRefused as error:
            attempt: Attempt = "sent" if error.reason == "unchanged" else "refused"
            return self._attempted(attempt, Outcome(message, error=error))
        except Exception as error:  # noqa: BLE001 - one message that spoils must not stop the others; it ends as failed
            self._on_error(message, error)
            return self._attempted("failed", Outcome(message, error=error))
        finally:
            turn.end()
        return self._attempted("sent", Outcome(message, external=external))

    def _attempted(self, attempt: Attempt, outcome: Outcome) -> Outcome:
        self._watch.attempted(outcome.message.channel, outcome.message.kind, attempt)
        return outcome

    def _may_go(self, message: Outgoing, claimed: float) -> bool:
        """Tell, right before it is sent, whether a message is still ours to send.

        Once its lease is over others settle it. Half of the lease is kept for the call itself, which is far shorter;
        both clocks are asked: one may be set back, the other stands still while a machine sleeps.
        """
        half = self._lease / 2
        is_late = asyncio.get_running_loop().time() - claimed > half.total_seconds()
        is_past = message.lease_until is not None and self._now() > message.lease_until - half
        return self.has_right(message.channel) and not is_late and not is_past

    # marking

    async def _mark(self, outcome: Outcome) -> None:
        """Have an outcome committed, together with whatever else waits for it, and wait until it is."""
        mark = _Mark(outcome, asyncio.get_running_loop().create_future())
        self._put_mark(mark)
        await mark.done
        self._in_hand.discard(outcome.message.id)
        self._tries.pop(outcome.message.id, None)

    def _put_mark(self, mark: _Mark) -> None:
        self._unmarked.append(mark)
        if self._marking is None or self._marking.done():
            self._marking = asyncio.create_task(self._mark_all())

    async def _mark_all(self) -> None:
        while self._unmarked:
            group, self._unmarked = self._unmarked, []
            await self._commit_marks(group)

    async def _commit_marks(self, group: Sequence[_Mark]) -> None:
        """Commit what came of messages; while the database cannot be reached, try again: what was sent was sent."""
        attempt = 0
        while True:
            try:
                # With care only once something spoiled: a savepoint for each mark costs more than the mark.
                await self._commit(group, careful=attempt > 0)
            except Exception as error:  # noqa: BLE001 - whatever ails the database, the marks must not be given up lightly
                self._on_error(group[0].outcome.message, error)
                if attempt and not self._is_passing(error):
                    await self._commit_apart(group)
                    return
                if self._is_leaving and attempt >= len(MARK_AGAIN):
                    break
            else:
                break
            await asyncio.sleep(MARK_AGAIN[min(attempt, len(MARK_AGAIN) - 1)])
            attempt += 1
        for mark in group:
            mark.is_done()

    async def _commit_apart(self, group: Sequence[_Mark]) -> None:
        """Commit each mark by itself: one that the database refuses keeps no other waiting, and is tried again."""
        for mark in group:
            message = mark.outcome.message
            try:
                await self._commit([mark], careful=True)
            except Exception as error:  # noqa: BLE001 - as above; given up in the end, it is settled when its lease ends
                self._on_error(message, error)
                tries = self._tries[message.id]
                if tries < len(MARK_AGAIN):
                    self._tries[message.id] += 1
                    asyncio.get_running_loop().call_later(MARK_AGAIN[tries], self._put_mark, mark)
                    continue
            mark.is_done()

    async def _commit(self, group: Sequence[_Mark], *, careful: bool) -> None:
        outcomes = [mark.outcome for mark in group]
        closings = self._turns.closings()

        def work(uow: UnitOfWork) -> None:
            now = self._now()
            mark_all(uow, self._house, outcomes, now, careful=careful)
            for closing in closings:
                uow.put_note(_NOTE + closing.way, f"{(now + closing.left).isoformat()} {closing.why}")

        await self._database.run(work)
        self._turns.noted(closings)

    async def _recall(self, channel: str) -> None:
        """Learn what the other side has closed: it holds also for whoever sends after us, or after a restart."""
        ways = self._turns.ways_of(channel)
        notes = await self._database.run(lambda uow: {way: uow.note(_NOTE + way) for way in ways})
        now = self._now()
        for way, note in notes.items():
            at, _, why = (note or "").partition(" ")
            if at and datetime.fromisoformat(at) > now:
                self._turns.close_way(Closing(way, datetime.fromisoformat(at) - now, why))
        self._recalled.add(channel)


def _not_ours() -> NotYet:
    return NotYet("another program sends for this channel now, or this one was held up for too long")
