"""The ways in from Slack: the Bolt app, signed HTTP requests, and the connection of Socket Mode.

Bolt runs with ``process_before_response``: nothing is acknowledged before its listener (see `listeners`) has ended.
Nothing that is typed in a channel or thread leads anywhere: no listener reads it (rule 5).

Source: https://docs.slack.dev/apis/events-api/using-socket-mode and …/authentication/verifying-requests-from-slack
(read 2026-11-22).
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TypeAlias

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest

from bot.adapters.slack import blocks, forms, home
from bot.adapters.slack.client import CALL_FAILURES, SlackClient, error_code, in_words, is_local
from bot.adapters.slack.listeners import Commit, Listeners
from bot.desk.shop import Shop
from bot.errors import ConfigurationError
from bot.ports.board import Answers
from bot.ports.channels import Clock, Finding

HttpHandler: TypeAlias = Callable[[str, Mapping[str, str], bytes], Awaitable[tuple[int, Mapping[str, str], bytes]]]

CONNECT_WITHIN = timedelta(seconds=15)
LOST_FOR = timedelta(minutes=1)
"""The SDK mends its own connection; after this long without one, a new one is made from the ground up."""
LOOK_EVERY = timedelta(seconds=2)
FINISH_WITHIN = timedelta(seconds=3)
"""How long what is being handled may take at the end: Slack waits no longer for an acknowledgement."""

HOME_OPENED, PERSON_CHANGED = "app_home_opened", "user_change"
EVENTS = frozenset({HOME_OPENED, PERSON_CHANGED})
"""The events that something is done about: what the manifest subscribes to, and no message among them (rule 5)."""

log = structlog.get_logger(__name__)


def build_app(
    *,
    token: str,
    api_base: str,
    signing_secret: str,
    commit: Commit,
    clock: Clock,
    shop: Shop,
    answers: Answers,
) -> AsyncApp:
    """Give the Bolt app that takes clicks, forms and commands. It calls nobody before the first of them comes.

    Args:
        token: the bot token.
        api_base: where the Web API is.
        signing_secret: what HTTP requests are signed with; may be "" in Socket Mode, where nothing is signed.
        commit: stores what came in; awaited before anything is acknowledged.
        clock: tells when it came in.
        shop: its name, teams, remedies, root causes and saved answers, and who may what.
        answers: what forms, the home tab and the command are told.

    Raises:
        ConfigurationError: the shop has no remedy, no team or no root cause to choose from.
    """
    for name, choices in (("remedies", shop.remedies), ("teams", shop.teams), ("root causes", shop.causes)):
        if not choices:
            raise ConfigurationError("shop.yaml", f"there are no {name}", f"write at least one under {name}")
    client = SlackClient(token, api_base)
    listeners = Listeners(client, commit, clock, shop, answers)

    async def authorize() -> AuthorizeResult:
        return await listeners.door.authorized()

    logging.getLogger("slack_bolt.AsyncApp").addFilter(_not_about_tokens)
    # `authorize` of our own: Bolt's answers 200 to a click that it could not authorise, and the click would be lost;
    # and it keeps SLACK_CLIENT_ID and SLACK_CLIENT_SECRET in the environment from switching to OAuth.
    app = AsyncApp(
        name="aftersale",
        client=client,
        authorize=authorize,
        signing_secret=signing_secret,
        process_before_response=True,
    )
    _listen(app, listeners)
    return app


def _not_about_tokens(record: logging.LogRecord) -> bool:
    """Leave out Bolt's warnings that it does not use SLACK_BOT_TOKEN from the environment: that is so on purpose."""
    return "will be unused" not in record.getMessage() and "will be ignored" not in record.getMessage()


async def close_app(app: AsyncApp) -> None:
    """End the kept connections of an app; `SlackSocket.stop` does it as well."""
    if isinstance(app.client, SlackClient):
        await app.client.close()


def http_handler(app: AsyncApp) -> HttpHandler:
    """Give what answers Slack's requests: takes path, headers and raw body, gives status, headers and body."""

    async def answer(_path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        try:
            request = AsyncBoltRequest(body=body.decode(), headers=dict(headers), mode="http")
        except ValueError:  # neither UTF-8 nor what its content type says
            return 400, {"content-type": "text/plain"}, b"this is not a request of Slack"
        response = await app.async_dispatch(request)
        return response.status, response.first_headers_without_set_cookie(), response.body.encode()

    return answer


def _listen(app: AsyncApp, to: Listeners) -> None:
    app.error(to.failed)
    app.action(blocks.CLAIM)(to.claim)
    for form in (blocks.REPLY, blocks.REMEDY, blocks.HAND_OVER, blocks.MORE):
        app.action(form)(to.open_form)
    app.action(blocks.TASK_DONE)(to.finish_task)
    app.action(forms.SAVED)(to.begin_with)
    app.view(forms.WRITE_VIEW)(to.preview)
    app.view(forms.SEND_VIEW)(to.send)
    app.view(forms.REMEDY_VIEW)(to.remedy)
    app.view(forms.HAND_OVER_VIEW)(to.hand_over)
    app.view(forms.SNOOZE_VIEW)(to.snooze)
    app.view(forms.CALL_VIEW)(to.call)
    app.view(forms.NOTE_VIEW)(to.note)
    app.view(forms.TASK_VIEW)(to.ask_team)
    app.view(forms.TASK_DONE_VIEW)(to.task_done)
    app.action(home.REFRESH)(to.refresh_home)
    app.action(home.PAUSE)(to.pause)
    app.action(home.RESUME)(to.resume)
    app.command(home.COMMAND)(to.command)
    for kind, listener in ((HOME_OPENED, to.home_opened), (PERSON_CHANGED, to.person_changed)):
        app.event(kind)(listener)
    # Whatever else comes is acknowledged, so that Slack does not send it again, and leads nowhere (rule 5).
    anything = re.compile(".*", re.DOTALL)
    app.event(anything)(_nothing)
    for listen_to in (app.action, app.view_submission, app.view_closed, app.shortcut, app.command):
        listen_to(anything)(_nothing)


async def _nothing(ack: AsyncAck) -> None:
    await ack()


class SlackSocket:
    """The connection of one app. Use `start` inside the running loop, `stop` at the end."""

    def __init__(
        self,
        app: AsyncApp,
        app_token: str,
        *,
        startup_timeout: timedelta = timedelta(seconds=10),
        retry_after: timedelta = timedelta(seconds=5),
    ) -> None:
        """Be ready to connect `app` with an app-level token (``xapp-…``)."""
        self._app = app
        self._app_token = app_token
        self._startup_timeout = startup_timeout
        self._retry_after = retry_after
        self._handler: _Handler | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._problem = "not started"

    @property
    def health(self) -> Finding:
        """How the connection stands at this moment."""
        session = self._handler.client.current_session if self._handler else None
        if session is not None and not session.closed:
            return Finding("Slack Socket Mode", ok=True, said="connected")
        mend = "it is tried again by itself; if it stays so, check SLACK_APP_TOKEN and the network"
        return Finding("Slack Socket Mode", ok=False, said=f"not connected: {self._problem}", mend=mend)

    async def start(self) -> None:
        """Connect; come back when connected, or after the startup timeout while it is still being tried."""
        first = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep(first))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._startup_timeout.total_seconds()):
                await first.wait()
        if not self.health.ok:
            log.warning("slack.socket_not_connected", problem=self._problem)

    async def stop(self) -> None:
        """Let what is being handled end, then disconnect."""
        if self._handler is not None and self._handler.busy:
            await asyncio.wait(self._handler.busy, timeout=FINISH_WITHIN.total_seconds())
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        await close_app(self._app)
        self._problem = "stopped"

    async def _keep(self, connected: asyncio.Event) -> None:
        while True:
            self._handler = _Handler(self._app, self._app_token, web_client=self._app.client)
            client: SocketModeClient = self._handler.client
            if is_local(self._app.client.base_url):
                client.proxy = None
            try:
                # Asked for here and not by the SDK, which would try a refused token for ever without saying so.
                answer = await self._app.client.apps_connections_open(app_token=self._app_token)
                client.wss_uri = answer["url"]
                connecting: Awaitable[None] = client.connect()  # type: ignore[no-untyped-call]  # the SDK's
                async with asyncio.timeout(CONNECT_WITHIN.total_seconds()):
                    await connecting
                connected.set()
                await _until_lost(client)
                self._problem = "the connection was lost"
            except CALL_FAILURES as error:
                self._problem = f"Slack says {in_words(error)}" if error_code(error) else in_words(error)
            finally:
                with suppress(*CALL_FAILURES):  # A connection that is broken already may not even close.
                    await _closed(self._handler)
            log.warning("slack.socket_lost", problem=self._problem)
            await asyncio.sleep(self._retry_after.total_seconds())


class _Handler(AsyncSocketModeHandler):
    """Bolt's handler, which also knows what it is busy with."""

    def __init__(self, *args: object, **more: object) -> None:
        self.busy: set[asyncio.Task[None]] = set()
        super().__init__(*args, **more)  # type: ignore[arg-type]  # Bolt's own arguments, passed on

    async def handle(self, client: SocketModeClient, req: SocketModeRequest) -> None:  # type: ignore[override]  # as Bolt does
        task = asyncio.current_task()
        if task is not None:
            self.busy.add(task)
            task.add_done_callback(self.busy.discard)
        await super().handle(client, req)


async def _until_lost(client: SocketModeClient) -> None:
    lost = timedelta(0)
    while lost < LOST_FOR:
        await asyncio.sleep(LOOK_EVERY.total_seconds())
        lost = timedelta(0) if await client.is_connected() else lost + LOOK_EVERY


async def _closed(handler: AsyncSocketModeHandler) -> None:
    client: SocketModeClient = handler.client
    tasks = [client.message_processor, client.current_session_monitor, client.message_receiver]
    await client.close()  # type: ignore[no-untyped-call]  # the SDK's
    await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)
