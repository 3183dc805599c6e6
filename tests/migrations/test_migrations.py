"""The migrations: what they build is what the tables say, forwards and backwards, on both databases."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Connection, create_engine, insert, inspect, text

from bot.errors import ConfigurationError
from storage.database import migrate, open_database, open_for_migration, parse_url
from storage.schema import downgrade, migration_settings, revisions, schema_state, upgrade
from storage.tables import metadata


@contextmanager
def connection_to(url: str) -> Iterator[Connection]:
    engine = open_for_migration(parse_url(url))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_migrated_schema_is_what_the_tables_say(database_url: str) -> None:
    """Proves that no column, key, index or foreign key of the models is missing in the migrations, or the reverse."""
    with connection_to(database_url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrated_checks_are_what_the_tables_say(database_url: str) -> None:
    """Proves that the words which a column accepts are the same in models and migrations (Alembic compares no CHECKs)."""
    with connection_to(database_url) as connection:
        found = inspect(connection)
        for table in metadata.tables.values():
            expected = {
                str(each.name): words_in(str(each.sqltext))
                for each in table.constraints
                if isinstance(each, CheckConstraint)
            }
            built = {str(each["name"]): words_in(each["sqltext"]) for each in found.get_check_constraints(table.name)}
            assert built == expected


def words_in(condition: str) -> set[str]:
    return set(condition.split("'")[1::2])


def test_migrated_partial_indexes_are_what_the_tables_say(database_url: str) -> None:
    """Proves that each partial index holds the same rows in models and migrations (Alembic compares no conditions)."""
    with connection_to(database_url) as connection:
        found = inspect(connection)
        dialect = connection.dialect.name
        for table in metadata.tables.values():
            built = {each["name"]: each["dialect_options"] for each in found.get_indexes(table.name)}
            for index in table.indexes:
                condition = index.dialect_options[dialect]["where"]
                there = built[index.name].get(f"{dialect}_where")
                assert (condition is None) == (there is None), index.name
                assert words_in(str(condition)) == words_in(str(there)), index.name


def test_downgrade_to_nothing_and_upgrade_again(database_url: str) -> None:
    """Proves that every revision can be taken back, leaving no table, and applied anew."""
    with connection_to(database_url) as connection:
        downgrade(connection, "base")
        assert set(inspect(connection).get_table_names()) == {"alembic_version"}
    migrate(database_url)
    with connection_to(database_url) as connection:
        assert schema_state(connection) == "current"


def test_empty_database_is_told_from_a_current_one_and_migration_tells_its_steps(empty_database_url: str) -> None:
    """Proves the states before and after the first migration, and that a second one does nothing."""
    opened = open_database(empty_database_url)
    assert opened.schema_state() == "empty"
    first: list[str] = []
    migrate(empty_database_url, first.append)
    assert opened.schema_state() == "current"
    opened.close()
    assert first[0] == "Revision 0001"
    second: list[str] = []
    migrate(empty_database_url, second.append)
    assert second == ["The database is up to date."]


def test_database_behind_the_program_is_told_from_a_current_one(database_url: str, tmp_path: Path) -> None:
    """Proves that a program with one more revision than the database has calls it old."""
    head = revisions().get_current_head()
    (tmp_path / "9000_later.py").write_text(f"revision = '9000'\ndown_revision = '{head}'\n")
    settings = migration_settings([tmp_path])
    with connection_to(database_url) as connection:
        assert schema_state(connection, ScriptDirectory.from_config(settings)) == "old"
        assert schema_state(connection) == "current"


def test_newer_database_is_left_alone(database_url: str) -> None:
    """Proves that a program refuses to touch what a later version of it made."""
    with connection_to(database_url) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("UPDATE notes SET value = '9999' WHERE key = 'schema.oldest_program'"))
        connection.commit()
        assert schema_state(connection) == "newer"
    with pytest.raises(ConfigurationError, match="newer version"):
        migrate(database_url)


def test_migration_of_sqlite_that_fails_changes_nothing(tmp_path: Path) -> None:
    """Proves that a migration is one transaction on SQLite too: a table in the way leaves no half of the schema."""
    url = f"sqlite:///{tmp_path}/half.db"
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE verdicts (id INTEGER)"))
        connection.commit()
    with pytest.raises(ConfigurationError, match="nothing was changed: table verdicts already exists"):
        migrate(url)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["verdicts"]
    engine.dispose()


def test_what_was_kept_of_flows_becomes_the_beginning_of_their_history(empty_database_url: str) -> None:
    """Proves that versions which older programs kept get numbers in the order in which they began to run."""
    kept = [("mine", "b", 2), ("mine", "a", 1), ("other", "c", 3)]
    with connection_to(empty_database_url) as connection:
        upgrade(connection, revision="0003")
        connection.rollback()
        versions = metadata.tables["flow_versions"]
        for flow, version, hour in kept:
            at = datetime(2026, 11, 23, hour, tzinfo=UTC)
            connection.execute(insert(versions).values(flow=flow, version=version, source="x", created_at=at))
        connection.commit()
        upgrade(connection)
        connection.rollback()
        history = text("SELECT flow, number, version, how FROM flow_publications ORDER BY flow, number")
        assert [tuple(row) for row in connection.execute(history)] == [
            ("mine", 1, "a", "start"),
            ("mine", 2, "b", "start"),
            ("other", 1, "c", "start"),
        ]
