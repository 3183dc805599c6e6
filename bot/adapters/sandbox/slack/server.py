"""`SandboxSlack`: the HTTP server around the workspace, and the handle for tests and demos.

Checks tokens and scopes, reads bodies, plays faults, and joins the parts. The rules of single
methods stand in `web_api`.
"""

import asyncio
import json
import secrets
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Self, TypeVar

from aiohttp import web

from bot.adapters.sandbox.listening import Listening
from bot.adapters.sandbox.slack.arguments import Arguments, given_in, token_of
from bot.adapters.sandbox.slack.blocks import Json
from bot.adapters.sandbox.slack.delivery import Delivery, MissedAck, Timing
from bot.adapters.sandbox.slack.faults import NO_FAULT, Fault, Faults, PostRate
from bot.adapters.sandbox.slack.members import VERIFICATION_TOKEN, Member
from bot.adapters.sandbox.slack.signing_in import METHODS, SigningIn
from bot.adapters.sandbox.slack.views import Views
from bot.adapters.sandbox.slack.web_api import WebApi, all_scopes, method_named
from bot.adapters.sandbox.slack.workspace import (
    APP_ID,
    BOT_USER_ID,
    TEAM_ID,
    Ack,
    Channel,
    Message,
    Person,
    Refused,
    Telling,
    Workspace,
)

T = TypeVar("T")

CALLS_KEPT = 10_000
BODY_MAX_BYTES = 50_000_000
SHUTDOWN_SECONDS = 0.2
SUBSCRIPTIONS = frozenset(
    {"message.channels", "message.groups", "app_home_opened", "channel_archive"}
    | {"member_left_channel", "user_change"}
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the Web API, for the books.

    Attributes:
        method: Name of the method.
        arguments: What was given, without the token.
        error: Slack's error code; empty when it was done.
        at: The sandbox's time.
    """

    method: str
    arguments: Json
    error: str
    at: datetime


class SandboxSlack:
    """A whole Slack on 127.0.0.1; use it as `async with SandboxSlack(clock=…) as slack:`.

    Args:
        clock: Gives the workspace's time, aware UTC; message ids come from it.
        bot_token: The token that methods expect.
        app_token: The token that `apps.connections.open` expects.
        signing_secret: The key of signatures in HTTP mode.
        limits: Whether posts beyond one a second and channel are refused with 429.
        timing: Patience in real time; Slack's own by default.

    Attributes:
        scopes: Scopes of the bot token; take some away to see `missing_scope`.
        app_scopes: Scopes of the app token.
        subscriptions: Names of the events that the app hears of.
        latency: Waiting time before each answer.
        calls: The last calls of the Web API.
        signing_in: Sign in with Slack.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        bot_token: str = "xoxb-sandbox",
        app_token: str = "xapp-sandbox",
        signing_secret: str = "sandbox-secret",
        limits: bool = False,
        timing: Timing | None = None,
    ) -> None:
        timing = timing or Timing()
        self.bot_token = bot_token
        self.app_token = app_token
        self.limits = limits
        self.scopes = all_scopes()
        self.app_scopes = {"connections:write"}
        self.subscriptions = set(SUBSCRIPTIONS)
        self.latency = timedelta(0)
        self.calls: deque[Call] = deque(maxlen=CALLS_KEPT)
        self.workspace = Workspace(clock, timing.trigger_lives)
        self.workspace.emit = self._emit
        self.signing_in = SigningIn(self.workspace)
        self._views = Views(self.workspace)
        self._api = WebApi(self.workspace, self._views)
        self._delivery = Delivery(signing_secret, timing, self.workspace.changed)
        self._faults = Faults()
        self._posts = PostRate()
        self._tickets: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._listening: Listening | None = None

    async def __aenter__(self) -> Self:
        """Start listening on a free port."""
        app = web.Application(client_max_size=BODY_MAX_BYTES)
        app.router.add_route("*", "/api/{method}", self._serve_method)
        app.router.add_get("/openid/connect/authorize", self.signing_in.serve_authorize)
        app.router.add_get("/link/{ticket}", self._serve_socket)
        app.router.add_post("/respond/{key}", self._serve_response_url)
        app.router.add_post("/upload/v1/{file_id}", self._serve_upload)
        app.router.add_get("/files/{file_id}/{name}", self._serve_file)
        self._listening = Listening(web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS))
        self.workspace.origin = await self._listening.open()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Cut every connection and stop."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._delivery.close()
        if self._listening is not None:
            await self._listening.close()

    # ── people and channels ─────────────────────────────────────────────────

    @property
    def base_url(self) -> str:
        """The value for SLACK_API_BASE."""
        return f"{self.workspace.origin}/api/"

    def channel(
        self,
        channel_id: str,
        name: str | None = None,
        *,
        members: Iterable[Member] = (),
        private: bool = False,
        bot: bool = True,
    ) -> Channel:
        """Return the channel of this id, made now if need be; the bot is in it by default."""
        channel = self.workspace.channels.get(channel_id)
        if channel is None:
            channel = Channel(self.workspace, channel_id, name or channel_id.lower())
            channel.is_private = private
            if not bot:
                channel.member_ids.discard(BOT_USER_ID)
            self.workspace.channels[channel_id] = channel
        channel.member_ids |= {member.id for member in members}
        return channel

    def member(
        self,
        name: str,
        user_id: str | None = None,
        *,
        tz: str = "Europe/Copenhagen",
        guest: bool = False,
        one_channel: bool = False,
        stranger: bool = False,
        admin: bool = False,
    ) -> Member:
        """Return a new member of staff to play.

        A guest may be one of a single channel; a stranger comes from another workspace.
        """
        user_id = user_id or self.workspace.new_id("U")
        person = Person(
            id=user_id, name=name, tz=tz, guest=guest, one_channel=one_channel, stranger=stranger, admin=admin
        )
        self.workspace.people[user_id] = person
        return Member(
            person,
            self.workspace,
            views=self._views,
            api=self._api,
            delivery=self._delivery,
        )

    # ── reading ─────────────────────────────────────────────────────────────

    def thread(self, message: Message) -> list[Message]:
        """Return the replies below a message as they stand now, oldest first."""
        return list(message.replies)

    async def wait_thread(
        self,
        message: Message,
        wanted: Callable[[Message], bool],
        timeout: float = 5,  # noqa: ASYNC109 - part of the agreed signature
    ) -> Message:
        """Return the first reply below a message that fits, now or when it comes.

        Raises:
            TimeoutError: None fitted within `timeout` seconds of real time; its text shows
                the thread.
        """
        return await self.workspace.wait_until(
            lambda: next(filter(wanted, message.replies), None),
            seconds=timeout,
            otherwise=lambda: (
                "no such reply; the thread holds:\n" + "\n".join(reply.plain() for reply in message.replies)
            ),
        )

    async def wait_until(
        self,
        holds: Callable[[], bool],
        timeout: float = 5,  # noqa: ASYNC109 - as in the other waits
    ) -> None:
        """Return as soon as something is so; looked at after every change of the workspace.

        Raises:
            TimeoutError: It was not so within `timeout` seconds of real time.
        """
        await self.workspace.wait_until(
            lambda: holds() or None, seconds=timeout, otherwise=lambda: "it did not come to be"
        )

    @property
    def missed_acks(self) -> list[MissedAck]:
        """Deliveries that the app did not acknowledge in time."""
        return list(self._delivery.missed)

    @property
    def delivered(self) -> list[tuple[str, Json]]:
        """Every payload handed out, with its kind, repeats included."""
        return list(self._delivery.delivered)

    def file_content(self, file_id: str) -> bytes:
        """Return the bytes of an uploaded file.

        Raises:
            KeyError: Nothing was uploaded under this id.
        """
        return self.workspace.file_bytes[file_id]

    def worst_second(self, channel: Channel | str | None = None) -> int:
        """Return the most posts that came within one second of real time, refused ones too."""
        return self._posts.worst_second(channel.id if isinstance(channel, Channel) else channel)

    # ── connections ─────────────────────────────────────────────────────────

    @property
    def http_url(self) -> str | None:
        """Where payloads go as signed requests; None for Socket Mode."""
        return self._delivery.http_url

    @http_url.setter
    def http_url(self, url: str | None) -> None:
        self._delivery.http_url = url

    @property
    def connections(self) -> int:
        """Open sockets."""
        return self._delivery.connections

    async def wait_connected(
        self,
        timeout: float = 5,  # noqa: ASYNC109 - part of the agreed signature
    ) -> None:
        """Return as soon as a socket is open.

        Raises:
            TimeoutError: None was opened within `timeout` seconds of real time.
        """
        await self.workspace.wait_until(
            lambda: self._delivery.connections or None,
            seconds=timeout,
            otherwise=lambda: "no app connected over Socket Mode",
        )

    async def refresh_sockets(self) -> None:
        """Make every socket reconnect, as Slack does now and then."""
        await self._delivery.refresh()

    async def verify_http_url(self) -> bool:
        """Send `url_verification` to the URL; tell whether the challenge came back."""
        challenge = secrets.token_hex(16)
        question = {
            "type": "url_verification",
            "token": VERIFICATION_TOKEN,
            "challenge": challenge,
        }
        headers = {"Content-Type": "application/json"}
        status, text = await self._delivery.request(json.dumps(question), headers)
        return status == HTTPStatus.OK and challenge in text

    # ── faults ──────────────────────────────────────────────────────────────

    @property
    def down(self) -> bool:
        """Whether every connection is closed without an answer; setting it cuts sockets."""
        return self._delivery.is_down

    @down.setter
    def down(self, value: bool) -> None:
        self._delivery.is_down = value
        if value:
            self._delivery.cut()

    async def go_offline(self) -> None:
        """Cut every connection and listen no more: whoever connects is refused, as where no network is."""
        self.down = True
        if self._listening is not None:
            await self._listening.go_offline()

    async def come_online(self) -> None:
        """Listen again, at the same address."""
        if self._listening is not None:
            await self._listening.come_online()
        self.down = False

    def forget_faults(self) -> None:
        """Take back every fault that was ordered and has not come up yet."""
        self._faults.forget()

    def fail_next(
        self,
        method: str,
        error: str,
        *,
        status: int = 200,
        retry_after: int | None = None,
        times: int = 1,
    ) -> None:
        """Refuse the next calls of a method (`*`: of any) without doing their work.

        Args:
            method: For example `chat.postMessage`.
            error: Slack's code, for example `ratelimited` (which makes the status 429).
            status: HTTP status.
            retry_after: Whole seconds for the Retry-After header.
            times: How many calls.
        """
        if error == "ratelimited":
            status, retry_after = 429, 1 if retry_after is None else retry_after
        fault = Fault(error=error, status=status, retry_after=retry_after)
        self._faults.plan(method, fault, times)

    def hang_next(self, method: str, seconds: float, *, acts: bool = True) -> None:
        """Let the next call of a method wait before its work is done, or, unless it `acts`, is not done at all."""
        self._faults.plan(method, Fault(hang=timedelta(seconds=seconds), is_lost=not acts))

    def drop_reply_next(self, method: str, times: int = 1) -> None:
        """Do the work of the next call, then close the connection without an answer."""
        self._faults.plan(method, Fault(drop_reply=True), times)

    def repeat_next_envelope(self, times: int = 1) -> None:
        """Hand the next payload out again, in new envelopes."""
        self._delivery.repeats += times

    # ── HTTP ────────────────────────────────────────────────────────────────

    async def _serve_method(self, request: web.Request) -> web.Response:
        name = request.match_info["method"]
        if self.down:
            return _hung_up(request)
        fault = self._faults.next_for(name)
        if self.latency:
            await asyncio.sleep(self.latency.total_seconds())
        given: Json = {}
        answer: Json
        try:
            given = await given_in(request)
            if fault.hang:  # The call is in by now: it takes effect even if the caller dies meanwhile.
                await asyncio.sleep(fault.hang.total_seconds())
            if fault.is_lost:
                return _hung_up(request)
            token = token_of(request, given)
            limited = self._limited(name, given)
            fault = limited if fault is NO_FAULT else fault
            if fault.error:
                raise Refused(fault.error)  # noqa: TRY301 - one place makes refusals answers
            answer = {"ok": True, **self._answer(name, token, Arguments(given))}
        except Refused as refused:
            answer = {"ok": False, "error": refused.error, **refused.extra}
            if refused.messages:
                answer["response_metadata"] = {"messages": refused.messages}
        self.calls.append(Call(name, given, answer.get("error", ""), self.workspace.clock()))
        if fault.drop_reply or self.down:
            return _hung_up(request)
        headers = {"x-oauth-scopes": ",".join(sorted(self.scopes)), "x-slack-req-id": "sandbox"}
        if fault.retry_after is not None:
            headers["Retry-After"] = str(fault.retry_after)
        return web.json_response(answer, status=fault.status, headers=headers)

    def _limited(self, name: str, given: Json) -> Fault:
        if name != "chat.postMessage":
            return NO_FAULT
        channel_id = str(given.get("channel"))
        self._posts.note(channel_id)
        if self.limits and not self._posts.admits(channel_id):
            return Fault(error="ratelimited", status=429, retry_after=1)
        return NO_FAULT

    def _answer(self, name: str, token: str, args: Arguments) -> Json:
        if name in METHODS:
            return self.signing_in.answer(name, token, args)
        if not token:
            raise Refused("not_authed")
        if token not in {self.bot_token, self.app_token}:
            raise Refused("invalid_auth")
        if name == "apps.connections.open":
            return self._opened_connection(token)
        if token == self.app_token and name != "auth.test":
            raise Refused("not_allowed_token_type")
        method = method_named(name)
        if method is None:
            raise Refused("unknown_method", req_method=name)
        scopes = self._scopes_needed(method.scopes, args)
        if scopes and not self.scopes.intersection(scopes):
            provided = ",".join(sorted(self.scopes))
            raise Refused("missing_scope", needed=scopes[0], provided=provided)
        return method.run(self._api, args)

    def _scopes_needed(self, scopes: tuple[str, ...], args: Arguments) -> tuple[str, ...]:
        channel = self.workspace.channels.get(args.text("channel"))
        if len(scopes) == 1 or channel is None:
            return scopes
        return scopes[1:] if channel.is_private else scopes[:1]

    def _opened_connection(self, token: str) -> Json:
        if token != self.app_token:
            raise Refused("not_allowed_token_type")
        if "connections:write" not in self.app_scopes:
            raise Refused("missing_scope", needed="connections:write", provided="")
        ticket = secrets.token_hex(16)
        self._tickets.add(ticket)
        origin = self.workspace.origin.replace("http", "ws", 1)
        return {"url": f"{origin}/link/{ticket}?app_id={APP_ID}"}

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        if self.down:
            return _hung_up(request)
        ticket = request.match_info["ticket"]
        if ticket not in self._tickets:
            return web.Response(status=408, text="the ticket is used or unknown")
        self._tickets.discard(ticket)
        return await self._delivery.serve(request)

    async def _serve_response_url(self, request: web.Request) -> web.Response:
        if self.down:
            return _hung_up(request)
        try:
            given = await given_in(request)
            ticket = self.workspace.redeem_response_url(request.match_info["key"])
            self._api.respond(ticket, Arguments(given))
        except Refused as refused:
            return web.json_response({"ok": False, "error": refused.error}, status=404)
        return web.Response(text="ok")

    async def _serve_upload(self, request: web.Request) -> web.Response:
        file = self.workspace.files.get(request.match_info["file_id"])
        if file is None or self.down:
            return _hung_up(request) if self.down else web.Response(status=404)
        content = await request.read()
        if len(content) != file["size"]:
            return web.Response(status=400, text=f"expected {file['size']} bytes")
        self.workspace.file_bytes[file["id"]] = content
        return web.Response(text=f"OK - {len(content)}")

    async def _serve_file(self, request: web.Request) -> web.Response:
        content = self.workspace.file_bytes.get(request.match_info["file_id"])
        if request.headers.get("Authorization") != f"Bearer {self.bot_token}":
            # Slack sends whoever has no right to a page where one can sign in.
            return web.Response(text="<html>sign in</html>", content_type="text/html")
        if content is None or "files:read" not in self.scopes:
            return web.Response(status=404)
        return web.Response(body=content)

    # ── events ──────────────────────────────────────────────────────────────

    def _emit(self, channel: Channel | None, event: Json) -> Telling:
        if channel is not None and BOT_USER_ID not in channel.member_ids:
            return Telling()
        name = event["type"]
        if name == "message":
            name = f"message.{event['channel_type']}s"
        if name not in self.subscriptions or not self._delivery.has_way:
            return Telling()
        return Telling(self._spawn(self._tell(self._event_callback(channel, event))))

    def _event_callback(self, channel: Channel | None, event: Json) -> Json:
        event = json.loads(json.dumps(event))
        event.setdefault("event_ts", event.get("ts") or self.workspace.new_ts())
        if channel is not None:
            event["channel"] = channel.id
        person = self.workspace.people.get(event["user"]) if isinstance(event.get("user"), str) else None
        if person is not None and person.stranger:
            event |= dict.fromkeys(("team", "user_team", "source_team"), person.team_id)
        return {
            "token": VERIFICATION_TOKEN,
            "team_id": TEAM_ID,
            "api_app_id": APP_ID,
            "event": event,
            "type": "event_callback",
            "event_id": self.workspace.new_id("Ev"),
            "event_time": int(event["event_ts"].partition(".")[0]),
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": TEAM_ID,
                    "user_id": BOT_USER_ID,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": False,
        }

    async def _tell(self, payload: Json) -> Ack:
        def try_again(attempt: int) -> None:
            _ = self._spawn(self._delivery.retry_event(payload, attempt))

        return await self._delivery.hand_over_event(payload, try_again)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _hung_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
