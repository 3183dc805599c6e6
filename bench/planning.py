"""Planning: how fast messages far ahead are put down, durable, against one APScheduler job each in its job store."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import naive
from bench.figures import Figure, Sample, Sizes, Stopwatch, alternate
from bench.shop import ASKED, bare_program, delivered, take_in_orders
from bot.ports.records import Moment

_GROUP = 1000


async def measure(sizes: Sizes) -> list[Figure]:
    """Measure moments alone, and whole order events (customer, sale, promise, log), each of which plans two."""
    moments, orders, jobs = await alternate(
        f"Planning messages, {_GROUP} per transaction",
        sizes.rounds,
        [
            ("aftersale: moments", "ours", partial(_moments, sizes.plans)),
            ("aftersale: order events, two moments each", "ours", partial(_orders, sizes.orders)),
            ("APScheduler add_job, its SQLAlchemy job store", "peer", partial(_jobs, sizes.naive_plans)),
        ],
    )
    orders.measurement = "Planning messages, with the whole order event around them"
    return [moments, jobs, orders, replace(jobs, measurement=orders.measurement)]


def _groups(number: int) -> Iterator[range]:
    for first in range(0, number, _GROUP):
        yield range(first, min(first + _GROUP, number))


async def _moments(number: int) -> Sample:
    with TemporaryDirectory() as folder, bare_program(Path(folder) / "plan.db") as (program, _):
        await take_in_orders(program, 1)
        sale = delivered(0)["sale"]["id"]

        def plan(uow: Any, group: range) -> None:
            for each in group:
                data = {"flow": "after_delivery", "step": "arrived", "on": "order.delivered", "unless": ["case.open"]}
                uow.plan(Moment(f"start:after_delivery:s-{each}:x", "start", ASKED, sale, data=data))

        watch = Stopwatch()
        for group in _groups(number):
            await program.database.run(partial(plan, group=group))
        return watch.sample(number)


async def _orders(number: int) -> Sample:
    with TemporaryDirectory() as folder, bare_program(Path(folder) / "orders.db") as (program, _):
        watch = Stopwatch()
        await take_in_orders(program, number)
        return watch.sample(number * 2)


async def _jobs(number: int) -> Sample:
    with naive.database() as engine:
        async with naive.scheduler(engine) as jobs:
            watch = Stopwatch()
            naive.plan(jobs, number, due_at=ASKED)
            return watch.sample(number)
