"""Moments: what is due at a time, and the pauses that hold it, within a transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Update, bindparam, case, false, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.ports.records import PAUSED, RESUMED, Moment, Outgoing, Pause
from storage.mapping import moment_from, moment_values, outgoing_from, pause_from, pause_values
from storage.packing import keyed
from storage.statements import Statements, is_any, sought
from storage.tables import metadata

_MOMENTS = metadata.tables["moments"]
_OUTBOX = metadata.tables["outbox"]
_PAUSES = metadata.tables["pauses"]
_RUNNING = select(_PAUSES).where(_PAUSES.c.ended_at.is_(None)).order_by(_PAUSES.c.id)
_RUNNING_SINCE = (
    select(_PAUSES)
    .where(or_(_PAUSES.c.ended_at.is_(None), _PAUSES.c.ended_at > bindparam("at")))
    .order_by(_PAUSES.c.id)
)
_PLANNED = is_any(_MOMENTS.c.state, "planned")
_MOMENTS_OF = sought(_MOMENTS.c.sale_id).order_by(_MOMENTS.c.due_at, _MOMENTS.c.id)
_DUE = (
    select(_MOMENTS)
    .where(_PLANNED, _MOMENTS.c.due_at <= bindparam("at"))
    .order_by(_MOMENTS.c.due_at, _MOMENTS.c.id)
    .limit(bindparam("at_most"))
    .with_for_update(skip_locked=True)
)
_NEXT_AT = select(func.min(_MOMENTS.c.due_at)).where(_PLANNED)
_THIS_MOMENT = update(_MOMENTS).where(_MOMENTS.c.id == bindparam("this"))


def _planning(statement: sqlite.Insert | postgresql.Insert) -> sqlite.Insert | postgresql.Insert:
    return statement.on_conflict_do_update(
        index_elements=[_MOMENTS.c.key],
        # The earlier plan holds as a whole: another event may have made it, which begins at another step.
        set_={
            "due_at": statement.excluded.due_at,
            "data": statement.excluded.data,
            # What was planned for another time for some reason is planned for the ordinary one now; what is held stays.
            "reason": case((_MOMENTS.c.state == "planned", None), else_=_MOMENTS.c.reason),
        },
        # Here the row is found by its key, and a statement for many rows can have no words written into it (`is_any`).
        where=or_(_MOMENTS.c.state == "planned", _MOMENTS.c.state == "held")
        & (statement.excluded.due_at < _MOMENTS.c.due_at),
    )


_PLAN = {"sqlite": _planning(sqlite.insert(_MOMENTS)), "postgresql": _planning(postgresql.insert(_MOMENTS))}


# Both are found by their sale, and a statement for many rows can have no words written into it (`is_any`).
_AT = bindparam("at", type_=_MOMENTS.c.due_at.type)
_NOT_PAST = case((_MOMENTS.c.due_at < _AT, _AT), else_=_MOMENTS.c.due_at)
_FREE_MOMENT, _FREE_MESSAGE = (
    or_(table.c.reason.is_(None), table.c.reason.not_like(f"{PAUSED}%")) for table in (_MOMENTS, _OUTBOX)
)
_PAUSED_MOMENTS = (
    update(_MOMENTS)
    .where(is_any(_MOMENTS.c.state, "held"), _MOMENTS.c.reason.like(f"{PAUSED}%"))
    .values(state="planned", reason=RESUMED)
)
_PAUSED_MESSAGES = (
    select(_OUTBOX).where(is_any(_OUTBOX.c.state, "held"), _OUTBOX.c.reason.like(f"{PAUSED}%")).order_by(_OUTBOX.c.id)
)
_RELEASE_MOMENTS = keyed(
    _MOMENTS.c.sale_id,
    "of_sale",
    lambda theirs: (
        update(_MOMENTS)
        .where(theirs, _MOMENTS.c.state == "held", _FREE_MOMENT)
        .values(state="planned", reason=None, due_at=_NOT_PAST)
    ),
)
_RELEASE_MESSAGES = keyed(
    _OUTBOX.c.sale_id,
    "of_sale",
    lambda theirs: (
        update(_OUTBOX).where(theirs, _OUTBOX.c.state == "held", _FREE_MESSAGE).values(state="waiting", reason=None)
    ),
)


@cache
def _drop(named: tuple[str, ...], kinds: tuple[str, ...] | None) -> Update:
    """Give the statement that drops what is open of whom the parameters in `named` (``of_`` and a column) name."""
    open_ones = update(_MOMENTS).where(or_(_MOMENTS.c.state == "planned", _MOMENTS.c.state == "held"))
    if kinds is not None:
        open_ones = open_ones.where(or_(false(), *(_MOMENTS.c.kind == kind for kind in kinds)))
    drop = open_ones.values(state="dropped", reason=bindparam("why"))
    first, *others = named
    for name in others:
        drop = drop.where(_MOMENTS.c[name.removeprefix("of_")] == bindparam(name))
    return keyed(_MOMENTS.c[first.removeprefix("of_")], first, drop.where)


class MomentStatements(Statements):
    """Implements the part of `bot.ports.store.UnitOfWork` that is about time."""

    def plan(self, moment: Moment) -> None:
        """Plan a moment. The same key again: brought forward if earlier and still planned or held; else nothing."""
        self._write(_MOMENTS, _PLAN[self._dialect], moment_values(moment), moment.sale_id)

    def moments_of(self, sale_id: str) -> list[Moment]:
        """Give all moments of a sale by their time."""
        return [moment_from(row) for row in self._all(_MOMENTS_OF, sought=sale_id)]

    def due_moments(self, now: datetime, limit: int) -> list[Moment]:
        """Give planned moments that are due, oldest first; on PostgreSQL locked, those locked by others left out."""
        found = [moment_from(row) for row in self._all(_DUE, at=now, at_most=limit)]
        self._known.sale_of_moment.update({each.id: each.sale_id for each in found if each.id is not None})
        return found

    def settle(self, moment_id: int, state: str, reason: str | None = None, due_at: datetime | None = None) -> None:
        """Set what became of a moment; with `due_at` it is planned anew for then."""
        values: dict[str, Any] = {"state": state, "reason": reason}
        if due_at is not None:
            values["due_at"] = due_at
        self._write(_MOMENTS, _THIS_MOMENT, {"this": moment_id, **values}, self._known.sale_of_moment.get(moment_id))

    def drop_moments(
        self,
        *,
        conversation_id: str | None = None,
        case_id: str | None = None,
        kinds: Sequence[str] | None = None,
        reason: str = "",
    ) -> None:
        """Drop what is still planned or held of a conversation or a case.

        Raises:
            ValueError: neither a conversation nor a case is named.
        """
        if conversation_id is None and case_id is None:
            raise ValueError("name the conversation or the case whose moments are to be dropped")
        owners = {"of_conversation_id": conversation_id, "of_case_id": case_id}
        named = {name: owner for name, owner in owners.items() if owner is not None}
        statement = _drop(tuple(named), None if kinds is None else tuple(kinds))
        self._write(_MOMENTS, statement, {"why": reason, **named}, self._sale_of(conversation_id, case_id))

    def _sale_of(self, conversation_id: str | None, case_id: str | None) -> str | None:
        """Tell whose moments these are, where it is known here."""
        owner = self._known.conversations.get(conversation_id or "") or self._known.cases.get(case_id or "")
        return owner.sale_id if owner is not None else None

    def release_held(self, sale_id: str, now: datetime) -> None:
        """Plan held moments of a sale anew (due now, if past), because something changed; held messages wait again.

        What a pause holds is left alone: only its end frees that.
        """
        self._write(_MOMENTS, _RELEASE_MOMENTS, {"of_sale": sale_id, "at": now}, sale_id)
        self._write(_OUTBOX, _RELEASE_MESSAGES, {"of_sale": sale_id}, sale_id)
        if (known := self._known.asks_of.get(sale_id)) is not None:
            known[:] = [replace(each, state="waiting", reason=None) if _is_free(each) else each for each in known]

    def next_moment_at(self) -> datetime | None:
        """Give when the next planned moment is due."""
        due_at: datetime | None = self._connection.execute(_NEXT_AT).scalar_one()
        return due_at

    # pauses

    def pauses(self) -> list[Pause]:
        """Give the pauses that run, oldest first."""
        if self._known.pauses is None:
            self._known.pauses = [pause_from(row) for row in self._all(_RUNNING)]
        return list(self._known.pauses)

    def pauses_since(self, at: datetime) -> list[Pause]:
        """Give the pauses that ran at any time since then, those that run included."""
        return [pause_from(row) for row in self._all(_RUNNING_SINCE, at=at)]

    def put_pause(self, pause: Pause) -> None:
        """Store a pause; one without an id is new."""
        values = pause_values(pause)
        if pause.id is None:
            self._add(_PAUSES, values)
        else:
            self._upsert(_PAUSES, values, pause.id)
        self._known.pauses = None

    def release_paused(self) -> int:
        """Plan anew, for when they were due, the moments that a pause holds; gives how many."""
        return self._connection.execute(_PAUSED_MOMENTS).rowcount

    def paused_messages(self) -> list[Outgoing]:
        """Give the messages that a pause holds, oldest first."""
        return [outgoing_from(row) for row in self._all(_PAUSED_MESSAGES)]


def _is_free(message: Outgoing) -> bool:
    return message.state == "held" and not (message.reason or "").startswith(PAUSED)
