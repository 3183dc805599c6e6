"""The loop that looks now and then whether something is wrong with the whole, and tells the operator in Slack.

Of several programs on one database one does it. What is an alarm, and what is said, is decided in `bot.alarms` and
`bot.silence`; here facts are gathered, and state and words are committed together, so that a restart tells nothing
twice. The words go by the outbox: while Slack is down they wait there, and stand in the log and in /health.
"""

import asyncio
from collections import deque
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from bot.alarms import LAG_RISES_OVER, Book, Facts, Lag, Word, decide, read_book, signs, write_book
from bot.app.lookout import ALARMS, Lookout
from bot.messages import House, tell_operator
from bot.ports.standing import Standing
from bot.ports.store import UnitOfWork
from bot.silence import Inbound, read_inbound, write_inbound
from storage.database import SqlDatabase

_log = structlog.get_logger("aftersale.alarms")

LOOK_EVERY = timedelta(seconds=30)
WATCH = "watch"
"""The duty of telling the operator."""

INBOUND = "inbound"
"""The note under which is kept what has been learnt of what comes in."""

_KEEP_EVERY = timedelta(minutes=5)
_KEPT_SAMPLES = timedelta(minutes=15)


class Alarming:
    """Looks, decides, tells."""

    def __init__(self, house: House, database: SqlDatabase, lookout: Lookout) -> None:
        """Be ready to look with `lookout`, and to tell in the shop's channel for it."""
        self._house, self._database, self._lookout = house, database, lookout
        self._lags: deque[tuple[datetime, dict[str, timedelta]]] = deque()
        self._inbound: Inbound | None = None
        self._kept_at: datetime | None = None

    async def run(self, every: timedelta = LOOK_EVERY) -> None:
        """Look every so often, until cancelled. A look that fails is logged, and the next comes all the same."""
        try:
            while True:
                await asyncio.sleep(every.total_seconds())
                try:
                    await self.look()
                except Exception:  # noqa: BLE001 - mostly the database is away, which is what /health says then
                    _log.exception("look_failed", unreached=self._lookout.problems())
        finally:
            await asyncio.to_thread(self._database.duties.drop, WATCH)

    async def look(self) -> None:
        """Look once, if the duty is ours, and commit what is to be told."""
        if not await asyncio.to_thread(self._database.duties.hold, WATCH):
            self._inbound = None  # whoever has the duty goes on learning; ours is out of date from now on
            return
        now = self._house.clock.now()
        standing = await self._lookout.standing()
        unheld = await self._database.read(lambda reports: reports.unheld_duties(self._lookout.duties))
        self._remember(now, standing)
        inbound = await self._listen(now)
        facts = Facts(
            unreached=self._lookout.unreached(),
            lags=self._rising(now),
            unheld=unheld,
            failed={"inbox": standing.failed_inbox, "outbox": standing.failed},
            silences=inbound.silences(),
        )
        for word in await self._database.run(lambda uow: self._tell(uow, facts, now)):
            _log.warning("alarm", key=word.key, text=word.text)

    def _tell(self, uow: UnitOfWork, facts: Facts, now: datetime) -> list[Word]:
        """Decide on the state as it is kept, keep what follows, put the words into the outbox: in one transaction."""
        book = read_book(uow.note(ALARMS))
        known, words = decide(book, signs(facts, book, now), now)
        if known != book:
            uow.put_note(ALARMS, write_book(known))
        for word in words:
            tell_operator(uow, self._house, word.key, word.text, now)
        return words

    # lags

    def _remember(self, now: datetime, standing: Standing) -> None:
        inbox = {f"inbox ({source})": standing.inbox_lag(source) for source in ("shop", "telegram", "slack")}
        outbox = {f"outbox ({channel})": standing.outbox_lag(channel) for channel in ("telegram", "slack")}
        self._lags.append((now, {**inbox, **outbox, "work that is due": standing.moment_lag}))
        while now - self._lags[0][0] > _KEPT_SAMPLES:
            self._lags.popleft()

    def _rising(self, now: datetime) -> dict[str, Lag]:
        """Give each queue's lag now, beside that of the latest look that is long enough ago."""
        before: dict[str, timedelta] = next(
            (lags for at, lags in reversed(self._lags) if now - at >= LAG_RISES_OVER), {}
        )
        return {queue: Lag(lag, before.get(queue)) for queue, lag in self._lags[-1][1].items()}

    # silence

    async def _listen(self, now: datetime) -> Inbound:
        """Hear what came in since the last look, learn from it, and keep that now and then."""
        if self._inbound is None:
            self._inbound = read_inbound(await self._database.read(lambda reports: reports.note(INBOUND)), now)
        known = self._inbound
        newest, heard = await self._database.read(lambda reports: reports.arrivals(known.newest))
        book: Book = read_book(await self._database.read(lambda reports: reports.note(ALARMS)))
        alarmed = frozenset(
            key.removeprefix("silent:") for key, alarm in book.items() if key.startswith("silent:") and alarm.is_on(now)
        )
        local = now.astimezone(ZoneInfo(self._house.shop.time_zone))
        self._inbound = known.hearing(local, newest, heard, alarmed=alarmed)
        if self._kept_at is None or now - self._kept_at >= _KEEP_EVERY:
            text = write_inbound(self._inbound)
            await self._database.run(lambda uow: uow.put_note(INBOUND, text))
            self._kept_at = now
        return self._inbound
