"""Fixtures that every room of the tests may use: a fresh, migrated database of each kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import SqlDatabase, open_database
from tests.databases import PostgresqlTemplate, SqliteTemplate, postgresql_server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> SqliteTemplate:
    """A migrated SQLite file to copy from."""
    return SqliteTemplate(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgresql_template() -> Iterator[PostgresqlTemplate]:
    """A PostgreSQL server, started once, with a migrated database to copy from."""
    with postgresql_server() as uri:
        yield PostgresqlTemplate(uri)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, migrated database: each test that asks for it runs on both."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_template").fresh(tmp_path)
    else:
        with request.getfixturevalue("postgresql_template").fresh() as url:
            yield url


@pytest.fixture
def sqlite_url(sqlite_template: SqliteTemplate, tmp_path: Path) -> str:
    """The URL of a fresh, migrated SQLite file, for what no database makes a difference to."""
    return sqlite_template.fresh(tmp_path)


@pytest.fixture
def postgresql_url(postgresql_template: PostgresqlTemplate) -> Iterator[str]:
    """The URL of a fresh, migrated PostgreSQL database, for what only several programs at once can show."""
    with postgresql_template.fresh() as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[SqlDatabase]:
    """The same, opened."""
    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        with request.getfixturevalue("postgresql_template").fresh(migrated=False) as url:
            yield url
