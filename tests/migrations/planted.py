"""Migrations that are planted beside the program's own, as a later version of it would bring them.

What lives here: their texts, and the question whether what an older program writes still holds on a newer schema. What
must not: expectations; they stand in the tests.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    Boolean,
    Connection,
    Float,
    MetaData,
    Numeric,
    Table,
    and_,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy import DateTime as AnyTime
from sqlalchemy import Integer as AnyInteger
from sqlalchemy.exc import DBAPIError

from storage.compatibility import floor_of
from storage.database import open_for_migration, parse_url
from storage.schema import migration_settings, upgrade

HEAD = ScriptDirectory.from_config(migration_settings()).get_current_head() or ""
"""The newest revision that this program brings itself."""

EXPANDS = """
op.add_column("sales", sa.Column("gift_note", sa.String(), nullable=True))
op.add_column("outbox", sa.Column("tries_left", sa.Integer(), nullable=False, server_default="3"))
op.create_table("parcels", sa.Column("id", sa.String(), primary_key=True), sa.Column("sale_id", sa.String()))
op.create_index("ix_parcels_sale_id", "parcels", ["sale_id"])
"""

TAKES_AWAY = """
with op.batch_alter_table("sales") as table:
    table.drop_column("extra")
"""


def plant(
    folder: Path, what: str, *, revision: str = "9001", after: str = HEAD, oldest_program: str | None = None
) -> Path:
    """Write a migration that does `what` (statements of its upgrade); a contract one, if it names an oldest program."""
    folder.mkdir(exist_ok=True)
    lines = "\n    ".join(what.strip().splitlines())
    contract = f'contract = True\noldest_program = "{oldest_program}"\n' if oldest_program else ""
    text = (
        f'"""Planted."""\nimport sqlalchemy as sa\nfrom alembic import op\n'
        f'revision = "{revision}"\ndown_revision = "{after}"\n{contract}\n'
        f"def upgrade():\n    {lines}\n\ndef downgrade():\n    pass\n"
    )
    (folder / f"{revision}_planted.py").write_text(text, encoding="utf-8")
    return folder


@contextmanager
def connection_to(url: str) -> Iterator[Connection]:
    """Open one connection, as migrations do."""
    engine = open_for_migration(parse_url(url))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def broken_by_upgrade(url: str, settings: Config, revision: str) -> list[str]:
    """Tell what the program of `revision` could no longer write or read once its database is brought to the newest.

    Args:
        url: of an empty database.
        settings: which revisions there are.
        revision: what the older program knows.
    """
    with connection_to(url) as connection:
        upgrade(connection, revision=revision, settings=settings)
        connection.rollback()
        known = MetaData()
        known.reflect(connection, resolve_fks=False)
        tables = [table for name, table in sorted(known.tables.items()) if name not in ("alembic_version", "notes")]
        rows = {table.name: list(_sample_rows(connection, table)) for table in tables}
        before = [problem for table in tables for problem in _tried(connection, table, rows[table.name])]
        assert before == [], "these rows must do on the schema that they were made for"
        upgrade(connection, settings=settings)
        connection.rollback()
        return [problem for table in tables for problem in _tried(connection, table, rows[table.name])]


def older_programs(settings: Config) -> list[str]:
    """Give the revisions whose programs may work on the newest schema."""
    known = ScriptDirectory.from_config(settings)
    head = known.get_current_head() or ""
    floor = floor_of(known, head)
    return [script.revision for script in known.iterate_revisions(head, floor, inclusive=True)]


def _tried(connection: Connection, table: Table, rows: list[Mapping[str, Any]]) -> Iterator[str]:
    """Insert, read and update whole rows of a table, as the program does; undo it, and tell what failed."""
    key = list(table.primary_key)
    for row in rows:
        try:
            connection.execute(insert(table), [row])
            same = and_(*(column == row[column.name] for column in key))
            found = connection.execute(select(table).where(same)).mappings().one()
            connection.execute(update(table).where(same), row)
            yield from (
                f"{table.name}.{name} comes back as {found[name]!r}"
                for name, value in row.items()
                if isinstance(value, str | int) and found[name] != value
            )
        except DBAPIError as error:
            yield f"{table.name}: {str(error.orig).splitlines()[0]}"
        finally:
            connection.rollback()


def _sample_rows(connection: Connection, table: Table) -> Iterator[Mapping[str, Any]]:
    """Give a full row, one with every column empty that may be, and one for each word that a check allows."""
    words = _words(connection, table)
    full = {column.name: _sample(column.type, words.get(column.name, ["x"])) for column in table.columns}
    yield full
    yield {column.name: None if column.nullable else full[column.name] for column in table.columns}
    for name, allowed in words.items():
        for word in allowed[1:]:
            yield {**full, name: word}


def _words(connection: Connection, table: Table) -> dict[str, list[str]]:
    """Give for each column that takes only certain words which these are."""
    found = {}
    for check in inspect(connection).get_check_constraints(table.name):
        text = check["sqltext"]
        name = re.search(r"\w+", text.replace("(", " "))
        if name is not None and name[0] in table.columns and "'" in text:
            found[name[0]] = text.split("'")[1::2]
    connection.rollback()
    return found


def _sample(kind: Any, words: list[str]) -> Any:
    if isinstance(kind, Boolean):
        return True
    if isinstance(kind, AnyInteger):
        return 7
    if isinstance(kind, Float | Numeric):
        return 0.5
    if isinstance(kind, AnyTime):
        return datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    if isinstance(kind, JSON):
        return json.loads('{"a": 1}')
    return words[0]
