"""The start of the program, timed from within. It imports nothing that the program does not: that is what is timed."""

import asyncio
import time

from bench.contender import Values
from bench.watching import memory_mb


async def ours(file: str, telegram: str, slack: str) -> Values:
    """Import, then start; the time of each."""
    begun = time.perf_counter()
    from bench.shop import ASKED, open_shop, ready, settings_for  # noqa: PLC0415 - the imports are what is measured
    from bot.adapters.clock import MovableClock  # noqa: PLC0415
    from bot.app.service import open_service  # noqa: PLC0415

    imported, cpu = time.perf_counter(), time.process_time()
    settings = settings_for(f"sqlite:///{file}", telegram, slack)
    async with open_service(settings, clock=MovableClock(ASKED), shop=open_shop()) as service:
        await ready(service)
        await service.program.tick()
        done, used = time.perf_counter(), time.process_time()
        await asyncio.sleep(3)
        return {
            "ready_ms": (done - imported) * 1000,
            "imports_ms": (imported - begun) * 1000,
            "cpu_ms": (used - cpu) * 1000,
            "rss_mb": memory_mb(),
        }
