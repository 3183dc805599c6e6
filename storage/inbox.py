"""The inbox: what came in and what became of it, within a transaction."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from bot.ports.records import Incoming
from storage.mapping import incoming_from, incoming_values
from storage.statements import INBOX_LANES, LOOK_AHEAD, Statements, is_any
from storage.tables import metadata

_INBOX = metadata.tables["inbox"]
_NEW = is_any(_INBOX.c.state, "new")
_SETTLE = (
    update(_INBOX)
    .where(_INBOX.c.id == bindparam("this"))
    .values(state=bindparam("state"), error=bindparam("error"), attempts=_INBOX.c.attempts + bindparam("failures"))
)


@cache
def _receiving(insert: sqlite.Insert | postgresql.Insert) -> ReturningInsert[Any]:
    """Have it tell which rows were new. Made once: to make it takes longer than to run it."""
    return insert.returning(_INBOX.c.source, _INBOX.c.key)


class InboxStatements(Statements):
    """Implements the part of `bot.ports.store.UnitOfWork` that is about what comes in."""

    def receive(self, items: Iterable[Incoming]) -> list[bool]:
        """Store what came in, all in one statement; for each item, whether it was new (false: a repeat)."""
        received = list(items)
        if not received:
            return []
        statement = _receiving(self._insert_once(_INBOX, "source", "key"))
        rows = self._connection.execute(statement, [incoming_values(item) for item in received])
        fresh = {(source, key) for source, key in rows}
        news = []
        for item in received:
            news.append((item.source, item.key) in fresh)
            fresh.discard((item.source, item.key))
        return news

    def new_incoming(self, limit: int) -> list[Incoming]:
        """Give what is to be handled, in order of arrival; on PostgreSQL without lanes that others work on.

        A lane is held until the transaction ends, and its rows are read after it was got: so nothing in a lane is
        handled twice, or before what came earlier.
        """
        query = select(_INBOX).where(_NEW).order_by(_INBOX.c.id).limit(limit)
        if self._has_row_locks:
            oldest = select(_INBOX.c.lane).where(_NEW).order_by(_INBOX.c.id).limit(limit * LOOK_AHEAD)
            lanes = self._connection.execute(oldest).scalars().all()
            query = query.where(_INBOX.c.lane.in_(self._own_lanes(lanes, INBOX_LANES, enough=limit)))
        return [incoming_from(row) for row in self._all(query)]

    def settle_incoming(self, incoming_id: int, state: str, error: str | None = None) -> None:
        """Set what became of it; counts an attempt where it failed (also where it stays ``new`` with an error)."""
        failed = state == "failed" or (state == "new" and error is not None)
        self._write(
            _INBOX,
            _SETTLE,
            {"this": incoming_id, "state": state, "error": error, "failures": 1 if failed else 0},
            incoming_id,
        )

    def inbox(self, states: Sequence[str], limit: int) -> list[Incoming]:
        """Give incoming things in any of `states`, oldest first."""
        query = select(_INBOX).where(is_any(_INBOX.c.state, *states)).order_by(_INBOX.c.id).limit(limit)
        return [incoming_from(row) for row in self._all(query)]
