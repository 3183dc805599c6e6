"""How the queues stand: the questions behind health, figures for Prometheus, alarms and the lists of the commands.

Each is a few seeks in an index, or a walk that ends after a bounded number of rows: however many rows wait, asking
costs the same. Nothing here locks.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    ScalarSelect,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    func,
    literal,
    select,
    text,
)

from bot.ports.records import CHANNELS, InboxSource, Incoming, Outgoing
from bot.ports.standing import CASE_AGES, CaseAge, Standing, TeamCases
from storage.duties import DUTIES
from storage.mapping import incoming_from, outgoing_from
from storage.outbox import waiting_priorities
from storage.statements import is_any
from storage.tables import metadata

Queue: TypeAlias = Literal["inbox", "outbox"]

COUNTED_UP_TO = 10_000
"""Where counting ends: whoever has so many waiting need not know how many exactly, and is told in a millisecond."""

TROUBLE = ("unknown", "failed", "held")
"""States of messages that wait for somebody, in the order of the index that holds them."""

_SALES = metadata.tables["sales"]
_CUSTOMERS = metadata.tables["customers"]
_CASES = metadata.tables["cases"]
_OUTBOX = metadata.tables["outbox"]
_INBOX = metadata.tables["inbox"]
_MOMENTS = metadata.tables["moments"]
_NOTES = metadata.tables["notes"]
_PAUSES = metadata.tables["pauses"]

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


def _number(query: Select[Any]) -> ScalarSelect[int]:
    """Count what `query` finds, up to the parameter ``up_to``."""
    bounded = query.limit(bindparam("up_to", type_=Integer)).subquery()
    return select(func.count()).select_from(bounded).scalar_subquery()


def _new_of(source: str) -> ColumnElement[bool]:
    return and_(_NEW, is_any(_INBOX.c.source, source))


def _oldest_of(source: str) -> ScalarSelect[Any]:
    first = select(func.min(_INBOX.c.id)).where(_new_of(source)).scalar_subquery()
    return select(_INBOX.c.received_at).where(_INBOX.c.id == first).scalar_subquery()


# Made once and asked in one go each: to make a statement, and to send it, takes longer than what it asks for.
_SOURCES: tuple[InboxSource, ...] = get_args(InboxSource)
_WHOLE = select(
    *(_number(select(_INBOX.c.id).where(_new_of(source))).label(f"new_{source}") for source in _SOURCES),
    *(_oldest_of(source).label(f"oldest_{source}") for source in _SOURCES),
    _number(select(_INBOX.c.id).where(is_any(_INBOX.c.state, "failed"))).label("failed_inbox"),
    *(
        _number(select(_OUTBOX.c.id).where(is_any(_OUTBOX.c.state, state))).label(state)
        for state in ("sending", "unknown", "failed", "held")
    ),
    select(func.min(_MOMENTS.c.due_at)).where(is_any(_MOMENTS.c.state, "planned")).scalar_subquery().label("moment"),
    _number(select(_SALES.c.id)).label("sales"),
    _number(select(_PAUSES.c.id).where(_PAUSES.c.ended_at.is_(None))).label("pauses"),
)
_WAITS = and_(_WAITING, _OUTBOX.c.channel == bindparam("of_channel"), _OUTBOX.c.priority == bindparam("of_priority"))
_WAITING_OF = select(
    _number(select(_OUTBOX.c.id).where(_WAITS, _OUTBOX.c.not_before <= bindparam("now"))).label("due"),
    _number(select(_OUTBOX.c.id).where(_WAITS, _OUTBOX.c.not_before > bindparam("now"))).label("later"),
    select(func.min(_OUTBOX.c.not_before)).where(_WAITS).scalar_subquery().label("first"),
)
_AWAITED = and_(_CASES.c.answered_at.is_(None), _CASES.c.status.in_(["open", "claimed", "call"]))
_OPEN_CASES = (
    select(_CASES.c.team, _CASES.c.opened_at, and_(_AWAITED, _CASES.c.due_at < bindparam("now")).label("is_overdue"))
    .where(_OPEN)
    .limit(bindparam("up_to", type_=Integer))
)


def standing(connection: Connection, now: datetime, up_to: int = COUNTED_UP_TO) -> Standing:
    """Give how things stand; no number is counted beyond `up_to`."""
    due, later = dict.fromkeys(CHANNELS, 0), dict.fromkeys(CHANNELS, 0)
    oldest: dict[str, datetime] = {}
    for channel, priority in waiting_priorities(connection, CHANNELS):
        asked = {"of_channel": channel, "of_priority": priority, "now": now, "up_to": up_to}
        waiting = connection.execute(_WAITING_OF, asked).one()
        due[channel] = min(due[channel] + waiting.due, up_to)
        later[channel] = min(later[channel] + waiting.later, up_to)
        if waiting.first is not None and waiting.first <= now:
            oldest[channel] = min(waiting.first, oldest.get(channel, waiting.first))
    found = connection.execute(_WHOLE, {"up_to": up_to}).mappings().one()
    return Standing(
        at=now,
        counted_up_to=up_to,
        new_inbox={source: found[f"new_{source}"] for source in _SOURCES},
        inbox_oldest={source: found[f"oldest_{source}"] for source in _SOURCES if found[f"oldest_{source}"]},
        failed_inbox=found["failed_inbox"],
        due=due,
        later=later,
        due_oldest=oldest,
        sending=found["sending"],
        unknown=found["unknown"],
        failed=found["failed"],
        held=found["held"],
        moment_oldest=found["moment"],
        cases=_open_cases(connection, now, up_to),
        sales=found["sales"],
        pauses=found["pauses"],
    )


def _open_cases(connection: Connection, now: datetime, up_to: int) -> dict[str, TeamCases]:
    by_age: dict[str, dict[CaseAge, int]] = {}
    overdue: dict[str, int] = {}
    for team, opened_at, is_overdue in connection.execute(_OPEN_CASES, {"now": now, "up_to": up_to}):
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
    for channel, priority in waiting_priorities(connection, CHANNELS):
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
