"""Looking at how things stand: what /health and /metrics show. Cheap however much waits, and patient with nobody.

One look at the database at a time, whoever asks: should it hang, the second to ask is told so at once, and no thread is
spent on waiting with them. What is wrong, and what to do, is said in one line each.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import structlog

from bot.adapters.metrics import Seen, Sight
from bot.alarms import Book, in_words, read_book
from bot.ports.channels import Clock
from bot.ports.standing import Standing
from bot.ports.watch import Attempt, Wait, Watch
from storage.database import SqlDatabase
from storage.reports import COUNTED_UP_TO, SqlReports

_log = structlog.get_logger("aftersale.lookout")

PATIENCE = 1.0
"""Seconds that the database may take for an answer before it counts as away."""

SALES_PAUSE = 60.0
SALES_SHARE = 50
"""Sales are counted whole, which takes as long as there are many: at most once in so many seconds, and at most one
second in so many is spent on it."""

ALARMS = "alarms"
"""The note under which `bot.app.alarming` keeps which alarms are on."""

FAILURES = 3
"""How many attempts in a row must fail before a channel counts as not reached."""

FAILING = timedelta(minutes=3)
"""And for how long."""

DATABASE_AWAY = (
    "Database: does not answer → see that it runs and that DATABASE_URL leads to it;"
    " shops and Telegram are told to come again meanwhile"
)

Watched: TypeAlias = dict[str, Callable[[], str | None]]
"""What can be unwell: each gives why, in words for the operator, or None."""


@dataclass(slots=True)
class _Run:
    """Attempts in a row that came to nothing."""

    since: datetime
    number: int
    last: Attempt


class Pulse(Watch):
    """Passes on what happens, and remembers whether anything still gets through to each channel."""

    def __init__(self, inner: Watch, clock: Clock) -> None:
        """Tell `inner` as well."""
        self._inner, self._clock = inner, clock
        self._runs: dict[str, _Run] = {}

    def why(self, channel: str) -> str | None:
        """Give why a channel counts as not reached, or None. Nothing to send is no trouble."""
        run = self._runs.get(channel)
        lasted = self._clock.now() - run.since if run else timedelta()
        if run is None or run.number < FAILURES or lasted < FAILING:
            return None
        return (
            f"no message got through for {in_words(lasted)} (the last was {run.last})"
            " → aftersale outbox list says why; they are tried again by themselves"
        )

    def attempted(self, channel: str, kind: str, attempt: Attempt) -> None:
        """Remember whether it got through; a refusal did, for somebody was there to refuse."""
        self._inner.attempted(channel, kind, attempt)
        if attempt in ("sent", "refused"):
            self._runs.pop(channel, None)
        elif attempt in ("delayed", "unknown"):
            run = self._runs.setdefault(channel, _Run(self._clock.now(), 0, attempt))
            run.number, run.last = run.number + 1, attempt

    def waited(self, channel: str, why: Wait, seconds: float) -> None:
        """Pass it on."""
        self._inner.waited(channel, why, seconds)

    def received(self, source: str, number: int) -> None:
        """Pass it on."""
        self._inner.received(source, number)

    def handled(self, number: int, seconds: float) -> None:
        """Pass it on."""
        self._inner.handled(number, seconds)


class Lookout:
    """Looks at the database, and at what this program knows of itself.

    Attributes:
        watched: what can be unwell, by name; whoever opens a door adds itself.
        duties: what one program alone may do, and somebody must.
        seen: what ``/metrics`` shows.
    """

    def __init__(self, database: SqlDatabase, clock: Clock) -> None:
        """Be ready to look; nothing is asked before somebody wants to know."""
        self._database, self._clock = database, clock
        self.watched: Watched = {}
        self.duties: list[str] = []
        self.seen = Seen()
        self._looking: asyncio.Task[tuple[Standing, Book]] | None = None
        self._answering: asyncio.Task[None] | None = None
        self._counting: asyncio.Task[None] | None = None
        self._began: dict[str, float] = {}
        self._count_again_at = 0.0
        self._sales: Mapping[str, int] = {}

    # what is wrong

    def problems(self) -> list[str]:
        """Give what this program knows to be wrong with its own doors, without asking anybody."""
        return [f"{name}: {said}" for name, said in self.unreached().items()]

    def unreached(self) -> dict[str, str]:
        """The same by name."""
        told = ((name, why()) for name, why in self.watched.items())
        return {name: said for name, said in told if said}

    # /health

    async def health(self) -> dict[str, Any]:
        """Give what ``/health`` shows: ready or not, each problem and each warning in a line, and how much waits."""
        problems, warnings = self.problems(), list[str]()
        counts: dict[str, int] = {}
        look = await self._look()
        if look is None:
            problems.append(DATABASE_AWAY)
        else:
            now, book = look
            more, warnings = _told(book, self._clock.now())
            problems += more
            warnings += [*_poison(now), *_paused(now)]
            counts = {**self._counted(), **_counts(now)}
        return {
            "ready": not problems,
            "problems": problems,
            "warnings": warnings,
            "counts": counts,
            "counted_up_to": COUNTED_UP_TO,
        }

    async def why_not_ready(self) -> str | None:
        """Give why no calls should be sent here now, or None: for load balancers, so only what a call needs counts."""
        if self._answering is None or self._answering.done():
            self._answering = self._begin("answer", lambda reports: reports.answers())
        try:
            await self._in_time("answer", self._answering)
        except Exception:  # noqa: BLE001 - whatever keeps it from answering, it is away
            return DATABASE_AWAY
        return None

    # /metrics

    async def refresh(self) -> None:
        """Look, so that what ``/metrics`` shows is of this moment."""
        look = await self._look()
        now, book = look or (None, {})
        connections = {name: not why() for name, why in self.watched.items()}
        self.seen.sight = Sight(
            database="postgresql" if not self._database.is_alone else "sqlite",
            standing=now,
            sales=self._counted(),
            connections={name.lower().replace(" ", "_"): is_well for name, is_well in connections.items()},
            duties={duty: self._database.duties.holds(duty) for duty in self.duties},
            alarms=tuple(sorted(key for key, alarm in book.items() if alarm.is_on(self._clock.now()))),
            is_ready=now is not None and all(connections.values()) and not _told(book, self._clock.now())[0],
        )

    # looking

    async def standing(self) -> Standing:
        """Look at the queues.

        Raises:
            TimeoutError: the database takes too long.
        """
        return (await self._glance())[0]

    async def close(self) -> None:
        """Look no more."""
        tasks = [task for task in (self._looking, self._answering, self._counting) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> tuple[Standing, Book] | None:
        try:
            return await self._glance()
        except TimeoutError:
            _log.warning("database_slow", patience_seconds=PATIENCE)
        except Exception:  # noqa: BLE001 - whatever keeps it from answering, it is away; the log says what
            _log.exception("database_away")
        return None

    async def _glance(self) -> tuple[Standing, Book]:
        if self._looking is None or self._looking.done():
            now = self._clock.now()
            self._looking = self._begin(
                "look", lambda reports: (reports.standing(now), read_book(reports.note(ALARMS)))
            )
        look: tuple[Standing, Book] = await self._in_time("look", self._looking)
        return look

    def _begin(self, name: str, question: Callable[[SqlReports], Any]) -> asyncio.Task[Any]:
        self._began[name] = asyncio.get_running_loop().time()
        task = asyncio.create_task(self._database.read(question))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to hear of it
        return task

    async def _in_time(self, name: str, task: "asyncio.Task[Any]") -> Any:
        """Wait for a look, which others may wait for as well; how long it has been under way counts."""
        left = self._began[name] + PATIENCE - asyncio.get_running_loop().time()
        # Not asyncio.wait_for: before Python 3.12 it loses a cancelling that comes with the answer, and whoever looks
        # every so often would never end. Source: https://github.com/python/cpython/issues/86296 (read 2026-11-25).
        async with asyncio.timeout(max(left, 0)):
            return await asyncio.shield(task)

    def _counted(self) -> Mapping[str, int]:
        """Give the sales as last counted, and see that they are counted again, beside all else, when it is time."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._count_again_at and (self._counting is None or self._counting.done()):
            self._counting = asyncio.create_task(self._count())
        return self._sales

    async def _count(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            self._sales = await self._database.read(lambda reports: reports.sales_by_stage())
        except Exception:  # noqa: BLE001 - the look at the queues has said already that the database is away
            _log.debug("sales_not_counted", exc_info=True)
        self._count_again_at = loop.time() + max(SALES_PAUSE, SALES_SHARE * (loop.time() - began))


def _counts(now: Standing) -> dict[str, int]:
    def total(numbers: Mapping[str, int]) -> int:
        return min(sum(numbers.values()), now.counted_up_to)

    return {
        "sales": now.sales,
        "open_cases": sum(sum(each.by_age.values()) for each in now.cases.values()),
        "overdue_cases": sum(each.overdue for each in now.cases.values()),
        "new_inbox": total(now.new_inbox),
        "failed_inbox": now.failed_inbox,
        "due": total(now.due),
        "waiting": min(total(now.due) + total(now.later), now.counted_up_to),
        "sending": now.sending,
        "unknown": now.unknown,
        "failed": now.failed,
        "held": now.held,
    }


def _told(book: Book, now: datetime) -> tuple[list[str], list[str]]:
    """Give the lines of alarms that are on: problems, and warnings. What each program sees for itself is left out."""
    lines: Mapping[str, list[str]] = {"problem": [], "warning": []}
    for key, alarm in book.items():
        if alarm.is_on(now) and not key.startswith(("unreached:", "failed:")):
            lines[alarm.sign.weight].append(f"{alarm.sign.says} → {alarm.sign.mend}")
    return lines["problem"], lines["warning"]


def _paused(now: Standing) -> list[str]:
    """Give a line where something is paused, so that it is not forgotten."""
    if not now.pauses:
        return []
    what = "one pause holds" if now.pauses == 1 else f"{now.pauses} pauses hold"
    return [f"Paused: {what} what the bot would say → aftersale resume names it"]


def _poison(now: Standing) -> list[str]:
    """Give a line for each kind of row that waits for a person: never a reason to take the program out."""
    found: Sequence[tuple[int, str, str]] = (
        (now.failed_inbox, "Inbox: {} could not be handled", "aftersale inbox list --state failed"),
        (now.failed, "Outbox: {} could not be sent", "aftersale outbox list --state failed"),
        (now.unknown, "Outbox: {} may or may not have arrived", "aftersale outbox list --state unknown"),
    )
    many = now.counted_up_to
    return [
        f"{what.format(f'{number} or more' if number >= many else number)} → {mend}"
        for number, what, mend in found
        if number
    ]
