"""What all parts of the unit of work share: the connection, upserts, and the locks that only PostgreSQL needs.

Core statements over the tables of `storage.tables`. No commit here: a part works within the transaction it was given.
A transaction of many events is fast because it has few statements: what was read once is not read again, and writes are
gathered until somebody reads, so that rows of one kind go out together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Executable,
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

from bot.desk.states import Case
from bot.ports.records import Conversation, Customer, Promise, Sale

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


def sought_among(column: Column[Any]) -> Select[Any]:
    """The same for the rows whose `column` is any of a list."""
    return select(column.table).where(column.in_(bindparam("sought", expanding=True)))


def locked(query: Select[Any]) -> Select[Any]:
    """Lock what `query` finds, as weakly as serves: rows that refer to it may still be added.

    On SQLite, where the transaction is the lock, this says nothing.
    Source: https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS
    """
    return query.with_for_update(key_share=True)


@dataclass(slots=True)
class _Write:
    """Rows that go out with one statement."""

    statement: Executable
    columns: tuple[str, ...]
    rows: list[dict[str, Any]]


@dataclass(slots=True)
class Known:
    """What this transaction has read or stored already, by id (lists: by sale)."""

    customers: dict[str, Customer] = field(default_factory=dict)
    sales: dict[str, Sale] = field(default_factory=dict)
    conversations: dict[str, Conversation] = field(default_factory=dict)
    cases_of: dict[str, list[Case]] = field(default_factory=dict)
    promises_of: dict[str, list[Promise]] = field(default_factory=dict)


class Statements:
    """One part of a transaction: reads and writes on one connection."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, in the transaction that is open there."""
        self._bare_connection = connection
        self._gathered: list[_Write] = []
        self._newest: dict[Table, _Write] = {}
        self._known = Known()
        self._dialect = connection.dialect.name
        self._has_row_locks = self._dialect == "postgresql"

    @property
    def _connection(self) -> Connection:
        """Give the connection to ask something; what was gathered is written first, so that the answer knows of it."""
        self.flush()
        return self._bare_connection

    def flush(self) -> None:
        """Write what was gathered. An error of the database in a write shows here, at the latest at the commit."""
        gathered, self._gathered = self._gathered, []
        self._newest.clear()
        for write in gathered:
            # One row is not sent as a list: only then the driver may prepare the statement and keep it.
            self._bare_connection.execute(write.statement, write.rows if len(write.rows) > 1 else write.rows[0])

    def _forget(self) -> None:
        """Know nothing and have nothing to write: part of the transaction was undone."""
        self._gathered.clear()
        self._newest.clear()
        self._known = Known()

    def _write(self, table: Table, statement: Executable, row: Mapping[str, Any]) -> None:
        """Gather a write. Within a table the order stays; between tables it is free: the commit checks references."""
        newest, columns = self._newest.get(table), tuple(row)
        if newest is not None and newest.statement is statement and newest.columns == columns:
            newest.rows.append(dict(row))
            return
        write = self._newest[table] = _Write(statement, columns, [dict(row)])
        self._gathered.append(write)

    def _upsert(self, table: Table, row: Mapping[str, Any]) -> None:
        """Store a whole row under its primary key."""
        self._write(table, _replacing(table, self._dialect), row)

    def _add_once(self, table: Table, row: Mapping[str, Any], *key: str) -> None:
        """Store a row, but leave the one that is there under the same `key`."""
        self._write(table, _keeping_first(table, self._dialect, key), row)

    def _insert_once(self, table: Table, *key: str) -> sqlite.Insert | postgresql.Insert:
        return _keeping_first(table, self._dialect, key)

    def _add(self, table: Table, row: Mapping[str, Any]) -> None:
        self._write(table, _insert_into(table, self._dialect), row)

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
