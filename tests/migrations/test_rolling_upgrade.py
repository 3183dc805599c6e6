"""Old and new programs on one database: what a migration may do, and who may go on working while it is rolled out."""

import threading
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text
from structlog.testing import capture_logs

from bot.app.base import demand_current
from bot.errors import ConfigurationError
from storage.compatibility import program_name
from storage.database import migrate, parse_url
from storage.duties import alone_on
from storage.schema import downgrade, migration_settings, schema_state
from tests.databases import opened
from tests.migrations.planted import (
    EXPANDS,
    HEAD,
    TAKES_AWAY,
    broken_by_upgrade,
    connection_to,
    older_programs,
    plant,
)

BREAKS = {
    "a column is dropped": TAKES_AWAY,
    "a column is renamed": """
with op.batch_alter_table("sales") as table:
    table.alter_column("summary", new_column_name="title")
""",
    "a new column must be filled": """
with op.batch_alter_table("outbox") as table:
    table.add_column(sa.Column("bot", sa.String(), nullable=False))
""",
    "a column may no longer be empty": """
with op.batch_alter_table("customers") as table:
    table.alter_column("locale", existing_type=sa.String(), nullable=False)
""",
    "a table is dropped": 'op.drop_table("verdicts")',
    "a word is no longer allowed": """
with op.batch_alter_table("promises") as table:
    table.drop_constraint(op.f("ck_promises_state"), type_="check")
    table.create_check_constraint(op.f("ck_promises_state"), "state IN ('open', 'broken')")
""",
}


@pytest.mark.parametrize("revision", older_programs(migration_settings()))
def test_every_migration_leaves_the_older_programs_working(empty_database_url: str, revision: str) -> None:
    """Proves, for each earlier revision, that what its program writes and reads holds on the newest schema."""
    assert broken_by_upgrade(empty_database_url, migration_settings(), revision) == []


def test_a_migration_that_only_expands_is_found_to_do_so(empty_database_url: str, tmp_path: Path) -> None:
    """Proves that the check above lets nullable columns, columns with a default, tables and indexes through."""
    settings = migration_settings([plant(tmp_path / "later", EXPANDS)])
    assert broken_by_upgrade(empty_database_url, settings, HEAD) == []


@pytest.mark.parametrize("what", BREAKS)
def test_a_migration_that_takes_away_is_found(empty_database_url: str, tmp_path: Path, what: str) -> None:
    """Proves that the check above sees each way in which a migration can break the program before it."""
    settings = migration_settings([plant(tmp_path / "later", BREAKS[what])])
    assert broken_by_upgrade(empty_database_url, settings, HEAD) != []


def test_a_contract_migration_raises_the_floor_of_the_check(tmp_path: Path) -> None:
    """Proves that programs below the floor are no longer asked about, and that those from it on are."""
    folder = plant(tmp_path / "later", EXPANDS, revision="9001")
    plant(folder, TAKES_AWAY, revision="9002", after="9001", oldest_program="9001")
    assert older_programs(migration_settings([folder])) == ["9002", "9001"]


# Who may work -----------------------------------------------------------------------------------------------------------


def test_an_old_program_starts_on_an_expanded_schema_and_says_so(database_url: str, tmp_path: Path) -> None:
    """Proves that a restart in the middle of a rolling upgrade works, with a warning, and migrates nothing."""
    migrate(database_url, settings=migration_settings([plant(tmp_path / "later", EXPANDS)]))
    with opened(database_url) as database, capture_logs() as log:
        assert database.schema_state() == "ahead"
        demand_current(database)
        assert [entry["event"] for entry in log] == ["schema_ahead"]
    told: list[str] = []
    migrate(database_url, told.append)
    assert told == ["The database is newer than this program, which may still work on it. Nothing to do."]


def test_an_old_program_is_refused_on_a_contracted_schema(database_url: str, tmp_path: Path) -> None:
    """Proves that a program below the floor neither starts nor migrates, and is told what to do."""
    folder = plant(tmp_path / "later", TAKES_AWAY, oldest_program="9001")
    migrate(database_url, settings=migration_settings([folder]))
    with opened(database_url) as database:
        assert database.schema_state() == "newer"
        with pytest.raises(ConfigurationError, match="install the newest aftersale"):
            demand_current(database)
    with pytest.raises(ConfigurationError, match="newer version"):
        migrate(database_url)
    with connection_to(database_url) as connection:
        assert schema_state(connection, ScriptDirectory.from_config(migration_settings([folder]))) == "current"


def test_going_back_lowers_the_floor_again(database_url: str, tmp_path: Path) -> None:
    """Proves that after a downgrade the older program may work as before."""
    settings = migration_settings([plant(tmp_path / "later", "pass", oldest_program="9001")])
    migrate(database_url, settings=settings)
    with connection_to(database_url) as connection:
        downgrade(connection, HEAD, settings)
        connection.commit()
        floor = connection.execute(text("SELECT value FROM notes WHERE key = 'schema.oldest_program'")).scalar_one()
        assert floor <= HEAD
        assert schema_state(connection) == "current"


def test_a_contract_migration_waits_for_the_last_old_program(postgresql_url: str, tmp_path: Path) -> None:
    """Proves that it is refused, changing nothing, while an old program is connected, and goes through after that."""
    settings = migration_settings([plant(tmp_path / "later", TAKES_AWAY, oldest_program="9001")])
    with opened(postgresql_url) as old:
        with pytest.raises(ConfigurationError, match="takes away what programs before 9001 need"):
            migrate(postgresql_url, settings=settings)
        assert old.schema_state() == "current"
    migrate(postgresql_url, settings=settings)


def test_a_program_that_knows_enough_is_not_in_the_way(postgresql_url: str, tmp_path: Path) -> None:
    """Proves that a contract migration counts only programs below its floor as old."""
    settings = migration_settings([plant(tmp_path / "later", "pass", oldest_program=HEAD)])
    with opened(postgresql_url):
        migrate(postgresql_url, settings=settings)


def test_a_contract_migration_of_sqlite_is_refused_while_the_program_runs(tmp_path: Path) -> None:
    """Proves that on SQLite, where there is one program, it is that program which must be stopped first."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    migrate(url)
    settings = migration_settings([plant(tmp_path / "later", TAKES_AWAY, oldest_program="9001")])
    with alone_on(tmp_path / "a.db"), pytest.raises(ConfigurationError, match="another aftersale already runs"):
        migrate(url, settings=settings)
    migrate(url, settings=settings)


def test_a_programs_name_tells_what_it_knows_and_keeps_the_operators_own() -> None:
    """Proves that the mark is there whatever the operator calls it, within what PostgreSQL keeps of a name."""
    assert program_name("0001") == "aftersale/0001"
    assert program_name("0001", "shop north") == "shop north aftersale/0001"
    for name in ("aftersale/0001", "shop north aftersale/0001"):
        assert program_name("0001", name) == name
    longest = program_name("0001", "n" * 100)
    assert len(longest) == 63
    assert longest.endswith(" aftersale/0001")


def test_a_table_in_use_stops_the_migration_and_not_the_program(postgresql_url: str, tmp_path: Path) -> None:
    """Proves that whoever reads meanwhile waits two seconds at most, and that the migration says what is in the way."""
    settings = migration_settings([plant(tmp_path / "later", EXPANDS)])
    told: list[str] = []
    with connection_to(postgresql_url) as report:
        report.execute(text("SELECT count(*) FROM sales"))  # a long report: it holds its lock until it ends
        failed: list[Exception] = []

        def run() -> None:
            try:
                migrate(postgresql_url, told.append, settings)
            except ConfigurationError as error:
                failed.append(error)

        migrating = threading.Thread(target=run)
        migrating.start()
        with opened(postgresql_url) as program:
            while migrating.is_alive():
                assert program.run_now(lambda uow: uow.sale("1001")) is None
        migrating.join()
    assert "stayed in use" in str(failed[0])
    assert told.count("A table is in use; trying again.") == 4
    migrate(postgresql_url, settings=settings)
    assert parse_url(postgresql_url).get_backend_name() == "postgresql"
