"""Many rows in one step: they travel to the database as one JSON text, and from SQLite they come back as one.

A statement for each row costs more than the row. Python's driver for SQLite lets go of the interpreter's lock at every
row that it takes or gives, and must then wait for its turn beside a busy event loop: two hundred rows took five times
as long as one text that holds them. PostgreSQL's writes each value by itself, and is answered for each row: that was
half as dear again, for both sides.

Source: https://docs.python.org/3/c-api/init.html#releasing-the-gil-from-extension-code (read 2026-11-25).
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Executable,
    Insert,
    Integer,
    Select,
    Table,
    TableValuedAlias,
    Text,
    UniqueConstraint,
    Update,
    any_,
    bindparam,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy import cast as as_type
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine
from sqlmodel import UTCDateTime

_SQLITE = sqlite.dialect()
DIALECTS = ("sqlite", "postgresql")
WORTH_IT = 4
"""From how many rows on."""

ROWS = "rows"
"""The name of the parameter that holds the text."""

_TIMES_KEPT = 256

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""A NUL within a JSON text; not a backslash before the letters ``u0000``, which is what JSON within JSON has of one."""


def rows_given(dialect: str) -> TableValuedAlias:
    """Give the rows that the parameter `ROWS` holds, to be read with `cell`."""
    if dialect == "sqlite":
        return func.json_each(bindparam(ROWS)).table_valued("value", name="given")
    text = as_type(bindparam(ROWS, type_=Text), postgresql.JSONB)
    return func.jsonb_array_elements(text).table_valued(column("value", postgresql.JSONB), name="given")


def cell(given: TableValuedAlias, place: int, kind: TypeEngine[Any], dialect: str) -> ColumnElement[Any]:
    """Give one value of each row, by its place; `kind` is the type of the column that it is for."""
    if dialect == "sqlite":
        return func.json_extract(given.c.value, f"$[{place}]")
    text: ColumnElement[Any] = given.c.value.op("->>")(literal_column(str(place)))
    if isinstance(kind, UTCDateTime):
        return func.timezone("UTC", as_type(text, postgresql.TIMESTAMP))
    return as_type(text, kind)


def listed(key: ColumnElement[Any], dialect: str, name: str = ROWS) -> ColumnElement[bool]:
    """Say that `key` is one of a list of any length: one parameter, so that the statement stays the same."""
    if dialect == "sqlite":
        return key.in_(names_given())
    kind = BigInteger() if isinstance(key.type, Integer) else Text()
    return key == any_(as_type(bindparam(name), postgresql.ARRAY(kind)))


def as_list(values: Sequence[Any], dialect: str) -> Any:
    """Give what the parameter of `listed` is to be."""
    return pack_plain(values) if dialect == "sqlite" else list(values)


def names_given() -> Select[Any]:
    """Give the plain values (ids, names) that the parameter `ROWS` holds on SQLite: what ``IN`` asks for."""
    return select(rows_given("sqlite").c.value)


_FOR_MANY: dict[Executable, tuple[str, Mapping[str, Executable]]] = {}
"""Of statements made by `keyed`: the name of the key, and the same statement for many keys, by dialect."""


def keyed(key: Column[Any], name: str, build: Callable[[ColumnElement[bool]], Update]) -> Update:
    """Give the change that `build` makes of rows whose `key` is the parameter `name`.

    What is to be changed alike in many such rows then goes to the database in one step.
    """
    statement = build(key == bindparam(name))
    _FOR_MANY[statement] = name, {dialect: build(listed(key, dialect)) for dialect in DIALECTS}
    return statement


def execute(connection: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute a statement for each of `rows`, which have the same columns; in one step where that can be."""
    if isinstance(statement, Insert):
        insert(connection, statement, rows)
    elif len(rows) < WORTH_IT or not _executed_alike(connection, statement, rows):
        _one_by_one(connection, statement, rows)


def insert(connection: Connection, statement: Insert, rows: Sequence[Mapping[str, Any]]) -> CursorResult[Any]:
    """Insert rows with the same columns, and give what the statement returns."""
    table, columns, dialect = cast("Table", statement.table), tuple(rows[0]), connection.dialect.name
    # PostgreSQL refuses to change a row twice within one statement.
    # Source: https://www.postgresql.org/docs/current/sql-insert.html#SQL-ON-CONFLICT (read 2026-11-25)
    if len(rows) < WORTH_IT or (dialect == "postgresql" and not _are_distinct(rows, table)):
        return _one_by_one(connection, statement, rows)
    return connection.execute(_insert_packed(statement, columns, dialect), {ROWS: pack(rows, table, columns, dialect)})


def _one_by_one(connection: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> CursorResult[Any]:
    # One row is not sent as a list: only then the driver may prepare the statement and keep it.
    return connection.execute(statement, list(rows) if len(rows) > 1 else rows[0])


def _are_distinct(rows: Sequence[Mapping[str, Any]], table: Table) -> bool:
    keys = (key for key in _keys_of(table) if rows[0].keys() >= set(key))
    return all(len({tuple(row[name] for name in key) for row in rows}) == len(rows) for key in keys)


@cache
def _keys_of(table: Table) -> tuple[tuple[str, ...], ...]:
    """Give what is unique in a table."""
    unique = (each for each in table.constraints if isinstance(each, UniqueConstraint))
    return tuple(tuple(each.columns.keys()) for each in (table.primary_key, *unique))


def _executed_alike(connection: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Change rows that are to be changed alike together; false, and nothing done, where that cannot be, or few are."""
    if statement not in _FOR_MANY:
        return False
    name, statements = _FOR_MANY[statement]
    alike: dict[tuple[Any, ...], list[Any]] = {}
    others = [each for each in rows[0] if each != name]
    for row in rows:
        alike.setdefault(tuple(row[each] for each in others), []).append(row[name])
    if len(alike) > len(rows) // WORTH_IT or len({row[name] for row in rows}) < len(rows):
        return False
    dialect = connection.dialect.name
    for values, keys in alike.items():
        given = {**dict(zip(others, values, strict=True)), ROWS: as_list(keys, dialect)}
        connection.execute(statements[dialect], given)
    return True


@cache
def _insert_packed(statement: Insert, columns: tuple[str, ...], dialect: str) -> Insert:
    """Give an insert of many rows, with all that `statement` says about those that are there already."""
    given = rows_given(dialect)
    types = [cast("Table", statement.table).c[name].type for name in columns]
    # Without a condition SQLite would take ON CONFLICT for a part of a join.
    # Source: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    source = select(*(cell(given, place, each, dialect) for place, each in enumerate(types))).where(true())
    return statement.from_select(list(columns), source)


def pack(rows: Iterable[Mapping[str, Any]], table: Table, columns: Sequence[str], dialect: str) -> str:
    """Write rows as `cell` reads them, each value as SQLite keeps it."""
    encoders = _encoders(table, tuple(columns))
    # Not escaped: what SQLite could not give back is refused now, as it is where it is bound by itself.
    text = json.dumps([[encode(row[name]) for name, encode in encoders] for row in rows], ensure_ascii=False)
    if dialect == "postgresql" and "\\u0000" in text:
        # What else it cannot store is replaced by `storage.postgresql_text`, which cannot see this one.
        text = _NUL.sub("\\1\ufffd", text)
    return text


def pack_plain(values: Sequence[Any]) -> str:
    """Write ids and names, or rows of them, which need no translation."""
    return json.dumps(values, ensure_ascii=False)


@cache
def _encoders(table: Table, columns: tuple[str, ...]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    return tuple((name, _encoder(table, name)) for name in columns)


def _encoder(table: Table, name: str) -> Callable[[Any], Any]:
    kind = table.c[name].type
    encode: Callable[[Any], Any] = kind.dialect_impl(_SQLITE).bind_processor(_SQLITE) or _as_it_is
    # One moment, the present, stands in most rows of a batch.
    return lru_cache(_TIMES_KEPT)(encode) if isinstance(kind, UTCDateTime) else encode


def _as_it_is(value: Any) -> Any:
    return value


def gathered(query: Select[Any]) -> Select[Any]:
    """Give all that `query` finds as one text: a list of rows, each a list of its columns in their order."""
    found = query.subquery("found")
    return select(func.json_group_array(func.json_array(*(_readable(each) for each in found.c))))


def _readable(value: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.json(value) if isinstance(value.type, JSON) else value


def unpack(text: str) -> list[list[Any]]:
    """Read what `gathered` gave."""
    rows: list[list[Any]] = json.loads(text)
    return rows
