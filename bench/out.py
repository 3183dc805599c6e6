"""Messages out, end to end and durable: waiting in the outbox → claimed → guards → sent by real HTTP → marked."""

import asyncio
from functools import partial
from itertools import count
from pathlib import Path

import aiohttp

from bench import naive
from bench.contender import Values, run
from bench.figures import Measurement, Runner, alternate, ratio
from bench.server import FIRST_CHAT, QUESTION, TOKEN, ServerProcess
from bench.shop import ASKED, FAR, Looker, ask, make_due, running_shop, sale_id, tidy
from bench.watching import window
from bench.world import Builder, World

SENT = "SELECT count(*) FROM outbox WHERE state = 'sent' AND sale_id >= ? AND sale_id < ?"
_PATIENCE = 120
_LOOP = ("cpu_ms", "loop_p50_ms", "loop_p99_ms", "loop_max_ms")


async def measure(builder: Builder) -> list[Measurement]:
    """Measure with an API that takes no time, and with one that takes 100 ms a call, as in life."""
    world = await builder.world()
    at_once = await _with_latency(world, milliseconds=0, beside=64)
    in_life = await _with_latency(world, milliseconds=100, beside=256)
    ours, loop, limit = (at_once.value(name, "rate") for name in ("aftersale", "bare loop", "bare aiohttp"))
    at_once.at_least("≥ 2.5 × the bare loop of python-telegram-bot", ratio(ours, loop), 2.5, "{:.2f} ×")
    at_once.at_least("≥ 0.5 × the bare aiohttp loop", ratio(ours, limit), 0.5, "{:.2f} ×")
    at_once.at_most("≤ 0.8 ms of CPU a message", at_once.value("aftersale", "cpu_ms"), 0.8, "{:.2f} ms")
    for each in (at_once, in_life):
        held = each.value("aftersale", "loop_p99_ms")
        each.at_most("event loop never held longer than 20 ms (p99)", held, 20, "{:.0f} ms")
    ours, loop = in_life.value("aftersale", "rate"), in_life.value("bare loop", "rate")
    in_life.at_least("≥ 1,000 a second", ours, 1000)
    in_life.at_least("≥ 50 × the bare loop of python-telegram-bot", ratio(ours, loop), 50, "{:.0f} ×")
    return [at_once, in_life]


async def _with_latency(world: World, *, milliseconds: int, beside: int) -> Measurement:
    server, sizes = world.server, world.sizes

    def slow(runner: Runner) -> Runner:
        async def measured(number: int) -> Values:
            await server.ask("latency", milliseconds=milliseconds)
            await server.ask("reset")
            try:
                return await runner(number)
            finally:
                await server.ask("latency", milliseconds=0)

        return measured

    given = {"telegram": server.telegram, "seconds": sizes.seconds}
    took = f"takes {milliseconds} ms, as in life" if milliseconds else "takes no time"
    return Measurement(
        "out-in-life" if milliseconds else "out",
        f"Messages out, a call {took}; {sizes.waiting:,} more wait",
        "rate",
        await alternate(
            sizes.rounds,
            [
                ("aftersale", "ours", slow(partial(_ours, world))),
                (
                    "naive: one APScheduler job each",
                    "peer",
                    slow(_peer("jobs", number=sizes.jobs, telegram=server.telegram)),
                ),
                ("bare loop of python-telegram-bot as it comes", "peer", slow(_peer("loop", **given))),
                (f"bare aiohttp, {beside} at once", "limit", slow(_peer("bare", beside=beside, **given))),
            ],
        ),
        _LOOP,
    )


def _peer(function: str, **given: object) -> Runner:
    async def runner(_: int) -> Values:
        result: Values = await run(f"bench.out:{function}", **given)
        return result

    return runner


async def _ours(world: World, _: int) -> Values:
    """Let some of those who wait be due, and count in the end that each of them got one message."""
    first, number = world.take_waiting()
    make_due(world.file, first, number)
    try:
        values: Values = await run(
            "bench.out:ours", file=str(world.file), telegram=world.server.telegram, slack=world.server.slack,
            seconds=world.sizes.seconds, number=number,
        )  # fmt: skip
        await once_each(world.server, ask(world.file, SENT, sale_id(first), sale_id(first + number)))
        return values
    finally:
        tidy(world.file)


async def once_each(server: ServerProcess, marked: int) -> None:
    """Make sure that as many were sent as are marked as sent, and none twice.

    Raises:
        RuntimeError: it is not so; a rate of messages that are lost or doubled says nothing.
    """
    seen = await server.ask("seen")
    if seen["most"] != 1 or seen["sent"] != marked:
        raise RuntimeError(f"{marked} are marked as sent, and the server saw {seen}")


# Contenders, each in a process of its own ---------------------------------------------------------------------------


async def ours(file: str, telegram: str, slack: str, seconds: float, number: int) -> Values:
    """Run the program over a database in which `number` are due a minute after it is open."""
    # Walks along the index of what waits, which ends before those who are never due.
    still = Looker(
        file,
        f"SELECT (SELECT count(*) FROM outbox WHERE state = 'waiting' AND channel = 'telegram' AND priority = 5 "  # noqa: S608
        f"AND not_before < '{FAR:%Y-%m-%d}') + (SELECT count(*) FROM outbox WHERE state = 'sending')",
    )

    async def marked() -> int:
        return number - await still.count()

    async with running_shop(f"sqlite:///{Path(file)}", telegram, slack) as (service, clock):
        clock.move_to(ASKED)
        service.program.wake()
        return await window(marked, seconds=seconds, total=number)


async def jobs(telegram: str, number: int) -> Values:
    """Let one APScheduler job for each message be due at once, as after a pause; it ends when all are sent.

    Its scheduler hands all of them over in one go, and the loop is held meanwhile; so a window of time would show
    either nothing or everything.
    """
    with naive.database() as engine:
        async with naive.scheduler(engine) as planned, naive.bot(telegram):
            naive.plan(planned, number)
            planned.resume()
            sent = naive.sent
            return await window(lambda: len(sent), seconds=_PATIENCE, warm_up=0, total=number, look_every=0.02)


async def loop(telegram: str, seconds: float) -> Values:
    """Send one after the other, as long as we are let."""

    async def sending() -> None:
        for each in count():
            await naive.send(FIRST_CHAT + each, QUESTION)

    async with naive.bot(telegram):
        task = asyncio.create_task(sending())
        values = await window(lambda: len(naive.sent), seconds=seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return values


async def bare(telegram: str, seconds: float, beside: int) -> Values:
    """Send the same parameters with nothing around: no library, no database, no guard."""
    url = f"{telegram}/bot{TOKEN}/sendMessage"
    markup = naive.keyboard().to_json()
    chats = count(FIRST_CHAT)
    done = 0

    async def sender(session: aiohttp.ClientSession) -> None:
        nonlocal done
        for chat in chats:
            form = {"chat_id": str(chat), "text": QUESTION, "reply_markup": markup}
            async with session.post(url, data=form) as answer:
                answer.raise_for_status()
                await answer.json()
            done += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=beside)) as session:
        senders = [asyncio.create_task(sender(session)) for _ in range(beside)]
        values = await window(lambda: done, seconds=seconds)
        for each in senders:
            each.cancel()
        await asyncio.gather(*senders, return_exceptions=True)
        return values
