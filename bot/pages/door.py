"""The door of the console: who comes in, and that nothing but the sign-in is to be had from outside.

An ASGI application around the pages. Everything passes here: pages, files, the pages' own socket. What the pages show
stands elsewhere, and they are not even loaded before somebody who may see them has come in.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot import passes
from bot.errors import FollowUpError
from bot.pages import entrance
from bot.pages.words import Words, language_of
from bot.ports.channels import Clock
from bot.ports.records import Pass, Role
from bot.ports.store import Database

SESSION = "aftersale_session"
STATE = "aftersale_sign_in"
STATE_SECONDS = 600
REMEMBERED_SECONDS = 10.0
"""How long a session is taken for good without asking again: a page fetches some thirty files at once."""
VISITOR = "aftersale.visitor"
"""Under which name of the ASGI scope the pages find who asks."""

HEADERS = {
    # NiceGUI's pages carry their script and styles within, and Vue compiles templates in the browser.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws: wss:; worker-src 'self' blob:;"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
STATIC = Path(__file__).parent / "static"
STATIC_FILES = ("/static/style.css", "/static/pages.js")
"""Our own files, the same for everybody and no secret."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Inside: TypeAlias = Callable[[], Awaitable[ASGIApp]]


class SignIn(Protocol):
    """Somebody else who can say who a person is (Slack)."""

    def address(self, redirect_uri: str, state: str) -> str:
        """Give where their browser is sent."""

    async def who(self, code: str, redirect_uri: str) -> "Known":
        """Tell who came back."""


class Known(Protocol):
    """A person whom somebody else knows."""

    @property
    def member(self) -> str:
        """Their id there."""

    @property
    def name(self) -> str:
        """What they are called."""


async def _for_ever() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks for a page: their pass, and the token of their session ("" where the door stands open).

    `lasts` tells whether the session still does: a window may stay open for longer.
    """

    given: Pass
    token: str = ""
    lasts: Callable[[], Awaitable[bool]] = field(default=_for_ever, compare=False)

    def may(self, needed: Role) -> bool:
        """Tell whether they may do what is for `needed`."""
        return passes.may(self.given.role, needed)


class Keeper:
    """Knows the passes: asks the database, and never trusts what a browser says about itself."""

    def __init__(self, database: Database, clock: Clock, admins: frozenset[str] = frozenset()) -> None:
        """Ask `database`. `admins`: who of those that signed in elsewhere is an admin; the others are staff."""
        self._database, self._clock, self._admins = database, clock, admins
        self._seen: dict[str, tuple[float, Visitor]] = {}

    async def visitor(self, token: str) -> Visitor | None:
        """Give who a session belongs to, while it lasts."""
        if not token:
            return None
        now, tick = self._clock.now(), asyncio.get_running_loop().time()
        seen_at, visitor = self._seen.get(token, (0.0, None))
        if visitor is None or tick - seen_at > REMEMBERED_SECONDS:
            found = await self._database.run(lambda uow: passes.session_of(uow, token, now))
            visitor = Visitor(found, token, partial(self._lasts, token)) if found else None
            self._seen = {each: known for each, known in self._seen.items() if tick - known[0] <= REMEMBERED_SECONDS}
            if visitor is not None:
                self._seen[token] = (tick, visitor)
        return visitor if visitor is not None and now < visitor.given.expires_at else None

    async def _lasts(self, token: str) -> bool:
        return await self.visitor(token) is not None

    async def is_good(self, ticket: str) -> bool:
        """Tell whether a link still lets in."""
        now = self._clock.now()
        return await self._database.run(lambda uow: passes.is_good(uow, ticket, now))

    async def let_in(self, ticket: str) -> Visitor | None:
        """Use a link."""
        now, session = self._clock.now(), self._clock.new_token()
        begun = await self._database.run(lambda uow: passes.use_link(uow, ticket, session, now))
        return Visitor(begun, session) if begun else None

    async def welcome(self, known: Known) -> Visitor:
        """Let in somebody who signed in elsewhere."""
        now, session = self._clock.now(), self._clock.new_token()
        role: Role = "admin" if known.member in self._admins else "staff"
        name, member = known.name, known.member
        begun = await self._database.run(lambda uow: passes.begin(uow, session, role, name, now, member=member))
        return Visitor(begun, session)

    async def leave(self, token: str) -> None:
        """End a session."""
        now = self._clock.now()
        self._seen.pop(token, None)
        await self._database.run(lambda uow: passes.leave(uow, token, now))


class Gate:
    """What a locked and an open door share: same origin for whatever acts, and headers on whatever goes out."""

    def __init__(self, inside: Inside, *, public_url: str | None = None) -> None:
        """Stand before what `inside` gives, which is opened at the first who may come in."""
        self._inside, self._opening, self._public_url = inside, asyncio.Lock(), public_url
        self._opened: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse, or pass on."""
        if scope["type"] not in ("http", "websocket"):
            return
        headers = Headers(scope=scope)
        acts = scope["type"] == "websocket" or scope["method"] not in _SAFE
        if acts and not self._is_from_here(headers):
            await _refuse(scope, receive, send, "this came from another page; open the console itself")
            return
        await self._answer(scope, receive, _with_headers(send))

    def _is_from_here(self, headers: Headers) -> bool:
        """Tell whether a browser says that our own page sent this; one that says nothing is not believed.

        Source: https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Origin (read 2026-11-25): browsers
        send it with every request that is neither GET nor HEAD, and with every WebSocket.
        """
        # A server in front of us may call us by another name than the browser calls it.
        ours = {headers.get("host", ""), urlsplit(self._public_url or "").netloc} - {""}
        return urlsplit(headers.get("origin", "")).netloc in ours

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError

    async def _go_in(self, scope: Scope, receive: Receive, send: Send, visitor: Visitor) -> None:
        async with self._opening:
            if self._opened is None:
                self._opened = await self._inside()
        await self._opened({**scope, VISITOR: visitor}, receive, send)


class OpenDoor(Gate):
    """A door that stands open to this machine alone: of the sandbox, where nothing is real and everybody may all."""

    def __init__(self, inside: Inside, clock: Clock) -> None:
        """Let everybody in as an admin."""
        super().__init__(inside)
        now = clock.now()
        self._visitor = Visitor(Pass("", "session", "admin", "you", now, datetime.max.replace(tzinfo=now.tzinfo)))

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A name that leads to this machine may be somebody else's (DNS rebinding): only the machine's own will do.
        if _host(Headers(scope=scope).get("host", "")) not in _LOOPBACK:
            await _refuse(scope, receive, send, "the sandbox answers at 127.0.0.1 alone")
            return
        if _path(scope) in STATIC_FILES:
            await _file(Request(scope))(scope, receive, send)
            return
        await self._go_in(scope, receive, send, self._visitor)


class Door(Gate):
    """A locked door: nothing but the sign-in is to be had without a session."""

    def __init__(self, inside: Inside, keeper: Keeper, *, public_url: str | None, slack: SignIn | None) -> None:
        """Let in whom `keeper` knows. `slack`: None where nobody can sign in with Slack."""
        super().__init__(inside, public_url=public_url)
        self._keeper, self._slack = keeper, slack
        self.entrance = Starlette(
            routes=[
                Route("/sign-in", self._show_sign_in),
                Route("/enter", self._show_link, methods=["GET"]),
                Route("/enter", self._use_link, methods=["POST"]),
                Route("/sign-in/slack", self._to_slack),
                Route("/sign-in/slack/back", self._from_slack),
                Route("/sign-out", self._sign_out, methods=["POST"]),
                *(Route(path, _file) for path in STATIC_FILES),
            ],
            exception_handlers={FollowUpError: self._say},
        )
        self._outside = {route.path for route in self.entrance.routes if isinstance(route, Route)}

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _path(scope) in self._outside:
            await self.entrance(scope, receive, send)
            return
        visitor = await self._keeper.visitor(_cookie(scope, SESSION))
        if visitor is not None:
            await self._go_in(scope, receive, send, visitor)
        elif scope["type"] == "http" and scope["method"] in _SAFE and _wants_page(Headers(scope=scope)):
            await RedirectResponse(_root(scope) + "/sign-in", status_code=303)(scope, receive, send)
        else:
            await _refuse(scope, receive, send, "sign in first", status=401)

    # the entrance

    async def _show_sign_in(self, request: Request) -> Response:
        return _shown(entrance.sign_in(*_here(request), slack=self._slack is not None))

    async def _show_link(self, request: Request) -> Response:
        ticket = request.query_params.get("ticket", "")
        if not await self._keeper.is_good(ticket):
            return _shown(entrance.refused(*_here(request), "link_no_good"), 403)
        return _shown(entrance.enter(*_here(request), ticket))

    async def _use_link(self, request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=4)
        visitor = await self._keeper.let_in(str(form.get("ticket", "")))
        if visitor is None:
            return _shown(entrance.refused(*_here(request), "link_no_good"), 403)
        return self._entered(request, visitor)

    async def _to_slack(self, request: Request) -> Response:
        if self._slack is None:
            return RedirectResponse(_root(request.scope) + "/sign-in", status_code=303)
        state = secrets.token_urlsafe(24)
        answer = RedirectResponse(self._slack.address(self._back(request), state), status_code=303)
        self._set_cookie(request, answer, STATE, state, STATE_SECONDS)
        return answer

    async def _from_slack(self, request: Request) -> Response:
        expected, state = request.cookies.get(STATE, ""), request.query_params.get("state", "")
        if self._slack is None or not expected or not secrets.compare_digest(expected.encode(), state.encode()):
            return _shown(entrance.refused(*_here(request), "slack_elsewhere"), 403)
        if "code" not in request.query_params:
            return RedirectResponse(_root(request.scope) + "/sign-in", status_code=303)  # they said no
        known = await self._slack.who(request.query_params["code"], self._back(request))
        answer = self._entered(request, await self._keeper.welcome(known))
        answer.delete_cookie(STATE, path=_root(request.scope) or "/")
        return answer

    async def _sign_out(self, request: Request) -> Response:
        await self._keeper.leave(request.cookies.get(SESSION, ""))
        answer = RedirectResponse(_root(request.scope) + "/sign-in", status_code=303)
        answer.delete_cookie(SESSION, path=_root(request.scope) or "/")
        return answer

    async def _say(self, request: Request, error: Exception) -> Response:
        return _shown(entrance.refused(*_here(request), str(error)), getattr(error, "http_status", 500))

    def _entered(self, request: Request, visitor: Visitor) -> Response:
        answer = RedirectResponse(_root(request.scope) + "/", status_code=303)
        self._set_cookie(request, answer, SESSION, visitor.token, int(passes.SESSION_LIVES.total_seconds()))
        return answer

    def _set_cookie(self, request: Request, answer: Response, name: str, value: str, seconds: int) -> None:
        answer.set_cookie(
            name,
            value,
            max_age=seconds,
            path=_root(request.scope) or "/",
            httponly=True,
            secure=(self._public_url or str(request.url)).startswith("https:"),
            # Lax: the way back from Slack begins at another site, and must find the cookie that it began with.
            samesite="lax",
        )

    def _back(self, request: Request) -> str:
        here = self._public_url or f"{request.url.scheme}://{request.url.netloc}"
        return f"{here}{_root(request.scope)}/sign-in/slack/back"


def _here(request: Request) -> tuple[Words, str]:
    return Words(language_of(request)), _root(request.scope)


def _shown(html: str, status: int = 200) -> Response:
    return HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})


def _file(request: Request) -> Response:
    return FileResponse(STATIC / _path(request.scope).rpartition("/")[2], headers={"Cache-Control": "no-cache"})


def _root(scope: Scope) -> str:
    return str(scope.get("root_path", ""))


def _path(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(_root(scope))


def _cookie(scope: Scope, name: str) -> str:
    return Request({**scope, "type": "http"}).cookies.get(name, "")


def _host(netloc: str) -> str:
    return urlsplit(f"//{netloc}").hostname or ""


def _wants_page(headers: Headers) -> bool:
    return "text/html" in headers.get("accept", "") or "*/*" in headers.get("accept", "*/*")


async def _refuse(scope: Scope, receive: Receive, send: Send, why: str, status: int = 403) -> None:
    if scope["type"] == "websocket":
        # Closed before it was accepted, which the server answers with 403.
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": why})
        return
    await JSONResponse({"error": why}, status_code=status)(scope, receive, send)


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return wrapped
