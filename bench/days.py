"""Sixty simulated days of one flow, with every guard asked: what a preview, or a test that travels in time, waits for.

It is what `aftersale flows test` plays (see `bench.simulated` for the story): the use cases and the database are the
real ones (SQLite in memory). The first story in a process makes the tables and lets SQLAlchemy compile its statements
once; the ones after it are measured.
"""

import statistics
import time

from bench.contender import Values, run
from bench.figures import Figure, Measurement, attempt
from bench.simulated import sixty_days
from bench.world import Builder
from bot.adapters.flow_files import FlowFiles

DAYS = 60
_STORIES = 20


async def measure(builder: Builder) -> list[Measurement]:
    """Play it some times."""
    figure = Figure("aftersale", "ours")
    for _ in range(builder.sizes.days_runs):
        if figure.failure is None:
            await attempt(figure, _ours())
    measured = Measurement(
        "days",
        f"{DAYS} simulated days of one flow with all guards",
        "run_ms",
        [figure],
        ("cpu_ms", "count"),
        note="The median of twenty stories, in a process of its own, after one that only warms up.",
    )
    measured.at_most("< 50 ms", measured.value("aftersale", "run_ms"), 50, "{:.0f} ms")
    return [measured]


async def _ours() -> Values:
    values: Values = await run("bench.days:ours")
    return values


async def ours() -> Values:
    """Play the story again and again; the median counts."""
    flows = FlowFiles()
    flows.load()
    said = len(sixty_days(flows).entries)
    took, used = [], []
    for _ in range(_STORIES):
        begun, cpu = time.perf_counter(), time.process_time()
        sixty_days(flows)
        took.append((time.perf_counter() - begun) * 1000)
        used.append((time.process_time() - cpu) * 1000)
    return {"run_ms": statistics.median(took), "cpu_ms": statistics.median(used), "count": said}
