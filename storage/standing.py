"""How the queues stand: the questions behind health, figures for Prometheus, alarms and the lists of the commands.

Each is a few seeks in an index, or a walk that ends after a bounded number of rows: however many rows wait, asking
costs the same. Nothing here locks.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    and_,
    func,
    literal,
    select,
    text,
)

from bot.ports.records import InboxSource, Incoming, Outgoing
from bot.ports.standing import CASE_AGES, CaseAge, Standing, TeamCases
from storage.duties import DUTIES
from storage.mapping import incoming_from, outgoing_from
from storage.statements import is_any
from storage.tables import metadata

Queue: TypeAlias = Literal["inbox", "outbox"]

COUNTED_UP_TO = 10_000
"""Where counting ends: whoever has so many waiting need not know how many exactly, and is told in a millisecond."""

CHANNELS = ("telegram", "slack")
TROUBLE = ("unknown", "failed", "held")
"""States of messages that wait for somebody, in the order of the index that holds them."""

_SALES = metadata.tables["sales"]
_CUSTOMERS = metadata.tables["customers"]
_CASES = metadata.tables["cases"]
_OUTBOX = metadata.tables["outbox"]
_INBOX = metadata.tables["inbox"]
_MOMENTS = metadata.tables["moments"]
_NOTES = metadata.tables["notes"]

_TABLES: Mapping[Queue, Table] = {"inbox": _INBOX, "outbox": _OUTBOX}
_NEW = is_any(_INBOX.c.state, "new")
_WAITING = is_any(_OUTBOX.c.state, "waiting")
_UNHELD = text(
    "SELECT asked.duty FROM unnest(CAST(:duties AS text[])) AS asked (duty) WHERE NOT EXISTS ("
    " SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND ((CAST(classid AS bigint) << 32) | CAST(objid AS bigint))"
    " = hashtextextended(asked.duty, CAST(:namespace AS bigint)))"
)
_OPEN = text("status NOT IN ('confirmed', 'unconfirmed')")
"""In the very words of the partial index, which is used only where the database sees its own condition."""


def standing(connection: Connection, now: datetime, up_to: int = COUNTED_UP_TO) -> Standing:
    """Give how things stand; no number is counted beyond `up_to`."""

    def number(query: Select[Any]) -> int:
        bounded = query.limit(up_to).subquery()
        return int(connection.execute(select(func.count()).select_from(bounded)).scalar_one())

    def messages(state: str) -> int:
        return number(select(_OUTBOX.c.id).where(is_any(_OUTBOX.c.state, state)))

    due: dict[str, int] = {}
    later: dict[str, int] = {}
    oldest: dict[str, datetime] = {}
    for channel, priority in _waiting_priorities(connection):
        waits = and_(_WAITING, _OUTBOX.c.channel == channel, _OUTBOX.c.priority == priority)
        ready = and_(waits, _OUTBOX.c.not_before <= now)
        due[channel] = min(due.get(channel, 0) + number(select(_OUTBOX.c.id).where(ready)), up_to)
        future = and_(waits, _OUTBOX.c.not_before > now)
        later[channel] = min(later.get(channel, 0) + number(select(_OUTBOX.c.id).where(future)), up_to)
        first = connection.execute(select(func.min(_OUTBOX.c.not_before)).where(waits)).scalar_one()
        if first is not None and first <= now:
            oldest[channel] = min(first, oldest.get(channel, first))
    inbox_oldest = {source: at for source in get_args(InboxSource) if (at := _oldest_new(connection, source))}
    moment = connection.execute(select(func.min(_MOMENTS.c.due_at)).where(is_any(_MOMENTS.c.state, "planned")))
    return Standing(
        at=now,
        counted_up_to=up_to,
        new_inbox={
            source: number(select(_INBOX.c.id).where(_NEW, _INBOX.c.source == source)) for source in inbox_oldest
        },
        inbox_oldest=inbox_oldest,
        failed_inbox=number(select(_INBOX.c.id).where(is_any(_INBOX.c.state, "failed"))),
        due=due,
        later=later,
        due_oldest=oldest,
        sending=messages("sending"),
        unknown=messages("unknown"),
        failed=messages("failed"),
        held=messages("held"),
        moment_oldest=moment.scalar_one(),
        cases=_open_cases(connection, now, up_to),
        sales=number(select(_SALES.c.id)),
    )


def _waiting_priorities(connection: Connection, channels: Sequence[str] = CHANNELS) -> Iterator[tuple[str, int]]:
    """Give channel and priority of what waits; one seek in the index for each."""
    for channel in channels:
        smallest = select(func.min(_OUTBOX.c.priority)).where(_WAITING, _OUTBOX.c.channel == channel)
        priority = connection.execute(smallest).scalar_one()
        while priority is not None:
            yield channel, priority
            priority = connection.execute(smallest.where(_OUTBOX.c.priority > priority)).scalar_one()


def _oldest_new(connection: Connection, source: str) -> datetime | None:
    first = select(func.min(_INBOX.c.id)).where(_NEW, _INBOX.c.source == source).scalar_subquery()
    at: datetime | None = connection.execute(
        select(_INBOX.c.received_at).where(_INBOX.c.id == first)
    ).scalar_one_or_none()
    return at


def _open_cases(connection: Connection, now: datetime, up_to: int) -> dict[str, TeamCases]:
    awaited = and_(_CASES.c.answered_at.is_(None), _CASES.c.status.in_(["open", "claimed", "call"]))
    query = select(_CASES.c.team, _CASES.c.opened_at, and_(awaited, _CASES.c.due_at < now).label("is_overdue"))
    by_age: dict[str, dict[CaseAge, int]] = {}
    overdue: dict[str, int] = {}
    for team, opened_at, is_overdue in connection.execute(query.where(_OPEN).limit(up_to)):
        ages = by_age.setdefault(team, dict.fromkeys(CASE_AGES, 0))
        ages[_age(now - opened_at)] += 1
        overdue[team] = overdue.get(team, 0) + bool(is_overdue)
    return {team: TeamCases(ages, overdue[team]) for team, ages in by_age.items()}


def _age(length: timedelta) -> CaseAge:
    found: CaseAge = "under_1d"
    for age, least in CASE_AGES.items():
        if length >= least:
            found = age
    return found


def sales_by_stage(connection: Connection) -> dict[str, int]:
    """Give how many sales there are, linked, asked, answered, confirmed: exact, so it reads all of them. Seldom ask."""
    asked, answered, confirmed = _SALES.c.asked_at, _SALES.c.answered_at, _SALES.c.confirmed_at
    whole = select(func.count(), func.count(asked), func.count(answered), func.count(confirmed)).select_from(_SALES)
    linked = select(func.count()).select_from(_SALES.join(_CUSTOMERS, _CUSTOMERS.c.id == _SALES.c.customer_id))
    numbers = connection.execute(whole).one()
    known = connection.execute(linked.where(_CUSTOMERS.c.chat_id.is_not(None))).scalar_one()
    return dict(
        zip(("all", "linked", "asked", "answered", "confirmed"), (numbers[0], known, *numbers[1:]), strict=True)
    )


def arrivals(connection: Connection, after: int, up_to: int = COUNTED_UP_TO) -> tuple[int, dict[str, datetime]]:
    """Give the last row of the inbox, and when each source was last heard, of the last `up_to` rows beyond `after`."""
    newest = (
        select(_INBOX.c.id, _INBOX.c.source, _INBOX.c.received_at)
        .where(_INBOX.c.id > after)
        .order_by(_INBOX.c.id.desc())
        .limit(up_to)
        .subquery()
    )
    by_source = select(newest.c.source, func.max(newest.c.id), func.max(newest.c.received_at)).group_by(newest.c.source)
    found = connection.execute(by_source).all()
    return max((last for _, last, _ in found), default=after), {source: at for source, _, at in found}


def unheld_duties(connection: Connection, duties: Sequence[str]) -> list[str]:
    """Give those duties that no program has at this moment. On SQLite the one program has them all.

    A lock on one number of 64 bits stands in pg_locks with its upper half as classid, its lower half as objid, and
    objsubid 1. Source: https://www.postgresql.org/docs/current/view-pg-locks.html (read 2026-11-25).
    """
    if connection.dialect.name != "postgresql" or not duties:
        return []
    unheld = set(connection.execute(_UNHELD, {"duties": list(duties), "namespace": DUTIES}).scalars())
    return [duty for duty in duties if duty in unheld]


def note(connection: Connection, key: str) -> str | None:
    """Give a small value that the program remembers about itself."""
    value: str | None = connection.execute(select(_NOTES.c.value).where(_NOTES.c.key == key)).scalar_one_or_none()
    return value


# Lists -------------------------------------------------------------------------------------------------------------


def messages_in(connection: Connection, states: Sequence[str], limit: int) -> list[Outgoing]:
    """Give messages state by state, in the order of `states`: what waits by when it may go, the rest oldest first."""
    found: list[Outgoing] = []
    for state in states:
        room = limit - len(found)
        if room > 0 and state == "waiting":
            found += _waiting(connection, room)
        elif room > 0:
            query = _in_order(connection, select(_OUTBOX), state).limit(room)
            found += [outgoing_from(row) for row in connection.execute(query).mappings()]
    return found


def _in_order(connection: Connection, query: Select[Any], state: str) -> Select[Any]:
    """Ask for the messages in one state, oldest first; those in trouble by the index that holds nothing else.

    PostgreSQL would rather walk along all messages that were ever sent: it expects to meet one in trouble soon, because
    they are many; but they are also the newest. Where the state is a range to it, the walk along the ids is no order.
    SQLite finds the index by itself, but only by the plain word.
    """
    if state not in TROUBLE or connection.dialect.name != "postgresql":
        return query.where(is_any(_OUTBOX.c.state, state)).order_by(_OUTBOX.c.id)
    this = literal(state, Text, literal_execute=True)
    in_trouble = query.where(is_any(_OUTBOX.c.state, *TROUBLE), _OUTBOX.c.state >= this, _OUTBOX.c.state <= this)
    return in_trouble.order_by(_OUTBOX.c.state, _OUTBOX.c.id)


def _waiting(connection: Connection, limit: int) -> list[Outgoing]:
    """Give what waits, by when it may go: the first of each channel and priority, which are few, put in one order."""
    found: list[Outgoing] = []
    for channel, priority in _waiting_priorities(connection):
        waits = select(_OUTBOX).where(_WAITING, _OUTBOX.c.channel == channel, _OUTBOX.c.priority == priority)
        query = waits.order_by(_OUTBOX.c.not_before, _OUTBOX.c.id).limit(limit)
        found += [outgoing_from(row) for row in connection.execute(query).mappings()]
    return sorted(found, key=lambda each: (each.not_before, each.id or 0))[:limit]


def incoming_in(connection: Connection, states: Sequence[str], limit: int) -> list[Incoming]:
    """Give what came in, state by state in the order of `states`, oldest first."""
    found: list[Incoming] = []
    for state in states:
        if room := max(limit - len(found), 0):
            query = select(_INBOX).where(is_any(_INBOX.c.state, state)).order_by(_INBOX.c.id).limit(room)
            found += [incoming_from(row) for row in connection.execute(query).mappings()]
    return found


def failed_ids(connection: Connection, queue: Queue, after: int, limit: int) -> list[int]:
    """Give the next `limit` ids beyond `after` of what failed in ``inbox`` or ``outbox``."""
    table = _TABLES[queue]
    query = select(table.c.id).where(table.c.id > after).limit(limit)
    failed = query.where(is_any(table.c.state, "failed")).order_by(table.c.id)
    return list(connection.execute(_in_order(connection, query, "failed") if queue == "outbox" else failed).scalars())


def numbers_in(
    connection: Connection, queue: Queue, states: Sequence[str], up_to: int = COUNTED_UP_TO
) -> dict[str, int]:
    """Give how many rows of ``inbox`` or ``outbox`` stand in each of `states`; `up_to` means so many or more."""
    table = _TABLES[queue]

    def number(condition: ColumnElement[bool]) -> int:
        bounded = select(table.c.id).where(condition).limit(up_to).subquery()
        return int(connection.execute(select(func.count()).select_from(bounded)).scalar_one())

    return {state: number(is_any(table.c.state, state)) for state in states}
