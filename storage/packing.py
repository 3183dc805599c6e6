"""Many rows in one step on SQLite: they travel to it as one JSON text, and come back as one.

At every row that Python's driver for SQLite takes or gives, it lets go of the interpreter's lock, and must then wait
for its turn beside a busy event loop: two hundred rows took five times as long as one text that holds them.
PostgreSQL's driver sends and fetches many rows at once by itself and needs none of this.

Source: https://docs.python.org/3/c-api/init.html#releasing-the-gil-from-extension-code (read 2026-11-25).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    Executable,
    Select,
    Table,
    TableValuedAlias,
    Update,
    bindparam,
    func,
    select,
    true,
)
from sqlalchemy.dialects import sqlite

_DIALECT = sqlite.dialect()
WORTH_IT = 4
"""From how many rows on."""

ROWS = "rows"
"""The name of the parameter that holds the text."""


def rows_given() -> TableValuedAlias:
    """Give the rows that the parameter `ROWS` holds, to be read with `cell`."""
    return func.json_each(bindparam(ROWS)).table_valued("value", name="given")


def cell(given: TableValuedAlias, place: int) -> ColumnElement[Any]:
    """Give one value of each row, by its place."""
    return func.json_extract(given.c.value, f"$[{place}]")


def names_given() -> Select[Any]:
    """Give the plain values (ids, names) that the parameter `ROWS` holds: what ``IN`` asks for."""
    return select(rows_given().c.value)


_FOR_MANY: dict[Executable, tuple[str, Executable]] = {}
"""Of statements made by `keyed`: the name of the key, and the same statement for many keys."""


def keyed(column: Column[Any], name: str, build: Callable[[ColumnElement[bool]], Update]) -> Update:
    """Give the change that `build` makes of rows whose `column` is the parameter `name`.

    What is to be changed alike in many such rows then goes to SQLite in one step.
    """
    statement = build(column == bindparam(name))
    _FOR_MANY[statement] = name, build(column.in_(names_given()))
    return statement


def execute(connection: Connection, statement: Executable, rows: Sequence[Mapping[str, Any]]) -> None:
    """Execute a statement for each of `rows`, which have the same columns; on SQLite in one step where that can be."""
    if len(rows) >= WORTH_IT and connection.dialect.name == "sqlite":
        if isinstance(statement, sqlite.Insert):
            columns = tuple(rows[0])
            text = pack(rows, cast("Table", statement.table), columns)
            connection.execute(_insert_packed(statement, columns), {ROWS: text})
            return
        if statement in _FOR_MANY and _executed_alike(connection, *_FOR_MANY[statement], rows):
            return
    # One row is not sent as a list: only then the driver may prepare the statement and keep it.
    connection.execute(statement, list(rows) if len(rows) > 1 else rows[0])


def _executed_alike(
    connection: Connection, name: str, statement: Executable, rows: Sequence[Mapping[str, Any]]
) -> bool:
    """Change rows that are to be changed alike together; false, and nothing done, where too few are."""
    alike: dict[tuple[Any, ...], list[Any]] = {}
    others = [column for column in rows[0] if column != name]
    for row in rows:
        alike.setdefault(tuple(row[column] for column in others), []).append(row[name])
    if len(alike) > len(rows) // WORTH_IT or len({row[name] for row in rows}) < len(rows):
        return False
    for values, keys in alike.items():
        connection.execute(statement, {**dict(zip(others, values, strict=True)), ROWS: pack_plain(keys)})
    return True


@cache
def _insert_packed(statement: sqlite.Insert, columns: tuple[str, ...]) -> sqlite.Insert:
    """Give an insert of many rows, with all that `statement` says about those that are there already."""
    given = rows_given()
    # Without a condition SQLite would take ON CONFLICT for a part of a join.
    # Source: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    source = select(*(cell(given, place) for place in range(len(columns)))).where(true())
    return statement.from_select(list(columns), source)


def pack(rows: Iterable[Mapping[str, Any]], table: Table, columns: Sequence[str]) -> str:
    """Write rows as `cell` reads them, each value as it is bound by itself."""
    encoders = _encoders(table, tuple(columns))
    # Not escaped: what SQLite could not give back is refused now, as it is where it is bound by itself.
    return json.dumps([[encode(row[name]) for name, encode in encoders] for row in rows], ensure_ascii=False)


def pack_plain(values: Sequence[Any]) -> str:
    """Write ids and names, or rows of them, which need no translation."""
    return json.dumps(values, ensure_ascii=False)


@cache
def _encoders(table: Table, columns: tuple[str, ...]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    return tuple((name, _encoder(table, name)) for name in columns)


def _encoder(table: Table, name: str) -> Callable[[Any], Any]:
    encode = table.c[name].type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    return encode or _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def gathered(query: Select[Any]) -> Select[Any]:
    """Give all that `query` finds as one text: a list of rows, each a list of its columns in their order."""
    found = query.subquery("found")
    return select(func.json_group_array(func.json_array(*(_readable(each) for each in found.c))))


def _readable(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.json(column) if isinstance(column.type, JSON) else column


def unpack(text: str) -> list[list[Any]]:
    """Read what `gathered` gave."""
    rows: list[list[Any]] = json.loads(text)
    return rows
