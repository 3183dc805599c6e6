"""A wake-up with few and with a million waiting: what it takes to claim the hundred that are due, and how much memory.

Claimed means: taken from the store, marked as taken, committed, ready to be worked on; nothing is sent. Of each
contender that is what its own wake-up does: see `bench.claiming`, `bench.jobs` and `bench.procrastination`.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from bench import procrastination
from bench.claiming import DUE
from bench.contender import Values, run
from bench.figures import Figure, Measurement, Role, Runner, attempt, ratio, tell
from bench.postgresql import fresh_database
from bench.shop import FAR, make_due, sale_id, shop_file
from bench.world import Builder

OURS = "aftersale: claimed, every guard asked"


async def measure(builder: Builder) -> list[Measurement]:
    """Measure each contender with a hundredth, a tenth and all of those who wait."""
    world = await builder.world()
    many = world.sizes.waiting
    sizes = sorted({max(1000, many // 100), max(1000, many // 10), many})
    wake_ups = world.sizes.wake_ups

    def ours(n: int) -> Runner:
        return partial(_ours, world.file if n == many else None, n, wake_ups)

    contenders: list[tuple[str, Role, Callable[[int], Runner]]] = [
        (OURS, "ours", ours),
        ("APScheduler, its SQLAlchemy job store", "peer", lambda n: _peer("scheduler", n, wake_ups)),
        ("JobQueue of python-telegram-bot, in memory", "peer", lambda n: _peer("queue", n, wake_ups)),
        ("procrastinate, PostgreSQL", "peer", lambda n: partial(_deferred, builder, n, wake_ups)),
    ]  # fmt: skip
    measured = []
    by_size: dict[int, Measurement] = {}
    for waiting in sizes:
        tell(f"  with {waiting:,} waiting")
        figures = [Figure(name, role) for name, role, _ in contenders]
        for figure, (_, _, runner) in zip(figures, contenders, strict=True):
            await attempt(figure, runner(waiting)(0))
        by_size[waiting] = Measurement(
            f"wakeup-{waiting}",
            f"A wake-up: {DUE} are due and claimed, {waiting:,} more wait",
            "p50_ms",
            figures,
            ("p99_ms", "cpu_ms", "rss_mb"),
        )
        measured.append(by_size[waiting])
    _judge(by_size[sizes[0]], by_size[sizes[-1]])
    return measured


def _judge(few: Measurement, many: Measurement) -> None:
    cost = many.value(OURS, "p50_ms")
    many.at_most("100 claimed, every guard asked, in ≤ 5 ms (p50)", cost, 5, "{:.1f} ms")
    many.at_most(
        "… which costs ≤ 1.2 × what it costs with few waiting", ratio(cost, few.value(OURS, "p50_ms")), 1.2, "{:.2f} ×"
    )
    grown = many.value(OURS, "rss_mb"), few.value(OURS, "rss_mb")
    more = grown[0] - grown[1] if grown[0] is not None and grown[1] is not None else None
    many.at_most("memory does not grow with what waits (≤ 10 MB more)", more, 10, "{:+.0f} MB")


async def _ours(file: Path | None, waiting: int, wake_ups: int, _: int) -> Values:
    if file is not None:
        return await _claiming(file, waiting, wake_ups)
    async with shop_file(waiting=waiting + DUE * wake_ups, asked=0) as own:
        return await _claiming(own, waiting, wake_ups)


async def _claiming(file: Path, waiting: int, wake_ups: int) -> Values:
    first = _last_waiting(file) - DUE * wake_ups
    make_due(file, first, DUE * wake_ups, every=DUE)
    try:
        values: Values = await run("bench.claiming:claimed", file=str(file), wake_ups=wake_ups)
        return {**values, "waiting": waiting}
    finally:
        _as_before(file, first, DUE * wake_ups)


def _last_waiting(file: Path) -> int:
    """Give the number behind the last of those who wait: those who come first are others' to send to."""
    with closing(sqlite3.connect(file)) as db:
        found = db.execute(
            "SELECT max(sale_id) FROM outbox WHERE state = 'waiting' AND sale_id < 's-9' AND sale_id >= 's-0'"
        ).fetchone()[0]
    return int(found.removeprefix("s-")) + 1


def _as_before(file: Path, first: int, number: int) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute(
            "UPDATE outbox SET state = 'waiting', attempts = 0, lease_until = NULL, not_before = ? "
            "WHERE sale_id >= ? AND sale_id < ?",
            (f"{FAR:%Y-%m-%d %H:%M:%S.000000}", sale_id(first), sale_id(first + number)),
        )
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _peer(function: str, waiting: int, wake_ups: int) -> Runner:
    async def runner(_: int) -> Values:
        values: Values = await run(f"bench.jobs:{function}", waiting=waiting, wake_ups=wake_ups)
        return {**values, "waiting": waiting}

    return runner


async def _deferred(builder: Builder, waiting: int, wake_ups: int, _: int) -> Values:
    """Measure procrastinate, which fetches one by one, so fewer wake-ups do.

    What is due was deferred first: the best case for it.
    """
    wake_ups = max(3, wake_ups // 10)
    with fresh_database(await builder.postgresql()) as uri:
        await asyncio.to_thread(procrastination.prepare, uri)
        await asyncio.to_thread(procrastination.fill_waiting, uri, DUE * wake_ups, waiting)
        values: Values = await run("bench.procrastination:claimed", uri=uri, wake_ups=wake_ups, due=DUE)
        return {**values, "waiting": waiting}
