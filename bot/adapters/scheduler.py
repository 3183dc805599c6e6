"""The tick: every so often, look whether something is due. It owns no customer's message and remembers nothing.

What is due stands in the database; when the program was down, the next tick finds it there.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, timedelta

import structlog
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

_log = structlog.get_logger("aftersale.scheduler")


class Ticker:
    """Calls `tick` every `interval`, never twice at once. One that fails is logged; the next comes all the same."""

    def __init__(self, tick: Callable[[], Awaitable[None]], *, interval: timedelta = timedelta(seconds=1)) -> None:
        """Take the work and how often to do it."""
        self._tick = tick
        self._interval = interval
        self._resting = asyncio.Event()
        self._resting.set()
        self._scheduler: AsyncIOScheduler | None = None

    def start(self) -> None:
        """Begin to tick, the first time after one interval. Needs a running event loop."""
        # Ticks missed while the loop was busy become one (coalesce), and none is ever too late to be run: APScheduler's
        # own default drops what is more than a second late.
        # Source: https://apscheduler.readthedocs.io/en/3.x/userguide.html (missed job executions, read 2026-11-22).
        scheduler = AsyncIOScheduler(jobstores={"default": MemoryJobStore()}, timezone=UTC)
        trigger = IntervalTrigger(seconds=self._interval.total_seconds(), timezone=UTC)
        scheduler.add_job(self._run, trigger, id="tick", coalesce=True, max_instances=1, misfire_grace_time=None)
        scheduler.start()
        self._scheduler = scheduler

    async def stop(self) -> None:
        """Tick no more, and wait until the tick under way has ended. Stopping again changes nothing."""
        if self._scheduler is None:
            return
        scheduler, self._scheduler = self._scheduler, None
        # The scheduler's own shutdown cancels what runs, so it comes last: pause, let the tick end, shut down.
        scheduler.pause()
        await asyncio.sleep(0)  # a tick that was handed to the loop just now enters, and is then waited for
        await self._resting.wait()
        scheduler.shutdown(wait=False)
        await asyncio.sleep(0)  # the scheduler puts its own end into the loop; see it through

    async def _run(self) -> None:
        self._resting.clear()
        try:
            await self._tick()
        except Exception:  # noqa: BLE001 - one bad tick must not end all later ones; it is logged with its stack
            _log.exception("tick_failed")
        finally:
            self._resting.set()
