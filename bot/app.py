"""The composition root: settings → adapters + storage + use cases, and the loops that keep them going.

`Program` is the whole product over a database, a clock and two channels; `open_service` builds it from settings with
the real adapters, which cannot tell a sandbox from the world. No rule of the product stands here.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import structlog
from pydantic import SecretStr
from slack_bolt.async_app import AsyncApp
from telegram import Bot

from bot import cases, conversations, inbox
from bot.adapters.clock import SystemClock
from bot.adapters.flow_files import FlowFiles
from bot.adapters.metrics import registry_of
from bot.adapters.scheduler import Ticker
from bot.adapters.shop_file import read_shop_file
from bot.adapters.slack import translate as slack_words
from bot.adapters.slack.listeners import CaseFacts
from bot.adapters.slack.poster import SlackPoster
from bot.adapters.slack.receiver import SlackSocket, build_app, close_app, http_handler
from bot.adapters.telegram import translate
from bot.adapters.telegram.connection import connect, set_webhook, username
from bot.adapters.telegram.messenger import TelegramMessenger
from bot.adapters.telegram.receiver import TelegramPoller, TelegramWebhook
from bot.adapters.web import build_web, serve
from bot.desk.shop import Shop
from bot.dispatch import Dispatcher
from bot.errors import ConfigurationError, FollowUpError
from bot.flows.parse import read_flow
from bot.messages import House
from bot.pacing import Pacer
from bot.ports.channels import Channel, Clock
from bot.ports.records import Incoming, Outgoing
from bot.ports.store import UnitOfWork
from bot.settings import Settings
from storage.database import SqlDatabase, open_database

_log = structlog.get_logger("aftersale.app")

BATCH = 100
SLACK_PER_SECOND = 1.0
"""How many messages a channel takes. Source: https://docs.slack.dev/apis/web-api/rate-limits (read 2026-11-22)."""

USERNAME = "telegram.username"
"""Under which note the bot's user name is kept, so that links can be made while Telegram is down."""


class Program:
    """The product, put together: it takes in, decides, and sends. `run` keeps it going.

    `quiet` waits until it rests.
    """

    def __init__(
        self,
        house: House,
        database: SqlDatabase,
        channels: Mapping[str, Channel],
        translators: inbox.Translators,
        flow_files: FlowFiles | None = None,
        slack_per_second: float = SLACK_PER_SECOND,
    ) -> None:
        """Put it together; nothing moves before `run` or one of the single steps.

        `flow_files` are watched, if given.
        """
        self.house, self.database, self._translators, self._flow_files = house, database, translators, flow_files
        shop = house.shop
        self.dispatcher = Dispatcher(
            database,
            house,
            channels,
            now=house.clock.now,
            paces={
                "telegram": Pacer(shop.messages_per_second),
                "chat": Pacer(shop.per_chat_per_second, burst=3),
                "slack": Pacer(slack_per_second, burst=3),
            },
            on_error=self._fault,
        )
        self._stopping = asyncio.Event()
        self._came_in, self._to_send = asyncio.Event(), asyncio.Event()

    # single steps

    async def commit(self, items: list[Incoming]) -> list[bool]:
        """Commit what came in to the inbox; only then may the sender be told. Gives which of it was new."""
        news = await self.database.run(lambda uow: uow.receive(items))
        self._came_in.set()
        return news

    async def commit_all(self, items: list[Incoming]) -> None:
        """Commit what came in, for adapters that need not know what was new."""
        await self.commit(items)

    async def handle_inbox(self) -> int:
        """Handle a batch of what came in, in one transaction. Gives how many rows."""
        try:
            return await self.database.run(lambda uow: self._handle(uow, BATCH))
        except FollowUpError:
            raise
        except Exception:  # noqa: BLE001 - something in the batch spoils it; below it is found and set aside
            return await self._handle_one_by_one()

    async def fire_moments(self) -> int:
        """Do what is due, a batch in one transaction. Gives how many moments."""
        now = self.house.clock.now()

        def work(uow: UnitOfWork, limit: int) -> int:
            due = uow.due_moments(now, limit)
            for moment in due:
                conversations.moment_came(uow, self.house, moment, now)
            return len(due)

        try:
            return await self.database.run(lambda uow: work(uow, BATCH))
        except FollowUpError:
            raise
        except Exception as error:  # noqa: BLE001 - as above: one moment that spoils must not keep the others back
            _log.exception("moments_failed")
            return await self._fire_one_by_one(work, error)

    def reload(self) -> None:
        """Take changed flow files into use; one that is no longer valid leaves its last good version in place."""
        for error in self._flow_files.reload_if_changed() if self._flow_files else ():
            _log.warning("flow_refused", problem=str(error))

    def wake(self) -> None:
        """Look now whether something is due (the clock was moved, another process wrote)."""
        self._came_in.set()
        self._to_send.set()

    async def tick(self) -> None:
        """Do what is due by now, settle what dead senders left, and wake the loops."""
        while await self.fire_moments() == BATCH:
            pass
        await self.dispatcher.recover()
        self.reload()
        self.wake()

    def is_resting(self, uow: UnitOfWork) -> bool:
        """Tell whether nothing is to be done at this moment of the clock."""
        now = self.house.clock.now()
        times = (uow.next_moment_at(), uow.next_outgoing_at())
        busy = uow.inbox(("new",), 1) or uow.outbox(("sending",), 1)
        return not busy and all(at is None or at > now for at in times)

    async def settle(self) -> None:
        """Do all that is due at this moment of the clock, until nothing is left: for commands, sandbox and tests."""
        while True:
            busy = await self.handle_inbox() + await self.fire_moments() + await self.dispatcher.pump()
            await self.dispatcher.landed()
            if not busy and await self.database.run(self.is_resting):
                return

    # the loops

    async def run(self, *, interval: timedelta = timedelta(seconds=1)) -> None:
        """Keep going until `stop`; then finish what is in flight."""
        ticker = Ticker(self.tick, interval=interval)
        await self._when_it_works(self.tick)
        ticker.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._loop(self.handle_inbox, self._came_in, then=self._to_send))
                group.create_task(self._loop(self.dispatcher.pump, self._to_send))
        finally:
            await ticker.stop()
            await self.dispatcher.landed()

    def stop(self) -> None:
        """End `run`: nothing new is begun, what is in flight is finished."""
        self._stopping.set()
        self.wake()

    async def _loop(
        self, work: Callable[[], Awaitable[int]], wake: asyncio.Event, then: asyncio.Event | None = None
    ) -> None:
        while not self._stopping.is_set():
            wake.clear()
            done = await self._when_it_works(work)
            if done and then is not None:
                then.set()
            if not done and not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), timeout=1)

    async def _when_it_works(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do `work`; while the database cannot be reached, wait and try again. Nothing is lost by that."""
        pause = 1.0
        while not self._stopping.is_set():
            try:
                return await work()
            except Exception:  # noqa: BLE001 - the loops outlive whatever fails; the log says what
                _log.exception("loop_failed", again_in_seconds=pause)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), timeout=pause)
                pause = min(pause * 2, 30.0)
        return 0

    # what spoils a batch

    def _handle(self, uow: UnitOfWork, limit: int) -> int:
        now = self.house.clock.now()
        items = uow.new_incoming(limit)
        for item in items:
            inbox.handle(uow, self.house, self._translators, item, now)
        return len(items)

    async def _handle_one_by_one(self) -> int:
        handled = 0
        for _ in range(BATCH):
            found: list[Incoming] = []

            def one(uow: UnitOfWork, found: list[Incoming] = found) -> int:
                found[:] = uow.new_incoming(1)
                return self._handle(uow, 1)

            try:
                done = await self.database.run(one)
            except Exception as error:
                if not found or found[0].id is None:
                    raise
                reference = self.house.new_id()
                _log.exception("inbox_row_failed", id=found[0].id, source=found[0].source, reference=reference)
                reason = f"{type(error).__name__}: {error} (reference {reference})"
                await self._set_aside(found[0].id, reason)
                done = 1
            if not done:
                break
            handled += 1
        return handled

    async def _set_aside(self, row: int, reason: str) -> None:
        await self.database.run(lambda uow: uow.settle_incoming(row, "failed", reason))

    async def _fire_one_by_one(self, work: Callable[[UnitOfWork, int], int], first: Exception) -> int:
        now = self.house.clock.now()
        fired = 0
        for _ in range(BATCH):
            try:
                if not await self.database.run(lambda uow: work(uow, 1)):
                    break
            except Exception as error:  # noqa: BLE001 - this moment is the poison: held, visibly, with its error
                reason = f"failed: {type(error).__name__}: {error}"

                def hold(uow: UnitOfWork, reason: str = reason) -> None:
                    for moment in uow.due_moments(now, 1):
                        uow.settle(moment.id or 0, "held", reason)

                await self.database.run(hold)
            fired += 1
        if not fired:
            raise first
        return fired

    def _fault(self, message: Outgoing, error: Exception) -> None:
        _log.error("message_failed", id=message.id, kind=message.kind, error=f"{type(error).__name__}: {error}")


# From settings ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Base:
    """What every command needs: the house and its database, no adapters."""

    house: House
    database: SqlDatabase
    flow_files: FlowFiles


@contextlib.contextmanager
def open_base(
    settings: Settings, *, clock: Clock | None = None, shop: Shop | None = None, flow_files: FlowFiles | None = None
) -> Iterator[Base]:
    """Open house and database, for commands that talk to nobody. `flow_files` may be loaded already.

    Raises:
        ConfigurationError, FlowError: a setting, shop.yaml or the database cannot be used; the text says what to do.
    """
    flows = flow_files or FlowFiles(settings.flows_dir)
    if flow_files is None:
        flows.load()
    house = House(shop or read_shop_file(settings.shop_file), flows, clock or SystemClock())
    database = open_database(settings.database_url)
    try:
        demand_current(database)
        house.bot_username = database.run_now(lambda uow: uow.note(USERNAME)) or ""
        keep_flows(flows, database, house.clock.now())
        yield Base(house, database, flows)
    finally:
        database.close()


def keep_flows(flows: FlowFiles, database: SqlDatabase, now: datetime) -> None:
    """Keep the flows in use for ever, and let the newest kept ones serve for files that cannot be read."""
    if flows.errors:
        kept = database.run_now(lambda uow: uow.latest_flows())
        read = (read_flow(source, name)[0] for name, source in kept.items())
        flows.stand_in({flow.name: flow for flow in read if flow is not None})

    def keep(uow: UnitOfWork) -> None:
        for flow in flows.flows.values():
            uow.put_flow(flow.name, flow.version, flow.source, now)

    database.run_now(keep)


def demand_current(database: SqlDatabase) -> None:
    """Make sure that the tables fit the program.

    Raises:
        ConfigurationError: they do not; the text says what to do.
    """
    state = database.schema_state()
    if state in ("empty", "old"):
        raise ConfigurationError("DATABASE_URL", f"the database's tables are {state}", "run: aftersale migrate")
    if state == "newer":
        mend = "install the newest aftersale, or restore the backup made before the upgrade"
        raise ConfigurationError("DATABASE_URL", "the database was made by a newer aftersale", mend)


@dataclass(slots=True)
class Service:
    """The program with its doors open. `address` is where HTTP is served."""

    program: Program
    address: str
    problems: Callable[[], list[str]]


@asynccontextmanager
async def open_service(
    settings: Settings,
    *,
    clock: Clock | None = None,
    shop: Shop | None = None,
    flow_files: FlowFiles | None = None,
    slack_per_second: float = SLACK_PER_SECOND,
) -> AsyncIterator[Service]:
    """Open everything that `aftersale run` needs: adapters, doors and loops; closing finishes what is in flight.

    A channel that cannot be reached keeps nothing else waiting: it is tried until it answers.

    Raises:
        ConfigurationError: something that only the operator can mend.
    """
    settings.require("telegram", "slack")
    async with AsyncExitStack() as stack:
        base = stack.enter_context(open_base(settings, clock=clock, shop=shop, flow_files=flow_files))
        house, database = base.house, base.database
        token = _secret(settings.telegram_bot_token)
        bot = await stack.enter_async_context(connect(token, settings.telegram_api_base))
        poster = await stack.enter_async_context(_poster(settings))
        channels: dict[str, Channel] = {"telegram": TelegramMessenger(bot), "slack": poster}
        words = inbox.Translators(translate.translate, slack_words.translate)
        program = Program(house, database, channels, words, base.flow_files, slack_per_second)
        slack = _slack_app(settings, program)
        watched: Watched = {}
        slack_http = None
        if settings.slack_mode == "http":
            slack_http = http_handler(slack)
        telegram_webhook = None
        if settings.telegram_mode == "webhook":
            hook = TelegramWebhook(bot, _secret(settings.telegram_webhook_secret), program.commit_all, house.clock)
            stack.push_async_callback(hook.stop)
            telegram_webhook = hook.handle

        def problems() -> list[str]:
            told = ((name, why()) for name, why in watched.items())
            return [f"{name}: {said}" for name, said in told if said]

        async def healthy() -> dict[str, Any]:
            counts = await database.read(lambda reports: reports.counts())
            return {"ready": not problems(), "problems": problems(), "counts": counts}

        web = build_web(
            receive_events=program.commit,
            telegram_webhook=telegram_webhook,
            slack_http=slack_http,
            health=healthy,
            intake_secret=_secret(settings.intake_secret) or None,
            clock=house.clock,
            metrics=registry_of(lambda: database.reports().counts()),
        )
        address = await stack.enter_async_context(serve(web, settings.http_host, settings.http_port))
        running = asyncio.create_task(program.run())
        stack.push_async_callback(_stopped, program, running)
        _open_slack(stack, settings, slack, watched)
        await _open_telegram(stack, settings, program, bot, watched)
        yield Service(program, address, problems)


async def _stopped(program: Program, running: asyncio.Task[None]) -> None:
    program.stop()
    await running


Watched: TypeAlias = dict[str, Callable[[], str | None]]
"""What can be unwell: each gives why, in words for the operator, or None."""


@asynccontextmanager
async def _poster(settings: Settings) -> AsyncIterator[SlackPoster]:
    poster = SlackPoster(_secret(settings.slack_bot_token), settings.slack_api_base)
    try:
        yield poster
    finally:
        await poster.close()


def _slack_app(settings: Settings, program: Program) -> AsyncApp:
    house, shop = program.house, program.house.shop

    async def facts(case_id: str) -> CaseFacts | None:
        found = await program.database.run(lambda uow: cases.customer_of(uow, house, case_id))
        return CaseFacts(*found) if found else None

    async def compose(case_id: str, name: str, text: str) -> str:
        return await program.database.run(lambda uow: cases.compose(uow, house, case_id, name, text))

    return build_app(
        token=_secret(settings.slack_bot_token),
        api_base=settings.slack_api_base,
        signing_secret=_secret(settings.slack_signing_secret),
        commit=program.commit_all,
        clock=house.clock,
        shop_name=shop.name,
        remedies={key: shop.remedy_label(key, "en") for key in shop.remedies},
        teams={name: name for name in shop.teams},
        case_lookup=facts,
        compose=compose,
    )


def _open_slack(stack: AsyncExitStack, settings: Settings, slack: AsyncApp, watched: Watched) -> None:
    if settings.slack_mode == "http":
        stack.push_async_callback(close_app, slack)
        return
    connection_ = SlackSocket(slack, _secret(settings.slack_app_token))
    watched["Slack"] = lambda: None if connection_.health.ok else connection_.health.said
    stack.push_async_callback(connection_.stop)
    # Not waited for: while Slack is down, Telegram is served all the same.
    stack.push_async_callback(_cancelled, asyncio.create_task(connection_.start()))


async def _open_telegram(
    stack: AsyncExitStack, settings: Settings, program: Program, bot: Bot, watched: Watched
) -> None:
    """Learn the bot's name and open its door; while Telegram cannot be reached, both are tried again and again."""
    trouble: list[str | None] = [None]
    watched["Telegram"] = lambda: trouble[0]

    async def introduce() -> None:
        pause = 1.0
        while True:
            try:
                name = await username(bot)
                program.house.bot_username = name
                await program.database.run(lambda uow: uow.put_note(USERNAME, program.house.bot_username))
                if settings.telegram_mode == "webhook":
                    url = f"{settings.public_url}/telegram/webhook"
                    await set_webhook(bot, url, _secret(settings.telegram_webhook_secret))
            except FollowUpError as error:
                trouble[0] = str(error)
                _log.warning("telegram_not_reached", problem=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, 60.0)
            else:
                trouble[0] = None
                return

    introducing = asyncio.create_task(introduce())
    stack.push_async_callback(_cancelled, introducing)
    if settings.telegram_mode == "polling":
        poller = TelegramPoller(bot, program.commit_all, program.house.clock)
        watched["Telegram updates"] = lambda: poller.health
        polling = asyncio.create_task(poller.run())
        stack.push_async_callback(_cancelled, polling)
        stack.push_async_callback(poller.stop)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _secret(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
