"""Replies in, end to end and durable: a tap → polled → inbox → core → verdict and next question committed.

Meanwhile the same process answers the taps, replaces the keyboards and sends the next questions, as it does in life;
``… and answered`` also waits for the last of that.
"""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import naive
from bench.figures import Figure, Sample, Sizes, Stopwatch, alternate, tell
from bench.out import ON_THE_WAY
from bench.server import FIRST_CHAT, ServerProcess, running
from bench.shop import Template, running_shop, template

TITLE = "Replies in, verdict and next question committed"
ANSWERED = "Replies in, until the last keyboard is replaced and the last next question sent"
VERDICTS = "SELECT count(*) FROM verdicts"
_GROUP = 100


async def measure(sizes: Sizes) -> list[Figure]:
    """Measure a storm of taps: everybody answers at once."""
    answered = [
        Figure(ANSWERED, "aftersale", "ours"),
        Figure(ANSWERED, "naive: a handler, one ORM transaction, one APScheduler job each", "peer"),
    ]
    async with running() as server, template(sizes.replies) as source:
        await server.customers(sizes.replies)
        committed = await alternate(
            TITLE,
            sizes.rounds,
            [
                ("aftersale", "ours", partial(_ours, server, source, answered[0])),
                (answered[1].contender, "peer", partial(_naive, server, sizes.naive_replies, answered[1])),
                ("one ORM transaction per reply and nothing else", "peer", partial(_orm, sizes.commits)),
                ("bare sqlite3, one row per commit", "limit", partial(_commits, sizes.commits, 1)),
                (f"bare sqlite3, {_GROUP} rows per commit", "limit", partial(_commits, sizes.commits * 20, _GROUP)),
            ],
        )
    return committed + answered


async def _ours(server: ServerProcess, source: Template, answered: Figure) -> Sample:
    async with running_shop(source, server) as shop:
        shop.begin()
        await shop.until(ON_THE_WAY, 0)
        watch = Stopwatch()
        await server.tap(source.number)
        await shop.until(VERDICTS, source.number)
        sample = watch.sample(source.number)
        await shop.until(ON_THE_WAY, 0)
        answered.samples.append(watch.sample(source.number))
        tell(answered)
        # Nothing was cheated away: two questions and one replaced keyboard each.
        await shop.until("SELECT count(*) FROM outbox WHERE state = 'sent'", source.number * 3, patience=1)
        return sample


async def _naive(server: ServerProcess, number: int, answered: Figure) -> Sample:
    with naive.database() as engine:
        async with naive.bot(server):
            for each in range(number):
                await naive.send(FIRST_CHAT + each, naive.QUESTION)
        async with naive.answering(server, engine) as replied:
            watch = Stopwatch()
            await server.tap(number)
            await naive.until_replied(replied, number)
            sample = watch.sample(number)
            await naive.until_sent(number)
            answered.samples.append(watch.sample(number))
            tell(answered)
            return sample


async def _orm(number: int) -> Sample:
    with naive.database() as engine:
        watch = Stopwatch()
        for each in range(number):
            naive.record_reply(engine, FIRST_CHAT + each, "yes")
        return watch.sample(number)


async def _commits(number: int, group: int) -> Sample:
    with TemporaryDirectory() as folder, closing(sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE replies (id INTEGER PRIMARY KEY, chat INTEGER, body TEXT)")
        watch = Stopwatch()
        for first in range(0, number, group):
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT INTO replies (chat, body) VALUES (?, ?)",
                [(each, naive.QUESTION) for each in range(first, first + group)],
            )
            db.execute("COMMIT")
        return watch.sample(number)
