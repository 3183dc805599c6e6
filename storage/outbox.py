"""The outbox: messages on their way, who is sending them, and what became of them, within a transaction."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, exists, func, literal, or_, select, update

from bot.ports.records import CHANNELS, Outgoing
from storage.mapping import outgoing_from, outgoing_values
from storage.packing import keyed
from storage.statements import Statements, is_any, sought, sought_among
from storage.tables import metadata

_OUTBOX = metadata.tables["outbox"]
_EARLIER = _OUTBOX.alias("earlier")
_WAITING = is_any(_OUTBOX.c.state, "waiting")
# Looked for row by row, to which OFFSET holds PostgreSQL. It would otherwise make a join of it and, where its
# statistics are of an hour in which nothing waited, walk for each row along all that waits: 0.1 s for each claim.
# Source: https://github.com/postgres/postgres/blob/master/src/backend/optimizer/plan/subselect.c ("LIMIT or OFFSET" in
# simplify_EXISTS_query; read 2026-11-25)
_BEING_SENT = (
    select(_EARLIER.c.id)
    .where(_EARLIER.c.lane == _OUTBOX.c.lane, is_any(_EARLIER.c.state, "sending"))
    .offset(literal(0, literal_execute=True))
    .exists()
)
_NOT_FIRST_OF_CASE = and_(
    _OUTBOX.c.lane.startswith("case:"),
    exists().where(
        _EARLIER.c.lane == _OUTBOX.c.lane,
        is_any(_EARLIER.c.state, "waiting", "sending"),
        _EARLIER.c.id < _OUTBOX.c.id,
    ),
)
_BEHIND_A_REPEAT = and_(
    _OUTBOX.c.priority == 0,
    exists().where(
        _EARLIER.c.lane == _OUTBOX.c.lane,
        is_any(_EARLIER.c.state, "waiting"),
        _EARLIER.c.priority == 0,
        _EARLIER.c.attempts > 0,
        _EARLIER.c.id < _OUTBOX.c.id,
    ),
)
MAY_GO: ColumnElement[bool] = and_(_WAITING, ~_BEING_SENT, ~_NOT_FIRST_OF_CASE, ~_BEHIND_A_REPEAT)
"""It waits, and nothing of its lane is on its way; in the lane of a case nothing earlier waits, and what is said to a
customer does not overtake what was said before and has to be tried again."""

_MESSAGE = sought(_OUTBOX.c.id)
_MESSAGES_OF = sought(_OUTBOX.c.sale_id).order_by(_OUTBOX.c.id)
_THIS_MESSAGE = update(_OUTBOX).where(_OUTBOX.c.id == bindparam("this"))
_NEXT_PRIORITY = select(func.min(_OUTBOX.c.priority)).where(
    _WAITING, _OUTBOX.c.channel == bindparam("one"), _OUTBOX.c.priority > bindparam("above")
)
_ASKS_OF_AMONG = (
    sought_among(_OUTBOX.c.sale_id)
    .where(or_(_OUTBOX.c.kind == "question", _OUTBOX.c.kind == "reminder"))
    .order_by(_OUTBOX.c.id)
)
_DROP = keyed(
    _OUTBOX.c.id,
    "this",
    lambda these: (
        update(_OUTBOX)
        .where(these, or_(_OUTBOX.c.state == "waiting", _OUTBOX.c.state == "held"))
        .values(state="dropped", reason=bindparam("why"))
    ),
)
_NEXT_GOES_AT = select(func.min(_OUTBOX.c.not_before)).where(
    _WAITING,
    ~_NOT_FIRST_OF_CASE,
    ~_BEHIND_A_REPEAT,
    _OUTBOX.c.channel == bindparam("one"),
    _OUTBOX.c.priority == bindparam("of_priority"),
)


def waiting_priorities(connection: Connection, channels: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Give channel and priority of what waits; one seek in the index for each."""
    for channel in channels:
        priority = -1
        while (least := connection.execute(_NEXT_PRIORITY, {"one": channel, "above": priority}).scalar()) is not None:
            yield channel, least
            priority = least


def _ordered(query: Select[Any]) -> Select[Any]:
    return query.order_by(_OUTBOX.c.priority, _OUTBOX.c.not_before, _OUTBOX.c.id)


class OutboxStatements(Statements):
    """Implements the part of `bot.ports.store.UnitOfWork` that is about what goes out."""

    def send(self, message: Outgoing) -> None:
        """Put a message into the outbox; the same key again changes nothing."""
        self._add_once(_OUTBOX, outgoing_values(message), "key", about=message.sale_id or message.lane)
        self.has_news = True
        if message.kind in ("question", "reminder"):
            self._known.asks_of.pop(message.sale_id or "", None)

    def due_lanes(self, now: datetime, limit: int, channel: str) -> list[tuple[int, str]]:
        """Give id and lane of what may go now. One look per priority: each is a straight walk along the index."""
        due: list[tuple[int, str]] = []
        for one, priority in self.waiting_priorities(channel):
            query = select(_OUTBOX.c.id, _OUTBOX.c.lane).where(
                _OUTBOX.c.channel == one, _OUTBOX.c.priority == priority, _OUTBOX.c.not_before <= now, MAY_GO
            )
            rows = self._connection.execute(_ordered(query).limit(limit - len(due)))
            due += [(message_id, lane) for message_id, lane in rows]
            if len(due) >= limit:
                break
        return due

    def waiting_priorities(self, channel: str | None = None) -> list[tuple[str, int]]:
        """Give channel and priority of what waits, smallest priority first."""
        found = waiting_priorities(self._connection, [channel] if channel else CHANNELS)
        return sorted(found, key=lambda each: each[1])

    def expired_leases(self, now: datetime) -> list[Outgoing]:
        """Give messages whose sender died between claim and mark; on PostgreSQL without those locked by others."""
        expired = select(_OUTBOX).where(is_any(_OUTBOX.c.state, "sending"), _OUTBOX.c.lease_until < now)
        oldest = expired.order_by(_OUTBOX.c.lease_until, _OUTBOX.c.id)
        return [outgoing_from(row) for row in self._all(oldest.with_for_update(skip_locked=True))]

    def put_outgoing(self, message: Outgoing) -> None:
        """Store what became of a message (by its id).

        Raises:
            ValueError: the message has no id: it never was in the outbox; `send` puts it there.
        """
        if message.id is None:
            raise ValueError(f"the message {message.key} has no id; only `send` puts a new message into the outbox")
        values = outgoing_values(message)
        self._write(_OUTBOX, _THIS_MESSAGE, {"this": values.pop("id"), **values}, message.sale_id or message.lane)
        self._know_ask(message)

    def outgoing(self, message_id: int) -> Outgoing | None:
        """Give one message of the outbox."""
        row = self._one(_MESSAGE, sought=message_id)
        return outgoing_from(row) if row else None

    def outgoing_of(self, sale_id: str) -> list[Outgoing]:
        """Give all messages of a sale, oldest first."""
        return [outgoing_from(row) for row in self._all(_MESSAGES_OF, sought=sale_id)]

    def asks_of(self, sale_id: str) -> list[Outgoing]:
        """Give the questions and reminders of a sale, oldest first, whatever became of them."""
        self.read_asks_of([sale_id])
        return list(self._known.asks_of[sale_id])

    def read_asks_of(self, sale_ids: Collection[str]) -> None:
        """Read the questions and reminders of those sales where they are not known yet, all in one statement."""
        if missing := set(sale_ids) - self._known.asks_of.keys():
            self._known.asks_of.update({each: [] for each in missing})
            for row in self._all(_ASKS_OF_AMONG, sought=sorted(missing)):
                self._known.asks_of[row["sale_id"]].append(outgoing_from(row))

    def drop_outgoing(self, message: Outgoing, reason: str) -> None:
        """Let a message that still waits, or is held, never go out; where it is on its way by now, nothing changes."""
        self._write(_OUTBOX, _DROP, {"this": message.id, "why": reason}, message.sale_id or message.lane)
        self._know_ask(replace(message, state="dropped", reason=reason))

    def _know_ask(self, message: Outgoing) -> None:
        known = self._known.asks_of.get(message.sale_id or "")
        if known is not None:
            known[:] = [message if each.id == message.id else each for each in known]

    def question_of(self, conversation_id: str, turn: int) -> Outgoing | None:
        """Give the message that asked a question."""
        conversation = self._known.conversations.get(conversation_id)
        if conversation is not None and (asks := self._known.asks_of.get(conversation.sale_id)) is not None:
            found = [each for each in asks if each.kind == "question"]
            return next((e for e in reversed(found) if (e.conversation_id, e.turn) == (conversation_id, turn)), None)
        query = select(_OUTBOX).where(
            is_any(_OUTBOX.c.kind, "question"), _OUTBOX.c.conversation_id == conversation_id, _OUTBOX.c.turn == turn
        )
        row = self._one(query.order_by(_OUTBOX.c.id.desc()).limit(1))
        return outgoing_from(row) if row else None

    def outbox(self, states: Sequence[str], limit: int) -> list[Outgoing]:
        """Give messages in any of `states`, oldest first."""
        query = select(_OUTBOX).where(is_any(_OUTBOX.c.state, *states)).order_by(_OUTBOX.c.id).limit(limit)
        return [outgoing_from(row) for row in self._all(query)]

    def next_outgoing_at(self, channel: str | None = None) -> datetime | None:
        """Give when the next waiting message (of a channel, or any) may go.

        What waits behind another of its case's lane does not count.
        """
        earliest = (
            self._connection.execute(_NEXT_GOES_AT, {"one": one, "of_priority": priority}).scalar_one()
            for one, priority in self.waiting_priorities(channel)
        )
        return min((at for at in earliest if at is not None), default=None)
