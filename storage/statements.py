"""What all parts of the unit of work share: the connection, upserts, and the locks that only PostgreSQL needs.

Core statements over the tables of `storage.tables`. No commit here: a part works within the transaction it was given.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    Text,
    column,
    false,
    func,
    literal,
    or_,
    select,
    values,
)
from sqlalchemy.dialects import postgresql, sqlite

INBOX_LANES = 0
OUTBOX_LANES = 1
NEW_CUSTOMERS = 2
"""Namespaces of advisory locks: the seed with which a name is hashed, so that those of two kinds never meet."""


def is_any(column: Column[Any], *words: str) -> ColumnElement[bool]:
    """Say ``column = 'word'`` (or one of several) with the words written into the SQL.

    Both databases use a partial index only where they can see that its condition holds; behind a parameter they cannot.
    SQLite also matches ``a OR b`` of an index to ``a`` alone, which it does not do for ``IN``.
    Source: https://www.sqlite.org/partialindex.html#queries_using_partial_indexes
    """
    return or_(false(), *(column == literal(word, Text, literal_execute=True) for word in words))


class Statements:
    """One part of a transaction: reads and writes on one connection."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, in the transaction that is open there."""
        self._connection = connection
        self._has_row_locks = connection.dialect.name == "postgresql"

    def _insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        return postgresql.insert(table) if self._has_row_locks else sqlite.insert(table)

    def _upsert(self, table: Table, row: Mapping[str, Any]) -> None:
        """Store a whole row under its primary key."""
        statement = self._insert(table)
        rest = {name: statement.excluded[name] for name in row if not table.c[name].primary_key}
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=rest), dict(row)
        )

    def _add(self, table: Table, row: Mapping[str, Any]) -> None:
        self._connection.execute(table.insert(), dict(row))

    def _one(self, query: Select[Any]) -> RowMapping | None:
        return self._connection.execute(query).mappings().one_or_none()

    def _all(self, query: Select[Any]) -> Sequence[RowMapping]:
        return self._connection.execute(query).mappings().all()

    def _free_lanes(self, lanes: Iterable[str], namespace: int) -> set[str]:
        """Give those of `lanes` that nobody else works on, locked for this transaction. On SQLite: all of them.

        Never waits. Whoever gets a lane sees, in the next statement, all that its last holder committed.
        Source: https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS
        """
        wanted = list(dict.fromkeys(lanes))
        if not wanted or not self._has_row_locks:
            return set(wanted)
        listed = values(column("lane", Text), name="listed").data([(lane,) for lane in wanted])
        free = func.pg_try_advisory_xact_lock(func.hashtextextended(listed.c.lane, namespace))
        got = self._connection.execute(select(listed.c.lane, free)).tuples()
        return {lane for lane, is_free in got if is_free}
