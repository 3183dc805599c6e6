"""What all parts of the unit of work share: the connection, upserts, and the locks that only PostgreSQL needs.

Core statements over the tables of `storage.tables`. No commit here: a part works within the transaction it was given.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

INBOX_LANES = 0
OUTBOX_LANES = 1
NEW_CUSTOMERS = 2
"""Namespaces of advisory locks: the seed with which a name is hashed, so that those of two kinds never meet."""

LOOK_AHEAD = 4
"""How many times the rows asked for are looked at for lanes that are free, where other programs hold the first ones."""


def is_any(column: Column[Any], *words: str) -> ColumnElement[bool]:
    """Say ``column = 'word'`` (or one of several) with the words written into the SQL.

    Both databases use a partial index only where they can see that its condition holds; behind a parameter they cannot.
    SQLite also matches ``a OR b`` of an index to ``a`` alone, which it does not do for ``IN``.
    Source: https://www.sqlite.org/partialindex.html#queries_using_partial_indexes
    """
    return or_(false(), *(column == literal(word, Text, literal_execute=True) for word in words))


def sought(column: Column[Any]) -> Select[Any]:
    """Give the query for the rows of a table whose `column` is what `Statements` is then asked for.

    Built once and asked often: to build a statement costs SQLAlchemy more than to run it.
    """
    return select(column.table).where(column == bindparam("sought"))


@cache
def _insert_into(table: Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


@cache
def _keeping_first(table: Table, dialect: str, key: tuple[str, ...]) -> sqlite.Insert | postgresql.Insert:
    return _insert_into(table, dialect).on_conflict_do_nothing(index_elements=key)


@cache
def _replacing(table: Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    statement = _insert_into(table, dialect)
    rest = {each.name: statement.excluded[each.name] for each in table.c if not each.primary_key}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=rest)


class Statements:
    """One part of a transaction: reads and writes on one connection."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, in the transaction that is open there."""
        self._connection = connection
        self._dialect = connection.dialect.name
        self._has_row_locks = self._dialect == "postgresql"

    def _upsert(self, table: Table, row: Mapping[str, Any]) -> None:
        """Store a whole row under its primary key."""
        self._connection.execute(_replacing(table, self._dialect), dict(row))

    def _add_once(self, table: Table, row: Mapping[str, Any], *key: str) -> None:
        """Store a row, but leave the one that is there under the same `key`."""
        self._connection.execute(_keeping_first(table, self._dialect, key), dict(row))

    def _insert_once(self, table: Table, *key: str) -> sqlite.Insert | postgresql.Insert:
        return _keeping_first(table, self._dialect, key)

    def _add(self, table: Table, row: Mapping[str, Any]) -> None:
        self._connection.execute(_insert_into(table, self._dialect), dict(row))

    def _one(self, query: Select[Any], **asked: Any) -> RowMapping | None:
        return self._connection.execute(query, asked).mappings().one_or_none()

    def _all(self, query: Select[Any], **asked: Any) -> Sequence[RowMapping]:
        return self._connection.execute(query, asked).mappings().all()

    def _own_lanes(self, lanes: Sequence[str], namespace: int, *, enough: int) -> set[str]:
        """Lock lanes that nobody else works on, until `enough` rows stand in ours or all were tried; never waits.

        The locks last until the transaction ends. Whoever gets a lane sees, in the next statement, all that its last
        holder committed. On SQLite, where the transaction is the lock, all lanes are ours.

        Args:
            lanes: the lane of each row that is wanted, in the order of the rows.
            namespace: one of the numbers above.
            enough: a number of rows.
        """
        if not self._has_row_locks:
            return set(lanes)
        own: set[str] = set()
        for start in range(0, len(lanes), enough):
            few = set(lanes[start : start + enough]) - own
            own |= self._free_of(sorted(few), namespace)
            if sum(lane in own for lane in lanes) >= enough:
                break
        return own

    def _free_of(self, lanes: list[str], namespace: int) -> set[str]:
        """Lock those of `lanes` that are free.

        Source: https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS
        """
        lane = func.unnest(cast(lanes, postgresql.ARRAY(Text))).column_valued("lane")
        is_free = func.pg_try_advisory_xact_lock(func.hashtextextended(lane, namespace))
        got = self._connection.execute(select(lane, is_free))
        return {name for name, free in got if free}
