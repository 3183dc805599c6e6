r"""The tables: columns, keys, checks and indexes. No behaviour; rows become values in `storage.mapping`.

Conventions, for all tables:

- A time is a plain ``datetime``: SQLModel stores it in UTC, gives it back aware, and refuses a naive one.
- A word from a fixed set (a state) is text with a CHECK, never an ENUM. *Kinds* have no CHECK: they grow, and a new one
  shall not cost a rebuild of the largest tables; mypy holds them.
- JSON is ``JSON``, not ``JSONB``: what came in is kept to the letter, even a ``\u0000``, which JSONB refuses.
- Foreign keys are checked at commit (deferred), so a use case may write in the order in which it thinks. The inbox, the
  outbox and the log have none: they must take what comes, and outlive what they speak of.
- Whatever is due has a partial index that holds only what still waits; it stays small however long the history grows.
"""

from datetime import datetime
from typing import Any, ClassVar, get_args

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from bot.desk.states import CaseStatus
from bot.ports.records import CHANNELS, ROLES, InboxSource, OutgoingState

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_BIG_ID = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers its rows only in an ``INTEGER`` key. Source: https://www.sqlite.org/autoinc.html"""

_JSON_OR_NULL = JSON(none_as_null=True)
_NONE_YET = {"server_default": text("'[]'")}
"""What a row that an older program wrote has in a column that it knows nothing of."""


def _one_of(column: str, *words: str) -> CheckConstraint:
    quoted = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({quoted})", name=column)


def _refers(target: str) -> list[ForeignKey]:
    return [ForeignKey(target, deferrable=True, initially="DEFERRED")]


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class Row(SQLModel, registry=registry(metadata=metadata)):
    """What all tables share: one metadata with names for its constraints."""

    metadata: ClassVar[MetaData] = metadata


class CustomerRow(Row, table=True):
    """`bot.ports.records.Customer`."""

    __tablename__ = "customers"

    id: str = Field(primary_key=True)
    name: str
    locale: str | None
    country: str | None
    time_zone: str | None
    chat_id: int | None = Field(sa_type=BigInteger, unique=True)
    chat_locale: str | None
    language: str | None
    linked_at: datetime | None
    consents: dict[str, bool] = Field(sa_type=JSON)
    stopped_at: datetime | None
    unreachable_at: datetime | None
    last_wrote_at: datetime | None
    last_question_at: datetime | None
    extra: dict[str, Any] = Field(sa_type=JSON)


class SaleRow(Row, table=True):
    """`bot.ports.records.Sale`; `latest_at` is the latest of `happened`, so that lists can be sorted by it."""

    __tablename__ = "sales"
    __table_args__: ClassVar[Any] = (
        Index("ix_sales_customer_id_latest_at", "customer_id", "latest_at"),
        Index("ix_sales_latest_at", "latest_at", "id"),
    )

    id: str = Field(primary_key=True)
    customer_id: str = Field(sa_column_args=_refers("customers.id"))
    summary: str
    items: list[dict[str, Any]] = Field(sa_type=JSON)
    stage: str
    happened: dict[str, str] = Field(sa_type=JSON)
    latest_at: datetime | None
    factors: dict[str, float] = Field(sa_type=JSON)
    asked_at: datetime | None
    answered_at: datetime | None
    confirmed_at: datetime | None
    paused: bool
    extra: dict[str, Any] = Field(sa_type=JSON)


class PromiseRow(Row, table=True):
    """`bot.ports.records.Promise`."""

    __tablename__ = "promises"
    __table_args__: ClassVar[Any] = (_one_of("state", "open", "kept", "broken"),)

    sale_id: str = Field(primary_key=True, sa_column_args=_refers("sales.id"))
    id: str = Field(primary_key=True)
    text: str
    touchpoint: str | None
    made_by: str | None
    due_at: datetime | None
    state: str


class ConversationRow(Row, table=True):
    """`bot.ports.records.Conversation`. `case_id` has no foreign key: a case refers to its conversation already."""

    __tablename__ = "conversations"

    id: str = Field(primary_key=True)
    key: str = Field(unique=True)
    sale_id: str = Field(sa_column_args=_refers("sales.id"), index=True)
    customer_id: str = Field(sa_column_args=_refers("customers.id"), index=True)
    flow: str
    version: str
    state: dict[str, Any] = Field(sa_type=JSON)
    started_at: datetime
    expires_at: datetime | None
    cycle: int
    case_id: str | None


class VerdictRow(Row, table=True):
    """`bot.ports.records.Verdict`: rows are only ever added."""

    __tablename__ = "verdicts"

    id: int | None = Field(default=None, primary_key=True, sa_type=_BIG_ID)
    sale_id: str = Field(sa_column_args=_refers("sales.id"), index=True)
    conversation_id: str = Field(sa_column_args=_refers("conversations.id"), index=True)
    flow: str
    step: str
    choice: str | None
    factors: dict[str, float] = Field(sa_type=JSON)
    touchpoint: str | None
    text: str
    media: list[dict[str, Any]] = Field(sa_type=JSON)
    cycle: int
    at: datetime


class FlowVersionRow(Row, table=True):
    """`bot.ports.records.FlowVersion`: every version that ever ran, kept for ever (rule 8)."""

    __tablename__ = "flow_versions"

    flow: str = Field(primary_key=True)
    version: str = Field(primary_key=True)
    source: str
    created_at: datetime
    format: int | None
    phrases: dict[str, Any] | None = Field(sa_type=JSON)


class FlowPublicationRow(Row, table=True):
    """`bot.ports.records.Publication`: rows are only ever added, and of two with one number the second is refused."""

    __tablename__ = "flow_publications"

    flow: str = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    version: str
    how: str
    at: datetime
    by: str
    note: str


class CaseRow(Row, table=True):
    """`bot.desk.states.Case`. No foreign key to the conversation: words outside any can open a case, too."""

    __tablename__ = "cases"
    __table_args__: ClassVar[Any] = (
        _one_of("status", *get_args(CaseStatus)),
        _one_of("reason", "unhappy", "unclear"),
        Index("ix_cases_open", "due_at", **_where("status NOT IN ('confirmed', 'unconfirmed')")),
    )

    id: str = Field(primary_key=True)
    sale_id: str = Field(sa_column_args=_refers("sales.id"), index=True)
    customer_id: str = Field(sa_column_args=_refers("customers.id"), index=True)
    conversation_id: str = Field(index=True)
    status: str
    team: str
    why_team: str
    reason: str
    said: str
    opened_at: datetime
    due_at: datetime
    due_reason: str
    factor: str | None
    touchpoint: str | None
    promise_id: str | None
    cycle: int
    rung: int
    claimed_by: str | None
    claimed_at: datetime | None
    answered_at: datetime | None
    remedies: list[dict[str, Any]] = Field(sa_type=JSON)
    closed_at: datetime | None
    snooze: dict[str, Any] | None = Field(sa_type=_JSON_OR_NULL)
    tasks: list[dict[str, Any]] = Field(sa_type=JSON, sa_column_kwargs=_NONE_YET)
    media: list[dict[str, Any]] = Field(sa_type=JSON, sa_column_kwargs=_NONE_YET)
    call_reason: str | None
    fell_back: str | None


class CasePostRow(Row, table=True):
    """`bot.ports.records.Post`: a case has at most one live post."""

    __tablename__ = "case_posts"
    __table_args__: ClassVar[Any] = (Index("ix_case_posts_live", "case_id", unique=True, **_where("live")),)

    case_id: str = Field(primary_key=True, sa_column_args=_refers("cases.id"))
    channel: str = Field(primary_key=True)
    ts: str = Field(primary_key=True)
    live: bool


class MomentRow(Row, table=True):
    """`bot.ports.records.Moment`."""

    __tablename__ = "moments"
    __table_args__: ClassVar[Any] = (
        _one_of("state", "planned", "held", "done", "dropped"),
        Index("ix_moments_due", "due_at", "id", **_where("state = 'planned'")),
        Index("ix_moments_held", "id", **_where("state = 'held'")),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=_BIG_ID)
    key: str = Field(unique=True)
    kind: str
    due_at: datetime
    sale_id: str = Field(sa_column_args=_refers("sales.id"), index=True)
    conversation_id: str | None = Field(sa_column_args=_refers("conversations.id"), index=True)
    case_id: str | None = Field(sa_column_args=_refers("cases.id"), index=True)
    data: dict[str, Any] = Field(sa_type=JSON)
    state: str
    reason: str | None


class PauseRow(Row, table=True):
    """`bot.ports.records.Pause`: of one thing at most one runs."""

    __tablename__ = "pauses"
    __table_args__: ClassVar[Any] = (
        Index("ix_pauses_running", "scope", "name", unique=True, **_where("ended_at IS NULL")),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=_BIG_ID)
    scope: str
    name: str
    since: datetime
    reason: str
    by: str
    until: datetime | None
    ended_at: datetime | None


class OutgoingRow(Row, table=True):
    """`bot.ports.records.Outgoing`: one message on its way, or what became of it."""

    __tablename__ = "outbox"
    __table_args__: ClassVar[Any] = (
        _one_of("state", *get_args(OutgoingState)),
        _one_of("channel", *CHANNELS),
        # The priority leads, so that the future of one priority is never walked over to reach the next.
        Index("ix_outbox_due", "channel", "priority", "not_before", "id", **_where("state = 'waiting'")),
        Index("ix_outbox_lane", "lane", "id", **_where("state = 'waiting' OR state = 'sending'")),
        Index("ix_outbox_lease", "lease_until", "id", **_where("state = 'sending'")),
        # The state leads: of a million held messages and five that failed, the five are found at once.
        Index("ix_outbox_trouble", "state", "id", **_where("state = 'unknown' OR state = 'failed' OR state = 'held'")),
        Index("ix_outbox_question", "conversation_id", "turn", **_where("kind = 'question'")),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=_BIG_ID)
    key: str = Field(unique=True)
    channel: str
    lane: str
    kind: str
    body: dict[str, Any] = Field(sa_type=JSON)
    not_before: datetime
    created_at: datetime
    purpose: str | None
    priority: int
    expires_at: datetime | None
    state: str
    reason: str | None
    attempts: int
    lease_until: datetime | None
    sent_at: datetime | None
    external: str | None
    sale_id: str | None = Field(index=True)
    customer_id: str | None
    conversation_id: str | None
    case_id: str | None
    turn: int | None


class IncomingRow(Row, table=True):
    """`bot.ports.records.Incoming`: committed before the sender is told that it arrived."""

    __tablename__ = "inbox"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("source", "key"),
        _one_of("source", *get_args(InboxSource)),
        _one_of("state", "new", "done", "ignored", "failed"),
        Index("ix_inbox_new", "id", **_where("state = 'new'")),
        Index("ix_inbox_source", "source", "id", **_where("state = 'new'")),
        Index("ix_inbox_lane", "lane", "id", **_where("state = 'new'")),
        Index("ix_inbox_failed", "id", **_where("state = 'failed'")),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=_BIG_ID)
    source: str
    key: str
    lane: str
    payload: Any = Field(sa_type=JSON)
    received_at: datetime
    state: str
    attempts: int
    error: str | None


class LinkTokenRow(Row, table=True):
    """`bot.ports.records.LinkToken`: the token itself is never stored."""

    __tablename__ = "link_tokens"

    hash: str = Field(primary_key=True)
    sale_id: str = Field(sa_column_args=_refers("sales.id"), index=True)
    customer_id: str = Field(sa_column_args=_refers("customers.id"), index=True)
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    used_by: int | None = Field(sa_type=BigInteger)


class PassRow(Row, table=True):
    """`bot.ports.records.Pass`: the link or cookie itself is never stored."""

    __tablename__ = "passes"
    __table_args__: ClassVar[Any] = (
        _one_of("kind", "link", "session"),
        _one_of("role", *ROLES),
        Index("ix_passes_expires_at", "expires_at"),
    )

    hash: str = Field(primary_key=True)
    kind: str
    role: str
    name: str
    created_at: datetime
    expires_at: datetime
    member: str | None
    used_at: datetime | None


class LogRow(Row, table=True):
    """`bot.ports.records.LogEntry`: rows are only ever added."""

    __tablename__ = "log"

    id: int | None = Field(default=None, primary_key=True, sa_type=_BIG_ID)
    at: datetime
    kind: str
    sale_id: str | None = Field(index=True)
    customer_id: str | None = Field(index=True)
    case_id: str | None
    data: dict[str, Any] = Field(sa_type=JSON)


class NoteRow(Row, table=True):
    """Small values that the program remembers about itself."""

    __tablename__ = "notes"

    key: str = Field(primary_key=True)
    value: str
