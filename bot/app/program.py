"""The product, put together over a database, a clock and two channels, and the loops that keep it going."""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from bot import inbox, overdue
from bot.adapters.scheduler import Ticker
from bot.app.published import PublishedFlows
from bot.app.sending import SendingDuties
from bot.dispatch import Dispatcher, Limits
from bot.messages import House
from bot.ports.channels import Channel
from bot.ports.records import Incoming, Outgoing
from bot.ports.store import UnitOfWork
from bot.ports.watch import Nobody, Watch
from storage.database import SqlDatabase, is_passing

_log = structlog.get_logger("aftersale.app")

BATCH = 200
"""How many rows of the inbox, or moments, one transaction takes: about a tenth of a second."""


BATCHES_A_TICK = 20
"""How many batches of moments one tick does at most."""

ARRIVALS = 1000
"""About how many rows one commit to the inbox takes."""

TRY_AGAIN = timedelta(minutes=5)
"""When a moment that failed by a fault of ours is tried again; its error stands at it meanwhile."""

SLACK_PER_SECOND = 1.0
"""How many messages a channel takes. Source: https://docs.slack.dev/apis/web-api/rate-limits (read 2026-11-22)."""


@dataclass(frozen=True, slots=True)
class _Arrival:
    """What came in together, and who waits to hear which of it was new."""

    items: list[Incoming]
    news: asyncio.Future[list[bool]]

    def tell(self, news: list[bool]) -> None:
        if not self.news.done():
            self.news.set_result(news)

    def refuse(self, error: Exception) -> None:
        if not self.news.done():
            self.news.set_exception(error)


def _receive(uow: UnitOfWork, items: Sequence[Incoming]) -> list[bool]:
    return uow.receive(items)


def _from_outside(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(call)


class Program:
    """The product, put together: it takes in, decides, and sends.

    `run` keeps it going; `settle` does all that is due at this moment of the clock.
    """

    def __init__(
        self,
        house: House,
        database: SqlDatabase,
        channels: Mapping[str, Channel],
        translators: inbox.Translators,
        flows: PublishedFlows | None = None,
        slack_per_second: float = SLACK_PER_SECOND,
        watch: Watch | None = None,
    ) -> None:
        """Put it together; nothing moves before `run` or one of the single steps.

        `flows` are kept up to date, if given; `watch` is told what happens.
        """
        self._watch = watch or Nobody()
        self.house, self.database, self._translators, self._flows = house, database, translators, flows
        self._arriving: deque[_Arrival] = deque()
        self._committing: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._came_in, self._to_send = asyncio.Event(), asyncio.Event()
        shop = house.shop
        self.dispatcher = Dispatcher(
            database,
            house,
            channels,
            now=house.clock.now,
            limits=Limits(shop.messages_per_second, shop.per_chat_per_second, slack_per_second),
            on_error=self._fault,
            on_landed=self._to_send.set,
            is_passing=is_passing,
            watch=watch,
        )

    # single steps

    async def commit(self, items: list[Incoming]) -> list[bool]:
        """Commit what came in to the inbox; only then may the sender be told. Gives which of it was new.

        What arrives while a commit is under way goes with the next, all in one transaction.
        """
        arrival = _Arrival(items, asyncio.get_running_loop().create_future())
        self._arriving.append(arrival)
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_arrivals())
        news = await arrival.news
        for source, number in Counter(item.source for item, is_new in zip(items, news, strict=True) if is_new).items():
            self._watch.received(source, number)
        return news

    async def _commit_arrivals(self) -> None:
        while self._arriving:
            group: list[_Arrival] = []
            while self._arriving and (not group or sum(len(each.items) for each in group) < ARRIVALS):
                group.append(self._arriving.popleft())
            try:
                items = [item for each in group for item in each.items]
                news = await self.database.run(partial(_receive, items=items))
            except Exception as error:  # noqa: BLE001 - whoever brought it is told, and brings it again
                await self._commit_apart(group, error)
                continue
            self._came_in.set()
            for each in group:
                own, news = news[: len(each.items)], news[len(each.items) :]
                each.tell(own)

    async def _commit_apart(self, group: Sequence["_Arrival"], error: Exception) -> None:
        """Commit each arrival by itself: what cannot be stored of one must not keep the others out."""
        for each in group:
            if len(group) == 1 or is_passing(error):
                each.refuse(error)
                continue
            try:
                each.tell(await self.database.run(partial(_receive, items=each.items)))
            except Exception as its_own:  # noqa: BLE001 - as above
                each.refuse(its_own)
            else:
                self._came_in.set()

    async def commit_all(self, items: list[Incoming]) -> None:
        """Commit what came in, for adapters that need not know what was new."""
        await self.commit(items)

    async def handle_inbox(self) -> int:
        """Handle a batch of what came in, in one transaction. Gives how many rows."""
        began = asyncio.get_running_loop().time()
        try:
            done = await self.database.run(lambda uow: self._handle(uow, BATCH, careful=False))
        except Exception:  # noqa: BLE001 - something in the batch spoils it; with more care it is found and set aside
            done = await self._handle_with_care()
        if done:
            self._watch.handled(done, asyncio.get_running_loop().time() - began)
        return done

    async def fire_moments(self) -> int:
        """Do what is due, a batch in one transaction. Gives how many moments."""
        now = self.house.clock.now()

        def work(uow: UnitOfWork, limit: int) -> int:
            due = uow.due_moments(now, limit)
            uow.read_ahead(
                sales={moment.sale_id for moment in due},
                keys={moment.key for moment in due if moment.kind == "start"},
                is_whole=True,
            )
            overdue.fire(uow, self.house, due, now)
            return len(due)

        try:
            return await self.database.run(lambda uow: work(uow, BATCH))
        except Exception as error:  # noqa: BLE001 - as above: one moment that spoils must not keep the others back
            _log.exception("moments_failed")
            return await self._fire_one_by_one(work, error)

    async def reload(self) -> None:
        """Take into use what was published, and changed files of flows that nobody published by hand.

        A file that is no longer valid leaves its last good version in place.
        """
        if self._flows is None:
            return
        for error in self._flows.reload_if_changed():
            _log.warning("flow_refused", problem=str(error))
        if self._flows.has_changed_files:
            taken_up = await self.database.run(partial(self._flows.take_up, now=self.house.clock.now()))
            for each in taken_up:
                _log.info("flow_taken_up", flow=each.flow, number=each.number)
            for problem in self._flows.unpublished():
                _log.warning("flow_not_published", problem=problem)
        else:
            await self.database.run(self._flows.look)

    def wake(self) -> None:
        """Look now whether something is due (the clock was moved, another process wrote)."""
        self._came_in.set()
        self._to_send.set()

    async def tick(self) -> None:
        """Do what is due by now, settle what dead senders left, and wake the loops.

        Of a flood only a part: the rest is done at the next ticks, and nobody else waits for it meanwhile.
        """
        for _ in range(BATCHES_A_TICK):
            if await self.fire_moments() < BATCH:
                break
        await self.dispatcher.recover()
        await self.reload()
        self.wake()

    def is_resting(self, uow: UnitOfWork) -> bool:
        """Tell whether nothing is to be done at this moment of the clock."""
        now = self.house.clock.now()
        busy = uow.inbox(("new",), 1) or uow.outbox(("sending",), 1)
        return not busy and all(at is None or at > now for at in self.next_times(uow))

    def next_times(self, uow: UnitOfWork) -> tuple[datetime | None, ...]:
        """Give when there is something to do next, by kind of work: a moment, a message of each channel."""
        messages = ((uow.next_outgoing_at(each), self.dispatcher.opens_at(each)) for each in self.dispatcher.channels)
        return (
            uow.next_moment_at(),
            *(max(at, opens_at) if at and opens_at else at for at, opens_at in messages),
        )

    async def settle(self) -> None:
        """Do all that is due at this moment of the clock, until nothing is left: for commands, sandbox and tests."""
        while True:
            busy = await self.handle_inbox() + await self.fire_moments() + await self.dispatcher.pump()
            await self.dispatcher.landed()
            if not busy and await self.database.run(self.is_resting):
                return

    # the loops

    async def run(self, *, interval: timedelta = timedelta(seconds=1)) -> None:
        """Keep going until `stop`; then finish what is in flight."""
        if self.database.is_alone:
            # Nobody else can be sending: what is still marked so was left behind by a program that died.
            await self._when_it_works(lambda: self.dispatcher.recover(everything=True))
        self.database.listen(partial(_from_outside, asyncio.get_running_loop(), self.wake))
        ticker = Ticker(self.tick, interval=interval)
        # Of several programs on one database one sends on a channel: that of which the other side counts the messages.
        sending = (
            [] if self.database.is_alone else SendingDuties(self.database.duties, self.dispatcher, self.wake).begin()
        )
        await self._when_it_works(self.tick)
        ticker.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._loop(self.handle_inbox, self._came_in, then=self._to_send))
                group.create_task(self._loop(self.dispatcher.pump, self._to_send))
        finally:
            await ticker.stop()
            await self.dispatcher.leave()
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    def stop(self) -> None:
        """End `run`: nothing new is begun, what is in flight is finished."""
        self._stopping.set()
        self.wake()

    async def _loop(
        self, work: Callable[[], Awaitable[int]], wake: asyncio.Event, then: asyncio.Event | None = None
    ) -> None:
        while not self._stopping.is_set():
            wake.clear()
            done = await self._when_it_works(work)
            if done and then is not None:
                then.set()
            if not done and not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await wake.wait()

    async def _when_it_works(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do `work`; while the database cannot be reached, wait and try again. Nothing is lost by that."""
        pause = 1.0
        while not self._stopping.is_set():
            try:
                return await work()
            except Exception:  # noqa: BLE001 - the loops outlive whatever fails; the log says what
                _log.exception("loop_failed", again_in_seconds=pause)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._stopping.wait()
                pause = min(pause * 2, 30.0)
        return 0

    # what spoils a batch

    def _handle(self, uow: UnitOfWork, limit: int, *, careful: bool = True) -> int:
        items = uow.new_incoming(limit)
        inbox.handle(uow, self.house, self._translators, items, self.house.clock.now(), careful=careful)
        return len(items)

    async def _handle_with_care(self) -> int:
        try:
            return await self.database.run(lambda uow: self._handle(uow, BATCH))
        except Exception:  # noqa: BLE001 - it is a fault of ours, or the database's: one row after the other
            return await self._handle_one_by_one()

    async def _handle_one_by_one(self) -> int:
        handled = 0
        for _ in range(BATCH):
            found: list[Incoming] = []

            def one(uow: UnitOfWork, found: list[Incoming] = found) -> int:
                found[:] = uow.new_incoming(1)
                return self._handle(uow, 1)

            try:
                done = await self.database.run(one)
            except Exception as error:
                if not found or found[0].id is None or is_passing(error):
                    raise
                reference = self.house.new_id()
                _log.exception("inbox_row_failed", id=found[0].id, source=found[0].source, reference=reference)
                reason = f"{type(error).__name__}: {error} (reference {reference})"
                await self._set_aside(found[0].id, reason)
                done = 1
            if not done:
                break
            handled += 1
        return handled

    async def _set_aside(self, row: int, reason: str) -> None:
        await self.database.run(lambda uow: uow.settle_incoming(row, "failed", reason))

    async def _fire_one_by_one(self, work: Callable[[UnitOfWork, int], int], first: Exception) -> int:
        now = self.house.clock.now()
        fired = 0
        for _ in range(BATCH):
            try:
                if not await self.database.run(lambda uow: work(uow, 1)):
                    break
            except Exception as error:
                if is_passing(error):
                    raise
                reason = f"failed, and is tried again: {type(error).__name__}: {error}"

                def put_off(uow: UnitOfWork, reason: str = reason) -> None:
                    for moment in uow.due_moments(now, 1):
                        uow.settle(moment.id or 0, "planned", reason, due_at=now + TRY_AGAIN)

                await self.database.run(put_off)
            fired += 1
        if not fired:
            raise first
        return fired

    def _fault(self, message: Outgoing, error: Exception) -> None:
        _log.error("message_failed", id=message.id, kind=message.kind, error=f"{type(error).__name__}: {error}")
