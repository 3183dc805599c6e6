"""Rows to values and back: pure. The only place that knows how a value is laid out in columns and JSON.

Most columns bear the name of their field, so only what differs is written out here. A tuple in the core is a list
in JSON, and a time within JSON is an ISO text with its offset.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar

from bot.desk.states import Attachment, Case, Remedy, Snooze, Task
from bot.flows.state import state_from, state_to
from bot.ports.records import (
    Conversation,
    Customer,
    Incoming,
    LinkToken,
    LogEntry,
    Moment,
    Outgoing,
    Pass,
    Pause,
    Post,
    Promise,
    Sale,
    Verdict,
)

Values: TypeAlias = dict[str, Any]
Fetched: TypeAlias = Mapping[Any, Any]
"""A row as SQLAlchemy gives it: column name to value."""
Part = TypeVar("Part")


@lru_cache
def _reader(kind: type[Any]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    names = tuple(each.name for each in fields(kind))
    return names, attrgetter(*names)


def _columns(record: Any, **laid_out: Any) -> Values:
    """Give every field of a frozen record under its own name, but those in `laid_out` as they are given there."""
    names, read = _reader(type(record))  # type: ignore[arg-type]  # a class is hashable; its stub says otherwise
    return dict(zip(names, read(record), strict=True)) | laid_out


def _numbered(record: Any, **laid_out: Any) -> Values:
    """The same without an id that the database has yet to give."""
    values = _columns(record, **laid_out)
    if values["id"] is None:
        del values["id"]
    return values


def _time_text(at: datetime) -> str:
    if at.utcoffset() is None:
        raise ValueError(f"the time {at.isoformat()} has no offset; every time must be aware")
    return at.astimezone(UTC).isoformat()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def customer_values(customer: Customer) -> Values:
    """Lay out a customer in columns."""
    return _columns(customer, consents=dict(customer.consents), extra=dict(customer.extra))


def customer_from(row: Fetched) -> Customer:
    """Read a customer."""
    return Customer(**row)


def sale_values(sale: Sale) -> Values:
    """Lay out a sale in columns; `latest_at` is derived, for sorting.

    Raises:
        ValueError: a time in `happened` is naive.
    """
    return _columns(
        sale,
        items=[dict(item) for item in sale.items],
        happened={kind: _time_text(at) for kind, at in sale.happened.items()},
        latest_at=max(sale.happened.values(), default=None),
        factors=dict(sale.factors),
        extra=dict(sale.extra),
    )


def sale_from(row: Fetched) -> Sale:
    """Read a sale."""
    values = dict(row)
    del values["latest_at"]
    values["items"] = tuple(values["items"])
    values["happened"] = {kind: _time(text) for kind, text in values["happened"].items()}
    return Sale(**values)


def promise_values(promise: Promise) -> Values:
    """Lay out a promise in columns."""
    return _columns(promise)


def promise_from(row: Fetched) -> Promise:
    """Read a promise."""
    return Promise(**row)


def conversation_values(conversation: Conversation) -> Values:
    """Lay out a conversation in columns."""
    return _columns(conversation, state=state_to(conversation.state))


def conversation_from(row: Fetched) -> Conversation:
    """Read a conversation."""
    return Conversation(**{**row, "state": state_from(row["state"])})


def verdict_values(verdict: Verdict) -> Values:
    """Lay out a verdict in columns."""
    return _columns(verdict, factors=dict(verdict.factors), media=[dict(each) for each in verdict.media])


def verdict_from(row: Fetched) -> Verdict:
    """Read a verdict."""
    values = dict(row)
    del values["id"]
    values["media"] = tuple(values["media"])
    return Verdict(**values)


def case_values(case: Case) -> Values:
    """Lay out a case in columns.

    Raises:
        ValueError: a time within it is naive.
    """
    return _columns(
        case,
        remedies=[_laid_out(each) for each in case.remedies],
        snooze=_laid_out(case.snooze) if case.snooze else None,
        tasks=[_laid_out(each) for each in case.tasks],
        media=[_laid_out(each) for each in case.media],
    )


def case_from(row: Fetched) -> Case:
    """Read a case."""
    parts = {
        "remedies": tuple(_read(Remedy, each) for each in row["remedies"]),
        "snooze": _read(Snooze, row["snooze"]) if row["snooze"] else None,
        "tasks": tuple(_read(Task, each) for each in row["tasks"]),
        "media": tuple(_read(Attachment, each) for each in row["media"]),
    }
    return Case(**{**row, **parts})


_TIMES = frozenset({"at", "since", "until", "opened_at", "due_at", "done_at"})
"""Fields of what stands within a case as JSON that are times."""


def _laid_out(record: Any) -> Values:
    """Lay out what stands within a row as JSON."""
    values = _columns(record)
    for name, value in values.items():
        if isinstance(value, datetime):
            values[name] = _time_text(value)
        elif isinstance(value, timedelta):
            values[name] = value.total_seconds()
    return values


def _read(kind: type[Part], values: Values) -> Part:
    """Read what stands within a row as JSON."""
    given = dict(values)
    for name, value in values.items():
        if value is not None and name in _TIMES:
            given[name] = _time(value)
        elif value is not None and name == "left":
            given[name] = timedelta(seconds=value)
    return kind(**given)


def pass_values(given: Pass) -> Values:
    """Lay out a pass in columns."""
    return _columns(given)


def pass_from(row: Fetched) -> Pass:
    """Read a pass."""
    return Pass(**row)


def post_values(post: Post) -> Values:
    """Lay out in columns where a card stands."""
    return _columns(post)


def post_from(row: Fetched) -> Post:
    """Read where a card stands."""
    return Post(**row)


def moment_values(moment: Moment) -> Values:
    """Lay out a moment in columns."""
    return _numbered(moment, data=dict(moment.data))


def moment_from(row: Fetched) -> Moment:
    """Read a moment."""
    return Moment(**row)


def pause_values(pause: Pause) -> Values:
    """Lay out a pause in columns."""
    return _numbered(pause)


def pause_from(row: Fetched) -> Pause:
    """Read a pause."""
    return Pause(**row)


def outgoing_values(message: Outgoing) -> Values:
    """Lay out a message in columns."""
    return _numbered(message, body=dict(message.body))


def outgoing_from(row: Fetched) -> Outgoing:
    """Read a message."""
    return Outgoing(**row)


def incoming_values(item: Incoming) -> Values:
    """Lay out what came in, in columns."""
    return _numbered(item)


def incoming_from(row: Fetched) -> Incoming:
    """Read what came in."""
    return Incoming(**row)


def link_token_values(token: LinkToken) -> Values:
    """Lay out a link token in columns."""
    return _columns(token)


def link_token_from(row: Fetched) -> LinkToken:
    """Read a link token."""
    return LinkToken(**row)


def log_values(entry: LogEntry) -> Values:
    """Lay out a line of the log in columns."""
    return _numbered(entry, data=dict(entry.data))


def log_from(row: Fetched) -> LogEntry:
    """Read a line of the log."""
    return LogEntry(**row)
