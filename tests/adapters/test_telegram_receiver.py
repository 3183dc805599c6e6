import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup

from bot.adapters.clock import SystemClock
from bot.adapters.sandbox.telegram import Customer, SandboxTelegram
from bot.adapters.telegram.connection import ALLOWED_UPDATES, connect, set_webhook
from bot.adapters.telegram.doctor import check
from bot.adapters.telegram.receiver import TelegramPoller, TelegramWebhook
from bot.adapters.telegram.translate import translate
from bot.errors import ConfigurationError
from bot.ports.inbound import ButtonTapped, ChatBlocked, ChatStarted, MessageWritten, Reacted
from bot.ports.records import Incoming

TOKEN = "123456:sandbox-token_AAAAAAAAAAAAAAAAAAAA"
SECRET = "a-secret_of-the-webhook"
CLOCK = SystemClock()


class Inbox:
    """An inbox in memory that can be told to fail, and to take its time."""

    def __init__(self) -> None:
        self.rows: list[Incoming] = []
        self.failures = 0
        self.open = asyncio.Event()
        self.open.set()
        self.attempts = 0

    async def commit(self, rows: list[Incoming]) -> None:
        """Store what is new, once `open` is set; fail as often as ordered."""
        self.attempts += 1
        await self.open.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("the disk is full")
        known = {row.key for row in self.rows}
        self.rows += [row for row in rows if row.key not in known]

    @property
    def texts(self) -> list[str]:
        """Give the words that were stored."""
        return [event.text for row in self.rows if isinstance(event := translate(row.payload), MessageWritten)]


async def until(claim: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not claim():  # noqa: ASYNC110 - it waits for whatever a test wants to see, not for one event
            await asyncio.sleep(0.01)


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxTelegram]:
    async with SandboxTelegram(token=TOKEN, clock=CLOCK.now) as server:
        yield server


@pytest.fixture
async def bot(sandbox: SandboxTelegram) -> AsyncIterator[Bot]:
    async with connect(TOKEN, sandbox.base_url) as opened:
        yield opened


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@asynccontextmanager
async def polling(bot: Bot, inbox: Inbox, states: list[str | None] | None = None) -> AsyncIterator[TelegramPoller]:
    told = [] if states is None else states
    poller = TelegramPoller(bot, inbox.commit, CLOCK, told.append, first_pause=timedelta(milliseconds=20))
    running = asyncio.create_task(poller.run())
    try:
        yield poller
    finally:
        await poller.stop()
        await running


async def asked(sandbox: SandboxTelegram, bot: Bot) -> Customer:
    """A customer who was asked something with a button below it."""
    customer = sandbox.customer()
    await customer.start("token-1")
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="a:1:0")]])
    await bot.send_message(customer.user_id, "Well?", reply_markup=keyboard)
    return customer


async def test_all_kinds_of_updates_reach_the_inbox(sandbox: SandboxTelegram, bot: Bot, inbox: Inbox) -> None:
    """Start, words, taps, reactions and blocking come by long polling, raw, in order, in the lane of the chat."""
    async with polling(bot, inbox):
        await until(lambda: sandbox.calls)
        customer = await asked(sandbox, bot)
        await customer.send("It is broken")
        await customer.tap("Yes")
        await customer.react(customer.last.message_id, "👎")
        await customer.block()
        await until(lambda: len(inbox.rows) == 5)
    assert [type(translate(row.payload)) for row in inbox.rows] == [
        ChatStarted,
        MessageWritten,
        ButtonTapped,
        Reacted,
        ChatBlocked,
    ]
    assert {row.lane for row in inbox.rows} == {f"chat:{customer.user_id}"}


async def test_nothing_is_confirmed_before_it_is_stored(sandbox: SandboxTelegram, bot: Bot, inbox: Inbox) -> None:
    """While the commit runs Telegram still holds the update; only after it does the next question confirm it."""
    customer = sandbox.customer()
    await customer.send("one")
    inbox.open.clear()
    async with polling(bot, inbox):
        await until(lambda: inbox.attempts)
        assert sandbox.pending_updates == 1
        inbox.open.set()
        await until(lambda: sandbox.pending_updates == 0)
    assert inbox.texts == ["one"]


async def test_a_commit_that_fails_loses_nothing(sandbox: SandboxTelegram, bot: Bot, inbox: Inbox) -> None:
    """The same updates come again until they are stored, and the trouble is shown meanwhile."""
    customer = sandbox.customer()
    await customer.send("one")
    await customer.send("two")
    inbox.failures = 2
    states: list[str | None] = []
    async with polling(bot, inbox, states):
        await until(lambda: sandbox.pending_updates == 0)
        assert inbox.attempts == 3
        assert inbox.texts == ["one", "two"]
        assert states[0] is not None
        assert "OSError" in states[0]
        assert states[-1] is None


async def test_a_repeated_update_has_the_same_key(sandbox: SandboxTelegram, bot: Bot, inbox: Inbox) -> None:
    """What Telegram hands over twice is one row."""
    sandbox.repeat_next_update()
    customer = sandbox.customer()
    async with polling(bot, inbox):
        await customer.send("one")
        await until(lambda: inbox.attempts >= 2)
    assert inbox.texts == ["one"]


async def test_a_tap_is_answered_after_it_is_stored(sandbox: SandboxTelegram, bot: Bot, inbox: Inbox) -> None:
    """The waiting sign goes as soon as the tap is safe, and not before."""
    customer = await asked(sandbox, bot)
    inbox.open.clear()
    async with polling(bot, inbox):
        await customer.tap("Yes")
        await until(lambda: inbox.attempts)
        assert not [call for call in sandbox.calls if call.method == "answerCallbackQuery"]
        inbox.open.set()
        await until(lambda: [call for call in sandbox.calls if call.method == "answerCallbackQuery"])


async def test_a_tap_that_cannot_be_answered_stops_nothing(sandbox: SandboxTelegram, bot: Bot, inbox: Inbox) -> None:
    """After a downtime the tap is too old to be answered, and is stored all the same."""
    customer = await asked(sandbox, bot)
    sandbox.fail_next("answerCallbackQuery", status=400, description="Bad Request: query is too old")
    async with polling(bot, inbox) as poller:
        await customer.tap("Yes")
        await customer.send("and more")
        await until(lambda: inbox.texts == ["and more"])
        assert poller.health is None


async def test_a_storm_of_taps_fills_no_memory(sandbox: SandboxTelegram, bot: Bot, inbox: Inbox) -> None:
    """While Telegram takes no answers, every tap is stored, and of the answers only the newest are kept for later."""
    customer = await asked(sandbox, bot)
    sandbox.latency = timedelta(seconds=0.2)
    secret = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
    webhook = TelegramWebhook(bot, SECRET, inbox.commit, CLOCK)
    query = {"from": {"id": customer.user_id, "is_bot": False, "first_name": "F"}, "chat_instance": "1", "data": "x"}
    for number in range(1500):
        update = {"update_id": number, "callback_query": {"id": str(number), **query}}
        assert await webhook.handle(secret, json.dumps(update).encode()) == 200
    assert len(inbox.rows) == 1500
    assert webhook.answers_waiting <= 1000
    await webhook.stop()


@pytest.mark.parametrize("status", [500, 502, 429])
async def test_trouble_is_waited_out(sandbox: SandboxTelegram, bot: Bot, inbox: Inbox, status: int) -> None:
    """Errors of Telegram show in `health` and pass; what was written meanwhile arrives."""
    sandbox.fail_next("getUpdates", status=status, times=2 if status != 429 else 1)
    states: list[str | None] = []
    async with polling(bot, inbox, states):
        await sandbox.customer().send("hello?")
        await until(lambda: inbox.texts == ["hello?"])
    assert states[0]
    assert states[-1] is None


async def test_telegram_gone_and_back(sandbox: SandboxTelegram, bot: Bot, inbox: Inbox) -> None:
    """Connections that break again and again: waited out, healthy again without waiting for a message."""
    sandbox.down = True
    async with polling(bot, inbox) as poller:
        await until(lambda: poller.health)
        sandbox.down = False
        await until(lambda: poller.health is None)


async def test_a_webhook_in_the_way_is_named_and_left_alone(sandbox: SandboxTelegram, bot: Bot, inbox: Inbox) -> None:
    """Somebody's production webhook is never silently deleted; the operator is told what to do."""
    await set_webhook(bot, "https://shop.example.com/telegram/webhook", SECRET)
    async with polling(bot, inbox) as poller:
        await until(lambda: poller.health)
        assert "webhook" in str(poller.health)
    assert (await bot.get_webhook_info()).url == "https://shop.example.com/telegram/webhook"


async def test_another_poller_is_named(sandbox: SandboxTelegram, bot: Bot, inbox: Inbox) -> None:
    """Two programs with one token: the one that is thrown out says so."""
    async with polling(bot, inbox) as first:
        await until(lambda: sandbox.calls)
        async with polling(bot, Inbox()) as second:
            await until(lambda: first.health or second.health)
            assert "another program" in str(first.health or second.health)


async def test_a_token_that_nobody_knows_is_named(sandbox: SandboxTelegram, inbox: Inbox) -> None:
    """The poller goes on asking, and says which settings to look at, without the token."""
    async with connect("999:wrong", sandbox.base_url) as stranger, polling(stranger, inbox) as poller:
        await until(lambda: poller.health)
        assert "TELEGRAM_BOT_TOKEN" in str(poller.health)
        assert "999:wrong" not in str(poller.health)


async def test_stop_ends_a_long_poll_at_once(sandbox: SandboxTelegram, bot: Bot, inbox: Inbox) -> None:
    """A question that waits is given up; what comes then is there for the next start."""
    async with asyncio.timeout(2):
        async with polling(bot, inbox):
            await until(lambda: sandbox.calls)
    await sandbox.customer().send("later")
    async with polling(bot, inbox):
        await until(lambda: inbox.texts == ["later"])


async def test_stop_lets_a_commit_finish(sandbox: SandboxTelegram, bot: Bot, inbox: Inbox) -> None:
    """What is being stored when the program ends is stored."""
    await sandbox.customer().send("last words")
    inbox.open.clear()
    poller = TelegramPoller(bot, inbox.commit, CLOCK)
    running = asyncio.create_task(poller.run())
    await until(lambda: inbox.attempts)
    stopping = asyncio.create_task(poller.stop())
    await asyncio.sleep(0.05)
    assert not stopping.done()
    inbox.open.set()
    await asyncio.wait_for(stopping, 2)
    await running
    assert inbox.texts == ["last words"]


async def test_stop_before_the_start_does_not_wait(bot: Bot, inbox: Inbox) -> None:
    """A program that ends before it began to poll ends."""
    await asyncio.wait_for(TelegramPoller(bot, inbox.commit, CLOCK).stop(), 1)


@asynccontextmanager
async def served(webhook: TelegramWebhook) -> AsyncIterator[str]:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(status=await webhook.handle(request.headers, await request.read()))

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/telegram/webhook"
    finally:
        await webhook.stop()
        await runner.cleanup()


async def test_the_webhook_stores_before_it_says_so(sandbox: SandboxTelegram, bot: Bot, inbox: Inbox) -> None:
    """By HTTP as by polling: stored, answered, and brought again by Telegram where storing failed."""
    inbox.failures = 1
    customer = await asked(sandbox, bot)
    async with served(TelegramWebhook(bot, SECRET, inbox.commit, CLOCK)) as url:
        await set_webhook(bot, url, SECRET)
        await customer.tap("Yes")
        await until(lambda: len(inbox.rows) == 2)
        await until(lambda: [call for call in sandbox.calls if call.method == "answerCallbackQuery"])
    assert [type(translate(row.payload)) for row in inbox.rows] == [ChatStarted, ButtonTapped]
    assert inbox.attempts == 3


UPDATE = {"update_id": 1, "message": {"message_id": 1, "text": "hi"}}


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"x-telegram-bot-api-secret-token": SECRET}, json.dumps(UPDATE), 200),
        ({"X-Telegram-Bot-Api-Secret-Token": SECRET}, json.dumps(UPDATE), 200),
        ({"X-Telegram-Bot-Api-Secret-Token": SECRET + "x"}, json.dumps(UPDATE), 401),
        ({"X-Telegram-Bot-Api-Secret-Token": "é\udcff"}, json.dumps(UPDATE), 401),
        ({}, json.dumps(UPDATE), 401),
        ({"X-Telegram-Bot-Api-Secret-Token": SECRET}, "{", 400),
        ({"X-Telegram-Bot-Api-Secret-Token": SECRET}, "\xff", 400),
        ({"X-Telegram-Bot-Api-Secret-Token": SECRET}, "[" * 100_000, 400),
        ({"X-Telegram-Bot-Api-Secret-Token": SECRET}, "[]", 400),
        ({"X-Telegram-Bot-Api-Secret-Token": SECRET}, '{"update_id": true}', 400),
    ],
)
async def test_only_telegram_gets_in(bot: Bot, inbox: Inbox, headers: dict[str, str], body: str, status: int) -> None:
    """A wrong secret stores nothing, and what is no update is refused."""
    webhook = TelegramWebhook(bot, SECRET, inbox.commit, CLOCK)
    assert await webhook.handle(headers, body.encode("latin-1")) == status
    assert len(inbox.rows) == (status == 200)


async def test_what_could_not_be_stored_is_asked_for_again(bot: Bot, inbox: Inbox) -> None:
    """503 makes Telegram bring the update again."""
    inbox.failures = 1
    webhook = TelegramWebhook(bot, SECRET, inbox.commit, CLOCK)
    headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
    assert await webhook.handle(headers, json.dumps(UPDATE).encode()) == 503
    assert await webhook.handle(headers, json.dumps(UPDATE).encode()) == 200


@pytest.mark.parametrize("secret", ["", "with space", "x" * 257])
async def test_a_webhook_without_a_good_secret_is_refused(bot: Bot, inbox: Inbox, secret: str) -> None:
    """An empty secret would let anybody write in a customer's name."""
    with pytest.raises(ConfigurationError, match="TELEGRAM_WEBHOOK_SECRET"):
        TelegramWebhook(bot, secret, inbox.commit, CLOCK)
    with pytest.raises(ConfigurationError, match="TELEGRAM_WEBHOOK_SECRET"):
        await set_webhook(bot, "https://shop.example.com/telegram/webhook", secret)


async def test_a_bad_webhook_address_names_the_setting(bot: Bot) -> None:
    """Telegram's refusal becomes advice for the operator."""
    with pytest.raises(ConfigurationError, match="PUBLIC_URL"):
        await set_webhook(bot, "ftp://shop.example.com", SECRET)


async def test_the_doctor_finds_a_healthy_bot_healthy(bot: Bot) -> None:
    """Polling without a webhook: nothing to mend."""
    findings = await check(bot, "polling")
    assert {finding.name: finding.ok for finding in findings} == {
        "Telegram token": True,
        "Telegram updates": True,
        "Telegram backlog": True,
    }
    assert "@aftersale_sandbox_bot" in findings[0].said


async def test_the_doctor_sees_webhook_and_mode_at_odds(sandbox: SandboxTelegram, bot: Bot) -> None:
    """A webhook while polling, none in webhook mode, another address, too few kinds of updates: each has its mend."""

    async def broken(mode: Any, url: str | None = None) -> set[str]:
        findings = await check(bot, mode, url)
        assert all(finding.mend for finding in findings if not finding.ok)
        return {finding.name for finding in findings if finding.ok is False}

    url = "https://shop.example.com/telegram/webhook"
    assert await broken("webhook", url) == {"Telegram updates"}
    await set_webhook(bot, url, SECRET)
    assert await broken("webhook", url) == set()
    assert await broken("polling") == {"Telegram updates"}
    assert await broken("webhook", "https://other.example.com/telegram/webhook") == {"Telegram updates"}
    assert set((await bot.get_webhook_info()).allowed_updates) == set(ALLOWED_UPDATES)
    await bot.set_webhook(url, secret_token=SECRET, allowed_updates=["message"])
    assert await broken("webhook", url) == {"Telegram kinds of updates"}


async def test_the_doctor_names_a_wrong_token_and_a_network_that_is_down(sandbox: SandboxTelegram, bot: Bot) -> None:
    """A token is wrong only if Telegram says so; where it cannot be asked, nothing is claimed."""
    async with connect("999:wrong", sandbox.base_url) as stranger:
        (finding,) = await check(stranger, "polling")
    assert (finding.ok, "TELEGRAM_BOT_TOKEN" in finding.mend) == (False, True)
    sandbox.down = True
    (finding,) = await check(bot, "polling")
    assert (finding.ok, bool(finding.mend)) == (None, True)
