"""Replies in, end to end and durable: a tap → polled → inbox → core → verdict and next question committed.

Meanwhile the same process answers the taps, and sends the next questions within its send budget, as it does in life: in
the storm thirty a second, which Telegram gives for nothing; at the even rate without limit, for who waits is measured.
Two questions are asked: how many a second, when everybody answers at once; and how long one waits, from the tap to the
next question, while so many a second answer.
"""

import asyncio
import sqlite3
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import fair, naive
from bench.contender import Contender, Values, run
from bench.figures import Measurement, Runner, alternate, ratio
from bench.server import FIRST_CHAT, QUESTION, ServerProcess
from bench.shop import ASKED, PER_SECOND, TAP, Looker, ask, open_shop, running_shop, tidy
from bench.watching import Stopwatch, counted, window
from bench.world import TAP_SECONDS, Builder, World

VERDICTS = "SELECT coalesce(max(id), 0) FROM verdicts"
GROUP = 100
_PATIENCE = 60
"""Seconds in which the first must be done."""

_LATE_SECONDS = 12
"""How long after the last tap answers are waited for."""


async def measure(builder: Builder) -> list[Measurement]:
    """Measure the storm, then the even rate."""
    world = await builder.world()
    storm = await _storm(world)
    ours, fairly = storm.value("aftersale", "rate"), storm.value("one ORM transaction that", "rate")
    storm.at_least("≥ 2,000 a second, sustained", ours, 2000)
    storm.at_least("≥ 5 × one ORM transaction per update (of the same rows)", ratio(ours, fairly), 5, "{:.2f} ×")
    waited = await _even(world)
    waited.at_most(
        f"from tap to answer ≤ 250 ms (p99) at {world.sizes.taps_per_second} a second",
        waited.value("aftersale", "p99_ms"), 250, "{:,.0f} ms",
    )  # fmt: skip
    return [storm, waited]


async def _storm(world: World) -> Measurement:
    seconds = world.sizes.seconds
    return Measurement(
        "replies",
        f"Replies in, verdict and next question committed; {world.sizes.waiting:,} more wait",
        "rate",
        await alternate(
            world.sizes.rounds,
            [
                ("aftersale", "ours", partial(_ours, world)),
                ("naive: a handler, one ORM transaction, one APScheduler job", "peer", partial(_naive, world)),
                ("one ORM transaction that reads and writes the same rows", "peer", _alone("same_rows", seconds)),
                ("one ORM transaction of two rows", "peer", _alone("two_rows", seconds)),
                ("bare sqlite3, one row per commit", "limit", _alone("commits", seconds, group=1)),
                (f"bare sqlite3, {GROUP} rows per commit", "limit", _alone("commits", seconds, group=GROUP)),
            ],
        ),
        ("cpu_ms", "loop_p50_ms", "loop_p99_ms", "loop_max_ms"),
    )


def _alone(function: str, seconds: float, **given: Any) -> Runner:
    async def runner(_: int) -> Values:
        values: Values = await run(f"bench.replies:{function}", seconds=seconds, **given)
        return values

    return runner


async def _ours(world: World, _: int) -> Values:
    first, number = world.take_asked()
    contender = await Contender.start("bench.replies:ours", **_given(world, number), per_second=PER_SECOND)
    try:
        await contender.heard()
        await world.server.ask("reset")
        before = ask(world.file, VERDICTS)
        await world.server.ask("tap", first=first, number=number, rate=0, data=TAP)
        await contender.tell("begin")
        values: Values = await contender.heard()
    finally:
        await contender.end()
    await _none_twice(world, before)
    tidy(world.file)
    return values


def _given(world: World, number: int) -> dict[str, Any]:
    server = world.server
    return {
        "file": str(world.file), "telegram": server.telegram, "slack": server.slack, "number": number,
        "seconds": world.sizes.seconds,
    }  # fmt: skip


async def _none_twice(world: World, before: int) -> None:
    """Make sure that nobody was sent the next question twice, and that each verdict has a customer of its own.

    Raises:
        RuntimeError: it is not so.
    """
    seen = await world.server.ask("seen")
    verdicts = ask(world.file, "SELECT count(*) FROM verdicts WHERE id > ?", before)
    people = ask(world.file, "SELECT count(DISTINCT sale_id) FROM verdicts WHERE id > ?", before)
    if seen["most"] > 1 or verdicts != people or seen["sent"] > verdicts:
        raise RuntimeError(f"{verdicts} verdicts of {people} customers, and the server saw {seen}")


async def _naive(world: World, _: int) -> Values:
    contender = await Contender.start(
        "bench.replies:tapped", telegram=world.server.telegram, seconds=world.sizes.seconds
    )
    return await _told(world.server, contender, rate=0, number=world.sizes.pool)


async def _told(server: ServerProcess, contender: Contender, *, rate: float, number: int) -> Values:
    try:
        await contender.heard()
        await server.ask("reset")
        await server.ask("tap", first=0, number=number, rate=rate, data=naive.LABELS[0])
        await contender.tell("begin")
        values: Values = await contender.heard()
        return values
    finally:
        await contender.end()


# From tap to answer -------------------------------------------------------------------------------------------------


async def _even(world: World) -> Measurement:
    rate = world.sizes.taps_per_second
    seconds = min(TAP_SECONDS, 2 * world.sizes.seconds)
    return Measurement(
        "taps",
        f"From tap to answer, {rate:,} customers a second tap for {seconds:.0f} s",
        "p99_ms",
        await alternate(
            world.sizes.rounds,
            [
                ("aftersale", "ours", partial(_ours_even, world, seconds)),
                (
                    "naive: a handler, one ORM transaction, one APScheduler job",
                    "peer",
                    partial(_naive_even, world, seconds),
                ),
            ],
        ),
        ("p50_ms", "max_ms", "answered_share", "cpu_ms", "loop_p99_ms", "loop_max_ms"),
        note=f"Answers are waited for until {_LATE_SECONDS} s after the last tap; who has none then counts with that.",
    )


async def _ours_even(world: World, seconds: float, _: int) -> Values:
    first, number = world.take_asked(int(world.sizes.taps_per_second * seconds))
    contender = await Contender.start(
        "bench.replies:ours", **{**_given(world, number), "seconds": seconds}, per_second=1_000_000
    )
    try:
        await contender.heard()
        values = await _answers(world, contender, first, number, TAP)
    finally:
        await contender.end()
    tidy(world.file)
    return values


async def _naive_even(world: World, seconds: float, _: int) -> Values:
    number = int(world.sizes.taps_per_second * seconds)
    contender = await Contender.start("bench.replies:tapped", telegram=world.server.telegram, seconds=seconds)
    try:
        await contender.heard()
        return await _answers(world, contender, 0, number, naive.LABELS[0])
    finally:
        await contender.end()


async def _answers(world: World, contender: Contender, first: int, number: int, data: str) -> Values:
    """Let customers tap, and give how long they waited."""
    server, rate = world.server, world.sizes.taps_per_second
    await server.ask("reset")
    await server.ask("tap", first=first, number=number, rate=rate, data=data)
    await contender.tell("begin")
    values: Values = await contender.heard()
    answered: dict[str, float] = await server.ask("answered")
    for _ in range(_LATE_SECONDS * 4):
        if answered["tapped"] == number == answered["answered"]:
            break
        await asyncio.sleep(0.25)
        answered = await server.ask("answered")
    if answered["twice"]:
        raise RuntimeError(f"{answered['twice']} customers were asked the next question twice")
    # The rate of the window is that of the taps, or of what could be done of them; here only the waiting counts.
    return {
        **{key: value for key, value in values.items() if key not in ("rate", "count", "seconds")},
        "p50_ms": answered["p50"] * 1000,
        "p99_ms": answered["p99"] * 1000,
        "max_ms": answered["max"] * 1000,
        "answered_share": answered["answered"] / number,
    }


# Contenders, each in a process of its own ---------------------------------------------------------------------------


async def ours(file: str, telegram: str, slack: str, number: int, seconds: float, per_second: float) -> Values:
    """Run the program; when told to, count for `seconds` what it commits. It stays open until it is told to end.

    It sends at most so many messages `per_second` meanwhile.
    """
    verdicts = Looker(file, VERDICTS)
    shop = open_shop(messages_per_second=per_second)
    async with running_shop(f"sqlite:///{Path(file)}", telegram, slack, ASKED, shop=shop) as _:
        return await _as_told(verdicts.count, seconds, number)


async def tapped(telegram: str, seconds: float) -> Values:
    """Run the naive bot in the same manner."""
    with naive.database() as engine:
        async with naive.answering(telegram, engine) as replied:
            return await _as_told(lambda: len(replied), seconds, None)


async def _as_told(done: Any, seconds: float, total: int | None) -> Values:
    from bench.contender import say, told  # noqa: PLC0415 - which of the two sides this is, only running it shows

    say("ready")
    await told()
    before = await counted(done)
    async with asyncio.timeout(_PATIENCE):
        while await counted(done) == before:  # noqa: ASYNC110 - only the database can be asked
            await asyncio.sleep(0.02)
    values = await window(done, seconds=seconds, total=None if total is None else before + total)
    say(values)
    await told()
    return values


async def same_rows(seconds: float) -> Values:
    """Load customer, sale and conversation; write verdict, message, edit, states and log: a transaction per update."""
    with naive.database() as engine:
        fair.fill(engine, number := 2000)
        watch = Stopwatch()
        for each in count():
            fair.take(engine, fair.update(each % number))
            if watch.seconds > seconds:
                return watch.values(each + 1)
    raise AssertionError


async def two_rows(seconds: float) -> Values:
    """Write verdict and next message and nothing else: a transaction per update."""
    with naive.database() as engine:
        watch = Stopwatch()
        for each in count():
            naive.record_reply(engine, FIRST_CHAT + each, "yes")
            if watch.seconds > seconds:
                return watch.values(each + 1)
    raise AssertionError


async def commits(seconds: float, group: int) -> Values:
    """Write rows with nothing around them."""
    with (
        TemporaryDirectory(prefix="aftersale-bench-") as folder,
        closing(sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)) as db,
    ):
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE replies (id INTEGER PRIMARY KEY, chat INTEGER, body TEXT)")
        watch = Stopwatch()
        for first in count(step=group):
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT INTO replies (chat, body) VALUES (?, ?)",
                [(each, QUESTION) for each in range(first, first + group)],
            )
            db.execute("COMMIT")
            if watch.seconds > seconds:
                return watch.values(first + group)
    raise AssertionError
