"""Limits by design, measured where they count: at the sandboxes, by the clock of whoever receives."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.adapters.clock import SystemClock
from bot.adapters.sandbox.slack import SandboxSlack
from bot.adapters.sandbox.telegram import SandboxTelegram
from bot.adapters.slack.poster import SlackPoster
from bot.adapters.telegram.connection import connect
from bot.adapters.telegram.messenger import TelegramMessenger
from bot.dispatch import Dispatcher, Limits
from bot.errors import DeliveryDelayed
from bot.messages import House
from bot.ports.channels import Channel
from bot.ports.records import Outgoing
from bot.ports.watch import Nobody
from storage.database import SqlDatabase, open_database
from tests.databases import PostgresqlTemplate, SqliteTemplate
from tests.system.stage import becomes, shipped_flows, shop

CLOCK = SystemClock()
TOKEN = "1234:sandbox"
LIMITS = Limits(telegram=30, chat=1, slack=1)


@pytest.fixture
def database(sqlite_template: SqliteTemplate, tmp_path: Path) -> Iterator[SqlDatabase]:
    opened = open_database(sqlite_template.fresh(tmp_path))
    yield opened
    opened.close()


def message(number: int, *, chat: int | None = None, priority: int = 8, **more: object) -> Outgoing:
    """Give a message of the bot itself, which no guard looks at."""
    now, to = CLOCK.now() - timedelta(minutes=1), chat or number
    body = {"chat_id": to, "text": f"number {number}"}
    return Outgoing(f"m-{number}", "telegram", f"chat:{to}", "system", body, now, now, priority=priority, **more)  # type: ignore[arg-type]


def whisper(number: int, channel: str) -> Outgoing:
    """Give a line for one person in a channel of Slack."""
    now = CLOCK.now() - timedelta(minutes=1)
    body = {"channel": channel, "user": "U1", "text": f"number {number}"}
    return Outgoing(
        f"w-{channel}-{number}", "slack", f"whisper:{channel}:{number}", "whisper", body, now, now, priority=0
    )


def put(database: SqlDatabase, messages: Sequence[Outgoing]) -> None:
    database.run_now(lambda uow: [uow.send(each) for each in messages])


def states(database: SqlDatabase) -> dict[str, int]:
    """Give how many messages stand in each state."""
    found: dict[str, int] = defaultdict(int)
    for each in database.run_now(
        lambda uow: uow.outbox(("waiting", "sending", "sent", "unknown", "refused", "failed"), 5000)
    ):
        found[each.state] += 1
    return found


class Recorder(Channel):
    """A channel that takes what it is given, and notes what and when."""

    def __init__(self, takes: float = 0.0) -> None:
        self.took: list[tuple[float, Outgoing]] = []
        self._takes = takes
        self.raises: list[Exception] = []

    async def deliver(self, message: Outgoing) -> str:
        """Take it, or raise what is to be raised next."""
        self.took.append((time.monotonic(), message))
        await asyncio.sleep(self._takes)
        if self.raises:
            raise self.raises.pop(0)
        return str(len(self.took))


class Counting(Nobody):
    """Counts what the dispatcher tells."""

    def __init__(self) -> None:
        self.attempts: list[tuple[str, str, str]] = []
        self.waits: list[tuple[str, str]] = []

    def attempted(self, channel: str, kind: str, attempt: str) -> None:
        """Note it."""
        self.attempts.append((channel, kind, attempt))

    def waited(self, channel: str, why: str, seconds: float) -> None:
        """Note it."""
        assert seconds > 0
        self.waits.append((channel, why))


def dispatcher(
    database: SqlDatabase, channels: dict[str, Channel], limits: Limits = LIMITS, **more: object
) -> Dispatcher:
    house = House(shop(), shipped_flows(), CLOCK)
    return Dispatcher(database, house, channels, now=CLOCK.now, limits=limits, **more)  # type: ignore[arg-type]


@asynccontextmanager
async def pumping(sender: Dispatcher) -> AsyncIterator[None]:
    """Let the dispatcher run as the program lets it; at the end what is on its way lands."""
    is_over = asyncio.Event()

    async def loop() -> None:
        while not is_over.is_set():
            if not await sender.pump():
                await asyncio.sleep(0.01)

    running = asyncio.create_task(loop())
    try:
        yield
    finally:
        is_over.set()
        await running
        await sender.leave()


def worst_second(times: Sequence[float]) -> int:
    """Give the most of `times` that lie within any one second."""
    return max(len([at for at in times if start <= at < start + 1]) for start in times)


@asynccontextmanager
async def telegram_with(customers: int) -> AsyncIterator[SandboxTelegram]:
    """Run a Telegram in which so many people have pressed Start, with chat ids from 1 on."""
    async with SandboxTelegram(token=TOKEN, clock=CLOCK.now) as sandbox:
        for number in range(1, customers + 1):
            await sandbox.customer(user_id=number).start()
        url = f"{sandbox.base_url}/bot{TOKEN}/deleteWebhook?drop_pending_updates=true"
        async with aiohttp.ClientSession() as session, session.post(url) as answer:
            answer.raise_for_status()
        yield sandbox


async def test_a_bot_sends_evenly_and_never_more_than_its_limit_and_one(database: SqlDatabase) -> None:
    """Hundreds are due at once: in no second does Telegram see more than 31, nor a crowd in a part of one."""
    put(database, [message(number) for number in range(1, 301)])
    async with telegram_with(300) as sandbox, connect(TOKEN, sandbox.base_url) as bot:
        async with pumping(dispatcher(database, {"telegram": TelegramMessenger(bot)})):
            await becomes(lambda: len(sandbox.calls) > 100)
        assert sandbox.worst_second() <= 31
        sent = [call.at for call in sandbox.calls if call.method == "sendMessage"]
        crowded = [
            later for later, sooner in zip(sent[5:], sent, strict=False) if later - sooner < timedelta(seconds=0.05)
        ]
        assert len(crowded) < 10
    found = states(database)
    assert found["sent"] == len(sent)
    assert found["waiting"] == 300 - found["sent"]


async def test_a_call_that_hangs_leaves_no_second_with_more_than_the_limit_and_one(database: SqlDatabase) -> None:
    """Calls that take long arrive nobody knows when: they are counted until they have, and the pace gives way."""
    put(database, [message(number) for number in range(1, 121)])
    async with telegram_with(120) as sandbox, connect(TOKEN, sandbox.base_url) as bot:
        async with pumping(dispatcher(database, {"telegram": TelegramMessenger(bot)})):
            await becomes(lambda: len(sandbox.calls) > 20)
            sandbox.latency = timedelta(seconds=0.7)
            await asyncio.sleep(0.5)
            sandbox.latency = timedelta(0)
            await becomes(lambda: len(sandbox.calls) > 90)
        assert sandbox.worst_second() <= 31


async def test_a_chat_gets_one_a_second(database: SqlDatabase) -> None:
    """Ten messages for two people: each person gets them in order, one a second, and one at once besides at most."""
    put(database, [message(number, chat=1 + number % 2) for number in range(10, 18)])
    async with telegram_with(2) as sandbox, connect(TOKEN, sandbox.base_url) as bot:
        async with pumping(dispatcher(database, {"telegram": TelegramMessenger(bot)})):
            await becomes(lambda: len(sandbox.calls) >= 9)
        for chat in (1, 2):
            calls = [call for call in sandbox.calls if call.params.get("chat_id") == chat]
            assert worst_second([call.at.timestamp() for call in calls]) <= 2
            assert (calls[-1].at - calls[0].at).total_seconds() > 2.5
            assert [call.params["text"] for call in calls] == [
                f"number {n}" for n in range(10, 18) if 1 + n % 2 == chat
            ]


async def test_a_channel_of_slack_gets_one_a_second_and_keeps_no_other_waiting(database: SqlDatabase) -> None:
    """Forty lines for one channel go out one a second; the one for another channel does not wait behind them."""
    put(database, [*(whisper(number, "C1") for number in range(40)), whisper(0, "C2")])
    async with SandboxSlack(clock=CLOCK.now) as slack:
        slack.channel("C1", "wine")
        slack.channel("C2", "fashion")
        slack.member("Anna")
        poster = SlackPoster(slack.bot_token, slack.base_url)
        began = CLOCK.now()
        async with pumping(dispatcher(database, {"slack": poster})):
            await becomes(lambda: len(slack.calls) >= 6)
        await poster.close()
        calls = [call for call in slack.calls if call.method == "chat.postEphemeral"]
        first, second = ([call for call in calls if call.arguments["channel"] == name] for name in ("C1", "C2"))
        assert worst_second([call.at.timestamp() for call in first]) <= 2
        assert len(second) == 1
        assert calls.index(second[0]) < 4
        assert (first[-1].at - began).total_seconds() > len(first) - 2
    left = database.run_now(lambda uow: uow.outbox(("waiting",), 100))
    assert all(each.attempts == 0 for each in left if "even pace of its channel" in str(each.reason))
    due = sorted(each.not_before for each in left)
    assert due[-1] - due[0] > timedelta(seconds=20)


async def test_what_is_urgent_goes_next_however_many_reminders_are_due(database: SqlDatabase) -> None:
    """A thousand reminders are due and some are claimed: a person's reply goes out among the next few."""
    channel = Recorder(takes=0.05)
    put(database, [message(number, priority=8) for number in range(1, 1001)])
    async with pumping(dispatcher(database, {"telegram": channel})):
        await becomes(lambda: len(channel.took) >= 10)
        assert states(database)["sending"] < 40
        before = len(channel.took)
        put(database, [message(5000, priority=5), message(5001, priority=0)])
        await becomes(lambda: any(each.priority == 0 for _, each in channel.took))
        order = [each.priority for _, each in channel.took[before:]]
    assert order.index(0) <= 6


async def test_what_telegram_asks_to_wait_binds_the_whole_bot(database: SqlDatabase, tmp_path: Path) -> None:
    """After a 429 nothing goes out until its time; what was claimed waits in the outbox, with the reason, also for the next program."""
    channel, watch = Recorder(takes=0.01), Counting()
    channel.raises = [DeliveryDelayed("Telegram asks to wait: 3 s", retry_after=timedelta(seconds=3), everyone=True)]
    put(database, [message(number) for number in range(1, 60)])
    first = dispatcher(database, {"telegram": channel}, Limits(20, 1, 1), watch=watch)
    async with pumping(first):
        await becomes(lambda: states(database)["sending"] == 0 and bool(channel.took))
        held = time.monotonic()
        few = len(channel.took)
        await asyncio.sleep(1)
    reasons = {each.reason for each in database.run_now(lambda uow: uow.outbox(("waiting",), 100)) if each.reason}
    assert reasons == {"delayed: Telegram asks to wait: 3 s"}
    assert ("telegram", "asked") in watch.waits
    assert watch.attempts[0] == ("telegram", "system", "delayed")

    second = dispatcher(database, {"telegram": channel}, Limits(20, 1, 1))
    async with pumping(second):
        await becomes(lambda: len(channel.took) > few)
    assert channel.took[few][0] - held > 1.5


async def test_who_may_no_longer_send_sends_nothing_that_waits(database: SqlDatabase) -> None:
    """The duty went to another program: what is claimed and not on its way goes back, untouched."""
    channel = Recorder(takes=0.01)
    put(database, [message(number) for number in range(1, 60)])
    sender = dispatcher(database, {"telegram": channel}, Limits(10, 1, 1))
    async with pumping(sender):
        await becomes(lambda: len(channel.took) >= 3)
        sender.forbid("telegram")
        few = len(channel.took)
        await becomes(lambda: states(database)["sending"] == 0)
        await asyncio.sleep(0.3)
        assert len(channel.took) == few
        found = states(database)
        assert (found["sent"], found["waiting"]) == (few, 59 - few)
        sender.allow("telegram", asyncio.get_running_loop().time() + 60)
        await becomes(lambda: len(channel.took) > few)


async def test_nothing_is_sent_once_half_of_its_lease_is_over(database: SqlDatabase) -> None:
    """A sender that was held up does not send what others may be settling by now: it goes back instead."""
    channel = Recorder()
    put(database, [message(number) for number in range(1, 9)])
    async with pumping(dispatcher(database, {"telegram": channel}, Limits(4, 1, 1), lease=timedelta(seconds=1.2))):
        await becomes(lambda: states(database)["sent"] == 8)
    assert sorted(each.key for _, each in channel.took) == sorted(f"m-{number}" for number in range(1, 9))

    put(database, [message(9)])
    clock = [CLOCK.now()]
    house = House(shop(), shipped_flows(), CLOCK)

    def jumping() -> object:
        clock[0] += timedelta(seconds=70)
        return clock[0]

    late = Dispatcher(database, house, {"telegram": channel}, now=jumping, limits=LIMITS)  # type: ignore[arg-type]
    assert await late.pump()
    assert await late.pump()
    await late.landed()
    (back,) = database.run_now(lambda uow: uow.outbox(("waiting",), 10))
    assert back.key == "m-9"
    assert len(channel.took) == 8


class Away:
    """A database that cannot be reached for a while: everything that is asked of it fails."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database
        self.is_away = False
        self.refused = 0

    async def run(self, work: Callable[..., object]) -> object:
        """Run `work`, unless it is away."""
        if self.is_away:
            self.refused += 1
            raise ConnectionError("the database is away")
        return await self._database.run(work)


async def test_marks_outlast_a_database_that_is_away(database: SqlDatabase) -> None:
    """What was sent while the database went away is marked when it is back, and nothing is sent twice."""
    channel, away = Recorder(takes=0.3), Away(database)
    put(database, [message(number) for number in range(1, 6)])
    sender = dispatcher(away, {"telegram": channel}, Limits(1000, 1000, 1), is_passing=lambda _: True)  # type: ignore[arg-type]
    while not sender.flying:
        await sender.pump()
    away.is_away = True
    await becomes(lambda: away.refused >= 4)
    assert states(database)["sending"] == 5
    away.is_away = False
    await sender.landed()
    assert states(database)["sent"] == 5
    assert len(channel.took) == 5


async def test_two_programs_on_one_database_keep_the_limit_together(postgresql_template: PostgresqlTemplate) -> None:
    """While one sends the other does not; when it dies the other takes over, and no second holds more than the limit."""
    from bot.app.sending import SendingDuties  # noqa: PLC0415 - the only test here that needs the root

    channel = Recorder(takes=0.05)
    with postgresql_template.fresh() as url:
        databases = [open_database(url), open_database(url)]
        try:
            put(databases[0], [message(number) for number in range(1, 400)])
            senders = [dispatcher(each, {"telegram": channel}, Limits(20, 1, 1)) for each in databases]
            duties = [SendingDuties(d.duties, s, lambda: None) for d, s in zip(databases, senders, strict=True)]
            keeping = [duties[0].begin()]
            async with pumping(senders[0]):
                await becomes(lambda: len(channel.took) > 5)
                keeping.append(duties[1].begin())
                async with pumping(senders[1]):
                    await becomes(lambda: len(channel.took) > 40)
                    assert not senders[1].has_right("telegram")
                    # The connection of the first is cut, as if it had died; it notices by itself that it may not go on.
                    databases[1].run_now(
                        lambda uow: uow._connection.exec_driver_sql(
                            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
                            " WHERE locktype = 'advisory' AND datname = current_database() AND pid <> pg_backend_pid()"
                        )
                    )
                    cut = time.monotonic()
                    await becomes(lambda: senders[1].has_right("telegram") or senders[0].has_right("telegram"))
                    many = len(channel.took)
                    await becomes(lambda: len(channel.took) > many + 30)
                    assert time.monotonic() - cut < 20
            for tasks in keeping:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            assert worst_second([at for at, _ in channel.took]) <= 21
            keys = [each.key for _, each in channel.took]
            assert len(keys) == len(set(keys))
        finally:
            for each in databases:
                each.close()
