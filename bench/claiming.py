"""A wake-up of ours: the hundred that are due are claimed in one transaction; nothing is sent. See `bench.wakeup`."""

import time
from collections.abc import Iterator, Sequence
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
    """Find the hundred that are due, ask every guard with all that it must know (customer, sale, case …), commit."""
    took: list[tuple[float, float]] = []
    with bare_program(f"sqlite:///{file}") as (program, clock):
        clock.move_to(ASKED)
        for _ in range(wake_ups):
            work = partial(_worked, program.house, clock.now())
            with timed(took):
                found = await program.database.run(work)
            if found != DUE:
                raise RuntimeError(f"{found} were claimed instead of {DUE}")
            clock.advance(EVERY)
        return costs(took)


def _worked(house: House, now: datetime, uow: Any) -> int:
    ready, _ = claim(uow, house, "telegram", now, DUE, careful=False)
    return len(ready)
