"""A wake-up of ours: the hundred that are due are claimed in one transaction; nothing is sent. See `bench.wakeup`."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from bench.contender import Values
from bench.shop import ASKED, bare_program
from bench.watching import memory_mb, percentile
from bot.dispatch import claim
from bot.messages import House

DUE = 100
EVERY = timedelta(minutes=1)
_LEASE = timedelta(minutes=2)


def costs(took: Sequence[tuple[float, float]]) -> Values:
    """Give what wake-ups cost that took so many seconds, of wall and of CPU time. The first tenth only warms up."""
    counted = took[len(took) // 10 :]
    walls, cpus = (sorted(each) for each in zip(*counted, strict=True))
    return {
        "p50_ms": percentile(walls, 0.5) * 1000,
        "p99_ms": percentile(walls, 0.99) * 1000,
        "max_ms": walls[-1] * 1000,
        "cpu_ms": percentile(cpus, 0.5) * 1000,
        "rss_mb": memory_mb(),
    }


@contextmanager
def timed(took: list[tuple[float, float]]) -> Iterator[None]:
    """Add what the block takes to `took`."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    took.append((time.perf_counter() - wall, time.process_time() - cpu))


# Contenders, each in a process of its own ---------------------------------------------------------------------------


async def claimed(file: str, wake_ups: int) -> Values:
    """Ours, as much as the others do: find the hundred that are due, mark them as ours, commit."""

    def work(uow: Any, _house: House, now: datetime) -> int:
        due = uow.due_outgoing(now, DUE, "telegram")
        uow.claim([each.id for each in due], now + _LEASE)
        return len(due)

    return await _timed(file, wake_ups, work)


async def guarded(file: str, wake_ups: int) -> Values:
    """Ours, as it is: the same, and every guard asked with all that it must know (customer, sale, case …)."""

    def work(uow: Any, house: House, now: datetime) -> int:
        ready, _ = claim(uow, house, "telegram", now, DUE, careful=False)
        return len(ready)

    return await _timed(file, wake_ups, work)


def _worked(work: Callable[[Any, House, datetime], int], house: House, now: datetime, uow: Any) -> int:
    return work(uow, house, now)


async def _timed(file: str, wake_ups: int, work: Callable[[Any, House, datetime], int]) -> Values:
    took: list[tuple[float, float]] = []
    with bare_program(f"sqlite:///{file}") as (program, clock):
        clock.move_to(ASKED)
        for _ in range(wake_ups):
            now = clock.now()
            with timed(took):
                found = await program.database.run(partial(_worked, work, program.house, now))
            if found != DUE:
                raise RuntimeError(f"{found} were claimed instead of {DUE}")
            clock.advance(EVERY)
        return costs(took)
