"""The inbox: what came in and what became of it, within a transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from bot.ports.records import InboxSource, Incoming
from storage.mapping import incoming_from, incoming_values
from storage.packing import insert, keyed
from storage.statements import INBOX_LANES, LOOK_AHEAD, Statements, is_any, sought_among
from storage.tables import metadata

_INBOX = metadata.tables["inbox"]
_NEW = is_any(_INBOX.c.state, "new")
_SETTLE = keyed(
    _INBOX.c.id,
    "this",
    lambda these: (
        update(_INBOX)
        .where(these)
        .values(state=bindparam("state"), error=bindparam("error"), attempts=_INBOX.c.attempts + bindparam("failures"))
    ),
)


BY_URGENCY: Sequence[InboxSource] = ("slack", "telegram", "shop")
"""Staff before customers before orders: an order can wait a minute, a person at work cannot."""

_LEAST_SHARE = 5
"""Of a batch, each source that waits gets at least one part in so many."""

_OLDEST = {
    each: select(_INBOX.c.id, _INBOX.c.lane)
    .where(_NEW, is_any(_INBOX.c.source, each))
    .order_by(_INBOX.c.id)
    .limit(bindparam("at_most"))
    for each in BY_URGENCY
}
_NEW_AMONG = sought_among(_INBOX.c.key).where(_INBOX.c.source == bindparam("of_source"), _NEW).order_by(_INBOX.c.id)
_STATES_AMONG = (
    select(_INBOX.c.key, _INBOX.c.state)
    .where(_INBOX.c.source == bindparam("of_source"))
    .where(_INBOX.c.key.in_(bindparam("sought", expanding=True)))
)
_THESE = sought_among(_INBOX.c.id).where(_NEW)


def shares(waiting: Mapping[InboxSource, int], limit: int) -> dict[InboxSource, int]:
    """Say how many rows of each source a batch of `limit` takes.

    What is more urgent goes first, so that a hundred thousand orders keep no member of staff waiting; but none takes it
    all, so that a storm of taps keeps no order waiting for ever.
    """
    taken: dict[InboxSource, int] = {}
    left = limit
    for number, source in enumerate(BY_URGENCY):
        kept = sum(min(waiting[later], limit // _LEAST_SHARE) for later in BY_URGENCY[number + 1 :])
        taken[source] = min(waiting[source], max(left - kept, 0))
        left -= taken[source]
    return taken


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
        rows = insert(self._connection, statement, [incoming_values(item) for item in received])
        fresh = {(row.source, row.key) for row in rows}
        self.has_news = self.has_news or bool(fresh)
        news = []
        for item in received:
            news.append((item.source, item.key) in fresh)
            fresh.discard((item.source, item.key))
        return news

    def new_incoming(self, limit: int) -> list[Incoming]:
        """Give what is to be handled: of each source in order of arrival, staff first (see `shares`).

        On PostgreSQL lanes that others work on are left out. A lane is held until the transaction ends, and its rows
        are read after it was got: so nothing in a lane is handled twice, or before what came earlier.
        """
        look = limit * LOOK_AHEAD if self._has_row_locks else limit
        waiting = {each: self._all(_OLDEST[each], at_most=look) for each in BY_URGENCY}
        lanes = [row["lane"] for each in BY_URGENCY for row in waiting[each]]
        own = self._own_lanes(lanes, INBOX_LANES, enough=limit) if lanes else set()
        free = {each: [row["id"] for row in rows if row["lane"] in own] for each, rows in waiting.items()}
        share = shares({each: len(ids) for each, ids in free.items()}, limit)
        chosen = [one for each in BY_URGENCY for one in free[each][: share[each]]]
        # Read now that the lanes are ours: their last holders may have settled some.
        place = {one: number for number, one in enumerate(chosen)}
        found = [incoming_from(row) for row in self._all(_THESE, sought=chosen)] if chosen else []
        return sorted(found, key=lambda item: place[item.id or 0])

    def new_among(self, source: InboxSource, keys: Collection[str]) -> list[Incoming]:
        """Give those rows with one of these keys that are still to be handled, in order of arrival."""
        rows = self._all(_NEW_AMONG, of_source=source, sought=sorted(keys)) if keys else []
        return [incoming_from(row) for row in rows]

    def states_among(self, source: InboxSource, keys: Collection[str]) -> dict[str, str]:
        """Give the state of each thing that came in with one of these keys; those that never came are left out."""
        rows = self._all(_STATES_AMONG, of_source=source, sought=sorted(keys)) if keys else []
        return {row["key"]: row["state"] for row in rows}

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

    def retry_incoming(self, ids: Sequence[int]) -> list[int]:
        """Let those of `ids` be handled again that failed or were ignored; gives them. Others stay as they are."""
        done_with = or_(_INBOX.c.state == "failed", _INBOX.c.state == "ignored")
        again = update(_INBOX).where(_INBOX.c.id.in_(ids), done_with).values(state="new", error=None)
        return sorted(self._connection.execute(again.returning(_INBOX.c.id)).scalars())
