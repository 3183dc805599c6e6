"""Messages out, end to end and durable: waiting in the outbox → claimed → guards → sent by real HTTP → marked."""

import asyncio
from functools import partial

import aiohttp

from bench import naive
from bench.figures import Figure, Runner, Sample, Sizes, Stopwatch, alternate
from bench.server import FIRST_CHAT, TOKEN, ServerProcess, running
from bench.shop import Template, running_shop, template

ON_THE_WAY = "SELECT count(*) FROM outbox WHERE state = 'waiting' OR state = 'sending'"
SENT = "SELECT count(*) FROM outbox WHERE state = 'sent'"


async def measure(sizes: Sizes) -> list[Figure]:
    """Measure with an API that takes no time, and with one that takes 100 ms a call, as in life."""
    async with running() as server, template(sizes.messages) as source:
        await server.customers(sizes.messages)
        return [
            *await _with_latency(server, source, sizes, milliseconds=0, loop_size=sizes.naive_messages, beside=64),
            *await _with_latency(
                server, source, sizes, milliseconds=100, loop_size=sizes.slow_naive_messages, beside=256
            ),
        ]


async def _with_latency(
    server: ServerProcess, source: Template, sizes: Sizes, *, milliseconds: int, loop_size: int, beside: int
) -> list[Figure]:
    def slow(run: Runner) -> Runner:
        async def runner() -> Sample:
            await server.latency(milliseconds)
            try:
                return await run()
            finally:
                await server.latency(0)

        return runner

    title = f"Messages out, a call takes {milliseconds} ms" if milliseconds else "Messages out, a call takes no time"
    return await alternate(
        title,
        sizes.rounds,
        [
            ("aftersale", "ours", slow(partial(_ours, server, source))),
            ("naive: one APScheduler job each", "peer", slow(partial(_jobs, server, sizes.naive_messages))),
            ("bare loop of python-telegram-bot as it comes", "peer", slow(partial(_loop, server, loop_size))),
            (f"bare aiohttp, {beside} at once", "limit", slow(partial(_aiohttp, server, sizes.messages, beside))),
        ],
    )


async def _ours(server: ServerProcess, source: Template) -> Sample:
    async with running_shop(source, server) as shop:
        watch = Stopwatch()
        shop.begin()
        await shop.until(ON_THE_WAY, 0)
        sample = watch.sample(source.number)
        await shop.until(SENT, source.number, patience=1)
        return sample


async def _jobs(server: ServerProcess, number: int) -> Sample:
    with naive.database() as engine:
        async with naive.scheduler(engine) as jobs, naive.bot(server):
            naive.plan(jobs, number)
            watch = Stopwatch()
            jobs.resume()
            await naive.until_sent(number)
            return watch.sample(number)


async def _loop(server: ServerProcess, number: int) -> Sample:
    async with naive.bot(server):
        watch = Stopwatch()
        for each in range(number):
            await naive.send(FIRST_CHAT + each, naive.QUESTION)
        return watch.sample(number)


async def _aiohttp(server: ServerProcess, number: int, beside: int) -> Sample:
    """Send the same parameters with nothing around: no library, no database, no guard."""
    url = f"{server.telegram}/bot{TOKEN}/sendMessage"
    markup = naive.keyboard().to_json()
    chats = iter(range(FIRST_CHAT, FIRST_CHAT + number))

    async def sender(session: aiohttp.ClientSession) -> None:
        for chat in chats:
            form = {"chat_id": str(chat), "text": naive.QUESTION, "reply_markup": markup}
            async with session.post(url, data=form) as answer:
                answer.raise_for_status()
                await answer.json()

    connector = aiohttp.TCPConnector(limit=beside)
    async with aiohttp.ClientSession(connector=connector) as session:
        watch = Stopwatch()
        async with asyncio.TaskGroup() as group:
            for _ in range(beside):
                group.create_task(sender(session))
        return watch.sample(number)
