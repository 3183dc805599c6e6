"""What /health, /health/ready, /health/live and /metrics say of the whole program, in good days and bad ones."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, create_engine, text

from bot.adapters.clock import MovableClock
from bot.app.lookout import DATABASE_AWAY, PATIENCE, Lookout
from bot.ports.records import Incoming, Outgoing
from storage.database import open_database, parse_url
from tests.system.stage import MORNING, PATIENCE_SECONDS, Stage, becomes, order, stage


async def ask(play: Stage, path: str) -> tuple[int, str]:
    """Give status and body of an address of the program."""
    async with aiohttp.ClientSession() as session, session.get(f"{play.service.address}{path}") as answer:
        return answer.status, await answer.text()


async def health(play: Stage) -> tuple[int, dict[str, Any]]:
    """Give status and words of /health."""
    async with aiohttp.ClientSession() as session, session.get(f"{play.service.address}/health") as answer:
        return answer.status, await answer.json()


async def figures(play: Stage) -> dict[str, float]:
    """Give every line of /metrics: name with labels, and value."""
    status, shown = await ask(play, "/metrics")
    assert status == 200
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(shown)
        for sample in family.samples
    }


async def comes(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait (in real time) until something is so that must be asked for each time."""
    async with asyncio.timeout(2 * PATIENCE_SECONDS):
        while not await holds():  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.02)


async def test_all_is_well(database_url: str) -> None:
    """Ready, live, without a problem or a warning; counts of what is there."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        await becomes(lambda: not play.service.problems())
        status, state = await health(play)
        assert status == 200
        assert (state["live"], state["ready"], state["problems"], state["warnings"]) == (True, True, [], [])
        assert state["counts"]["sales"] == 1
        assert state["counts"]["new_inbox"] == state["counts"]["failed"] == 0
        assert state["counted_up_to"] == 10_000
        assert await ask(play, "/health/live") == (200, "live\n")
        assert await ask(play, "/health/ready") == (200, "ready\n")


async def test_poison_is_a_warning_and_keeps_the_program_in(database_url: str) -> None:
    """A row that cannot be handled, a message that failed, one that may have arrived: each counted, none a problem."""
    async with stage(database_url) as play:
        await becomes(lambda: not play.service.problems())
        now = play.clock.now()
        await play.program.commit([Incoming("shop", f"bad{each}", "sale:x", {"no": each}, now) for each in range(2)])
        await play.rest()
        for state in ("failed", "unknown"):
            message = Outgoing(state, "telegram", "chat:1", "system", {"text": "x"}, now, now, state=state)  # type: ignore[arg-type]
            await play.read(lambda uow, message=message: uow.send(message))  # type: ignore[misc]
        status, state = await health(play)
        assert (status, state["ready"], state["problems"]) == (200, True, [])
        assert state["warnings"] == [
            "Inbox: 2 could not be handled → aftersale inbox list --state failed",
            "Outbox: 1 could not be sent → aftersale outbox list --state failed",
            "Outbox: 1 may or may not have arrived → aftersale outbox list --state unknown",
        ]
        assert (await ask(play, "/health/ready"))[0] == 200


async def test_what_is_not_reached_is_a_problem_but_calls_may_still_come(sqlite_url: str) -> None:
    """With Telegram and Slack away it is not ready and says so, and a load balancer sends it the shop's orders still."""
    async with stage(sqlite_url) as play:
        await play.close()
        play.slack.down = play.telegram.down = True
        await play.open(connected=False)
        await becomes(lambda: {each.partition(":")[0] for each in play.service.problems()} >= {"Telegram", "Slack"})
        status, state = await health(play)
        assert (status, state["ready"], state["live"]) == (503, False, True)
        assert all(" → " in line or "Telegram" in line for line in state["problems"])
        assert await ask(play, "/health/ready") == (200, "ready\n")
        shown = await figures(play)
        assert shown["aftersale_ready"] == 0
        assert shown["aftersale_connection_up to=slack"] == 0


async def test_another_poller_is_named(sqlite_url: str) -> None:
    """Somebody else polls with the same token: the line says that, and what to do."""
    async with stage(sqlite_url) as play:
        await becomes(lambda: not play.service.problems())
        other = asyncio.create_task(poll(f"{play.telegram.base_url}/bot1234:sandbox/getUpdates"))
        try:
            await becomes(lambda: bool(play.service.problems()), within=2 * PATIENCE_SECONDS)
            [line] = (await health(play))[1]["problems"]
            assert line.startswith("Telegram updates: another program polls with the same token → stop it")
        finally:
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)


async def poll(address: str) -> None:
    """Poll Telegram as another program does."""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.post(address, json={"timeout": 5}) as answer:
                await answer.read()


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Keep every look at the outbox waiting, as a database does that hangs."""
    engine = create_engine(parse_url(url))
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE"))
        yield
        connection.rollback()
    engine.dispose()


async def test_a_database_that_hangs_is_a_problem_told_in_time(postgresql_url: str) -> None:
    """Nobody waits longer than the patience: the first is told after it, the next ones at once; then all is well again."""
    database, clock = open_database(postgresql_url), MovableClock(MORNING)
    lookout, loop = Lookout(database, clock), asyncio.get_running_loop()
    with locked(postgresql_url):
        state = await lookout.health()
        assert (state["ready"], state["problems"], state["counts"]) == (False, [DATABASE_AWAY], {})
        began = loop.time()
        for _ in range(50):
            assert (await lookout.health())["problems"] == [DATABASE_AWAY]
            await lookout.refresh()
        assert loop.time() - began < 50 * PATIENCE / 2
        assert lookout.seen.sight.standing is None
        assert await lookout.why_not_ready() is None  # other tables answer: what comes in can still be kept

    async def is_ready() -> bool:
        return bool((await lookout.health())["ready"])

    await comes(is_ready)
    await lookout.close()
    database.close()


async def test_a_database_that_is_away_is_a_problem_and_live_does_not_ask_it(postgresql_url: str) -> None:
    """The server refuses every connection: not ready, in words; alive all the same; the program's own counts go on."""
    async with stage(postgresql_url) as play:
        await becomes(lambda: not play.service.problems())
        with refused(postgresql_url):

            async def is_refused() -> bool:
                return (await ask(play, "/health/ready"))[0] == 503

            await comes(is_refused)
            status, state = await health(play)
            assert status == 503
            assert DATABASE_AWAY in state["problems"]
            assert await ask(play, "/health/live") == (200, "live\n")
            shown = await figures(play)
            assert shown["aftersale_database_up"] == 0
            assert "aftersale_inbox_handled_total" in shown
            assert "aftersale_inbox_lag_seconds source=shop" not in shown

        async def is_well() -> bool:
            return (await health(play))[0] == 200

        await comes(is_well)


@contextmanager
def refused(url: str) -> Iterator[None]:
    """Let the server refuse connections to this database, and end those that there are, while the block lasts."""
    location = parse_url(url)
    engine = create_engine(location.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        _allow(connection, str(location.database), allowed=False)
        try:
            yield
        finally:
            _allow(connection, str(location.database), allowed=True)
    engine.dispose()


def _allow(connection: Connection, name: str, *, allowed: bool) -> None:
    connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}"))
    if not allowed:
        end = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
        connection.execute(end, {"name": name})


async def test_metrics_count_what_the_program_does(database_url: str) -> None:
    """Taken in, handled, waiting, sales by stage, duties, build: of this moment, and right."""
    async with stage(database_url) as play:
        await becomes(lambda: not play.service.problems())
        await play.happens(order("order.placed"), order("order.placed", "1002", customer="c-8"))
        await play.happens(order("order.placed"))
        await play.link()

        async def is_counted() -> bool:
            return "aftersale_sales stage=all" in await figures(play)

        await comes(is_counted)
        shown = await figures(play)
        assert shown["aftersale_inbox_received_total source=shop"] == 2
        assert shown["aftersale_inbox_received_total source=telegram"] == 2
        assert shown["aftersale_inbox_handled_total"] == 4
        assert shown["aftersale_send_attempts_total channel=telegram kind=system outcome=sent"] >= 1
        assert 1 <= shown["aftersale_inbox_transaction_seconds_count"] <= 4
        assert shown["aftersale_inbox_lag_seconds source=shop"] == 0
        assert (shown["aftersale_database_up"], shown["aftersale_ready"]) == (1, 1)
        assert shown["aftersale_duty_held duty=telegram-polling"] == 1
        assert shown["aftersale_connection_up to=telegram_updates"] == 1
        assert shown["aftersale_sales stage=all"] == 2
        kind = "postgresql" if database_url.startswith("postgresql") else "sqlite"
        assert any(
            line.startswith("aftersale_build_info") and f"database={kind}" in line and "version=0." in line
            for line in shown
        )
        await play.happens(order("order.delivered"))
        later = await figures(play)
        assert later["aftersale_inbox_received_total source=shop"] == 3


async def test_figures_of_sales_are_counted_beside_all_else(sqlite_url: str) -> None:
    """Counting all sales takes as long as there are many, so nobody who asks waits for it, and it is done but seldom."""
    database = open_database(sqlite_url)
    lookout = Lookout(database, MovableClock(MORNING))
    first = await lookout.health()
    assert "asked" not in first["counts"]

    async def is_counted() -> bool:
        return "asked" in (await lookout.health())["counts"]

    await comes(is_counted)
    assert lookout._count_again_at > asyncio.get_running_loop().time() + 30
    await lookout.close()
    database.close()


async def test_open_cases_are_shown_by_team_and_age(sqlite_url: str) -> None:
    """An unhappy reply is a case of its team, an hour old and then a day; overdue once its time has passed."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.happens(order("order.delivered"))
        await play.pass_time(timedelta(days=2))
        await play.tap(freja, "📦 Not here yet")
        shown = await figures(play)
        assert shown["aftersale_open_cases age=under_1d team=delivery"] == 1
        assert shown["aftersale_overdue_cases team=delivery"] == 0
        await play.pass_time(timedelta(days=2))
        shown = await figures(play)
        assert shown["aftersale_open_cases age=under_1d team=delivery"] == 0
        assert shown["aftersale_open_cases age=1d_to_3d team=delivery"] == 1
        assert shown["aftersale_overdue_cases team=delivery"] == 1
