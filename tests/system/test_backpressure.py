"""Bursts: order events by the thousand and storms of taps take bounded memory, and nobody else waits for them."""

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import aiohttp
import psutil
from standardwebhooks import Webhook

from bot.adapters.clock import SystemClock
from bot.adapters.web import BODIES_AT_ONCE, BODIES_WAITING_MAX, EVENTS_MAX
from storage.database import parse_url
from tests.system.stage import INTAKE_SECRET, Stage, becomes, order, questions_to, said_to, stage

BURST = int(os.environ.get("AFTERSALE_BURST", "5000"))
"""How many order events come at once. `make faults` says 100000."""
GROWTH_MAX_BYTES = 150_000_000
"""How much memory a burst may take, however long it is: batches, connections, what the allocator keeps."""
ARRIVED = "Was everything as we promised?"


def calls_of(number: int, *, each: int) -> Iterator[bytes]:
    """Give the bodies of calls that bring `number` order events, `each` in a call."""
    for first in range(0, number, each):
        events = [
            order("order.placed", f"burst-{place}", customer=f"b-{place}", name="Somebody")
            for place in range(first, min(number, first + each))
        ]
        yield json.dumps(events).encode()


def signed(body: bytes, number: int) -> dict[str, str]:
    now = SystemClock().now()
    name = f"msg-{number}"
    signature = Webhook(INTAKE_SECRET).sign(name, now, body.decode())
    return {"webhook-id": name, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


async def bring(play: Stage, session: aiohttp.ClientSession, body: bytes, number: int) -> int:
    """Bring one call to the intake, again and again while it asks to come later; gives how often it did."""
    put_off = 0
    while True:
        async with session.post(f"{play.service.address}/events", data=body, headers=signed(body, number)) as answer:
            await answer.read()
            if answer.status == 202:
                return put_off
            assert answer.status == 503, answer.status
            assert int(answer.headers["Retry-After"]) > 0
        put_off += 1
        await asyncio.sleep(0.2)


async def waiting(play: Stage) -> int:
    """Count the order events that wait, past the program: to read them all would be a burst of its own."""

    def count() -> int:
        file = parse_url(play.settings.database_url).database
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reader:
            (number,) = reader.execute("SELECT count(*) FROM inbox WHERE state = 'new' AND source = 'shop'").fetchone()
            return int(number)

    return await asyncio.to_thread(count)


async def test_a_burst_of_orders_takes_bounded_memory_and_starves_nobody(sqlite_url: str) -> None:
    """While the burst is being worked off, a customer is answered and a member of staff claims a case."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"), order("order.placed", "1002", customer="c-8", name="Bob Lund"))
        freja, bob = await play.link(), await play.link("1002", name="Bob")
        await play.write(bob, "Where is my wine?")
        card, anna = play.card("wine"), play.slack.member("Anna Berg")
        process = psutil.Process()
        before = highest = process.memory_info().rss
        done = False

        async def watch() -> None:
            nonlocal highest
            while not done:
                highest = max(highest, process.memory_info().rss)
                await asyncio.sleep(0.05)

        async def people() -> tuple[int, int]:
            """Act while the burst comes in; give how much of it waited still when each was answered."""
            await becomes_async(lambda: waiting(play), at_least=min(500, BURST // 10))
            while not (await anna.click(card, "Claim")).acked:  # noqa: ASYNC110 - pressed again, as a person would
                # Slack waits three seconds at most, which a machine busy with other tests may take by itself.
                await asyncio.sleep(0.1)
            await freja.send("/help")
            await becomes(lambda: bool(questions_to(freja, "/privacy")), within=60)
            customer_behind = await waiting(play)
            await becomes(lambda: "has taken this" in play.story(card), within=60)
            return customer_behind, await waiting(play)

        watching = asyncio.create_task(watch())
        acting = asyncio.create_task(people())
        async with aiohttp.ClientSession() as session:
            queue = enumerate(calls_of(BURST, each=min(EVENTS_MAX, 500)))

            async def shop() -> None:
                for number, body in queue:
                    await bring(play, session, body, number)

            await asyncio.gather(*(shop() for _ in range(4)))
        left = await acting
        assert min(left) > 0, f"the burst was through before they were answered: {left}"
        async with asyncio.timeout(60 + BURST / 100):
            while await waiting(play):  # noqa: ASYNC110 - nobody sets an event for it
                await asyncio.sleep(0.2)
        done = True
        await watching
        assert highest - before < GROWTH_MAX_BYTES
        assert (await play.program.database.read(lambda reports: reports.counts()))["sales"] == BURST + 2


async def becomes_async(number: Any, *, at_least: int) -> None:
    async with asyncio.timeout(60):
        while await number() < at_least:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)


async def test_a_storm_of_taps_has_one_effect_and_delays_nobody(sqlite_url: str) -> None:
    """One customer taps a thousand times: one verdict, one next question; another one is answered meanwhile."""
    storm = 1000
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"), order("order.placed", "1002", customer="c-8", name="Bob Lund"))
        freja, bob = await play.link(), await play.link("1002", name="Bob")
        await play.happens(order("order.delivered"))
        await play.pass_time(timedelta(days=2))
        message = freja.last
        assert ARRIVED in message.text
        for _ in range(storm):
            await freja.tap_old(message.message_id, "👍 Yes")
        began = time.monotonic()
        await bob.send("/help")
        await becomes(lambda: bool(questions_to(bob, "/privacy")), within=60)
        assert time.monotonic() - began < 30
        await play.rest()
        assert (await play.sale()).factors == {"promise": 1}
        assert len(questions_to(freja, "And was it easy to be our customer")) == 1
        assert len(await play.read(lambda uow: uow.verdicts_of("1001"))) == 1
        assert len(said_to(freja)) < 10


async def test_the_intake_holds_few_bodies_at_once_and_asks_the_rest_to_come_again(sqlite_url: str) -> None:
    """Of many calls at the same time some are told 503 and when to come again; whoever does is taken in."""
    number = BODIES_AT_ONCE + BODIES_WAITING_MAX + 40
    async with stage(sqlite_url) as play:
        release = asyncio.Event()

        async def slowly(body: bytes) -> Any:
            yield body[:10]
            await release.wait()
            yield body[10:]

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def call(place: int) -> int:
                body = json.dumps(order("order.placed", f"s-{place}", customer=f"b-{place}")).encode()
                address = f"{play.service.address}/events"
                async with session.post(address, data=slowly(body), headers=signed(body, place)) as answer:
                    if answer.status == 503:
                        assert int(answer.headers["Retry-After"]) > 0
                        release.set()  # the ones that are let in wait for this: nothing here waits for the clock
                    return answer.status

            statuses = await asyncio.gather(*(call(place) for place in range(number)))
            refused = statuses.count(503)
            assert statuses.count(202) == number - refused
            assert statuses.count(202) >= BODIES_AT_ONCE
            assert refused >= 1
            for place, status in enumerate(statuses):
                if status == 503:
                    body = json.dumps(order("order.placed", f"s-{place}", customer=f"b-{place}")).encode()
                    await bring(play, session, body, place)
        await play.rest()
        assert (await play.program.database.read(lambda reports: reports.counts()))["sales"] == number


# A month away -------------------------------------------------------------------------------------------------------


async def test_after_a_month_away_questions_come_one_after_the_other(sqlite_url: str) -> None:
    """Off for thirty days: what expired is dropped, the rest is asked by turns, staff is reminded once for each case."""
    number = 40
    async with stage(sqlite_url) as play:
        sales = [str(2000 + place) for place in range(number)]
        await play.happens(*(order("order.placed", each, customer=f"c-{each}", name=f"Kim {each}") for each in sales))
        await play.happens(order("order.placed"))
        freja = await play.link()
        people = [await play.link(each, name=f"Kim {each}") for each in sales]
        await play.write(freja, "The bottle is broken.")
        # Twenty were delivered now, twenty will be told of after the month; one sale's question will be expired by then.
        now = play.clock.now()
        await play.happens(
            *(order("order.delivered", each, customer=f"c-{each}", name=f"Kim {each}", at=now) for each in sales[:20])
        )
        old = order("order.delivered", sales[20], customer=f"c-{sales[20]}", at=now - timedelta(days=20))
        lines = len(play.story(play.card("wine")).splitlines())
        await play.close()
        play.clock.advance(timedelta(days=30))
        play.telegram.forget_pace()
        await play.open()
        await play.happens(
            old,
            *(order("order.delivered", each, customer=f"c-{each}", name=f"Kim {each}", at=now) for each in sales[21:]),
        )
        await play.rest()
        asked = [each for each in people if questions_to(each, ARRIVED)]
        assert len(asked) <= 17, "a handful, not all at once"
        assert len(play.story(play.card("wine")).splitlines()) - lines <= 1, "one reminder for one case"
        planned = [each for sale in sales for each in await play.moments(sale, "planned") if each.kind == "start"]
        late = [each for each in planned if "catching up: it was due 28 days ago" in str(each.reason)]
        assert len(late) >= number - 19
        (dropped,) = [
            each for each in await play.moments(sales[20], "dropped") if each.data.get("flow") == "after_delivery"
        ]
        assert "its time is past" in str(dropped.reason)

        await play.pass_time(timedelta(minutes=10))
        in_ten_minutes = [each for each in people if questions_to(each, ARRIVED)]
        assert len(asked) < len(in_ten_minutes) <= len(asked) + 11, "one a minute"
        await play.pass_time(timedelta(days=1))
        assert [len(questions_to(each, ARRIVED)) for each in people].count(1) == number - 1
        assert max(len(questions_to(each, ARRIVED)) for each in people) == 1
