"""The outbox as its sender sees it: what may go with all that the guards ask, and many marks in a few statements.

These are the hot paths of a message out, so they read single columns and write single columns, whole batches at a time;
what a customer, sale or conversation is as a whole stands elsewhere.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    Integer,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    exists,
    func,
    select,
    union,
    update,
)
from sqlalchemy.dialects import postgresql

from bot.desk.states import UNSETTLED
from bot.ports.records import Arrived, Candidate, Outgoing, Underway
from storage.outbox import MAY_GO, OutboxStatements
from storage.packing import ROWS, cell, execute, gathered, names_given, pack_plain, rows_given, unpack
from storage.statements import LOOK_AHEAD, OUTBOX_LANES, is_any
from storage.tables import metadata

_OUTBOX = metadata.tables["outbox"]
_CUSTOMERS = metadata.tables["customers"]
_SALES = metadata.tables["sales"]
_TALKS = metadata.tables["conversations"]
_CASES = metadata.tables["cases"]
_QUESTIONS = _OUTBOX.alias("questions")

_FIELDS = tuple(Outgoing.__dataclass_fields__)
_STATUS, _TURN, _VISITS, _SPOKEN = (_TALKS.c.state[name] for name in ("status", "turn", "visits", "spoken"))
_CASE_STATUS = (
    select(_CASES.c.status)
    .where(_CASES.c.sale_id == _OUTBOX.c.sale_id, _CASES.c.status != "confirmed")
    .order_by(_CASES.c.opened_at.desc(), _CASES.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_QUESTION_STATE = (
    select(_QUESTIONS.c.state)
    .where(
        is_any(_QUESTIONS.c.kind, "question"),
        _QUESTIONS.c.conversation_id == _OUTBOX.c.conversation_id,
        _QUESTIONS.c.turn == _OUTBOX.c.turn,
    )
    .order_by(_QUESTIONS.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_OTHERS = _TALKS.alias("others")
_ASKED = _OUTBOX.alias("asked")
_IN_OTHERS = and_(
    _OTHERS.c.customer_id == _OUTBOX.c.customer_id,
    _OTHERS.c.id != _OUTBOX.c.conversation_id,
    is_any(_ASKED.c.kind, "question"),
    _ASKED.c.conversation_id == _OTHERS.c.id,
)
_OTHER_QUESTION = exists().where(
    _IN_OTHERS,
    _OTHERS.c.state["status"].as_string() == "asking",
    _ASKED.c.turn == _OTHERS.c.state["turn"].as_integer(),
    is_any(_ASKED.c.state, "sent", "unknown", "sending"),
)
_ASKED_ELSEWHERE_AT = (
    select(func.max(_ASKED.c.sent_at)).where(_IN_OTHERS, is_any(_ASKED.c.state, "sent")).scalar_subquery()
)
_ANY_CASE = _CASES.alias("any_case")
_OTHER_CASE = exists().where(_ANY_CASE.c.customer_id == _OUTBOX.c.customer_id, is_any(_ANY_CASE.c.status, *UNSETTLED))
_IS_QUESTION = is_any(_OUTBOX.c.kind, "question")
_GOES_ON = and_(_IS_QUESTION, _OUTBOX.c.turn > 1)
"""A conversation that has asked before goes at its own pace: only what others asked keeps it back."""

_CANDIDATES = (
    select(
        *(_OUTBOX.c[name] for name in _FIELDS),
        *(
            column.label(f"fact_{place}")
            for place, column in enumerate(
                (
                    _CUSTOMERS.c.id,
                    _CUSTOMERS.c.chat_id,
                    _CUSTOMERS.c.stopped_at,
                    _CUSTOMERS.c.unreachable_at,
                    _CUSTOMERS.c.consents,
                    _CUSTOMERS.c.country,
                    _CUSTOMERS.c.time_zone,
                    case((_GOES_ON, _ASKED_ELSEWHERE_AT), else_=_CUSTOMERS.c.last_question_at),
                    _CUSTOMERS.c.last_wrote_at,
                    _CASE_STATUS,
                    _STATUS.as_string(),
                    _TURN.as_integer(),
                    _SPOKEN.as_boolean(),
                    case((_OUTBOX.c.kind == "reminder", _QUESTION_STATE)),
                    _TALKS.c.flow,
                    _TALKS.c.case_id,
                    case((_IS_QUESTION, _OTHER_CASE)),
                    case((_IS_QUESTION, _OTHER_QUESTION)),
                )
            )
        ),
    )
    .select_from(_OUTBOX)
    .outerjoin(_CUSTOMERS, _CUSTOMERS.c.id == _OUTBOX.c.customer_id)
    .outerjoin(_TALKS, _TALKS.c.id == _OUTBOX.c.conversation_id)
)
_IN_ORDER = (_OUTBOX.c.priority, _OUTBOX.c.not_before, _OUTBOX.c.id)
_DUE = (
    _CANDIDATES.where(
        _OUTBOX.c.channel == bindparam("channel"),
        _OUTBOX.c.priority == bindparam("of_priority"),
        _OUTBOX.c.not_before <= bindparam("by"),
        MAY_GO,
    )
    .order_by(*_IN_ORDER)
    .limit(bindparam("many"))
)
_UNDERWAY = (
    select(
        _OUTBOX.c.id,
        _OUTBOX.c.state,
        _OUTBOX.c.attempts,
        _STATUS.as_string().label("status"),
        _TURN.as_integer().label("turn_now"),
        _VISITS.as_integer().label("visits"),
        _TALKS.c.sale_id,
        _TALKS.c.customer_id,
    )
    .select_from(_OUTBOX)
    .outerjoin(_TALKS, _TALKS.c.id == _OUTBOX.c.conversation_id)
)
_ARRIVED = {
    "state": "sent",
    "reason": None,
    "lease_until": None,
    "sent_at": bindparam("at", type_=_OUTBOX.c.sent_at.type),
}


class SendingStatements(OutboxStatements):
    """Implements the part of `bot.ports.store.UnitOfWork` that senders use, many messages at a time."""

    def candidates(self, now: datetime, limit: int, channel: str) -> list[Candidate]:
        """Give messages of a channel that may go now, by priority and age, with what the guards ask. See the port."""
        if self._has_row_locks:
            return self._candidates_in_free_lanes(now, limit, channel)
        found: list[Candidate] = []
        for _, priority in self.waiting_priorities(channel):
            asked = {"channel": channel, "of_priority": priority, "by": now, "many": limit - len(found)}
            text = self._connection.execute(_DUE_GATHERED, asked).scalar_one()
            rows = sorted(unpack(text), key=_by_age)
            found += [_candidate(row, _time) for row in rows]
            if len(found) >= limit:
                break
        return found

    def _candidates_in_free_lanes(self, now: datetime, limit: int, channel: str) -> list[Candidate]:
        looked_at = self.due_lanes(now, limit * LOOK_AHEAD, channel)
        own = self._own_lanes([lane for _, lane in looked_at], OUTBOX_LANES, enough=limit)
        ids = [message_id for message_id, lane in looked_at if lane in own][:limit]
        if not ids:
            return []
        # Asked again now that the lanes are ours: their last holders may have claimed or settled some.
        rows = self._connection.execute(_STILL_FREE, {ROWS: ids})
        return [_candidate(row, _as_it_is) for row in rows]

    def claim(self, ids: Sequence[int], lease_until: datetime) -> None:
        """Mark messages as being sent by us until the lease ends; counts an attempt."""
        if ids:
            self._connection.execute(_claiming(self._dialect), {ROWS: self._list(ids), "lease": lease_until})

    def underway(self, messages: Sequence[Outgoing]) -> dict[int, Underway]:
        """Give how claimed messages stand now, by their ids, locked together with their customers. See the port."""
        ids = [each.id for each in messages if each.id is not None]
        if not self._has_row_locks:
            rows = unpack(self._connection.execute(_UNDERWAY_GATHERED, {ROWS: self._list(ids)}).scalar_one())
            return {row[0]: _underway_from(row) for row in rows}
        customers = sorted({each.customer_id for each in messages if each.customer_id})
        talks = sorted({each.conversation_id for each in messages if each.conversation_id})
        self._connection.execute(_OWNERS, {ROWS: customers, "talks": talks})
        return {row[0]: _underway_from(row) for row in self._connection.execute(_UNDERWAY_LOCKED, {ROWS: ids})}

    def arrived(self, messages: Sequence[Arrived], now: datetime) -> None:
        """Store that messages were taken, and, of questions, that sale and customer were asked. See the port."""
        if self._has_row_locks:
            rows = [{"this": each.id, "ours": each.external, "at": now} for each in messages]
            execute(self._connection, _ARRIVED_ONE, rows)
        else:
            text = pack_plain([[each.id, each.external] for each in messages])
            self._connection.execute(_ARRIVED_PACKED, {ROWS: text, "at": now})
        asked = [each.asked_of for each in messages if each.asked_of]
        if asked:
            # In one order in every process: otherwise two would wait for one another.
            customers, sales = ({each[place] for each in asked} for place in (1, 0))
            self._connection.execute(_last_asked(self._dialect), {ROWS: self._list(sorted(customers)), "at": now})
            self._connection.execute(_first_asked(self._dialect), {ROWS: self._list(sorted(sales)), "at": now})

    def _list(self, values: Sequence[Any]) -> Any:
        return list(values) if self._has_row_locks else pack_plain(values)


# Statements, built once ---------------------------------------------------------------------------------------------


def _listed(column: ColumnElement[Any], dialect: str, name: str = ROWS) -> ColumnElement[bool]:
    """Say that `column` is one of a list of any length: one parameter, so that the statement stays the same."""
    if dialect == "sqlite":
        return column.in_(names_given())
    kind = BigInteger() if isinstance(column.type, Integer) else Text()
    return column == any_(cast(bindparam(name), postgresql.ARRAY(kind)))


@cache
def _claiming(dialect: str) -> Executable:
    claimed = update(_OUTBOX).where(_listed(_OUTBOX.c.id, dialect), _OUTBOX.c.state == "waiting")
    lease = bindparam("lease", type_=_OUTBOX.c.lease_until.type)
    return claimed.values(state="sending", lease_until=lease, attempts=_OUTBOX.c.attempts + 1)


@cache
def _first_asked(dialect: str) -> Executable:
    mine = update(_SALES).where(_listed(_SALES.c.id, dialect), _SALES.c.asked_at.is_(None))
    return mine.values(asked_at=bindparam("at", type_=_SALES.c.asked_at.type))


@cache
def _last_asked(dialect: str) -> Executable:
    theirs = update(_CUSTOMERS).where(_listed(_CUSTOMERS.c.id, dialect))
    return theirs.values(last_question_at=bindparam("at", type_=_CUSTOMERS.c.last_question_at.type))


_DUE_GATHERED = gathered(_DUE)
_UNDERWAY_GATHERED = gathered(_UNDERWAY.where(_listed(_OUTBOX.c.id, "sqlite")))
_given = rows_given()
_ARRIVED_PACKED = update(_OUTBOX).where(_OUTBOX.c.id == cell(_given, 0)).values(external=cell(_given, 1), **_ARRIVED)
_ARRIVED_ONE = update(_OUTBOX).where(_OUTBOX.c.id == bindparam("this")).values(external=bindparam("ours"), **_ARRIVED)
_STILL_FREE = (
    _CANDIDATES.where(_listed(_OUTBOX.c.id, "postgresql"), MAY_GO)
    .order_by(*_IN_ORDER)
    .with_for_update(of=_OUTBOX, skip_locked=True)
)
_UNDERWAY_LOCKED = (
    _UNDERWAY.where(_listed(_OUTBOX.c.id, "postgresql")).order_by(_OUTBOX.c.id).with_for_update(of=_OUTBOX)
)
_named = func.unnest(cast(bindparam(ROWS), postgresql.ARRAY(Text))).column_valued("named")
# Not "this or that", for which no index serves.
_OWNERS = (
    select(_CUSTOMERS.c.id)
    .where(
        _CUSTOMERS.c.id.in_(
            union(
                select(_named), select(_TALKS.c.customer_id).where(_listed(_TALKS.c.id, "postgresql", "talks"))
            ).scalar_subquery()
        )
    )
    .order_by(_CUSTOMERS.c.id)
    .with_for_update(key_share=True)
)


# Rows to values -----------------------------------------------------------------------------------------------------

_PRIORITY_AT, _NOT_BEFORE_AT, _ID_AT = (_FIELDS.index(name) for name in ("priority", "not_before", "id"))
_TIMES_AT = tuple(_FIELDS.index(name) for name in ("not_before", "created_at", "expires_at", "lease_until", "sent_at"))
_FACTS = len(_FIELDS)


def _by_age(row: Sequence[Any]) -> tuple[Any, ...]:
    return row[_PRIORITY_AT], row[_NOT_BEFORE_AT], row[_ID_AT]


def _time(text: str | None) -> datetime | None:
    """Read a time as SQLite keeps it: in UTC, without saying so."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None


def _as_it_is(value: Any) -> Any:
    return value


def _candidate(row: Sequence[Any], time: Callable[[Any], datetime | None]) -> Candidate:
    message = list(row[:_FACTS])
    for place in _TIMES_AT:
        if message[place] is not None:
            message[place] = time(message[place])
    (
        customer,
        chat,
        stopped,
        unreachable,
        consents,
        country,
        zone,
        asked_at,
        wrote_at,
        case_status,
        status,
        turn,
        spoken,
        question,
        flow,
        about_case,
        other_case,
        other_question,
    ) = row[_FACTS:]
    return Candidate(
        Outgoing(*message),
        is_known=customer is not None,
        is_linked=chat is not None,
        is_stopped=stopped is not None,
        is_unreachable=unreachable is not None,
        consents=consents or {},
        country=country,
        time_zone=zone,
        last_question_at=time(asked_at),
        last_wrote_at=time(wrote_at),
        case_status=case_status,
        talk_status=status,
        talk_turn=turn,
        has_spoken=bool(spoken),
        question_state=question,
        flow=flow,
        about_case=about_case is not None,
        other_case=bool(other_case),
        other_question=bool(other_question),
    )


def _underway_from(row: Sequence[Any]) -> Underway:
    _, state, attempts, status, turn, visits, sale_id, customer_id = row
    return Underway(state, attempts, status, turn, visits or 0, sale_id, customer_id)
