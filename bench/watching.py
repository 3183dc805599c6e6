"""What is watched while a contender works: how many it did, its CPU, its memory, how long its event loop was held."""

import asyncio
import contextlib
import gc
import inspect
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.contender import Values

Count = Callable[[], int | Awaitable[int]]

NAP = 0.005
"""Seconds for which the probe of the event loop sleeps."""

_LOOK_EVERY = 0.25
_STATM = Path("/proc/self/statm")


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value below which that share of `values` (sorted) lies; the nearest of them, none in between."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def memory_mb(pid: int | None = None) -> float:
    """Give the resident memory of this process, or of another, in MB (10^6 bytes)."""
    statm = Path(f"/proc/{pid}/statm") if pid else _STATM
    if statm.exists():
        return int(statm.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    # Without /proc only the most that it ever was is known: in bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


class Stopwatch:
    """Wall and CPU time from its making on. CPU is that of this process alone, all its threads."""

    def __init__(self) -> None:
        gc.collect()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        """Give the seconds so far."""
        return time.perf_counter() - self._wall

    def values(self, count: int) -> Values:
        """Give what `count` things took so far."""
        seconds, cpu = self.seconds, time.process_time() - self._cpu
        return {"count": count, "seconds": seconds, "rate": count / seconds, "cpu_ms": cpu / max(count, 1) * 1000}


@asynccontextmanager
async def held_loop() -> AsyncIterator[Values]:
    """Note how long the event loop was held, in the values that it gives once the block ends.

    A task sleeps for `NAP` and notes how late it wakes. A loop that is held for 50 ms makes it late once, though ten
    naps would have come due meanwhile; so the naps that it missed are counted as well, each as late as it would have
    been. The percentiles are therefore those of a moment taken at random: so long would whatever came then have waited.
    """
    values: Values = {}
    late: list[float] = []

    async def probe() -> None:
        while True:
            due = time.perf_counter() + NAP
            await asyncio.sleep(NAP)
            held = max(0.0, time.perf_counter() - due)
            while held > 0:
                late.append(held)
                held -= NAP

    probing = asyncio.create_task(probe())
    try:
        yield values
    finally:
        probing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await probing
        late.sort()
        values["loop_p50_ms"] = percentile(late, 0.5) * 1000
        values["loop_p99_ms"] = percentile(late, 0.99) * 1000
        values["loop_max_ms"] = (late[-1] if late else 0) * 1000


async def counted(count: Count) -> int:
    """Count, whether that has to be awaited or not."""
    given = count()
    return await given if inspect.isawaitable(given) else given


async def window(
    count: Count, *, seconds: float, warm_up: float = 1.0, total: int | None = None, look_every: float = _LOOK_EVERY
) -> Values:
    """Count what is done within `seconds`, after `warm_up`; it ends early when `total` are done."""
    await asyncio.sleep(warm_up)
    gc.collect()
    first = await counted(count)
    watch = Stopwatch()
    done = first
    async with held_loop() as held:
        while watch.seconds < seconds and (total is None or done < total):
            await asyncio.sleep(max(0.0, min(look_every, seconds - watch.seconds)))
            if total is not None or watch.seconds >= seconds:
                done = await counted(count)
        values = watch.values(done - first)
    return {**values, **held}
