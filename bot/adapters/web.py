"""The HTTP door: orders from shops, calls from Telegram and Slack, health and metrics.

It checks who is calling, hands on what they sent to be committed, and only then says that it arrived. What the calls
mean is decided elsewhere; no stack trace ever leaves this room.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import structlog
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from bot.errors import ConfigurationError, FollowUpError, InputRefused, SignatureRefused
from bot.ports.channels import Clock
from bot.ports.json_text import read_json
from bot.ports.orders import parse_order_event
from bot.ports.records import Incoming

BODY_MAX_BYTES = 1_048_576
EVENTS_MAX = 1000
"""How many events one call may bring."""
RETRY_AFTER_SECONDS = 30
BODIES_AT_ONCE = 4
"""How many calls of shops are read, checked and committed side by side: so many bodies are in memory, each several
times (raw, as JSON, as rows). More would not be quicker: the database takes them one after the other."""
BODIES_WAITING_MAX = 64
"""How many calls may wait for that, with nothing of them read but their headers; the next ones are to come again."""
BODY_SECONDS = 20
"""How long a body may take to come in; a sender who trickles must not keep the others out."""
BUSY_RETRY_AFTER_SECONDS = 2
CONSOLE = "/console"
"""Where the pages are."""
SHUTDOWN_SECONDS = 10
"""How long calls that are being answered may still take when the program stops."""

ReceiveEvents: TypeAlias = Callable[[list[Incoming]], Awaitable[list[bool]]]
TelegramWebhook: TypeAlias = Callable[[Mapping[str, str], bytes], Awaitable[int]]
SlackHttp: TypeAlias = Callable[[str, Mapping[str, str], bytes], Awaitable[tuple[int, Mapping[str, str], bytes]]]
Health: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
WhyNotReady: TypeAlias = Callable[[], Awaitable[str | None]]
Look: TypeAlias = Callable[[], Awaitable[None]]

_log = structlog.get_logger("aftersale.web")


async def _well() -> None:
    """Say nothing against it, and look at nothing."""


def build_web(  # noqa: PLR0913 - what is handed in at the root, by name
    *,
    receive_events: ReceiveEvents,
    telegram_webhook: TelegramWebhook | None,
    slack_http: SlackHttp | None,
    health: Health,
    intake_secret: str | None,
    clock: Clock,
    why_not_ready: WhyNotReady = _well,
    metrics: CollectorRegistry | None = None,
    look: Look = _well,
    console: ASGIApp | None = None,
) -> FastAPI:
    """Give the HTTP application.

    Args:
        receive_events: commits events to the inbox; for each, whether it was new. If it raises, the shop is told to
            come again.
        telegram_webhook: takes headers (names in lower case) and the raw body, gives the status to answer;
            None: Telegram is polled, and the address does not exist.
        slack_http: takes path, headers and raw body, gives status, headers and body to answer; None: Socket Mode.
        health: gives at least ``{"ready": bool, "problems": [str, …]}``; whatever else it gives is shown too. If it
            raises, the program counts as not ready.
        intake_secret: the shop's ``whsec_…``; None: ``POST /events`` is closed and says so.
        clock: the time at which things are received, and ids for what goes wrong.
        why_not_ready: gives why no calls should be sent here now, or None; for ``/health/ready``.
        metrics: what ``/metrics`` shows.
        look: called before that, so that it is of this moment.
        console: the pages, at ``/console``; None: there are none.
    """
    app = FastAPI(title="aftersale", docs_url=None, redoc_url=None, openapi_url=None)
    _answer_errors(app, clock)
    _serve_shops(app, receive_events, Webhook(intake_secret) if intake_secret else None, clock)
    _serve_chats(app, telegram_webhook, slack_http)
    _serve_operators(app, health, why_not_ready)
    _serve_metrics(app, metrics or CollectorRegistry(), look)
    if console is not None:
        app.mount(CONSOLE, console)
    return app


class _Room:
    """Lets few calls in at once and some wait, so that memory is bounded however many come."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(BODIES_AT_ONCE)
        self._inside = 0

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place and keep it.

        Raises:
            HTTPException: 503, too many wait already.
        """
        if self._inside >= BODIES_AT_ONCE + BODIES_WAITING_MAX:
            headers = {"Retry-After": str(BUSY_RETRY_AFTER_SECONDS)}
            raise HTTPException(503, "too many calls at once; send this one again in a moment", headers)
        self._inside += 1
        try:
            async with self._places:
                yield
        finally:
            self._inside -= 1


def _serve_shops(app: FastAPI, receive_events: ReceiveEvents, webhook: Webhook | None, clock: Clock) -> None:
    room = _Room()

    @app.post("/events")
    async def events(request: Request) -> JSONResponse:
        if webhook is None:
            error = "this server takes no events yet: set INTAKE_SECRET and start it again"
            return JSONResponse({"error": error}, status_code=503)
        async with room.place():
            return await take(request, webhook)

    async def take(request: Request, webhook: Webhook) -> JSONResponse:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(request)
        except TimeoutError:
            raise HTTPException(408, f"the body took more than {BODY_SECONDS} seconds; send it again") from None
        _verify(webhook, request.headers, body)
        # A thousand events take long enough to be read that staff and customers would wait for it.
        items = await asyncio.to_thread(read_events, body, clock)
        try:
            news = await receive_events(items)
        except Exception:  # noqa: BLE001 - whatever kept the inbox from committing, the shop must send again
            reference = clock.new_id()
            _log.exception("events_not_stored", reference=reference, count=len(items))
            answer = {"error": "the events could not be stored just now; send them again", "reference": reference}
            return JSONResponse(answer, status_code=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
        accepted = sum(news)
        return JSONResponse({"accepted": accepted, "repeated": len(news) - accepted}, status_code=202)

    @app.api_route("/hooks/{shop}", methods=["GET", "POST"])
    async def hooks(shop: str) -> JSONResponse:
        error = f"no adapter for the shop {shop[:40]!r}; there is none for any shop yet. Send native events to /events"
        return JSONResponse({"error": error}, status_code=404)


def _serve_chats(app: FastAPI, telegram_webhook: TelegramWebhook | None, slack_http: SlackHttp | None) -> None:
    if telegram_webhook is not None:

        @app.post("/telegram/webhook")
        async def telegram(request: Request) -> Response:
            return Response(status_code=await telegram_webhook(request.headers, await _body(request)))

    if slack_http is not None:

        @app.post("/slack/events")
        async def slack(request: Request) -> Response:
            status, headers, body = await slack_http(request.url.path, request.headers, await _body(request))
            return Response(body, status_code=status, headers=dict(headers))


def _serve_operators(app: FastAPI, health: Health, why_not_ready: WhyNotReady) -> None:
    @app.get("/health")
    async def show_health() -> JSONResponse:
        try:
            state = {"live": True, **await health()}
        except Exception:  # noqa: BLE001 - whatever keeps us from looking (mostly the database) is itself the answer
            _log.exception("health_unknown")
            state = {"live": True, "ready": False, "problems": ["the database cannot be asked; the log says why"]}
        return JSONResponse(state, status_code=200 if state.get("ready") else 503)

    @app.get("/health/live")
    async def show_live() -> PlainTextResponse:
        return PlainTextResponse("live\n")  # that somebody answers is the answer; nothing else is asked

    @app.get("/health/ready")
    async def show_ready() -> PlainTextResponse:
        why = await why_not_ready()
        return PlainTextResponse(f"not ready: {why}\n" if why else "ready\n", status_code=503 if why else 200)


def _serve_metrics(app: FastAPI, metrics: CollectorRegistry, look: Look) -> None:
    @app.get("/metrics")
    async def show_metrics() -> Response:
        await look()
        return Response(generate_latest(metrics), media_type=CONTENT_TYPE_LATEST)


def read_events(body: bytes, clock: Clock) -> list[Incoming]:
    """Turn the body of ``POST /events`` (one native event, or an array of them) into rows for the inbox.

    Raises:
        InputRefused: with everything that is wrong in any of them; none may then be stored.
    """
    payload = read_json(body)
    payloads: Sequence[Any] = payload if isinstance(payload, list) else [payload]
    if not 1 <= len(payloads) <= EVENTS_MAX:
        raise InputRefused([("(the whole)", f"has {len(payloads)} events; send 1 to {EVENTS_MAX} in one call")])
    now = clock.now()
    items: list[Incoming] = []
    problems: list[tuple[str, str]] = []
    for place, each in enumerate(payloads):
        try:
            event = parse_order_event(each, now=now)
        except InputRefused as error:
            prefix = f"[{place}]." if isinstance(payload, list) else ""
            problems += [(prefix + field, reason) for field, reason in error.problems]
        else:
            items.append(
                Incoming(source="shop", key=event.id, lane=f"sale:{event.sale.id}", payload=each, received_at=now)
            )
    if problems:
        raise InputRefused(problems)
    return items


def _verify(webhook: Webhook, headers: Mapping[str, str], body: bytes) -> None:
    try:
        webhook.verify(body, dict(headers), json_parse=False)
    except WebhookVerificationError as error:
        reason = str(error)
    except ValueError:  # not UTF-8, no base64, no comma: the library lets these through as they are
        reason = "webhook-signature or body cannot be read"
    else:
        return
    mend = "sign {webhook-id}.{webhook-timestamp}.{body} with INTAKE_SECRET as Standard Webhooks says"
    raise SignatureRefused(f"{reason}; {mend}")


async def _body(request: Request) -> bytes:
    too_large = HTTPException(413, f"the body is larger than {BODY_MAX_BYTES} bytes; send fewer events in one call")
    declared = request.headers.get("content-length", "0")
    if re.fullmatch(r"\d+", declared) and int(declared) > BODY_MAX_BYTES:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX_BYTES:  # a sender may declare less than it sends, or nothing
            raise too_large
    return bytes(body)


def _answer_errors(app: FastAPI, clock: Clock) -> None:
    @app.exception_handler(InputRefused)
    async def refused(_: Request, error: InputRefused) -> JSONResponse:
        problems = [{"field": field, "reason": reason} for field, reason in error.problems]
        answer = {"error": "nothing was stored, because this is wrong", "problems": problems}
        return JSONResponse(answer, status_code=error.http_status)

    @app.exception_handler(FollowUpError)
    async def known(_: Request, error: FollowUpError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=error.http_status)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        words = {404: "there is nothing at this address", 405: "this address does not take this method"}
        answer = {"error": words.get(error.status_code, error.detail)}
        return JSONResponse(answer, status_code=error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> JSONResponse:
        reference = clock.new_id()
        _log.error("request_failed", path=request.url.path, reference=reference, exc_info=error)
        answer = {"error": "something went wrong here; the log tells more under this reference", "reference": reference}
        return JSONResponse(answer, status_code=500)


class _Server(uvicorn.Server):
    """A server that leaves signals to the program: it stops when its context ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """Give a socket that listens, whose connections send what they are given at once.

    An answer is written in two parts. Without this, the second waits until the other side has confirmed the first,
    which it does 40 ms later. asyncio sees to that only where it has made the socket itself.
    Source: https://man7.org/linux/man-pages/man7/tcp.7.html (TCP_NODELAY, inherited at accept; read 2026-11-25).

    Raises:
        ConfigurationError: the address cannot be had (taken by another program, not of this machine).
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        mend = "stop the other program, or choose another HTTP_HOST and HTTP_PORT"
        raise ConfigurationError("HTTP_PORT", f"cannot listen on {host}:{port} ({error.strerror})", mend) from None
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@contextlib.asynccontextmanager
async def serve(app: FastAPI, host: str, port: int) -> AsyncIterator[str]:
    """Serve `app` while the context lasts; gives its address, like ``http://127.0.0.1:8080`` (port 0: any free one).

    When it ends, no new calls are taken, and those being answered have `SHUTDOWN_SECONDS` to finish.

    Raises:
        ConfigurationError: the address cannot be had (taken by another program, not of this machine).
    """
    listener = listen(host, port)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        # The socket listens already: whoever calls before the server has started is kept waiting by the kernel.
        yield f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        try:
            await task
        finally:
            listener.close()
