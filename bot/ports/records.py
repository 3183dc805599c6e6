"""The values that pass through the doors: frozen, in the design's words, with every time aware and in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

from bot.flows.state import State

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who bought something. `chat_id` is None until they link their chat.

    `consents` maps a purpose to what they said (absent: never asked). `language` is their own choice in the chat,
    `locale` the order's, `chat_locale` Telegram's hint. `unreachable_at`: they blocked the bot. `last_wrote_at` is
    their last word or tap in a talk; a command, or what they agree to, is none.
    """

    id: str
    name: str = ""
    locale: str | None = None
    country: str | None = None
    time_zone: str | None = None
    chat_id: int | None = None
    chat_locale: str | None = None
    language: str | None = None
    linked_at: datetime | None = None
    consents: Mapping[str, bool] = field(default_factory=dict)
    stopped_at: datetime | None = None
    unreachable_at: datetime | None = None
    last_wrote_at: datetime | None = None
    last_question_at: datetime | None = None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Promise:
    """What the customer was told at the sale, where and by whom. `state`: open, kept or broken."""

    sale_id: str
    id: str
    text: str
    touchpoint: str | None = None
    made_by: str | None = None
    due_at: datetime | None = None
    state: Literal["open", "kept", "broken"] = "open"


@dataclass(frozen=True, slots=True)
class Sale:
    """One order of one customer; the object that everything hangs on.

    `happened` maps an event type to when it first happened; `stage` is the furthest of them in the lifecycle, which
    only moves forward. `items` are as the shop sent them: sku, name, quantity, tags, first_use_after. `confirmed_at`
    is set by the customer's own answer alone.
    """

    id: str
    customer_id: str
    summary: str = ""
    items: tuple[Json, ...] = ()
    stage: str = "order.placed"
    happened: Mapping[str, datetime] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    confirmed_at: datetime | None = None
    paused: bool = False
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Conversation:
    """One customer going through one pinned version of a flow. `key` keeps a sale from having the same one twice."""

    id: str
    key: str
    sale_id: str
    customer_id: str
    flow: str
    version: str
    state: State
    started_at: datetime
    expires_at: datetime | None = None
    cycle: int = 1
    case_id: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the customer said at one step. Never overwritten: each cycle has verdicts of its own."""

    sale_id: str
    conversation_id: str
    flow: str
    step: str
    choice: str | None
    factors: Mapping[str, float]
    touchpoint: str | None
    text: str
    media: tuple[Json, ...]
    cycle: int
    at: datetime


MomentKind: TypeAlias = Literal["start", "remind", "silence", "wait", "expire", "ladder", "wake"]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that is due at a time. `key` is unique: planning it again changes nothing but an earlier time.

    `state`: ``planned``; ``held`` (waits for an event, `reason` says which); ``done``; ``dropped`` (`reason` says why).
    """

    key: str
    kind: MomentKind
    due_at: datetime
    sale_id: str
    conversation_id: str | None = None
    case_id: str | None = None
    data: Json = field(default_factory=dict)
    state: Literal["planned", "held", "done", "dropped"] = "planned"
    reason: str | None = None
    id: int | None = None


PauseScope: TypeAlias = Literal["all", "flow", "sale", "import"]

PAUSED = "paused"
"""How the reason of whatever a pause holds begins; so it is found again when the pause ends."""

RESUMED = "resumed: it waited for a pause, and is given its turn"
"""The reason of what a pause held, until it is done."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Somebody holds what the bot would say of its own accord: everything, a flow, a sale, or what an import began.

    `name` is that of the flow, the order's id or the import's; empty for ``all``. It runs from `since` until it is
    ended (`ended_at`), or its time is over (`until`).
    """

    scope: PauseScope
    name: str
    since: datetime
    reason: str = ""
    by: str = ""
    until: datetime | None = None
    ended_at: datetime | None = None
    id: int | None = None


ChannelName: TypeAlias = Literal["telegram", "slack"]
CHANNELS: tuple[str, ...] = get_args(ChannelName)

SpokenKind: TypeAlias = Literal["question", "reminder", "notice", "answer", "system", "staff_reply", "edit"]
DeskKind: TypeAlias = Literal["card", "thread", "whisper", "task", "digest", "alarm"]
OutgoingKind: TypeAlias = SpokenKind | DeskKind
"""What goes to a customer, and what goes to Slack."""
OutgoingState: TypeAlias = Literal["waiting", "sending", "sent", "unknown", "refused", "dropped", "held", "failed"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on its way to Telegram or Slack: a row of the outbox.

    `lane` keeps order: one chat, or one case. `key` is unique: the same effect twice is one message. `body` is the
    adapter's to read (see `bot.ports.channels`). `purpose` is the consent that it needs, if any. `reason` says why
    it waits, was held back or failed. `external` is Telegram's message id or Slack's ts once it is known.
    `priority`: smaller goes first (0 answers and staff, 5 questions, 8 reminders).
    """

    key: str
    channel: ChannelName
    lane: str
    kind: OutgoingKind
    body: Json
    not_before: datetime
    created_at: datetime
    purpose: str | None = None
    priority: int = 5
    expires_at: datetime | None = None
    state: OutgoingState = "waiting"
    reason: str | None = None
    attempts: int = 0
    lease_until: datetime | None = None
    sent_at: datetime | None = None
    external: str | None = None
    sale_id: str | None = None
    customer_id: str | None = None
    conversation_id: str | None = None
    case_id: str | None = None
    turn: int | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that may go now, and what the guards ask about it: just that of customer, sale and talk.

    `case_status` is that of the sale's case that is not confirmed; `question_state` that of the question of a reminder.
    Of a question: `last_question_at` is when any other talk with them asked last; `other_case` whether any case of
    theirs is not settled, `other_question` whether one of another conversation is open. `flow` is the conversation's,
    `about_case` whether it asks about a case that it follows.
    """

    message: Outgoing
    is_known: bool = False
    is_linked: bool = False
    is_stopped: bool = False
    is_unreachable: bool = False
    consents: Mapping[str, bool] = field(default_factory=dict)
    country: str | None = None
    time_zone: str | None = None
    last_question_at: datetime | None = None
    last_wrote_at: datetime | None = None
    case_status: str | None = None
    talk_status: str | None = None
    talk_turn: int | None = None
    has_spoken: bool = False
    question_state: OutgoingState | None = None
    flow: str | None = None
    about_case: bool = False
    other_case: bool = False
    other_question: bool = False


@dataclass(frozen=True, slots=True)
class Underway:
    """How a message that was claimed stands now, and what its mark asks about: its conversation, if it has one."""

    state: OutgoingState
    attempts: int
    talk_status: str | None = None
    talk_turn: int | None = None
    visits: int = 0
    sale_id: str | None = None
    customer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that was taken: its row, what the other side calls it, and whose question it was, if it was one."""

    id: int
    external: str
    asked_of: tuple[str, str] | None = None
    """Sale and customer."""


InboxSource: TypeAlias = Literal["shop", "telegram", "slack"]


@dataclass(frozen=True, slots=True)
class Incoming:
    """One thing that came in: a row of the inbox, committed before the sender is told that it arrived.

    `key` is unique per source (update id, event id, action timestamp …): a repeat changes nothing. `payload` is what
    came, raw. `lane` keeps order. `state`: ``new``, ``done``, ``ignored`` (`error` says why), ``failed`` (`error`
    says why; can be retried by hand).
    """

    source: InboxSource
    key: str
    lane: str
    payload: Json
    received_at: datetime
    state: Literal["new", "done", "ignored", "failed"] = "new"
    attempts: int = 0
    error: str | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the append-only log of what happened. `kind` is a constant name, `data` its particulars."""

    at: datetime
    kind: str
    sale_id: str | None = None
    customer_id: str | None = None
    case_id: str | None = None
    data: Json = field(default_factory=dict)
    id: int | None = None


@dataclass(frozen=True, slots=True)
class LinkToken:
    """The right to link a chat to a customer, once. Only the token's hash is ever stored."""

    hash: str
    sale_id: str
    customer_id: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    used_by: int | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """Where a case's card stands in Slack. A case that moves has one live post, its newest."""

    case_id: str
    channel: str
    ts: str
    live: bool = True
