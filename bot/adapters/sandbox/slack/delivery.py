"""How payloads reach the app: WebSockets of Socket Mode, or signed HTTP requests.

Owns envelopes, acknowledgements, retries of events and the record of what was missed. It does
not know what a payload means.

Source: https://docs.slack.dev/apis/events-api/using-socket-mode (envelopes, disconnect),
https://docs.slack.dev/authentication/verifying-requests-from-slack (signature),
https://docs.slack.dev/apis/events-api (retries, three seconds).
"""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from bot.adapters.sandbox.slack.blocks import Json
from bot.adapters.sandbox.slack.workspace import APP_ID, Ack

SOCKETS_MAX = 10
GONE_GRACE = timedelta(seconds=2)


def wall_seconds() -> float:
    """Return the real time as seconds since 1970.

    Signatures are judged by the receiver's real clock, even where the sandbox's own is moved.
    """
    return time.time()  # noqa: TID251 - a signature must carry real time, see above


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How patient the sandbox is, in real time; the defaults are Slack's.

    Attributes:
        ack_within: Time in which the app must acknowledge.
        trigger_lives: Time in which a trigger_id can be used.
        retry_after: Waits before each further delivery of an event that was not acknowledged.
        wall_clock: Seconds since 1970 for signatures.
    """

    ack_within: timedelta = timedelta(seconds=3)
    trigger_lives: timedelta = timedelta(seconds=3)
    retry_after: tuple[timedelta, ...] = (
        timedelta(0),
        timedelta(minutes=1),
        timedelta(minutes=5),
    )
    wall_clock: Callable[[], float] = wall_seconds


@dataclass(slots=True)
class MissedAck:
    """One delivery that was not acknowledged in time.

    Attributes:
        kind: `interactive`, `events_api` or `slash_commands`.
        payload: What was delivered.
        reason: `timeout`, `no_connection`, `connection_failed` or `http_<status>`.
        attempt: 0 for the first delivery.
        came_late: Whether the acknowledgement came after all, too late.
    """

    kind: str
    payload: Json
    reason: str
    attempt: int
    came_late: bool = False


@dataclass(slots=True, eq=False)
class _Socket:
    ws: web.WebSocketResponse
    request: web.Request
    closed: asyncio.Event
    is_leaving: bool = False


class Delivery:
    """Hands payloads to the app and waits for its acknowledgement."""

    def __init__(self, signing_secret: str, timing: Timing, changed: Callable[[], None]) -> None:
        self.http_url: str | None = None
        self.missed: deque[MissedAck] = deque(maxlen=10_000)
        self.is_down = False
        self.repeats = 0
        self.delivered: deque[tuple[str, Json]] = deque(maxlen=10_000)
        self._secret = signing_secret
        self._timing = timing
        self._changed = changed
        self._sockets: list[_Socket] = []
        self._was_connected = False
        self._awaited: dict[str, asyncio.Future[Json | None]] = {}
        self._late: dict[str, MissedAck] = {}
        self._session: aiohttp.ClientSession | None = None

    @property
    def connections(self) -> int:
        """Open sockets that would be given a payload now."""
        return len(self._open())

    @property
    def has_way(self) -> bool:
        """Whether there is an app that expects payloads, even if it is away just now."""
        return self.http_url is not None or self._was_connected

    async def hand_over(self, kind: str, payload: Json) -> Ack:
        """Deliver one interaction or command; never retried, perhaps repeated on request."""
        ack = await self._attempt(kind, payload, 0)
        await self._repeat(kind, payload)
        return ack

    async def hand_over_event(self, payload: Json, later: Callable[[int], None]) -> Ack:
        """Deliver an event for the first time.

        Args:
            payload: The whole `event_callback`.
            later: Called with the number of the next attempt when this one was missed.
        """
        ack = await self._attempt("events_api", payload, 0)
        await self._repeat("events_api", payload)
        if not ack.acked:
            later(1)
        return ack

    async def retry_event(self, payload: Json, attempt: int) -> None:
        """Deliver an event again and again, as long as Slack would, until acknowledged."""
        for number, wait in enumerate(self._timing.retry_after[attempt - 1 :], attempt):
            await asyncio.sleep(wait.total_seconds())
            if (await self._attempt("events_api", payload, number)).acked:
                return

    async def _repeat(self, kind: str, payload: Json) -> None:
        while self.repeats > 0:
            self.repeats -= 1
            await self._attempt(kind, payload, 0)

    async def _attempt(self, kind: str, payload: Json, attempt: int) -> Ack:
        self.delivered.append((kind, payload))
        if self.is_down:
            return self._missed(kind, payload, "no_connection", attempt)
        if self.http_url is not None:
            return await self._over_http(kind, payload, attempt)
        return await self._over_socket(kind, payload, attempt)

    def _missed(self, kind: str, payload: Json, reason: str, attempt: int) -> Ack:
        self.missed.append(MissedAck(kind, payload, reason, attempt))
        self._changed()
        return Ack(acked=False, reason=reason)

    # ── Socket Mode ─────────────────────────────────────────────────────────

    def _open(self) -> list[_Socket]:
        return [s for s in self._sockets if not s.is_leaving and not s.ws.closed]

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one WebSocket until either side closes it."""
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        socket = _Socket(ws, request, asyncio.Event())
        self._sockets.append(socket)
        self._was_connected = True
        try:
            await ws.send_json(self._hello())
            self._changed()
            if len(self._open()) > SOCKETS_MAX:
                await self._send_off(self._open()[0], "too_many_websockets")
            async for frame in ws:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    self._take_ack(frame.data)
        except ConnectionError:
            pass  # The app went away in the middle of a greeting; its socket is dropped below.
        finally:
            self._sockets.remove(socket)
            socket.closed.set()
            self._changed()
        return ws

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self._open()),
            "debug_info": {"host": "sandbox", "approximate_connection_time": 18060},
            "connection_info": {"app_id": APP_ID},
        }

    def _take_ack(self, text: str) -> None:
        answer = json.loads(text)
        envelope_id = answer.get("envelope_id", "")
        future = self._awaited.get(envelope_id)
        if future is not None and not future.done():
            future.set_result(answer.get("payload"))
        elif envelope_id in self._late:
            self._late.pop(envelope_id).came_late = True
            self._changed()

    async def _over_socket(self, kind: str, payload: Json, attempt: int) -> Ack:
        sockets = self._open()
        if not sockets:
            return self._missed(kind, payload, "no_connection", attempt)
        envelope: Json = {
            "envelope_id": secrets.token_hex(16),
            "type": kind,
            "payload": payload,
            "accepts_response_payload": kind != "events_api",
        }
        if kind == "events_api":
            envelope["retry_attempt"] = attempt
            envelope["retry_reason"] = "timeout" if attempt else ""
        future: asyncio.Future[Json | None] = asyncio.get_running_loop().create_future()
        self._awaited[envelope["envelope_id"]] = future
        try:
            await secrets.choice(sockets).ws.send_json(envelope)
            answer = await asyncio.wait_for(future, self._timing.ack_within.total_seconds())
        except TimeoutError:
            ack = self._missed(kind, payload, "timeout", attempt)
            self._late[envelope["envelope_id"]] = self.missed[-1]
            return ack
        except ConnectionError:
            return self._missed(kind, payload, "connection_failed", attempt)
        finally:
            del self._awaited[envelope["envelope_id"]]
        return Ack(acked=True, payload=answer)

    async def _send_off(self, socket: _Socket, reason: str) -> None:
        socket.is_leaving = True
        await socket.ws.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}})

    async def refresh(self) -> None:
        """Tell every socket to reconnect, as Slack does every few hours, and see them off."""
        leaving = self._open()
        for socket in leaving:
            await self._send_off(socket, "refresh_requested")
        for socket in leaving:
            try:
                await asyncio.wait_for(socket.closed.wait(), GONE_GRACE.total_seconds())
            except TimeoutError:
                await socket.ws.close()

    def cut(self) -> None:
        """Cut every socket without a word."""
        for socket in self._sockets:
            socket.is_leaving = True
            if socket.request.transport is not None:
                socket.request.transport.abort()

    # ── HTTP ────────────────────────────────────────────────────────────────

    async def _over_http(self, kind: str, payload: Json, attempt: int) -> Ack:
        if kind == "events_api":
            body, content_type = json.dumps(payload), "application/json"
        else:
            form = {"payload": json.dumps(payload)} if kind == "interactive" else payload
            body = urlencode(form)
            content_type = "application/x-www-form-urlencoded"
        headers = {"Content-Type": content_type}
        if attempt:
            headers["X-Slack-Retry-Num"] = str(attempt)
            headers["X-Slack-Retry-Reason"] = "http_timeout"
        try:
            status, answer = await self.request(body, headers)
        except TimeoutError:
            return self._missed(kind, payload, "timeout", attempt)
        except aiohttp.ClientError:
            return self._missed(kind, payload, "connection_failed", attempt)
        if status != HTTPStatus.OK:
            return self._missed(kind, payload, f"http_{status}", attempt)
        return Ack(acked=True, payload=_answer(answer))

    async def request(self, body: str, headers: dict[str, str]) -> tuple[int, str]:
        """POST a signed body to the app's URL and return status and text of its answer."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        stamp = str(int(self._timing.wall_clock()))
        digest = hmac.new(self._secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        signed = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}
        patience = aiohttp.ClientTimeout(total=self._timing.ack_within.total_seconds())
        async with self._session.post(
            self.http_url or "", data=body.encode(), headers=headers | signed, timeout=patience
        ) as response:
            return response.status, await response.text()

    async def close(self) -> None:
        """Cut the sockets and close the HTTP client."""
        self.cut()
        if self._session is not None:
            await self._session.close()


def _answer(text: str) -> Json | None:
    if not text:
        return None
    try:
        answer = json.loads(text)
    except ValueError:
        return {"text": text}
    return answer if isinstance(answer, dict) else None
