"""Planning far ahead: how fast, and whether memory stays flat.

Ours in two ways: moments alone, as an order event plans them; and `aftersale import` as it is typed, where each event
also stores customer, sale, promise and log, and plans two.
"""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import naive, procrastination
from bench.contender import SETTINGS, Values, run
from bench.figures import Figure, Measurement, Runner, Sizes, alternate, attempt, ratio, tell
from bench.postgresql import fresh_database
from bench.shop import ASKED, bare_program, order_event, take_in
from bench.watching import Stopwatch, memory_mb
from bench.world import Builder
from bot.adapters.clock import SystemClock
from bot.ports.records import Moment

GROUP = 1000
_LOOK_EVERY = 0.02
_ROOT = Path(__file__).parents[1]


async def measure(builder: Builder) -> list[Measurement]:
    """Measure a million once, and the others, who would take hours, with as many as they can in seconds."""
    sizes = builder.sizes
    elsewhere = sizes.planned_elsewhere
    figures = [Figure(f"aftersale: moments, {GROUP:,} in a transaction", "ours")]
    await attempt(figures[0], _moments(sizes, 0))
    few, many = sizes.imported
    for number in (few, many):
        imported = Figure(f"aftersale import, {number:,} orders, two moments each", "ours")
        await attempt(imported, _imported(number))
        figures.append(imported)
    figures += await alternate(
        min(2, sizes.rounds),
        [
            (f"APScheduler add_job, its SQLAlchemy job store ({elsewhere:,})", "peer", _jobs(elsewhere)),
            (f"procrastinate defer_async, PostgreSQL ({elsewhere:,})", "peer",
             partial(_deferred, builder, elsewhere, 1)),
            (f"procrastinate batch_defer_async, {GROUP:,} at once", "peer",
             partial(_deferred, builder, max(GROUP, 5 * elsewhere // GROUP * GROUP), GROUP)),
        ],
    )  # fmt: skip
    measured = Measurement(
        "planning",
        f"Planning {sizes.planned:,} messages",
        "rate",
        figures,
        ("cpu_ms", "rss_mb", "grown_mb"),
        note=(
            "Messages planned a second. The others' rates are of the smaller numbers in brackets, and taken to hold. "
            "“Grown by” is what memory gained between the first tenth and the end. The import counts with the start of "
            "the command, and stores five rows more for each order: customer, sale, promise, event and log."
        ),
    )
    ours, theirs = measured.value("aftersale: moments", "rate"), measured.value("APScheduler", "rate")
    measured.at_least("≥ 10 × APScheduler's job store", ratio(ours, theirs), 10, "{:.1f} ×")
    measured.at_most("memory flat (≤ 20 MB more)", measured.value("aftersale: moments", "grown_mb"), 20, "{:.0f} MB")
    small, large = (measured.value(f"aftersale import, {number:,}", "rss_mb") for number in (few, many))
    grown = None if small is None or large is None else large - small
    measured.at_most(f"… by `aftersale import`, {many:,} orders instead of {few:,}", grown, 20, "{:.0f} MB")
    return [measured]


async def _moments(sizes: Sizes, _: int) -> Values:
    values: Values = await run("bench.planning:moments", number=sizes.planned)
    return values


def _jobs(number: int) -> Runner:
    async def runner(_: int) -> Values:
        values: Values = await run("bench.planning:jobs", number=number)
        return values

    return runner


async def _deferred(builder: Builder, number: int, group: int, _: int) -> Values:
    with fresh_database(await builder.postgresql()) as uri:
        await asyncio.to_thread(procrastination.prepare, uri)
        values: Values = await run("bench.procrastination:planned", uri=uri, number=number, group=group)
        return values


# aftersale import ---------------------------------------------------------------------------------------------------


async def _imported(number: int) -> Values:
    """Import so many orders as an admin would; memory is its own word for the most that it ever was."""
    took = await _import(number)
    return {
        "count": 2 * number,
        "seconds": took["seconds"],
        "rate": 2 * number / took["seconds"],
        "cpu_ms": took["cpu"] / (2 * number) * 1000,
        "rss_mb": took["rss_mb"],
    }


async def _import(number: int) -> Values:
    with TemporaryDirectory(prefix="aftersale-bench-") as folder:
        file = Path(folder, "orders.jsonl")
        await asyncio.to_thread(_write_orders, file, number)
        shutil.copyfile(_ROOT / "bot/desk/shop.example.yaml", Path(folder, "shop.yaml"))
        return await asyncio.to_thread(_command, folder, ["import", str(file), "--yes"])


def _write_orders(file: Path, number: int) -> None:
    now = SystemClock().now()
    with file.open("w", encoding="utf-8") as lines:
        for each in range(number):
            lines.write(json.dumps(order_event(each, at=now)) + "\n")


def _command(folder: str, arguments: Sequence[str]) -> Values:
    """Run a command of aftersale, as it is typed, in a folder of its own."""
    environment = {
        **{name: value for name, value in os.environ.items() if name not in SETTINGS},
        "PYTHONPATH": str(_ROOT),
        "DATABASE_URL": f"sqlite:///{folder}/aftersale.db",
    }
    begun = time.perf_counter()
    complaint = Path(folder, "complaint.txt")
    with complaint.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "bot", *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    most = 0.0
    while True:
        # The most that the system remembers of it would be that of this process, whose child it is.
        with contextlib.suppress(OSError, IndexError):
            most = max(most, memory_mb(process.pid))
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        time.sleep(_LOOK_EVERY)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"aftersale {arguments[0]} ended with {process.returncode}: {complaint.read_text()[-500:]}")
    return {"seconds": time.perf_counter() - begun, "cpu": used.ru_utime + used.ru_stime, "rss_mb": most}


# Contenders, each in a process of its own ---------------------------------------------------------------------------


async def moments(number: int) -> Values:
    """Plan moments of one sale, as many as are wanted; memory is looked at after each transaction."""
    with (
        TemporaryDirectory(prefix="aftersale-bench-") as folder,
        bare_program(f"sqlite:///{folder}/plan.db") as (program, _),
    ):
        await take_in(program, [order_event(0)])
        data = {"flow": "after_delivery", "step": "arrived", "on": "order.delivered", "unless": ["case.open"]}

        def plan(uow: Any, group: range) -> None:
            for each in group:
                uow.plan(Moment(f"start:after_delivery:s-{each}:x", "start", ASKED, "s-0", data=data))

        memory = []
        watch = Stopwatch()
        for first in range(0, number, GROUP):
            await program.database.run(partial(plan, group=range(first, min(first + GROUP, number))))
            memory.append(memory_mb())
            if first % (100 * GROUP) == 0 and first:
                tell(f"    {first:,} planned, {memory[-1]:.0f} MB")
        values = watch.values(number)
    return {**values, "rss_mb": max(memory), "grown_mb": max(memory) - memory[len(memory) // 10]}


async def jobs(number: int) -> Values:
    """Add one job each."""
    with naive.database() as engine:
        async with naive.scheduler(engine) as planned:
            watch = Stopwatch()
            naive.plan(planned, number, due_at=ASKED)
            return {**watch.values(number), "rss_mb": memory_mb()}
