"""The state of the sandbox workspace: people, channels, messages, triggers, and waiting.

No HTTP and no delivery: those who change something call `Workspace.changed`, and what must
reach the app as an event is handed to `Workspace.emit`, which the server fills in.
"""

import asyncio
import itertools
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from bot.adapters.sandbox.slack.blocks import Json
from bot.adapters.sandbox.slack.rendering import label_of, pressables, render_blocks

T = TypeVar("T")

TEAM_ID = "T0SANDBOX"
OTHER_TEAM_ID = "T0STRANGER"
APP_ID = "A0SANDBOX"
BOT_ID = "B0SANDBOX"
BOT_USER_ID = "U0BOT"
# A response_url may be used five times within thirty minutes.
# Source: https://docs.slack.dev/interactivity/handling-user-interaction
RESPONSE_URL_USES = 5
TICKETS_KEPT = 10_000
RESPONSE_URL_LIVES = timedelta(minutes=30)


@dataclass(frozen=True)
class Ack:
    """What the app gave back for one payload: nothing, a bare yes, or a yes with an answer.

    `reason` says why there was no yes; empty otherwise.
    """

    acked: bool
    payload: Json | None = None
    reason: str = ""


@dataclass(frozen=True)
class Telling:
    """An event on its way to the app, or not sent because the app does not hear of it."""

    task: asyncio.Task[Ack] | None = None

    async def settled(self) -> Ack:
        """Return the app's acknowledgement of the first delivery."""
        if self.task is None:
            return Ack(acked=False, reason="not_subscribed")
        return await self.task


class Refused(Exception):
    """Slack says no: becomes `{"ok": false, "error": …}`.

    Attributes:
        error: Slack's error code.
        messages: What stands in `response_metadata.messages`.
        extra: Further fields of the answer.
    """

    def __init__(self, error: str, messages: Iterable[str] = (), **extra: str) -> None:
        super().__init__(error)
        self.error = error
        self.messages = list(messages)
        self.extra = extra


@dataclass(slots=True, kw_only=True)
class Person:
    """One user of the workspace; the bot is one as well. A guest may be one of a single channel."""

    id: str
    name: str
    tz: str = "Europe/Copenhagen"
    guest: bool = False
    one_channel: bool = False
    stranger: bool = False
    admin: bool = False
    has_left: bool = False
    is_bot: bool = False

    @property
    def team_id(self) -> str:
        """The workspace that they belong to; another one for strangers (Slack Connect)."""
        return OTHER_TEAM_ID if self.stranger else TEAM_ID

    @property
    def handle(self) -> str:
        """The short name without spaces."""
        return self.name.lower().replace(" ", ".")


@dataclass(slots=True, kw_only=True)
class Message:
    """One message as it stands now; later edits change this same object.

    `ts` is Slack's id and time in one; `thread_ts` is the parent's for a reply, its own for a
    parent that has replies.
    """

    channel_id: str
    ts: str
    user: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    bot_id: str | None = None
    thread_ts: str | None = None
    metadata: Json | None = None
    edited: Json | None = None
    subtype: str | None = None
    files: list[Json] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    replies: list["Message"] = field(default_factory=list)
    parent_user_id: str | None = None
    is_ephemeral: bool = False
    is_deleted: bool = False

    @property
    def is_reply(self) -> bool:
        """Whether it stands in a thread, below its parent."""
        return self.thread_ts is not None and self.thread_ts != self.ts

    @property
    def sent_at(self) -> datetime:
        """When it was posted, UTC."""
        seconds, _, micros = self.ts.partition(".")
        return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(micros))

    @property
    def buttons(self) -> list[str]:
        """Labels of everything that can be pressed, in reading order."""
        return [label_of(element) for _, element in pressables(self.blocks)]

    def plain(self) -> str:
        """Return the message as a person reads it: blocks as lines, else the text."""
        return render_blocks(self.blocks, self.text)

    def as_json(self, *, with_metadata: bool = False) -> Json:
        """Return the message object of Slack's API."""
        told: Json = {"type": "message", "user": self.user, "ts": self.ts, "text": self.text}
        told["team"] = TEAM_ID
        if self.bot_id:
            told |= {"bot_id": self.bot_id, "app_id": APP_ID}
        for name in ("blocks", "thread_ts", "parent_user_id", "edited", "subtype", "files"):
            if getattr(self, name):
                told[name] = getattr(self, name)
        if self.replies:
            told["reply_count"] = len(self.replies)
            told["latest_reply"] = self.replies[-1].ts
            told["reply_users"] = list(dict.fromkeys(reply.user for reply in self.replies))
        if self.reactions:
            told["reactions"] = [
                {"name": name, "users": users, "count": len(users)} for name, users in self.reactions.items()
            ]
        if with_metadata and self.metadata:
            told["metadata"] = self.metadata
        return told


class Channel:
    """One channel: who is in it and what was said."""

    def __init__(self, workspace: "Workspace", channel_id: str, name: str) -> None:
        self.id = channel_id
        self.name = name
        self.is_private = False
        self.is_archived = False
        self.member_ids: set[str] = {BOT_USER_ID}
        self.by_ts: dict[str, Message] = {}
        self._workspace = workspace

    @property
    def messages(self) -> list[Message]:
        """Top-level messages as they stand now, oldest first."""
        return [message for message in self.by_ts.values() if not message.is_reply]

    def archive(self) -> None:
        """Archive the channel: posting is refused from now on; the app is told."""
        self._workspace.emit(self, {"type": "channel_archive", "user": "U0ADMIN"})
        self.is_archived = True
        self._workspace.changed()

    def unarchive(self) -> None:
        """Open the channel again."""
        self.is_archived = False
        self._workspace.changed()

    def remove_bot(self) -> None:
        """Remove the bot from the channel: posting gives `not_in_channel`; the app is told."""
        event = {"type": "member_left_channel", "user": BOT_USER_ID, "team": TEAM_ID}
        self._workspace.emit(self, event)
        self.member_ids.discard(BOT_USER_ID)
        self._workspace.changed()

    def invite_bot(self) -> None:
        """Take the bot into the channel (again)."""
        self.member_ids.add(BOT_USER_ID)
        self._workspace.changed()

    async def wait_for(
        self,
        wanted: Callable[[Message], bool],
        timeout: float = 5,  # noqa: ASYNC109 - part of the agreed signature
    ) -> Message:
        """Return the first top-level message that fits, now or as soon as it is posted.

        Args:
            wanted: The test; run again at every change of the workspace.
            timeout: Seconds of real time.

        Raises:
            TimeoutError: Nothing fitted; its text shows what stands in the channel.
        """
        return await self._workspace.wait_until(
            lambda: next(filter(wanted, self.messages), None),
            seconds=timeout,
            otherwise=lambda: f"no such message in #{self.name}; it holds:\n{self.plain()}",
        )

    def plain(self) -> str:
        """Return the whole channel as a person reads it, replies indented."""
        parts: list[str] = []
        for message in self.messages:
            parts.append(f"{self._workspace.name_of(message.user)}: {message.plain()}")
            for reply in message.replies:
                said = f"{self._workspace.name_of(reply.user)}: {reply.plain()}"
                parts += [f"    {line}" for line in said.splitlines()]
        return "\n".join(parts)


@dataclass(slots=True)
class Trigger:
    """A permission to open one modal; for three seconds of real time, once."""

    person_id: str
    born: float
    view_id: str | None
    used: bool = False


@dataclass(slots=True)
class ResponseTicket:
    """What a response_url stands for."""

    person_id: str
    channel_id: str
    message: Message | None
    born_at: datetime
    uses: int = 0


class Workspace:
    """Everything that the sandbox remembers."""

    def __init__(self, clock: Callable[[], datetime], trigger_lives: timedelta) -> None:
        self.clock = clock
        self.channels: dict[str, Channel] = {}
        self.people: dict[str, Person] = {BOT_USER_ID: Person(id=BOT_USER_ID, name="aftersale", tz="UTC", is_bot=True)}
        self.ephemerals: dict[str, list[Message]] = {}
        self.files: dict[str, Json] = {}
        self.file_bytes: dict[str, bytes] = {}
        self.origin = ""
        self.emit: Callable[[Channel | None, Json], Telling] = lambda _channel, _event: Telling()
        self._trigger_lives = trigger_lives
        self._triggers: dict[str, Trigger] = {}
        self.response_tickets: dict[str, ResponseTicket] = {}
        self._last_micros = 0
        self._numbers = itertools.count(1)
        self._waiters: list[Callable[[], bool]] = []

    def new_id(self, prefix: str = "") -> str:
        """Return an id that this workspace has not given before."""
        return f"{prefix}{next(self._numbers):05d}" if prefix else secrets.token_hex(3)

    def new_ts(self) -> str:
        """Return the next message id: the clock's time, always later than the one before."""
        moment = self.clock() - datetime(1970, 1, 1, tzinfo=UTC)
        micros = moment // timedelta(microseconds=1)
        self._last_micros = max(micros, self._last_micros + 1)
        return f"{self._last_micros // 1_000_000}.{self._last_micros % 1_000_000:06d}"

    def name_of(self, user_id: str) -> str:
        """Return the name of a user; the id when unknown."""
        person = self.people.get(user_id)
        return person.name if person else user_id

    def post(self, channel: Channel, message: Message) -> Telling:
        """Put a message into a channel, tell the app and whoever waits."""
        channel.by_ts[message.ts] = message
        if message.is_reply and message.thread_ts is not None:
            parent = channel.by_ts[message.thread_ts]
            parent.thread_ts = parent.ts
            parent.replies.append(message)
            message.parent_user_id = parent.user
        event = message.as_json(with_metadata=True) | {"channel_type": channel_type(channel)}
        telling = self.emit(channel, event)
        self.changed()
        return telling

    def tell_changed(self, channel: Channel, message: Message, before: Json) -> Telling:
        """Tell the app and whoever waits that a message was edited."""
        event = {
            "type": "message",
            "subtype": "message_changed",
            "message": message.as_json(),
            "previous_message": before,
            "hidden": True,
            "ts": self.new_ts(),
            "channel_type": channel_type(channel),
        }
        telling = self.emit(channel, event)
        self.changed()
        return telling

    def delete(self, channel: Channel, message: Message) -> Telling:
        """Take a message out of its channel and tell the app."""
        del channel.by_ts[message.ts]
        message.is_deleted = True
        if message.is_reply and message.thread_ts in channel.by_ts:
            channel.by_ts[message.thread_ts].replies.remove(message)
        event = {
            "type": "message",
            "subtype": "message_deleted",
            "previous_message": message.as_json(),
            "deleted_ts": message.ts,
            "hidden": True,
            "ts": self.new_ts(),
            "channel_type": channel_type(channel),
        }
        telling = self.emit(channel, event)
        self.changed()
        return telling

    def find(self, message: Message) -> Message:
        """Return the present state of a message.

        Raises:
            LookupError: It was deleted.
        """
        if message.is_deleted:
            raise LookupError(f"the message {message.ts} was deleted; nobody can press it")
        return message

    def issue_trigger(self, person_id: str, view_id: str | None = None) -> str:
        """Return a new trigger_id for an interaction of this person."""
        trigger_id = f"{next(self._numbers)}.{TEAM_ID}.{secrets.token_hex(8)}"
        now = asyncio.get_running_loop().time()
        self._triggers[trigger_id] = Trigger(person_id, now, view_id)
        if len(self._triggers) > TICKETS_KEPT:
            self._triggers.pop(next(iter(self._triggers)))
        return trigger_id

    def redeem_trigger(self, trigger_id: str) -> Trigger:
        """Use up a trigger.

        Raises:
            Refused: Unknown, used before (`exchanged_trigger_id`) or too old
                (`expired_trigger_id`).
        """
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise Refused("invalid_trigger_id")
        if trigger.used:
            raise Refused("exchanged_trigger_id")
        age = timedelta(seconds=asyncio.get_running_loop().time() - trigger.born)
        if age > self._trigger_lives:
            raise Refused("expired_trigger_id")
        trigger.used = True
        return trigger

    def issue_response_url(self, person_id: str, channel_id: str, message: Message | None = None) -> str:
        """Return a response_url: five uses within thirty minutes of the sandbox's clock."""
        key = secrets.token_hex(12)
        self.response_tickets[key] = ResponseTicket(person_id, channel_id, message, born_at=self.clock())
        if len(self.response_tickets) > TICKETS_KEPT:
            self.response_tickets.pop(next(iter(self.response_tickets)))
        return f"{self.origin}/respond/{key}"

    def redeem_response_url(self, key: str) -> ResponseTicket:
        """Use a response_url once.

        Raises:
            Refused: Unknown, too old or used too often.
        """
        ticket = self.response_tickets.get(key)
        if ticket is None or self.clock() - ticket.born_at > RESPONSE_URL_LIVES:
            raise Refused("expired_url")
        if ticket.uses >= RESPONSE_URL_USES:
            raise Refused("used_url")
        ticket.uses += 1
        return ticket

    def changed(self) -> None:
        """Wake those who wait for something that now stands."""
        if self._waiters:
            self._waiters = [waiting for waiting in self._waiters if not waiting()]

    async def wait_until(self, find: Callable[[], T | None], *, seconds: float, otherwise: Callable[[], str]) -> T:
        """Return what `find` gives, as soon as it gives something else than None.

        Raises:
            TimeoutError: With the text of `otherwise`.
        """
        found = find()
        if found is not None:
            return found
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def is_done() -> bool:
            if not future.done():
                try:
                    value = find()
                except Exception as error:  # noqa: BLE001 - belongs to the one who waits
                    future.set_exception(error)
                else:
                    if value is not None:
                        future.set_result(value)
            return future.done()

        self._waiters.append(is_done)
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            raise TimeoutError(otherwise()) from None


def channel_type(channel: Channel) -> str:
    """Return Slack's word for the kind of channel."""
    return "group" if channel.is_private else "channel"


def top_level(messages: Iterable[Message]) -> Iterator[Message]:
    """Yield the messages that stand in the channel itself, broadcasts included."""
    return (m for m in messages if not m.is_reply or m.subtype == "thread_broadcast")
