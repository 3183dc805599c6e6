"""A local Telegram Bot API over real HTTP, with customers who are played from code.

Here lives the stand-in for api.telegram.org: its methods, limits, errors, long polling, webhooks
and files, together with the faults that a test may order. A client library cannot tell it from
the real one. Nothing of this product's own logic belongs here, and nothing here reads the wall
clock: message dates come from the clock that is handed in, while time-outs, rate limits and the
life of a callback query run in real (monotonic) time, as the waiting client does.

Source: https://core.telegram.org/bots/api (Bot API 10.1, read 2026-11-22) for methods, fields and
limits; https://github.com/tdlib/telegram-bot-api (read 2026-11-22) for the wording of errors and
the rules of getUpdates and setWebhook.
"""

import asyncio
import json
import math
import re
import time
from array import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import unescape
from http import HTTPStatus
from itertools import count, islice
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from bot.adapters.sandbox.listening import Listening

JsonObject = dict[str, Any]
"""One JSON object of the Bot API."""

# The limits stand with sendMessage, sendPhoto, InlineKeyboardButton, answerCallbackQuery, getFile
# and setMyCommands on https://core.telegram.org/bots/api (read 2026-11-22).
TEXT_MAX_UNITS = 4096
CAPTION_MAX_UNITS = 1024
CALLBACK_DATA_MAX_BYTES = 64
KEYBOARD_MAX_BUTTONS = 100
ANSWER_MAX_CHARS = 200
SECRET_MAX_CHARS = 256
COMMANDS_MAX = 100
COMMAND_DESCRIPTION_MAX_CHARS = 256
DOWNLOAD_MAX_BYTES = 20 * 1024**2
UPLOAD_MAX_BYTES = {"photo": 10 * 1024**2, "document": 50 * 1024**2}
DELETE_WINDOW = timedelta(hours=48)
# Source: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
SENDS_PER_SECOND = 30
CHAT_BURST = 3
# Undocumented; reports speak of "seconds": https://github.com/eternnoir/pyTelegramBotAPI/issues/1615
ANSWER_WINDOW = timedelta(seconds=15)
# The sandbox's own bound: a bot that never answers taps must not eat the memory.
OPEN_QUERIES_MAX = 10_000
LONG_POLL_MAX_SECONDS = 50
WEBHOOK_PATIENCE_SECONDS = 10
RETRY_FIRST_SECONDS, RETRY_LAST_SECONDS = 0.05, 1.0

SENDS = frozenset({"sendmessage", "sendphoto", "senddocument"})
# Reactions and chat_member come only to those who ask for them by name.
ONLY_WHEN_ASKED = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
CHAT_ACTIONS = frozenset(
    [
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    ]
)
# Parameters that a form carries as text although they are numbers, lists, objects or booleans.
STRUCTURED = frozenset(
    [
        "chat_id",
        "message_id",
        "reply_markup",
        "entities",
        "caption_entities",
        "reply_parameters",
        "commands",
        "scope",
        "allowed_updates",
        "offset",
        "limit",
        "timeout",
        "max_connections",
        "drop_pending_updates",
        "show_alert",
        "protect_content",
        "disable_notification",
        "cache_time",
        "link_preview_options",
    ]
)


@dataclass(frozen=True, slots=True)
class Call:
    """One API call as it arrived: method in Telegram's spelling, parameters, sandbox time."""

    method: str
    params: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message of the bot that was taken, as it was when it arrived; later edits do not change it.

    `data` is what its buttons carry, in reading order.
    """

    chat_id: int
    message_id: int
    text: str
    data: tuple[str, ...]
    at: datetime


@dataclass(slots=True)
class ChatMessage:
    """One message of a transcript, as it stands in the chat now.

    `text` and `caption` are empty strings where there is none; `buttons` are the labels of the
    inline keyboard row by row; `media` is `photo`, `voice`, `sticker`, `document` or None.
    """

    message_id: int
    from_bot: bool
    text: str
    caption: str
    buttons: list[list[str]]
    at: datetime
    edited: bool = False
    media: str | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """What a customer was shown after a tap; `text` is empty when only the spinner went away."""

    query_id: str
    text: str
    show_alert: bool
    url: str


class SandboxError(Exception):
    """A customer was asked to do what their chat does not allow; the message says what is there."""


class RefusedError(Exception):
    """The answer to a call that Telegram would refuse: error code, description, parameters."""

    def __init__(self, code: int, description: str, *, retry_after: int | None = None) -> None:
        """Keeps what goes into the error answer; `retry_after` is in seconds."""
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after


# One encoder for all answers: json.dumps builds a new one per call unless its defaults are used.
_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def _to_json(value: object) -> bytes:
    return _ENCODER.encode(value).encode()


def _bad(description: str) -> RefusedError:
    return RefusedError(400, f"Bad Request: {description}")


# --- texts --------------------------------------------------------------------------------------


def _units(text: str) -> int:
    """Length in UTF-16 code units, the measure of every Telegram offset and limit."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "span": "spoiler",
    "tg-spoiler": "spoiler",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
}
_TAG = re.compile(r"<(/?)([^\s<>/]*)([^<>]*)>")
_HREF = re.compile(r"""href\s*=\s*(?:"([^"]*)"|'([^']*)'|(\S+))""")
_CHARACTER = re.compile(r"&(?:lt|gt|amp|quot|#\d+|#x[0-9a-fA-F]+);")


def parse_html(source: str) -> tuple[str, list[JsonObject]]:
    """Returns the plain text and its entities; nesting and tag names are checked as Telegram does.

    Raises:
        RefusedError: an unsupported, unclosed or unmatched tag, with its byte offset.

    Source: https://core.telegram.org/bots/api#html-style (read 2026-11-22).
    """
    text = ""
    entities: list[JsonObject] = []
    opened: list[tuple[str, int, str]] = []
    at = 0
    while (start := source.find("<", at)) >= 0:
        text += _characters(source[at:start])
        offset = len(source[:start].encode())
        tag = _TAG.match(source, start)
        if tag is None:
            raise _bad(f"can't parse entities: Unclosed start tag at byte offset {offset}")
        closing, name, rest = tag[1], tag[2].lower(), tag[3]
        if closing:
            entities += _closed(opened, name, offset, _units(text))
        elif name not in _TAGS:
            raise _bad(f'can\'t parse entities: Unsupported start tag "{name}" at byte offset {offset}')
        else:
            opened.append((name, _units(text), rest))
        at = tag.end()
    if opened:
        raise _bad(f"can't parse entities: Can't find end tag corresponding to start tag \"{opened[-1][0]}\"")
    entities.sort(key=lambda entity: (entity["offset"], -entity["length"]))
    return text + _characters(source[at:]), entities


def _characters(source: str) -> str:
    return _CHARACTER.sub(lambda found: unescape(found[0]), source)


def _closed(opened: list[tuple[str, int, str]], name: str, offset: int, end: int) -> list[JsonObject]:
    if not opened:
        raise _bad(f"can't parse entities: Unexpected end tag at byte offset {offset}")
    expected, start, rest = opened.pop()
    if name and name != expected:
        raise _bad(
            f"can't parse entities: Unmatched end tag at byte offset {offset}, "
            f'expected "</{expected}>", found "</{name}>"'
        )
    entity = {"type": _TAGS[expected], "offset": start, "length": end - start}
    if expected == "a":
        link = _HREF.search(rest)
        if link is None:
            return []
        entity["url"] = _characters(link[1] or link[2] or link[3] or "")
    return [entity] if end > start else []


_FOUND_IN_TEXT = {
    "bot_command": re.compile(r"(?<!\S)/[A-Za-z0-9_]{1,64}(?:@\w+)?(?![\w/])"),
    "url": re.compile(r"https?://[^\s<>]+[^\s<>.,;:!?)]"),
}


def _found_entities(text: str) -> list[JsonObject]:
    """The entities that Telegram finds in a person's text by itself."""
    found = [
        {"type": kind, "offset": _units(text[: hit.start()]), "length": _units(hit[0])}
        for kind, pattern in _FOUND_IN_TEXT.items()
        for hit in pattern.finditer(text)
    ]
    return sorted(found, key=lambda entity: entity["offset"])


def _formatted(params: JsonObject, name: str) -> tuple[str, list[JsonObject]]:
    """The text of parameter `name` after its formatting is read, trimmed as Telegram trims."""
    raw = params.get(name)
    source = raw if isinstance(raw, str) else "" if raw is None else str(raw)
    mode = str(params.get("parse_mode") or "").lower()
    if mode in ("", "none"):
        entities = params.get("caption_entities" if name == "caption" else "entities") or []
        return (source.rstrip() if entities else source.strip()), entities
    if mode in ("markdown", "markdownv2"):
        raise _bad("the sandbox reads parse_mode HTML only; send HTML or plain text")
    if mode != "html":
        raise _bad("unsupported parse_mode")
    text, entities = parse_html(source)
    return (text.rstrip() if entities else text.strip()), entities


def _message_text(params: JsonObject, *, too_long: str) -> tuple[str, list[JsonObject]]:
    if not params.get("text"):
        raise _bad("message text is empty")
    text, entities = _formatted(params, "text")
    if not text:
        raise _bad("text must be non-empty")
    if _units(text) > TEXT_MAX_UNITS:
        raise _bad(too_long)
    return text, entities


# --- keyboards ----------------------------------------------------------------------------------

_ACTIONS = (
    "callback_data",
    "url",
    "web_app",
    "login_url",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
    "copy_text",
)
_OTHER_MARKUPS = ("keyboard", "remove_keyboard", "force_reply")


def _inline_keyboard(params: JsonObject) -> list[list[JsonObject]]:
    """The checked rows of `reply_markup`; empty when there is none, or another kind of keyboard."""
    markup = params.get("reply_markup")
    if markup is None or markup == "":
        return []
    if not isinstance(markup, dict):
        raise _bad("object expected as reply markup")
    if "inline_keyboard" not in markup:
        if markup and not any(kind in markup for kind in _OTHER_MARKUPS):
            raise _bad("can't parse reply keyboard markup JSON object")
        return []
    rows = markup["inline_keyboard"]
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise _bad('can\'t parse inline keyboard: Field "inline_keyboard" must be an Array of Arrays')
    if sum(map(len, rows)) > KEYBOARD_MAX_BUTTONS:
        raise _bad("reply markup is too long")
    for row in rows:
        for button in row:
            _check_button(button)
    return [row for row in rows if row]


def _check_button(button: object) -> None:
    if not isinstance(button, dict):
        raise _bad("can't parse inline keyboard button: InlineKeyboardButton must be an Object")
    label = button.get("text")
    if not isinstance(label, str):
        raise _bad("can't parse inline keyboard button: Can't find field \"text\"")
    if not label.strip():
        raise _bad("inline keyboard button text must be non-empty")
    actions = [action for action in _ACTIONS if action in button]
    if len(actions) != 1:
        raise _bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    if "callback_data" in button:
        data = button["callback_data"]
        if not isinstance(data, str) or not 1 <= len(data.encode()) <= CALLBACK_DATA_MAX_BYTES:
            raise _bad("BUTTON_DATA_INVALID")
    if "url" in button:
        _check_url(str(button["url"]))


def _check_url(url: str) -> None:
    """Refuses what Telegram would: unknown protocols and hosts that are no public name."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme == "tg":
        return
    if parts.scheme not in ("http", "https"):
        raise _bad(f"inline keyboard button URL '{url}' is invalid: Unsupported URL protocol")
    if "." not in (parts.hostname or "") or " " in url:
        raise _bad(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")


def _labels(message: JsonObject) -> list[list[str]]:
    rows = message.get("reply_markup", {}).get("inline_keyboard", [])
    return [[button["text"] for button in row] for row in rows]


# --- updates on their way to the bot --------------------------------------------------------------


@dataclass(slots=True)
class _Pending:
    update_id: int
    chat_id: int
    body: bytes
    is_repeated: bool


@dataclass(slots=True)
class _Webhook:
    url: str
    secret: str
    connections: asyncio.Semaphore
    max_connections: int
    last_error: str = ""
    last_error_at: int = 0


class _Updates:
    """The queue of updates: long polling or webhook, one at a time, order kept per chat."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._ids = count(872_100_001)
        self._pending: OrderedDict[int, _Pending] = OrderedDict()
        self._again: deque[_Pending] = deque()
        self._to_repeat = 0
        self._to_delay = 0
        self._late: list[tuple[str, JsonObject, int]] = []
        self._poll: asyncio.Future[None] | None = None
        self._queues: dict[int, deque[_Pending]] = {}
        self._workers: dict[int, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None
        self.webhook: _Webhook | None = None
        self.allowed: list[str] = []
        self.is_down = False
        self.handed: deque[JsonObject] = deque(maxlen=0)
        self.overlaps = 0
        self._poller_is_there: Callable[[], bool] = lambda: False

    def allow(self, kinds: object) -> None:
        """Remembers the kinds asked for; not mentioned means as before, an empty list default."""
        if isinstance(kinds, list):
            self.allowed = [str(kind) for kind in kinds]

    def repeat(self, times: int) -> None:
        self._to_repeat += times

    def emit(self, kind: str, payload: JsonObject, chat_id: int) -> None:
        """Queues one update, unless the bot did not ask for its kind."""
        if kind not in self.allowed if self.allowed else kind in ONLY_WHEN_ASKED:
            return
        if self._to_delay:
            self._to_delay -= 1
            # As it is now: what the sandbox keeps of a message may be edited before this is handed over.
            self._late.append((kind, json.loads(_to_json(payload)), chat_id))
            return
        update_id = next(self._ids)
        update = {"update_id": update_id, kind: payload}
        body = _to_json(update)
        if self.handed.maxlen != 0:
            self.handed.append(json.loads(body))
        pending = _Pending(update_id, chat_id, body, self._to_repeat > 0)
        self._to_repeat = max(0, self._to_repeat - 1)
        self._pending[update_id] = pending
        if self.webhook is not None:
            self._hand_to_worker(pending)
        self.wake()

    def delay(self, times: int) -> None:
        self._to_delay += times

    def release(self, *, newest_first: bool) -> None:
        """Queues what was delayed; it gets its update_id only now, as at Telegram."""
        late, self._late, self._to_delay = self._late, [], 0
        for kind, payload, chat_id in reversed(late) if newest_first else late:
            self.emit(kind, payload, chat_id)

    def wake(self) -> None:
        """Lets a waiting getUpdates answer now."""
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)

    def drop(self) -> None:
        """Forgets everything that is undelivered (`drop_pending_updates`)."""
        self._pending.clear()
        self._again.clear()
        self._queues.clear()

    def __len__(self) -> int:
        return len(self._pending)

    # Long polling.

    async def get(self, params: JsonObject, is_there: Callable[[], bool] = lambda: True) -> bytes:
        """The answer to getUpdates, as the JSON of its list; `is_there` tells whether its caller still waits for it."""
        if self.webhook is not None:
            raise RefusedError(
                409,
                "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )
        limit = min(100, max(1, _integer(params, "limit", 100)))
        timeout = min(LONG_POLL_MAX_SECONDS, max(0, _integer(params, "timeout", 0)))
        self.allow(params.get("allowed_updates"))
        self._confirm(_integer(params, "offset", 0))
        batch = self._batch(limit)
        if not batch and timeout:
            await self._wait(timeout, is_there)
            batch = self._batch(limit)
        return b"[" + b",".join(batch) + b"]"

    def _confirm(self, offset: int) -> None:
        confirmed = max(0, len(self._pending) + offset) if offset < 0 else None
        while self._pending:
            first = next(iter(self._pending))
            if confirmed == 0 or (confirmed is None and first >= offset):
                break
            pending = self._pending.pop(first)
            confirmed = None if confirmed is None else confirmed - 1
            if pending.is_repeated:
                self._again.append(pending)

    def _batch(self, limit: int) -> list[bytes]:
        repeated = [self._again.popleft().body for _ in range(min(limit, len(self._again)))]
        fresh = islice(self._pending.values(), limit - len(repeated))
        return repeated + [pending.body for pending in fresh]

    async def _wait(self, timeout: float, is_there: Callable[[], bool]) -> None:  # noqa: ASYNC109 - Telegram's own name
        if self._poll is not None and not self._poll.done() and self._poller_is_there():
            self.overlaps += 1
        self._poller_is_there = is_there
        self.end_poll("other getUpdates request; make sure that only one bot instance is running")
        poll = self._poll = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout):
                await poll
        except TimeoutError:
            pass
        finally:
            if self._poll is poll:
                self._poll = None

    def end_poll(self, by: str) -> None:
        """Answers a waiting getUpdates with 409, naming what ended it."""
        if self._poll is not None and not self._poll.done():
            self._poll.set_exception(RefusedError(409, f"Conflict: terminated by {by}"))

    # Webhooks.

    async def start_webhook(self, webhook: _Webhook) -> None:
        await self.stop_webhook()
        self.end_poll("setWebhook request")
        if self._session is None:  # two programs may ask at once
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WEBHOOK_PATIENCE_SECONDS))
        self.webhook = webhook
        for pending in self._pending.values():
            self._hand_to_worker(pending)

    async def stop_webhook(self) -> None:
        """Ends delivery; what was not accepted stays queued for whoever fetches it next."""
        self.webhook = None
        workers = list(self._workers.values())
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        self._workers.clear()
        self._queues.clear()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _hand_to_worker(self, pending: _Pending) -> None:
        self._queues.setdefault(pending.chat_id, deque()).append(pending)
        if pending.chat_id not in self._workers:
            self._workers[pending.chat_id] = asyncio.create_task(self._deliver(pending.chat_id))

    async def _deliver(self, chat_id: int) -> None:
        delay = RETRY_FIRST_SECONDS
        while queue := self._queues.get(chat_id):
            pending = queue[0]
            if not await self._post(pending):
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_LAST_SECONDS)
            elif pending.is_repeated:
                pending.is_repeated = False
            else:
                delay = RETRY_FIRST_SECONDS
                self._pending.pop(pending.update_id, None)
                if queue and queue[0] is pending:
                    queue.popleft()
        self._queues.pop(chat_id, None)
        self._workers.pop(chat_id, None)

    async def _post(self, pending: _Pending) -> bool:
        webhook, session = self.webhook, self._session
        if webhook is None or session is None or self.is_down:
            return False
        headers = {"Content-Type": "application/json"}
        if webhook.secret:
            headers["X-Telegram-Bot-Api-Secret-Token"] = webhook.secret
        try:
            async with webhook.connections, session.post(webhook.url, data=pending.body, headers=headers) as answer:
                if answer.ok:
                    return True
                webhook.last_error = f"Wrong response from the webhook: {answer.status} {answer.reason}"
        except (aiohttp.ClientError, TimeoutError) as error:
            webhook.last_error = f"Connection failed: {type(error).__name__}"
        webhook.last_error_at = int(self._clock().timestamp())
        return False


# --- chats, files and the world that they share -------------------------------------------------


@dataclass(slots=True)
class _File:
    file_id: str
    kind: str
    name: str
    mime_type: str
    path: str
    content: bytes

    @property
    def unique_id(self) -> str:
        return f"AQAD{self.file_id[-8:]}"


@dataclass(slots=True)
class _Chat:
    """One private chat: what was said, and whether the bot may write."""

    user: JsonObject
    has_started: bool = False
    is_blocked: bool = False
    is_deactivated: bool = False
    raw: dict[int, JsonObject] = field(default_factory=dict)
    transcript: list[ChatMessage] = field(default_factory=list)
    offered: dict[int, list[JsonObject]] = field(default_factory=lambda: defaultdict(list))
    reactions: dict[int, str] = field(default_factory=dict)
    answers: list[CallbackAnswer] = field(default_factory=list)
    waiting: list[tuple[Callable[[ChatMessage], bool], asyncio.Future[ChatMessage]]] = field(default_factory=list)

    @property
    def chat_id(self) -> int:
        return int(self.user["id"])

    @property
    def card(self) -> JsonObject:
        """The `chat` object of every message here."""
        return {"id": self.user["id"], "first_name": self.user["first_name"], "type": "private"}

    def shown(self, message_id: int) -> ChatMessage | None:
        return next((m for m in reversed(self.transcript) if m.message_id == message_id), None)

    def tell(self, message: ChatMessage) -> None:
        """Lets those who wait see a message that the bot wrote or changed."""
        for waiter in [w for w in self.waiting if not w[1].done()]:
            try:
                if waiter[0](message):
                    waiter[1].set_result(message)
            except Exception as error:  # noqa: BLE001 - a caller's predicate fails at its waiter
                waiter[1].set_exception(error)


@dataclass(slots=True)
class _Query:
    chat: _Chat
    asked_at: float


class _World:
    """What the server and its customers share: time, ids, chats, files, open callback queries."""

    def __init__(self, clock: Callable[[], datetime], bot: JsonObject, *, record: bool) -> None:
        self.clock = clock
        self.bot = bot
        self.record = record
        self.updates = _Updates(clock)
        self.message_ids = count(1)
        self.query_ids = count(4_382_000_000_000_000_001)
        self.file_ids = count(1)
        self.user_ids = count(5_100_000_001)
        self.chats: dict[int, _Chat] = {}
        self.files: dict[str, _File] = {}
        self.paths: dict[str, _File] = {}
        self.queries: OrderedDict[str, _Query] = OrderedDict()

    def unix_now(self) -> int:
        return int(self.clock().timestamp())

    def keep(self, chat: _Chat, message: JsonObject, *, media: str | None = None) -> None:
        """Stores a message; without recording only the newest of the bot stays."""
        message_id = message["message_id"]
        if not self.record:
            if not message["from"]["is_bot"]:
                return
            chat.raw.clear()
            chat.offered.clear()
        chat.raw[message_id] = message
        self.offer(chat, message)
        if not self.record and not chat.waiting:
            return
        shown = ChatMessage(
            message_id=message_id,
            from_bot=message["from"]["is_bot"],
            text=message.get("text", ""),
            caption=message.get("caption", ""),
            buttons=_labels(message),
            at=self.clock(),
            media=media,
        )
        if self.record:
            chat.transcript.append(shown)
        if shown.from_bot:
            chat.tell(shown)

    def offer(self, chat: _Chat, message: JsonObject) -> None:
        """Remembers every button ever shown, for those who tap what is no longer there."""
        rows = message.get("reply_markup", {}).get("inline_keyboard", [])
        if rows:
            chat.offered[message["message_id"]].extend(b for row in rows for b in row)

    def changed(self, chat: _Chat, message: JsonObject) -> None:
        """Brings the transcript up to date with an edited message."""
        self.offer(chat, message)
        shown = chat.shown(message["message_id"])
        if shown is not None:
            shown.text = message.get("text", "")
            shown.caption = message.get("caption", "")
            shown.buttons = _labels(message)
            shown.edited = True
            if shown.from_bot:
                chat.tell(shown)

    def add_file(self, kind: str, content: bytes, *, name: str, mime_type: str) -> _File:
        number = next(self.file_ids)
        path = f"{kind}s/file_{number}{name[name.rfind('.') :] if '.' in name else ''}"
        file = _File(f"SANDBOX-{kind}-{number:08d}", kind, name, mime_type, path, content)
        self.files[file.file_id] = file
        self.paths[path] = file
        return file


def _media_fields(file: _File) -> JsonObject:
    """The part of a message that shows `file`, with every field that Telegram always sends."""
    common = {"file_id": file.file_id, "file_unique_id": file.unique_id, "file_size": len(file.content)}
    match file.kind:
        case "photo":
            small = {**common, "file_unique_id": f"{file.unique_id}s", "width": 90, "height": 67}
            return {"photo": [small, {**common, "width": 1280, "height": 960}]}
        case "voice":
            return {"voice": {**common, "duration": 3, "mime_type": file.mime_type}}
        case "sticker":
            look = {"type": "regular", "width": 512, "height": 512, "emoji": "👍"}
            return {"sticker": {**common, **look, "is_animated": False, "is_video": False}}
        case _:
            named = {"file_name": file.name, "mime_type": file.mime_type}
            return {"document": {**common, **named}}


# --- customers ----------------------------------------------------------------------------------


class Customer:
    """A person with Telegram, played from code. Every action returns once its update is queued.

    Attributes:
        answers: What answering callback queries showed to this person, in order.
        opened: The addresses of link buttons that were tapped; Telegram tells no bot of these.
    """

    def __init__(self, world: _World, chat: _Chat) -> None:
        """Built by `SandboxTelegram.customer`."""
        self._world = world
        self._chat = chat
        self.answers = chat.answers
        self.opened: list[str] = []

    @property
    def user_id(self) -> int:
        """Telegram's id of the person, which is also the id of their chat with the bot."""
        return self._chat.chat_id

    @property
    def first_name(self) -> str:
        """The name that the bot sees."""
        return str(self._chat.user["first_name"])

    @property
    def has_started(self) -> bool:
        """Whether they have ever written, so that the bot may."""
        return self._chat.has_started

    @property
    def has_blocked(self) -> bool:
        """Whether they have blocked the bot."""
        return self._chat.is_blocked

    @property
    def chat(self) -> list[ChatMessage]:
        """The transcript, both directions, in order."""
        return self._chat.transcript

    @property
    def last(self) -> ChatMessage:
        """The newest message of the bot that was not deleted.

        Raises:
            SandboxError: the bot has written nothing yet.
        """
        for message in reversed(self._chat.transcript):
            if message.from_bot and not message.deleted:
                return message
        raise SandboxError(f"The bot has written nothing to {self.first_name} yet.")

    @property
    def buttons(self) -> list[str]:
        """The labels of every button that can be tapped now, oldest message first."""
        return [label for message in self._chat.raw.values() for row in _labels(message) for label in row]

    async def start(self, token: str = "") -> int:
        """Presses Start, with the payload of a deep link if given; returns the message id."""
        if self._chat.is_blocked:
            await self.unblock()
        return await self.send(f"/start {token}".strip())

    async def send(self, text: str) -> int:
        """Writes `text`; returns the message id. Also opens the chat, as pressing Start does."""
        fields: JsonObject = {"text": text}
        if entities := _found_entities(text):
            fields["entities"] = entities
        return await self._say(fields)

    async def edit_last(self, text: str) -> int:
        """Changes the newest own text message; returns its id.

        Raises:
            SandboxError: nothing was written yet.
        """
        own = [m for m in self._chat.raw.values() if not m["from"]["is_bot"] and "text" in m]
        if not own:
            raise SandboxError(f"{self.first_name} has written nothing that could be edited.")
        message = own[-1]
        message.pop("entities", None)
        message |= {"text": text, "edit_date": self._world.unix_now()}
        if entities := _found_entities(text):
            message["entities"] = entities
        self._world.changed(self._chat, message)
        await self._emit("edited_message", message)
        return int(message["message_id"])

    async def send_photo(self, caption: str | None = None) -> int:
        """Sends a photo; returns the message id."""
        return await self._send_media("photo", "photo.jpg", "image/jpeg", caption=caption)

    async def send_voice(self) -> int:
        """Sends a voice message of three seconds; returns the message id."""
        return await self._send_media("voice", "voice.oga", "audio/ogg")

    async def send_sticker(self) -> int:
        """Sends a sticker; returns the message id."""
        return await self._send_media("sticker", "sticker.webp", "image/webp")

    async def send_album(self, n: int, caption: str | None = None) -> list[int]:
        """Sends `n` photos as one album: `n` updates that share a media_group_id.

        Returns:
            The message ids; a caption belongs to the first, as Telegram shows it.
        """
        group = f"1390{self._world.unix_now()}{next(self._world.file_ids)}"
        return [
            await self._send_media(
                "photo", "photo.jpg", "image/jpeg", caption=None if position else caption, media_group_id=group
            )
            for position in range(n)
        ]

    async def tap(self, label: str) -> str:
        """Taps the newest button of that label: exact, else the only one that contains it.

        Returns:
            The id of the callback query; empty for a link button, which tells the bot nothing.

        Raises:
            SandboxError: no such button, or several contain `label`; it lists what is there.
        """
        message, button = self._find(label)
        return await self._press(message["message_id"], button)

    async def tap_twice(self, label: str) -> list[str]:
        """Taps a button twice before the bot can react; returns both callback query ids."""
        message, button = self._find(label)
        return [await self._press(message["message_id"], button) for _ in range(2)]

    async def tap_old(self, message_id: int, label_or_data: str) -> str:
        """Taps a button that a message once had, though its keyboard may be gone.

        What is no label ever shown there is sent as the callback data itself. A deleted message
        arrives as Telegram's inaccessible message (date 0).
        """
        offered = self._chat.offered.get(message_id, [])
        known = [b for b in offered if label_or_data in (b["text"], b.get("callback_data"))]
        button = known[-1] if known else {"callback_data": label_or_data}
        return await self._press(message_id, button)

    async def react(self, message_id: int, emoji: str) -> None:
        """Sets the reaction to a message; an empty `emoji` takes it away."""
        before = self._chat.reactions.pop(message_id, "")
        if emoji:
            self._chat.reactions[message_id] = emoji
        old, new = ([{"type": "emoji", "emoji": sign}] if sign else [] for sign in (before, emoji))
        reaction = {
            "chat": self._chat.card,
            "message_id": message_id,
            "user": self._chat.user,
            "date": self._world.unix_now(),
            "old_reaction": old,
            "new_reaction": new,
        }
        await self._emit("message_reaction", reaction)

    async def block(self) -> None:
        """Blocks the bot: it is told by my_chat_member, and every send is refused with 403."""
        self._chat.is_blocked = True
        await self._change_membership("member", "kicked")

    async def unblock(self) -> None:
        """Unblocks the bot, which is told by my_chat_member."""
        self._chat.is_blocked = False
        await self._change_membership("kicked", "member")

    async def deactivate(self) -> None:
        """Deletes the account: every send is refused with 403, and no update tells the bot."""
        self._chat.is_deactivated = True
        await asyncio.sleep(0)

    async def wait_for(
        self,
        predicate: Callable[[ChatMessage], bool],
        timeout: float = 5.0,  # noqa: ASYNC109 - the caller's patience, with a message of its own
        *,
        after: int = 0,
    ) -> ChatMessage:
        """Returns the newest message of the bot that fits, waiting for one if there is none.

        Args:
            predicate: Called with each message that the bot wrote or edited.
            timeout: Patience in real seconds.
            after: Only messages with a greater id count; hand in `last.message_id` to wait for
                what is new.

        Raises:
            TimeoutError: nothing fitted in time; it quotes what the bot wrote last.
        """

        def fits(message: ChatMessage) -> bool:
            return message.message_id > after and not message.deleted and predicate(message)

        for message in reversed(self._chat.transcript):
            if message.from_bot and fits(message):
                return message
        found: asyncio.Future[ChatMessage] = asyncio.get_running_loop().create_future()
        waiter = (fits, found)
        self._chat.waiting.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                return await found
        except TimeoutError:
            said = [f"{m.text or m.caption!r} {m.buttons}" for m in self.chat if m.from_bot][-3:]
            raise TimeoutError(
                f"No fitting message to {self.first_name} within {timeout} s. "
                f"The bot wrote last: {'; '.join(said) or 'nothing'}"
            ) from None
        finally:
            self._chat.waiting.remove(waiter)

    def _find(self, label: str) -> tuple[JsonObject, JsonObject]:
        open_now = [
            (message, button)
            for message in reversed(self._chat.raw.values())
            for row in message.get("reply_markup", {}).get("inline_keyboard", [])
            for button in row
        ]
        for message, button in open_now:
            if button["text"] == label:
                return message, button
        near = [pair for pair in open_now if label.casefold() in pair[1]["text"].casefold()]
        if near and len({button["text"] for _, button in near}) == 1:
            return near[0]
        problem = "Several buttons contain" if near else "No button with"
        raise SandboxError(
            f"{problem} {label!r} in the chat of {self.first_name}; to be seen are "
            f"{self.buttons or 'no buttons at all'}."
        )

    async def _press(self, message_id: int, button: JsonObject) -> str:
        if "callback_data" not in button:
            self.opened.append(str(button.get("url", "")))
            return ""
        query_id = str(next(self._world.query_ids))
        self._world.queries[query_id] = _Query(self._chat, time.monotonic())
        if len(self._world.queries) > OPEN_QUERIES_MAX:
            self._world.queries.popitem(last=False)
        gone = {"chat": self._chat.card, "message_id": message_id, "date": 0}
        query = {
            "id": query_id,
            "from": self._chat.user,
            "message": self._chat.raw.get(message_id, gone),
            "chat_instance": str(-self.user_id * 7919),
            "data": button["callback_data"],
        }
        await self._emit("callback_query", query)
        return query_id

    async def _say(self, fields: JsonObject, *, media: str | None = None) -> int:
        self._chat.has_started = True
        message_id = next(self._world.message_ids)
        message = {
            "message_id": message_id,
            "from": self._chat.user,
            "chat": self._chat.card,
            "date": self._world.unix_now(),
            **fields,
        }
        self._world.keep(self._chat, message, media=media)
        await self._emit("message", message)
        return message_id

    async def _send_media(
        self, kind: str, name: str, mime_type: str, *, caption: str | None = None, media_group_id: str | None = None
    ) -> int:
        content = f"sandbox {kind} of {self.first_name}".encode()
        file = self._world.add_file(kind, content, name=name, mime_type=mime_type)
        fields = _media_fields(file)
        if media_group_id:
            fields["media_group_id"] = media_group_id
        if caption:
            fields["caption"] = caption
        return await self._say(fields, media=kind)

    async def _change_membership(self, old: str, new: str) -> None:
        bot = self._world.bot
        until = {"member": {}, "kicked": {"until_date": 0}}
        change = {
            "chat": self._chat.card,
            "from": self._chat.user,
            "date": self._world.unix_now(),
            "old_chat_member": {"user": bot, "status": old, **until[old]},
            "new_chat_member": {"user": bot, "status": new, **until[new]},
        }
        await self._emit("my_chat_member", change)

    async def _emit(self, kind: str, payload: JsonObject) -> None:
        self._world.updates.emit(kind, payload, self.user_id)
        # A step of the loop, so that a waiting bot is not starved by a busy player.
        await asyncio.sleep(0)


# --- faults and limits --------------------------------------------------------------------------

_STATUS_TEXTS = {
    400: "Bad Request: refused by the sandbox",
    401: "Unauthorized",
    403: "Forbidden: bot was blocked by the user",
    404: "Not Found",
    409: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    500: "Internal Server Error",
    502: "Bad Gateway",
}


@dataclass(slots=True)
class _Fault:
    """What is to go wrong with the next calls of a method: refuse, hang or drop the reply."""

    method: str
    chat_id: int | None = None
    times: int = 1
    refusal: RefusedError | None = None
    hang_seconds: float = 0
    does_act: bool = True
    is_reply_dropped: bool = False


class _Budget:
    """Counts sends in real time, and says when a send is one too many."""

    def __init__(self) -> None:
        self.sent_at: array[float] = array("d")
        self._accepted: deque[float] = deque()
        self._next_at: dict[int, float] = {}

    def note(self) -> None:
        self.sent_at.append(time.monotonic())

    def check(self, chat_id: int) -> None:
        """Counts one send.

        Raises:
            RefusedError: 429 with the whole seconds to wait.
        """
        now = time.monotonic()
        while self._accepted and now - self._accepted[0] >= 1:
            self._accepted.popleft()
        wait = 0.0
        if len(self._accepted) >= SENDS_PER_SECOND:
            wait = 1 - (now - self._accepted[0])
        next_at = max(self._next_at.get(chat_id, 0), now)
        wait = max(wait, next_at - now - (CHAT_BURST - 1))
        if wait > 0:
            raise _too_many(math.ceil(wait))
        self._accepted.append(now)
        self._next_at[chat_id] = next_at + 1

    def worst_second(self) -> int:
        worst = first = 0
        for last, at in enumerate(self.sent_at):
            while at - self.sent_at[first] >= 1:
                first += 1
            worst = max(worst, last - first + 1)
        return worst


def _too_many(seconds: int) -> RefusedError:
    return RefusedError(429, f"Too Many Requests: retry after {seconds}", retry_after=max(1, seconds))


# --- the server ---------------------------------------------------------------------------------


def _integer(params: JsonObject, name: str, default: int) -> int:
    value = params.get(name)
    return value if isinstance(value, int) else default


@dataclass(frozen=True, slots=True)
class _Upload:
    name: str
    mime_type: str
    content: bytes


_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]+")
_SECRET = re.compile(r"[A-Za-z0-9_-]{0,256}")
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_Method = Callable[[JsonObject], Any]


class SandboxTelegram:
    """A Telegram Bot API for one bot, on a free port of 127.0.0.1, while the context is open.

    Attributes:
        calls: Every API call as it arrived, newest last; at most `keep_calls` of them.
        arrivals: Every message that was taken, as it was then, newest last; as many.
        handed: Every update that was queued for the bot, newest last; as many.
        played: Method and chat of every call that a fault on demand spoiled; as many.
        commands: What setMyCommands stored, by (scope type, language code).
        descriptions: What setMyDescription stored, by language code.
        short_descriptions: What setMyShortDescription stored, by language code.
        latency: How long each call takes before anything happens.
    """

    def __init__(
        self,
        *,
        token: str,
        clock: Callable[[], datetime],
        username: str = "aftersale_sandbox_bot",
        limits: bool = False,
        record: bool = True,
        keep_calls: int | None = 10_000,
        answer_window: timedelta = ANSWER_WINDOW,
    ) -> None:
        """Prepares the sandbox; nothing listens before the context is entered.

        Args:
            token: The one bot token that is accepted, as `digits:letters`.
            clock: Gives the sandbox's time, timezone-aware; whoever owns it can move it.
            username: The bot's, without @.
            limits: Refuse with 429 what is too fast: more than 30 sends in any second, or more
                than one per second and chat after a burst of three.
            record: Keep transcripts. Without it only the newest message of a chat is kept: taps
                and edits of that one work, memory does not grow.
            keep_calls: How many calls `calls` holds; None for all, 0 for none.
            answer_window: For how long, in real time, a callback query can be answered.
        """
        bot_id = int(token.partition(":")[0])
        self._token = token
        self._bot = {"id": bot_id, "is_bot": True, "first_name": "Aftersale sandbox", "username": username}
        self._world = _World(clock, self._bot, record=record)
        self._limits = limits
        self._answer_seconds = answer_window.total_seconds()
        self._keeps_calls = keep_calls != 0
        self._faults: dict[str, list[_Fault]] = {}
        self._budget = _Budget()
        self._closing = asyncio.Event()
        self._listening: Listening | None = None
        self._base_url = ""
        self._methods: dict[str, _Method] = {
            name.lower(): getattr(self, f"_{snake}") for name, snake in _METHODS.items()
        }
        self.calls: deque[Call] = deque(maxlen=keep_calls)
        self.arrivals: deque[Arrival] = deque(maxlen=keep_calls)
        self.handed: deque[JsonObject] = deque(maxlen=keep_calls)
        self.played: deque[tuple[str, int | None]] = deque(maxlen=keep_calls)
        self._world.updates.handed = self.handed
        self.commands: dict[tuple[str, str], list[JsonObject]] = {}
        self.descriptions: dict[str, str] = {}
        self.short_descriptions: dict[str, str] = {}
        self.latency = timedelta(0)

    async def __aenter__(self) -> Self:
        """Starts listening."""
        server = web.Server(self._handle, request_factory=_make_request, access_log=None)
        self._listening = Listening(web.ServerRunner(server, shutdown_timeout=0.5))
        self._base_url = await self._listening.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends waiting calls and webhooks, and stops listening."""
        self._closing.set()
        self._world.updates.is_down = True
        self._world.updates.wake()
        await self._world.updates.stop_webhook()
        if self._listening is not None:
            await self._listening.close()

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT`; clients add `/bot` and `/file/bot`.

        Raises:
            SandboxError: the context is not open.
        """
        if not self._base_url:
            raise SandboxError("The sandbox has no address before `async with` opens it.")
        return self._base_url

    def customer(
        self, *, first_name: str = "Freja", language_code: str | None = "en", user_id: int | None = None
    ) -> Customer:
        """Returns a new person who has never pressed Start.

        Raises:
            SandboxError: the user id is taken.
        """
        if user_id is None:
            user_id = next(self._world.user_ids)
        if user_id in self._world.chats:
            raise SandboxError(f"There is a customer with the user id {user_id} already.")
        user: JsonObject = {"id": user_id, "is_bot": False, "first_name": first_name}
        if language_code is not None:
            user["language_code"] = language_code
        chat = self._world.chats[user_id] = _Chat(user)
        return Customer(self._world, chat)

    # Faults on demand.

    @property
    def down(self) -> bool:
        """Whether every connection is closed without an answer; webhooks rest meanwhile."""
        return self._world.updates.is_down

    @down.setter
    def down(self, is_down: bool) -> None:
        self._world.updates.is_down = is_down
        if is_down:
            self._world.updates.wake()

    async def go_offline(self) -> None:
        """Cuts every connection and listens no more: whoever connects is refused, as where no network is."""
        self.down = True
        if self._listening is not None:
            await self._listening.go_offline()

    async def come_online(self) -> None:
        """Listens again, at the same address."""
        if self._listening is not None:
            await self._listening.come_online()
        self.down = False

    def fail_next(
        self,
        method: str,
        *,
        status: int,
        retry_after: int | None = None,
        description: str | None = None,
        times: int = 1,
        chat_id: int | None = None,
    ) -> None:
        """Refuses the next calls of `method` without acting.

        Args:
            method: For example `sendMessage`.
            status: HTTP status and error code; 429 asks to wait (1 second unless told).
            retry_after: Seconds to wait, for 429.
            description: Instead of the usual words for this status.
            times: How many calls.
            chat_id: Only calls for this chat.
        """
        if status == HTTPStatus.TOO_MANY_REQUESTS and retry_after is None:
            retry_after = 1
        if description is None:
            usual = _STATUS_TEXTS.get(status, "Internal Server Error")
            description = (
                usual if status != HTTPStatus.TOO_MANY_REQUESTS else f"Too Many Requests: retry after {retry_after}"
            )
        refusal = RefusedError(status, description, retry_after=retry_after)
        self._order(_Fault(method, chat_id, times, refusal=refusal))

    def hang_next(self, method: str, seconds: float, *, acts: bool = True, chat_id: int | None = None) -> None:
        """Keeps the next call of `method` waiting, so that its client runs into a time-out.

        Args:
            method: For example `sendMessage`.
            seconds: Real seconds until the answer comes.
            acts: Whether the call takes effect at once, unknown to the client; if not, it never
                does, and the connection is closed after the wait.
            chat_id: Only a call for this chat.
        """
        self._order(_Fault(method, chat_id, hang_seconds=seconds, does_act=acts))

    def drop_reply_next(self, method: str, *, times: int = 1, chat_id: int | None = None) -> None:
        """Lets the next calls of `method` take effect, then closes the connection unanswered."""
        self._order(_Fault(method, chat_id, times, is_reply_dropped=True))

    def repeat_next_update(self, n: int = 1) -> None:
        """Hands each of the next `n` updates over twice, with one update_id.

        The second time comes after the first was confirmed (polling) or accepted (webhook).
        """
        self._world.updates.repeat(n)

    def delay_next_update(self, n: int = 1) -> None:
        """Keeps the next `n` updates back until `release_updates`; those after them go before them."""
        self._world.updates.delay(n)

    def release_updates(self, *, newest_first: bool = False) -> None:
        """Hands over what was kept back, however late it is by now; nothing more is kept back."""
        self._world.updates.release(newest_first=newest_first)

    def forget_faults(self) -> None:
        """Takes back every fault that was ordered and has not come up yet."""
        self._faults.clear()

    def _order(self, fault: _Fault) -> None:
        name = fault.method.lower()
        if name not in self._methods and name != "getupdates":
            raise SandboxError(f"The sandbox knows no method {fault.method!r}.")
        self._faults.setdefault(name, []).append(fault)

    # What tests ask.

    def worst_second(self) -> int:
        """The most sends that arrived within any one second of real time, refused ones included."""
        return self._budget.worst_second()

    def forget_pace(self) -> None:
        """Begin `worst_second` anew: what was sent before, to set the stage, is not asked about."""
        del self._budget.sent_at[:]

    @property
    def overlapping_polls(self) -> int:
        """How often one getUpdates came while another one, whose caller was still there, waited for updates."""
        return self._world.updates.overlaps

    @property
    def pending_updates(self) -> int:
        """How many updates wait to be confirmed by the bot."""
        return len(self._world.updates)

    # The way of a call, from the socket to its answer.

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.latency:
            await self._pause(self.latency.total_seconds())
        if self.down:
            return _cut(request)
        try:
            head, _, rest = request.path.lstrip("/").partition("/")
            if head == "file":
                head, _, rest = rest.partition("/")
                self._check_token(head)
                return self._download(rest)
            self._check_token(head)
            return await self._answer(request, rest)
        except RefusedError as refusal:
            return _error(refusal)

    def _check_token(self, head: str) -> None:
        token = head.removeprefix("bot")
        if token == self._token and head != token:
            return
        if head.startswith("bot") and _TOKEN.fullmatch(token):
            raise RefusedError(401, "Unauthorized")
        raise RefusedError(404, "Not Found")

    async def _answer(self, request: web.BaseRequest, method: str) -> web.StreamResponse:
        name = method.lower()
        params = await _parameters(request)
        if self._keeps_calls:
            self.calls.append(Call(method, params, self._world.clock()))
        if name in SENDS:
            self._budget.note()
        fault = self._fault(name, params)
        if fault is not None and fault.refusal is not None:
            raise fault.refusal
        if fault is None or fault.does_act:
            result = await self._act(name, params, lambda: _is_there(request))
        else:
            result = b"false"
        if fault is not None:
            await self._pause(fault.hang_seconds)
            if fault.is_reply_dropped or not fault.does_act:
                return _cut(request)
        if self.down:
            return _cut(request)
        body = b'{"ok":true,"result":' + result + b"}"
        return web.Response(body=body, content_type="application/json")

    async def _act(self, name: str, params: JsonObject, is_there: Callable[[], bool]) -> bytes:
        if name == "getupdates":
            return await self._world.updates.get(params, is_there)
        method = self._methods.get(name)
        if method is None:
            raise RefusedError(404, "Not Found")
        result = method(params)
        if asyncio.iscoroutine(result):
            result = await result
        return _to_json(result)

    def _fault(self, name: str, params: JsonObject) -> _Fault | None:
        if not self._faults:
            return None
        faults = self._faults.get(name, [])
        for fault in faults:
            if fault.chat_id is None or fault.chat_id == params.get("chat_id"):
                fault.times -= 1
                if fault.times <= 0:
                    faults.remove(fault)
                self.played.append((fault.method, params.get("chat_id")))
                return fault
        return None

    async def _pause(self, seconds: float) -> None:
        """Waits in real time, but no longer than the sandbox is open."""
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._closing.wait()
            except TimeoutError:
                return

    def _download(self, path: str) -> web.Response:
        file = self._world.paths.get(path)
        if file is None:
            raise RefusedError(404, "Not Found")
        return web.Response(body=file.content, content_type="application/octet-stream")

    # The methods about updates.

    async def _set_webhook(self, params: JsonObject) -> bool:
        url = str(params.get("url") or "")
        secret = str(params.get("secret_token") or "")
        if not url:
            return await self._delete_webhook(params)
        if urlsplit(url).scheme not in ("http", "https"):
            raise _bad("bad webhook: An HTTPS URL must be provided for webhook")
        if len(secret) > SECRET_MAX_CHARS:
            raise _bad("secret token is too long")
        if not _SECRET.fullmatch(secret):
            raise _bad("secret token contains unallowed characters")
        connections = min(100, max(1, _integer(params, "max_connections", 40)))
        updates = self._world.updates
        updates.allow(params.get("allowed_updates"))
        if params.get("drop_pending_updates"):
            updates.drop()
        await updates.start_webhook(_Webhook(url, secret, asyncio.Semaphore(connections), connections))
        return True

    async def _delete_webhook(self, params: JsonObject) -> bool:
        await self._world.updates.stop_webhook()
        if params.get("drop_pending_updates"):
            self._world.updates.drop()
        return True

    def _get_webhook_info(self, _params: JsonObject) -> JsonObject:
        updates = self._world.updates
        info: JsonObject = {"url": "", "has_custom_certificate": False, "pending_update_count": len(updates)}
        if updates.allowed:
            info["allowed_updates"] = updates.allowed
        if webhook := updates.webhook:
            info |= {"url": webhook.url, "max_connections": webhook.max_connections}
            info["ip_address"] = "127.0.0.1"
            if webhook.last_error:
                info["last_error_date"] = webhook.last_error_at
                info["last_error_message"] = webhook.last_error
        return info

    # The methods that send.

    def _send_message(self, params: JsonObject) -> JsonObject:
        chat = self._writable(params)
        text, entities = _message_text(params, too_long="message is too long")
        fields: JsonObject = {"text": text}
        if entities:
            fields["entities"] = entities
        return self._sent(chat, params, fields)

    def _send_photo(self, params: JsonObject) -> JsonObject:
        return self._send_file(params, "photo")

    def _send_document(self, params: JsonObject) -> JsonObject:
        return self._send_file(params, "document")

    def _send_file(self, params: JsonObject, kind: str) -> JsonObject:
        chat = self._writable(params)
        caption, entities = _formatted(params, "caption")
        if _units(caption) > CAPTION_MAX_UNITS:
            raise _bad("message caption is too long")
        fields = _media_fields(self._file_of(params, kind))
        if caption:
            fields["caption"] = caption
        if entities:
            fields["caption_entities"] = entities
        return self._sent(chat, params, fields, media=kind)

    def _file_of(self, params: JsonObject, kind: str) -> _File:
        given = params.get(kind)
        if isinstance(given, str) and given.startswith("attach://"):
            given = params.get(given.removeprefix("attach://"))
        if isinstance(given, _Upload):
            if not given.content:
                raise _bad("file must be non-empty")
            if len(given.content) > UPLOAD_MAX_BYTES[kind]:
                raise RefusedError(413, "Request Entity Too Large")
            return self._world.add_file(kind, given.content, name=given.name, mime_type=given.mime_type)
        if not given:
            raise _bad(f"there is no {kind} in the request")
        if str(given).startswith(("http://", "https://")):
            raise _bad("failed to get HTTP URL content")
        file = self._world.files.get(str(given))
        if file is None:
            raise _bad("wrong remote file identifier specified: can't unserialize it")
        if file.kind != kind:
            raise _bad(f"can't use file of type {file.kind.title()} as {kind.title()}")
        return file

    def _send_chat_action(self, params: JsonObject) -> bool:
        self._writable(params)
        if params.get("action") not in CHAT_ACTIONS:
            raise _bad("wrong parameter action in request")
        return True

    def _sent(self, chat: _Chat, params: JsonObject, fields: JsonObject, *, media: str | None = None) -> JsonObject:
        rows = _inline_keyboard(params)
        message: JsonObject = {
            "message_id": 0,
            "from": self._bot,
            "chat": chat.card,
            "date": self._world.unix_now(),
            **fields,
            **self._reply(chat, params),
        }
        if rows:
            message["reply_markup"] = {"inline_keyboard": rows}
        if params.get("protect_content"):
            message["has_protected_content"] = True
        if self._limits:
            self._budget.check(chat.chat_id)
        message["message_id"] = next(self._world.message_ids)
        if self._keeps_calls:
            data = tuple(str(button.get("callback_data", "")) for row in rows for button in row)
            text = message.get("text") or message.get("caption", "")
            self.arrivals.append(Arrival(chat.chat_id, message["message_id"], text, data, self._world.clock()))
        self._world.keep(chat, message, media=media)
        return message

    def _reply(self, chat: _Chat, params: JsonObject) -> JsonObject:
        reply = params.get("reply_parameters")
        if not isinstance(reply, dict):
            return {}
        original = chat.raw.get(reply.get("message_id", 0))
        if original is None:
            if reply.get("allow_sending_without_reply"):
                return {}
            raise _bad("message to be replied not found")
        return {"reply_to_message": {k: v for k, v in original.items() if k != "reply_to_message"}}

    def _chat_of(self, params: JsonObject) -> _Chat:
        chat_id = params.get("chat_id")
        if chat_id in (None, ""):
            raise _bad("chat_id is empty")
        chat = self._world.chats.get(chat_id) if isinstance(chat_id, int) else None
        if chat is None:
            raise _bad("chat not found")
        return chat

    def _writable(self, params: JsonObject) -> _Chat:
        chat = self._chat_of(params)
        if chat.is_deactivated:
            raise RefusedError(403, "Forbidden: user is deactivated")
        if chat.is_blocked:
            raise RefusedError(403, "Forbidden: bot was blocked by the user")
        if not chat.has_started:
            raise RefusedError(403, "Forbidden: bot can't initiate conversation with a user")
        return chat

    # The methods that change what was sent.

    def _edit_message_text(self, params: JsonObject) -> JsonObject:
        chat, message = self._editable(params)
        if "text" not in message:
            raise _bad("there is no text in the message to edit")
        text, entities = _message_text(params, too_long="MESSAGE_TOO_LONG")
        rows = _inline_keyboard(params)
        is_same_text = text == message["text"] and entities == message.get("entities", [])
        if is_same_text and rows == _rows(message):
            raise _not_modified()
        message["text"] = text
        message.pop("entities", None)
        if entities:
            message["entities"] = entities
        return self._edited(chat, message, rows)

    def _edit_message_caption(self, params: JsonObject) -> JsonObject:
        chat, message = self._editable(params)
        if "text" in message:
            raise _bad("there is no caption in the message to edit")
        caption, entities = _formatted(params, "caption")
        if _units(caption) > CAPTION_MAX_UNITS:
            raise _bad("message caption is too long")
        rows = _inline_keyboard(params)
        if caption == message.get("caption", "") and rows == _rows(message):
            raise _not_modified()
        message["caption"] = caption
        message.pop("caption_entities", None)
        if entities:
            message["caption_entities"] = entities
        return self._edited(chat, message, rows)

    def _edit_message_reply_markup(self, params: JsonObject) -> JsonObject:
        chat, message = self._editable(params)
        rows = _inline_keyboard(params)
        if rows == _rows(message):
            raise _not_modified()
        return self._edited(chat, message, rows)

    def _editable(self, params: JsonObject) -> tuple[_Chat, JsonObject]:
        chat = self._chat_of(params)
        if not params.get("message_id"):
            raise _bad("message identifier is not specified")
        message = chat.raw.get(_integer(params, "message_id", 0))
        if message is None:
            raise _bad("message to edit not found")
        if not message["from"]["is_bot"]:
            raise _bad("message can't be edited")
        return chat, message

    def _edited(self, chat: _Chat, message: JsonObject, rows: list[list[JsonObject]]) -> JsonObject:
        message.pop("reply_markup", None)
        if rows:
            message["reply_markup"] = {"inline_keyboard": rows}
        message["edit_date"] = self._world.unix_now()
        self._world.changed(chat, message)
        return message

    def _delete_message(self, params: JsonObject) -> bool:
        chat = self._chat_of(params)
        message = chat.raw.get(_integer(params, "message_id", 0))
        if message is None:
            raise _bad("message to delete not found")
        if self._world.unix_now() - message["date"] >= DELETE_WINDOW.total_seconds():
            raise _bad("message can't be deleted for everyone")
        del chat.raw[message["message_id"]]
        shown = chat.shown(message["message_id"])
        if shown is not None:
            shown.deleted = True
        return True

    def _answer_callback_query(self, params: JsonObject) -> bool:
        text = str(params.get("text") or "")
        if len(text) > ANSWER_MAX_CHARS:
            raise _bad("MESSAGE_TOO_LONG")
        query_id = str(params.get("callback_query_id") or "")
        query = self._world.queries.pop(query_id, None)
        if query is None or time.monotonic() - query.asked_at > self._answer_seconds:
            raise _bad("query is too old and response timeout expired or query ID is invalid")
        if self._world.record:
            is_alert = bool(params.get("show_alert"))
            url = str(params.get("url") or "")
            query.chat.answers.append(CallbackAnswer(query_id, text, is_alert, url))
        return True

    # The methods that ask, and the settings of the bot.

    def _get_me(self, _params: JsonObject) -> JsonObject:
        abilities = (
            "can_join_groups",
            "can_read_all_group_messages",
            "supports_inline_queries",
            "can_connect_to_business",
            "has_main_web_app",
        )
        return {**self._bot, **dict.fromkeys(abilities, False)}

    def _get_chat(self, params: JsonObject) -> JsonObject:
        gifts = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription")
        accepted = dict.fromkeys((*gifts, "gifts_from_channels"), False)
        return {
            **self._chat_of(params).card,
            "accent_color_id": 0,
            "max_reaction_count": 11,
            "accepted_gift_types": accepted,
        }

    def _get_file(self, params: JsonObject) -> JsonObject:
        file = self._world.files.get(str(params.get("file_id")))
        if file is None:
            raise _bad("wrong file_id or the file is temporarily unavailable")
        if len(file.content) > DOWNLOAD_MAX_BYTES:
            raise _bad("file is too big")
        return {
            "file_id": file.file_id,
            "file_unique_id": file.unique_id,
            "file_size": len(file.content),
            "file_path": file.path,
        }

    def _set_my_commands(self, params: JsonObject) -> bool:
        commands = params.get("commands")
        if not isinstance(commands, list):
            raise _bad("can't parse commands: expected an Array of BotCommand")
        if len(commands) > COMMANDS_MAX:
            raise _bad("BOT_COMMANDS_TOO_MUCH")
        for command in commands:
            if not _COMMAND.fullmatch(str(command.get("command", "")).removeprefix("/")):
                raise _bad("BOT_COMMAND_INVALID")
            if not 1 <= len(str(command.get("description", ""))) <= COMMAND_DESCRIPTION_MAX_CHARS:
                raise _bad("BOT_COMMAND_DESCRIPTION_INVALID")
        self.commands[_scope(params)] = commands
        return True

    def _get_my_commands(self, params: JsonObject) -> list[JsonObject]:
        return self.commands.get(_scope(params), [])

    def _set_my_description(self, params: JsonObject) -> bool:
        return _describe(self.descriptions, params, "description", 512)

    def _set_my_short_description(self, params: JsonObject) -> bool:
        return _describe(self.short_descriptions, params, "short_description", 120)


_METHODS = {
    "getMe": "get_me",
    "setWebhook": "set_webhook",
    "deleteWebhook": "delete_webhook",
    "getWebhookInfo": "get_webhook_info",
    "sendMessage": "send_message",
    "sendPhoto": "send_photo",
    "sendDocument": "send_document",
    "sendChatAction": "send_chat_action",
    "editMessageText": "edit_message_text",
    "editMessageCaption": "edit_message_caption",
    "editMessageReplyMarkup": "edit_message_reply_markup",
    "deleteMessage": "delete_message",
    "answerCallbackQuery": "answer_callback_query",
    "getChat": "get_chat",
    "getFile": "get_file",
    "setMyCommands": "set_my_commands",
    "getMyCommands": "get_my_commands",
    "setMyDescription": "set_my_description",
    "setMyShortDescription": "set_my_short_description",
}


def _rows(message: JsonObject) -> list[list[JsonObject]]:
    rows: list[list[JsonObject]] = message.get("reply_markup", {}).get("inline_keyboard", [])
    return rows


def _not_modified() -> RefusedError:
    return _bad(
        "message is not modified: specified new message content and reply markup are exactly "
        "the same as a current content and reply markup of the message"
    )


def _scope(params: JsonObject) -> tuple[str, str]:
    scope = params.get("scope")
    kind = scope.get("type", "default") if isinstance(scope, dict) else "default"
    return str(kind), str(params.get("language_code") or "")


def _describe(store: dict[str, str], params: JsonObject, name: str, max_chars: int) -> bool:
    text = str(params.get(name) or "")
    if len(text) > max_chars:
        raise _bad(f"{name.upper()}_TOO_LONG")
    store[str(params.get("language_code") or "")] = text
    return True


async def _parameters(request: web.BaseRequest) -> JsonObject:
    """The parameters of a call, whichever of the four ways they came in."""
    kind = request.content_type
    found: JsonObject = dict(request.query) if request.query_string else {}
    if kind == "application/x-www-form-urlencoded":
        body = (await request.read()).decode()
        found.update(parse_qsl(body, keep_blank_values=True))
    elif kind == "multipart/form-data":
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                found[name] = _Upload(value.filename, value.content_type, value.file.read())
            else:
                found[name] = value
    elif kind == "application/json" and request.can_read_body:
        try:
            found.update(json.loads(await request.read()))
        except (ValueError, TypeError):
            raise _bad("can't parse request JSON object") from None
    for name in STRUCTURED.intersection(found):
        value = found[name]
        if isinstance(value, str):
            try:
                found[name] = json.loads(value)
            except ValueError:
                continue
    return found


def _make_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    # aiohttp stops at one MiB unless told otherwise; Telegram takes uploads of 50 MB.
    size = UPLOAD_MAX_BYTES["document"] + 2**20
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=size)


def _is_there(request: web.BaseRequest) -> bool:
    """Whether the caller still holds the line."""
    return request.transport is not None and not request.transport.is_closing()


def _cut(request: web.BaseRequest) -> web.Response:
    """Closes the connection at once; the response that is returned reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _error(refusal: RefusedError) -> web.Response:
    body: JsonObject = {"ok": False, "error_code": refusal.code, "description": refusal.description}
    headers = {}
    if refusal.retry_after is not None:
        body["parameters"] = {"retry_after": refusal.retry_after}
        headers["Retry-After"] = str(refusal.retry_after)
    return web.Response(
        status=refusal.code, body=json.dumps(body).encode(), content_type="application/json", headers=headers
    )
