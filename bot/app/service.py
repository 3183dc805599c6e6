"""The program with its doors open: real adapters from settings, which cannot tell a sandbox from the world."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeAlias

import structlog
from pydantic import SecretStr
from slack_bolt.async_app import AsyncApp
from starlette.types import ASGIApp
from telegram import Bot

from bot import inbox
from bot.adapters.flow_files import FlowFiles
from bot.adapters.metrics import Counted, registry_of
from bot.adapters.slack import translate as slack_words
from bot.adapters.slack.poster import SlackPoster
from bot.adapters.slack.receiver import SlackSocket, build_app, close_app, http_handler
from bot.adapters.telegram import translate
from bot.adapters.telegram.connection import connect, set_webhook, username
from bot.adapters.telegram.files import fetch_file
from bot.adapters.telegram.messenger import FREE_PER_SECOND, TelegramMessenger
from bot.adapters.telegram.receiver import TelegramPoller, TelegramWebhook
from bot.adapters.web import build_web, serve
from bot.app.alarming import LOOK_EVERY, Alarming
from bot.app.base import USERNAME, demand_taken_up, open_base
from bot.app.desk import DeskAnswers
from bot.app.lookout import Lookout, Pulse, Watched
from bot.app.program import SLACK_PER_SECOND, Program
from bot.app.sending import duty_of
from bot.desk.shop import Shop
from bot.errors import FollowUpError
from bot.ports.board import Answers
from bot.ports.channels import Channel, Clock
from bot.settings import Settings

_log = structlog.get_logger("aftersale.app")

POLLING = "telegram-polling"
LOOK_FOR_DUTY = 2.0
"""Seconds between looks whether a duty is still ours, or to be had."""

ANSWERED_WITHIN = 4.0
"""Seconds in which such a look must be answered. Who is cut off has stopped polling before another can begin: that is
when the server has not heard of the holder for `storage.duties.SILENCE`."""


OpenPages: TypeAlias = Callable[[Program, Settings], AbstractAsyncContextManager[ASGIApp]]
"""Opens the console's pages for a program; they stand above the app, and are handed in."""


@dataclass(slots=True)
class Service:
    """The program with its doors open. `address` is where HTTP is served.

    `unpublished` says where a flow's file says something else than what runs.
    """

    program: Program
    address: str
    problems: Callable[[], list[str]]
    alarming: Alarming
    unpublished: Sequence[str] = ()


@asynccontextmanager
async def open_service(
    settings: Settings,
    *,
    clock: Clock | None = None,
    shop: Shop | None = None,
    flow_files: FlowFiles | None = None,
    slack_per_second: float = SLACK_PER_SECOND,
    look_every: timedelta | None = LOOK_EVERY,
    pages: OpenPages | None = None,
) -> AsyncIterator[Service]:
    """Open everything that `aftersale run` needs: adapters, doors and loops; closing finishes what is in flight.

    A channel that cannot be reached keeps nothing else waiting: it is tried until it answers. `look_every` is how often
    it looks whether the operator must be told of something; None: only when asked. `pages` are served at ``/console``.

    Raises:
        ConfigurationError: something that only the operator can mend.
    """
    settings.require("telegram", "slack")
    async with AsyncExitStack() as stack:
        base = stack.enter_context(open_base(settings, clock=clock, shop=shop, flow_files=flow_files))
        house, database = base.house, base.database
        stack.enter_context(database.reserved())
        demand_taken_up(database)
        database.run_now(partial(base.flows.take_up, now=house.clock.now()))
        token = _secret(settings.telegram_bot_token)
        bot = await stack.enter_async_context(connect(token, settings.telegram_api_base))
        poster = await stack.enter_async_context(_poster(settings, bot))
        channels: dict[str, Channel] = {
            "telegram": TelegramMessenger(bot, is_paid=house.shop.messages_per_second > FREE_PER_SECOND),
            "slack": poster,
        }
        words = inbox.Translators(translate.translate, slack_words.translate)
        lookout = Lookout(database, house.clock)
        stack.push_async_callback(lookout.close)
        registry = registry_of(lookout.seen)
        pulse = Pulse(Counted(registry), house.clock)
        program = Program(house, database, channels, words, base.flows, slack_per_second, watch=pulse)
        slack = _slack_app(settings, program, DeskAnswers(program, lookout.problems))
        watched = lookout.watched
        for channel in channels:
            watched[f"{channel.capitalize()} sending"] = partial(pulse.why, channel)
            if not database.is_alone:
                lookout.duties.append(duty_of(channel))
        slack_http = None
        if settings.slack_mode == "http":
            slack_http = http_handler(slack)
        telegram_webhook = None
        if settings.telegram_mode == "webhook":
            hook = TelegramWebhook(bot, _secret(settings.telegram_webhook_secret), program.commit_all, house.clock)
            stack.push_async_callback(hook.stop)
            telegram_webhook = hook.handle

        console = await stack.enter_async_context(pages(program, settings)) if pages is not None else None
        web = build_web(
            receive_events=program.commit,
            telegram_webhook=telegram_webhook,
            slack_http=slack_http,
            health=lookout.health,
            why_not_ready=lookout.why_not_ready,
            intake_secret=_secret(settings.intake_secret) or None,
            clock=house.clock,
            metrics=registry,
            look=lookout.refresh,
            console=console,
        )
        address = await stack.enter_async_context(serve(web, settings.http_host, settings.http_port))
        running = asyncio.create_task(program.run())
        stack.push_async_callback(_stopped, program, running)
        _open_slack(stack, settings, slack, watched)
        await _open_telegram(stack, settings, program, bot, lookout)
        alarming = Alarming(house, database, lookout)
        if look_every is not None:
            stack.push_async_callback(_cancelled, asyncio.create_task(alarming.run(look_every)))
        yield Service(program, address, lookout.problems, alarming, base.flows.unpublished())


async def _stopped(program: Program, running: asyncio.Task[None]) -> None:
    program.stop()
    await running


@asynccontextmanager
async def _poster(settings: Settings, bot: Bot) -> AsyncIterator[SlackPoster]:
    token, fetch = _secret(settings.slack_bot_token), partial(fetch_file, bot)
    poster = SlackPoster(token, settings.slack_api_base, fetch=fetch)
    try:
        yield poster
    finally:
        await poster.close()


def _slack_app(settings: Settings, program: Program, answers: Answers) -> AsyncApp:
    return build_app(
        token=_secret(settings.slack_bot_token),
        api_base=settings.slack_api_base,
        signing_secret=_secret(settings.slack_signing_secret),
        commit=program.commit_all,
        clock=program.house.clock,
        shop=program.house.shop,
        answers=answers,
    )


def _open_slack(stack: AsyncExitStack, settings: Settings, slack: AsyncApp, watched: Watched) -> None:
    if settings.slack_mode == "http":
        stack.push_async_callback(close_app, slack)
        return
    connection_ = SlackSocket(slack, _secret(settings.slack_app_token))

    def why() -> str | None:
        health = connection_.health
        return None if health.ok else f"{health.said} → {health.mend}"

    watched["Slack"] = why
    stack.push_async_callback(connection_.stop)
    # Not waited for: while Slack is down, Telegram is served all the same.
    stack.push_async_callback(_cancelled, asyncio.create_task(connection_.start()))


async def _open_telegram(
    stack: AsyncExitStack, settings: Settings, program: Program, bot: Bot, lookout: Lookout
) -> None:
    """Learn the bot's name and open its door; while Telegram cannot be reached, both are tried again and again."""
    trouble: list[str | None] = [None]
    lookout.watched["Telegram"] = lambda: trouble[0]

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
        on_duty = _Polling(program, bot)
        lookout.watched["Telegram updates"] = lambda: on_duty.health
        lookout.duties.append(POLLING)
        polling = asyncio.create_task(on_duty.run())
        stack.push_async_callback(_cancelled, polling)


class _Polling:
    """Polls Telegram while this program has the duty: of several on one database only one may."""

    def __init__(self, program: Program, bot: Bot) -> None:
        self._program, self._bot = program, bot
        self._poller: TelegramPoller | None = None

    @property
    def health(self) -> str | None:
        """Why it is not well; None while it is, and while another program polls."""
        return self._poller.health if self._poller else None

    async def run(self) -> None:
        duties = self._program.database.duties
        while True:
            if await self._has_duty():
                self._poller = TelegramPoller(self._bot, self._program.commit_all, self._program.house.clock)
                polling = asyncio.create_task(self._poller.run())
                try:
                    while await self._has_duty():  # noqa: ASYNC110 - what is awaited happens in the database
                        await asyncio.sleep(LOOK_FOR_DUTY)
                finally:
                    await self._poller.stop()
                    await polling
                    self._poller = None
                    await asyncio.to_thread(duties.drop, POLLING)
            await asyncio.sleep(LOOK_FOR_DUTY)

    async def _has_duty(self) -> bool:
        try:
            async with asyncio.timeout(ANSWERED_WITHIN):
                return await asyncio.to_thread(self._program.database.duties.hold, POLLING)
        except TimeoutError:
            _log.warning("duty_unknown", duty=POLLING, problem="the database does not answer")
            return False
        except Exception:  # noqa: BLE001 - the database is out of reach: nothing could be stored either; look again
            _log.exception("duty_unknown", duty=POLLING)
            return False


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _secret(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
