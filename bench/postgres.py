"""Several processes on one PostgreSQL: replies in, of the whole program, against workers of procrastinate and DBOS.

Ours polls (one process), takes in, decides, commits, answers each tap, and sends what follows within the budget that
Telegram gives for nothing, as in `replies`; it is counted cold, from the first tap to the last answer. The others find
their updates in their queue already, work on them `_BESIDE` at a time in each process, and send nothing; they are
counted warm. fsync is on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeAlias

from bench.contender import Contender, Values, run, say, told
from bench.figures import Measurement, Role, alternate, ratio
from bench.postgresql import ask, fresh_database
from bench.server import ServerProcess
from bench.shop import ASKED, PER_SECOND, TAP, open_shop, running_shop
from bench.watching import Stopwatch, memory_mb
from bench.world import Builder

_BESIDE = 4
"""How many updates each of their processes works on at once: more made both slower on two cores."""

_WARM_UP = 1.0
_LEAST = 3.0
"""Seconds that the window of the others has at least."""

_PATIENCE = 60
"""Seconds in which the first, of ours the last, must be done."""

_LOOK_EVERY = 0.05

_VERDICTS = "SELECT count(*) FROM verdicts"
_FAIR_VERDICTS = "SELECT count(*) FROM fairverdict"


async def measure(builder: Builder) -> list[Measurement]:
    """Measure each number of processes."""
    return _judged([await _with(builder, processes) for processes in builder.sizes.processes])


async def _with(builder: Builder, processes: int) -> Measurement:
    sizes = builder.sizes
    contenders: list[tuple[str, Role, Any]] = [
        ("aftersale", "ours", partial(_ours, builder, processes)),
        ("procrastinate", "peer", partial(_others, builder, "bench.procrastination", processes)),
        ("DBOS", "peer", partial(_others, builder, "bench.durable", processes)),
    ]
    plural = "es" if processes > 1 else ""
    return Measurement(
        f"postgres-{processes}",
        f"PostgreSQL, {processes} process{plural}: replies in, verdict and next question committed",
        "rate",
        await alternate(min(2, sizes.rounds), contenders),
        ("per_process", "cpu_ms", "rss_mb"),
        note="CPU is that of all processes together without the server's; memory that of the largest.",
    )


def _judged(measured: list[Measurement]) -> list[Measurement]:
    one, last = measured[0], measured[-1]
    for each in measured:
        for other in ("procrastinate", "DBOS"):
            times = ratio(each.value("aftersale", "rate"), each.value(other, "rate"))
            each.at_least(f"≥ 10 × {other} per process", times, 10, "{:.1f} ×")
    grown = [ratio(each.value("aftersale", "rate"), one.value("aftersale", "rate")) for each in measured[1:]]
    if grown:
        best = max((each for each in grown if each is not None), default=None)
        last.at_least("grows with the cores that there are (the best of more processes ÷ one)", best, 1.3, "{:.2f} ×")
    exact = all(each.of("aftersale") for each in measured)
    last.at_least("exactly one send each (1: counted in every run)", float(exact), 1, "{:.0f}")
    return measured


# Ours ---------------------------------------------------------------------------------------------------------------


async def _ours(builder: Builder, processes: int, _: int) -> Values:
    server, number = await builder.server(), builder.sizes.updates
    with fresh_database(await builder.postgresql()) as uri:
        await run("bench.postgres:populated", uri=uri, number=number)
        await server.ask("reset")

        async def begin() -> None:
            await server.ask("tap", first=0, number=number, rate=0, data=TAP)

        given = {"uri": uri, "telegram": server.telegram, "slack": server.slack}
        # Until all are answered: what is stored and not yet handled would otherwise have cost, and count for nothing.
        window = partial(_until, total=number)
        count = partial(_count, uri, _VERDICTS)
        values = await _crowd("bench.postgres:ours", processes, given, count, begin, window)
        await _once_each(server, uri)
        return values


async def _once_each(server: ServerProcess, uri: str) -> None:
    """Make sure that each customer who was answered has one verdict and got one message.

    Raises:
        RuntimeError: it is not so.
    """
    seen = await server.ask("seen")
    verdicts = ask(uri, _VERDICTS)
    people = ask(uri, "SELECT count(DISTINCT sale_id) FROM verdicts")
    sent = ask(uri, "SELECT count(*) FROM outbox WHERE state = 'sent' AND turn = 2")
    if verdicts != people or seen["most"] > 1 or seen["sent"] != sent:
        raise RuntimeError(f"{verdicts} verdicts of {people} customers, {sent} marked as sent, the server saw {seen}")


async def populated(uri: str, number: int) -> Values:
    """Let so many customers have been asked."""
    from bench.shop import populate  # noqa: PLC0415 - in this process alone

    await populate(uri, waiting=0, asked=number)
    return {}


async def ours(uri: str, telegram: str, slack: str) -> Values:
    """Run the program until we are told to end."""
    shop = open_shop(messages_per_second=PER_SECOND)
    async with running_shop(uri, telegram, slack, ASKED, shop=shop):
        say("ready")
        await told()
        watch = Stopwatch()
        await told()
        used = watch.values(1)["cpu_ms"] / 1000
        memory = memory_mb()
    return {"cpu_seconds": used, "rss_mb": memory}


# The others ---------------------------------------------------------------------------------------------------------


async def _others(builder: Builder, module: str, processes: int, _: int) -> Values:
    with fresh_database(await builder.postgresql()) as uri:
        await run("bench.postgres:prepared", uri=uri, module=module, number=builder.sizes.updates)

        async def begin() -> None:
            pass

        given = {"uri": uri, "beside": _BESIDE}
        count = partial(_count, uri, _FAIR_VERDICTS)
        window = partial(_within, seconds=max(_LEAST, builder.sizes.seconds))
        return await _crowd(f"{module}:worker", processes, given, count, begin, window)


async def prepared(uri: str, module: str, number: int) -> Values:
    """Make the tables and the queue of the others."""
    from importlib import import_module  # noqa: PLC0415 - so that no contender has the libraries of another

    await asyncio.to_thread(import_module(module).prepare, uri, number)
    return {}


# All ----------------------------------------------------------------------------------------------------------------

Count: TypeAlias = Callable[[], Awaitable[int]]


async def _until(count: Count, total: int) -> tuple[int, int, float]:
    """Wait until all is done. Gives what was done before and after, and how many seconds that took."""
    watch = Stopwatch()
    async with asyncio.timeout(_PATIENCE):
        while (done := await count()) < total:  # noqa: ASYNC110 - as below
            await asyncio.sleep(_LOOK_EVERY)
    return 0, done, watch.seconds


async def _within(count: Count, seconds: float) -> tuple[int, int, float]:
    """Wait until the first is done, let it warm up, then wait so long. Gives the same."""
    async with asyncio.timeout(_PATIENCE):
        while not await count():  # noqa: ASYNC110 - only the database can be asked
            await asyncio.sleep(_LOOK_EVERY)
    await asyncio.sleep(_WARM_UP)
    first, watch = await count(), Stopwatch()
    await asyncio.sleep(seconds)
    return first, await count(), watch.seconds


async def _count(uri: str, question: str) -> int:
    return await asyncio.to_thread(ask, uri, question)


async def _crowd(
    function: str,
    processes: int,
    given: dict[str, Any],
    count: Count,
    begin: Callable[[], Awaitable[None]],
    window: Callable[[Count], Awaitable[tuple[int, int, float]]],
) -> Values:
    """Start so many, let them begin together, and count what they do within a `window`."""
    async with AsyncExitStack() as stack:
        crowd = []
        for _ in range(processes):
            contender = await Contender.start(function, **given)
            stack.push_async_callback(contender.end)
            crowd.append(contender)
        for each in crowd:
            await each.heard()
        await begin()
        for each in crowd:
            await each.tell("begin")
        first, last, took = await window(count)
        for each in crowd:
            await each.tell("end")
        used = [await each.heard() for each in crowd]
    if last <= first:
        raise RuntimeError(f"nothing was done within {took:.0f} s ({first} at the beginning)")
    rate = (last - first) / took
    return {
        "count": last - first,
        "seconds": took,
        "rate": rate,
        "per_process": rate / processes,
        # They worked from when they were told to begin on.
        "cpu_ms": sum(each["cpu_seconds"] for each in used) / max(last, 1) * 1000,
        "rss_mb": max(each["rss_mb"] for each in used),
    }
