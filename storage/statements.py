"""What all parts of the unit of work share: the connection, upserts, and the locks that only PostgreSQL needs.

Core statements over the tables of `storage.tables`. No commit here: a part works within the transaction it was given.
A transaction of many events is fast because it has few statements: what was read once, or ahead, is not read again, and
writes are gathered until somebody reads, so that rows of one kind go out together.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
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
    text,
)
from sqlalchemy.dialects import postgresql, sqlite

from bot.desk.states import Case
from bot.errors import Forbidden
from bot.ports.records import Conversation, Customer, Outgoing, Pause, Promise, Sale
from storage.packing import execute
from storage.tables import metadata

INBOX_LANES = 0
OUTBOX_LANES = 1
NEW_CUSTOMERS = 2
"""Namespaces of advisory locks: the seed with which a name is hashed, so that those of two kinds never meet."""

CHANNEL = "aftersale"
"""On which programs signal one another (see `storage.signals`)."""

NOTIFY = text("SELECT pg_notify(:channel, '')").bindparams(channel=CHANNEL)
"""Repeated within one transaction it is one signal, which goes out with the commit.

Source: https://www.postgresql.org/docs/current/sql-notify.html (read 2026-11-25).
"""

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


_CUSTOMERS = metadata.tables["customers"]
_WROTE = select(_CUSTOMERS.c.last_wrote_at).where(_CUSTOMERS.c.id == bindparam("sought"))


@dataclass(slots=True)
class _Write:
    """Rows that go out with one statement (see `Statements._write`)."""

    statement: Executable
    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    place: dict[Hashable, int]
    """Whom the rows concern, and where the latest about each stands."""


@dataclass(slots=True)
class Known:
    """What this transaction has read or stored already.

    A value of None: there is no such row. The lists of a sale or a customer are whole where they are here at all, in no
    order; whoever gives them out sorts them.
    """

    customers: dict[str, Customer | None] = field(default_factory=dict)
    chats: dict[int, str | None] = field(default_factory=dict)
    sales: dict[str, Sale | None] = field(default_factory=dict)
    sales_of: dict[str, set[str]] = field(default_factory=dict)
    promises_of: dict[str, dict[str, Promise]] = field(default_factory=dict)
    conversations: dict[str, Conversation | None] = field(default_factory=dict)
    conversations_of: dict[str, set[str]] = field(default_factory=dict)
    conversation_keys: dict[str, str | None] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    cases_of: dict[str, set[str]] = field(default_factory=dict)
    asks_of: dict[str, list[Outgoing]] = field(default_factory=dict)
    flows: set[tuple[str, str]] = field(default_factory=set)
    sale_of_moment: dict[int, str] = field(default_factory=dict)
    pauses: list[Pause] | None = None


class Statements:
    """One part of a transaction: reads and writes on one connection."""

    def __init__(self, connection: Connection) -> None:
        """Work on `connection`, in the transaction that is open there."""
        self._bare_connection = connection
        self._gathered: dict[Table, list[_Write]] = {}
        self._known = Known()
        self.has_news = False
        """Whether something was put into inbox or outbox, of which other programs should hear."""
        self._dialect = connection.dialect.name
        self._has_row_locks = self._dialect == "postgresql"

    @property
    def _connection(self) -> Connection:
        """Give the connection to ask something; what was gathered is written first, so that the answer knows of it."""
        self.flush()
        return self._bare_connection

    def flush(self) -> None:
        """Write what was gathered. An error of the database in a write shows here, at the latest at the commit."""
        gathered, self._gathered = self._gathered, {}
        for writes in gathered.values():
            for write in writes:
                execute(self._bare_connection, write.statement, write.rows)

    def _forget(self) -> None:
        """Know nothing and have nothing to write: part of the transaction was undone."""
        self._gathered.clear()
        self._known = Known()

    def _write(
        self,
        table: Table,
        statement: Executable,
        row: dict[str, Any],
        about: Hashable = None,
        *,
        is_whole: bool = False,
    ) -> None:
        """Gather a write, to go out with others of its statement.

        Between tables the order is free: the commit checks references. Within a table, writes that are `about` the same
        thing keep their order; those about different things do not touch the same rows, so theirs is free as well. A
        write about nothing in particular (None) keeps its place among all others. A row that `is_whole` stands in for
        the one before about the same thing.
        """
        writes = self._gathered.setdefault(table, [])
        columns = tuple(row)
        for write in reversed(writes):
            if write.statement is statement and write.columns == columns:
                place = write.place.get(about) if is_whole else None
                if place is not None:
                    write.rows[place] = row
                    return
                write.place[about] = len(write.rows)
                write.rows.append(row)
                return
            if about is None or about in write.place or None in write.place:
                break
        writes.append(_Write(statement, columns, [row], {about: 0}))

    def _upsert(self, table: Table, row: dict[str, Any], about: Hashable) -> None:
        """Store a whole row under its primary key, which is what it is `about`."""
        self._write(table, _replacing(table, self._dialect), row, about, is_whole=True)

    def _add_once(self, table: Table, row: dict[str, Any], *key: str, about: Hashable = None) -> None:
        """Store a row, but leave the one that is there under the same `key`."""
        self._write(table, _keeping_first(table, self._dialect, key), row, about)

    def _insert_once(self, table: Table, *key: str) -> sqlite.Insert | postgresql.Insert:
        return _keeping_first(table, self._dialect, key)

    def _add(self, table: Table, row: dict[str, Any]) -> None:
        self._write(table, _insert_into(table, self._dialect), row)

    def _demand_own_word(self, customer_id: str, at: datetime | None, what: str) -> None:
        """Refuse what only a customer's own word does, but at the moment at which they wrote or tapped themselves.

        No use case of staff touches that time: so whatever way in is used, only a customer confirms and completes.

        Raises:
            Forbidden: they said nothing at that moment.
        """
        known = self._known.customers.get(customer_id)
        said_at = known.last_wrote_at if known else self._connection.execute(_WROTE, {"sought": customer_id}).scalar()
        if said_at is None or said_at != at:
            raise Forbidden(f"only the customer's own word {what}, and they have said nothing now")

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
