"""A lean Telegram on a raw `asyncio.Protocol`, in a process of its own, and the Slack sandbox beside it, idle.

It must not be what limits: it reads of a request just its method and chat, answers from ready-made bytes with rising
message ids, and counts. It knows no faults and checks nothing: that the program behaves to it as to the sandbox, which
does, is what `bench.same` shows. `ServerProcess` is the side of the measurement, ``python -m bench.server`` the other;
between them goes JSON to ``/control``.

A customer here taps when told to, at an even rate; how long the answer took is counted from the moment at which they
tapped, not from when the bot asked.
"""

import asyncio
import http.client
import json
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

from bench.watching import percentile
from bot.adapters.sandbox.slack import SandboxSlack

TOKEN = "1234:bench"
FIRST_CHAT = 5_200_000_000
CHANNELS = ("delivery", "accounting", "wine", "fashion", "skincare", "customers")
QUESTION = (
    "Hi Freja, this is the bot of Example Shop. Your order (two bottles of Barolo) should be with you. "
    "Was everything as we promised?"
)
_FIRST_UPDATE = 872_100_001
_LONGEST_POLL = 50


class ServerProcess:
    """The server, seen from outside."""

    def __init__(self, telegram: str, slack: str) -> None:
        """`telegram` and `slack` are the addresses to hand to the adapters."""
        self.telegram, self.slack = telegram, slack

    async def ask(self, do: str, **more: Any) -> Any:
        """Have a command carried out and give its answer. Commands are the methods of `_World` that begin with do_."""
        return await asyncio.to_thread(self._ask, {"do": do, **more})

    def _ask(self, command: dict[str, Any]) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.telegram).netloc, timeout=60)
        try:
            connection.request("POST", "/control", json.dumps(command))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@asynccontextmanager
async def running() -> AsyncIterator[ServerProcess]:
    """Start the server; it ends with the context."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.server", stdin=pipe, stdout=pipe)
    try:
        if process.stdout is None:
            raise RuntimeError("the server process has no standard output")
        hello = json.loads(await process.stdout.readline())
        yield ServerProcess(hello["telegram"], hello["slack"])
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


# The other side ----------------------------------------------------------------------------------------------------

_CHAT = re.compile(rb"chat_id\D{1,8}(\d+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BOT = {"id": 1234, "is_bot": True, "first_name": "Example Shop", "username": "bench_bot"}
_BUTTONS = [
    [{"text": text, "callback_data": f"a:0123456789abcdef:1:{place}"}]
    for place, text in enumerate(("👍 Yes", "🤔 Not quite", "📦 Not here yet"))
]
_OK = b'{"ok":true,"result":true}'


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _question(message_id: int, chat_id: int) -> dict[str, Any]:
    return {
        "message_id": message_id,
        "from": _BOT,
        "chat": {"id": chat_id, "first_name": "Freja", "type": "private"},
        "date": 1_795_600_000,
        "text": QUESTION,
        "reply_markup": {"inline_keyboard": _BUTTONS},
    }


_MESSAGE = _json({"ok": True, "result": _question(-1, -2)})
_BEFORE_ID, _, _rest = _MESSAGE.partition("-1")
_BEFORE_CHAT, _, _AFTER_CHAT = _rest.partition("-2")

_TAP = _json(
    {
        "update_id": -1,
        "callback_query": {
            "id": "-2",
            "from": {"id": -3, "is_bot": False, "first_name": "Freja", "language_code": "en"},
            "message": _question(-4, -5),
            "chat_instance": "-6",
            "data": "-7",
        },
    }
)
for _place in range(1, 8):
    _TAP = _TAP.replace(f"-{_place}", f"\x00{_place}")
_TAP_PARTS = re.split("\x00\\d", _TAP)


class _Taps:
    """Customers `first` … tap, `rate` a second (0: all at once)."""

    def __init__(self, first: int, number: int, rate: float, data: str, first_update: int) -> None:
        self.first, self.number, self.rate, self.data, self.first_update = first, number, rate, data, first_update
        self.begun = asyncio.get_running_loop().time()
        self.answered: dict[int, float] = {}
        self.twice = 0

    def at(self, place: int) -> float:
        """Give when the tap at this place happens."""
        return self.begun + (place / self.rate if self.rate else 0)

    def there(self, now: float) -> int:
        """Give how many have tapped by now."""
        return min(self.number, int((now - self.begun) * self.rate) + 1 if self.rate else self.number)

    def update(self, place: int) -> str:
        chat = FIRST_CHAT + self.first + place
        given = (
            self.first_update + place, self.first_update + place, chat, 7_000_000 + place, chat,
            chat, self.data.format(n=self.first + place),
        )  # fmt: skip
        return "".join(part + str(value) for part, value in zip(_TAP_PARTS, (*given, ""), strict=True))

    def answer(self, chat: int, now: float) -> None:
        """Note that the bot wrote to that chat."""
        place = chat - FIRST_CHAT - self.first
        if 0 <= place < self.number and self.at(place) <= now:
            if place in self.answered:
                self.twice += 1
            self.answered.setdefault(place, now - self.at(place))


class _World:
    """All that the server knows."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.methods: Counter[str] = Counter()
        self.chats: Counter[int] = Counter()
        self.taps: _Taps | None = None
        self.message_id = 1000
        self.next_update = _FIRST_UPDATE

    # commands

    def do_latency(self, milliseconds: float) -> None:
        """Let each call take that long."""
        self.delay = milliseconds / 1000

    def do_reset(self) -> None:
        """Forget what was counted and who taps."""
        self.methods.clear()
        self.chats.clear()
        self.taps = None

    def do_tap(self, first: int, number: int, rate: float, data: str) -> None:
        """Let customers tap; `data` is that of their button, with ``{n}`` for the number of the customer."""
        self.taps = _Taps(first, number, rate, data, self.next_update)
        self.next_update += number

    def do_seen(self) -> dict[str, Any]:
        """Give what was counted: calls by method; chats written to, and the most messages that one of them got."""
        return {
            "methods": dict(self.methods),
            "chats": len(self.chats),
            "sent": self.chats.total(),
            "most": max(self.chats.values(), default=0),
        }

    def do_answered(self) -> dict[str, float]:
        """Give how long customers waited for an answer to their tap, in seconds; who has none counts with the worst."""
        if self.taps is None:
            return {}
        now = asyncio.get_running_loop().time()
        waited = [self.taps.answered.get(each, now - self.taps.at(each)) for each in range(self.taps.there(now))]
        waited.sort()
        return {
            "tapped": len(waited),
            "answered": len(self.taps.answered),
            "twice": self.taps.twice,
            "p50": percentile(waited, 0.5),
            "p99": percentile(waited, 0.99),
            "max": waited[-1] if waited else 0.0,
        }

    # the Bot API

    def sent(self, body: bytes, query: str) -> bytes:
        """Take a message and give the answer."""
        found = _CHAT.search(body) or _CHAT.search(query.encode())
        chat = int(found[1]) if found else 0
        self.chats[chat] += 1
        if self.taps is not None:
            self.taps.answer(chat, asyncio.get_running_loop().time())
        return self.message(chat)

    def message(self, chat: int) -> bytes:
        """Give a message as the answer to a call."""
        self.message_id += 1
        return f"{_BEFORE_ID}{self.message_id}{_BEFORE_CHAT}{chat}{_AFTER_CHAT}".encode()

    def updates(self, offset: int, limit: int) -> bytes:
        """Give the taps that are there from `offset` on."""
        taps = self.taps
        if taps is None:
            return b'{"ok":true,"result":[]}'
        first = max(0, offset - taps.first_update)
        last = min(first + limit, taps.there(asyncio.get_running_loop().time()))
        return b'{"ok":true,"result":[' + ",".join(map(taps.update, range(first, last))).encode() + b"]}"

    def next_tap(self, offset: int) -> float | None:
        """Give when there is something to fetch from `offset` on; None: never as it looks now."""
        if self.taps is None:
            return None
        place = max(0, offset - self.taps.first_update)
        return self.taps.at(place) if place < self.taps.number else None


class _Connection(asyncio.Protocol):
    """One kept connection; one request at a time, as clients without pipelining send them."""

    def __init__(self, world: _World) -> None:
        self._world, self._buffer = world, b""
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class's signature
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            found = _LENGTH.search(head)
            if found is None and b"chunked" in head.lower():
                self._answer(b"{}", b"411 Length Required")
                return
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            target = head[: head.find(b"\r\n")].split(b" ")[1].decode("latin-1")
            self._handle(target, body)

    def _handle(self, target: str, body: bytes) -> None:
        path, _, query = target.partition("?")
        method = path.rpartition("/")[2].lower()
        world = self._world
        if method == "control":
            command = json.loads(body)
            self._answer(_json(getattr(world, f"do_{command.pop('do')}")(**command)).encode())
            return
        world.methods[method] += 1
        match method:
            case "getupdates":
                given = _parameters(body, query)
                wait = min(_LONGEST_POLL, int(given.get("timeout", 0)))
                self._poll(int(given.get("offset") or 0), int(given.get("limit", 100)), self._loop.time() + wait)
                return
            case "sendmessage":
                answer = world.sent(body, query)
            case "editmessagetext" | "editmessagereplymarkup":
                found = _CHAT.search(body)
                answer = world.message(int(found[1]) if found else 0)
            case "getme":
                answer = _json({"ok": True, "result": {**_BOT, "can_join_groups": False}}).encode()
            case "getwebhookinfo":
                answer = b'{"ok":true,"result":{"url":"","has_custom_certificate":false,"pending_update_count":0}}'
            case _:
                answer = _OK
        if world.delay:
            self._loop.call_later(world.delay, self._answer, answer)
        else:
            self._answer(answer)

    def _poll(self, offset: int, limit: int, until: float) -> None:
        """Answer when there is something, at the latest at `until`. Looks again now and then: taps may be ordered."""
        if self._transport is None:
            return
        now, due = self._loop.time(), self._world.next_tap(offset)
        if now >= until or (due is not None and due <= now):
            self._answer(self._world.updates(offset, limit))
        else:
            self._loop.call_at(min(until, now + 0.02, due or until), self._poll, offset, limit, until)

    def _answer(self, body: bytes, status: bytes = b"200 OK") -> None:
        if self._transport is not None:
            self._transport.write(
                b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (status, len(body), body)
            )


def _parameters(body: bytes, query: str) -> dict[str, Any]:
    """Read parameters in whichever form a client sends them."""
    if body.startswith(b"{"):
        given: dict[str, Any] = json.loads(body)
        return given
    return {name: unquote_plus(each[-1]) for name, each in parse_qs(body.decode() or query).items()}


async def _serve() -> None:
    def clock() -> datetime:
        return datetime(2026, 11, 25, 9, 0, tzinfo=UTC)

    world = _World()
    loop = asyncio.get_running_loop()
    async with SandboxSlack(clock=clock) as slack:
        for name in CHANNELS:
            slack.channel(f"C{name.upper()}", name)
        server = await loop.create_server(lambda: _Connection(world), "127.0.0.1", 0, backlog=1024)
        port = server.sockets[0].getsockname()[1]
        print(_json({"telegram": f"http://127.0.0.1:{port}", "slack": slack.base_url}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
