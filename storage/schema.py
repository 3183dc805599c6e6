"""How far the schema is, by Alembic's account, and bringing it forward: no Alembic command, no ini file."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

import storage.migrations
from bot.errors import ConfigurationError

SchemaState: TypeAlias = Literal["empty", "old", "current", "newer"]


def silent(_line: str) -> None:
    """Say nothing."""


def migration_settings() -> Config:
    """Give Alembic's settings: the revisions that are inside the installed package."""
    settings = Config()
    folder = Path(next(iter(storage.migrations.__path__)))
    settings.set_main_option("script_location", str(folder).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


@cache
def revisions() -> ScriptDirectory:
    """Give the revisions that this program knows."""
    return ScriptDirectory.from_config(migration_settings())


def schema_state(connection: Connection, known: ScriptDirectory | None = None) -> SchemaState:
    """Say whether the schema is ``empty``, ``old``, ``current`` or ``newer``, measured by the revisions in `known`.

    Args:
        connection: to the database in question.
        known: what the program knows; by default this program's own `revisions`.
    """
    known = known or revisions()
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        return "empty"
    if revision == known.get_current_head():
        return "current"
    return "old" if revision in {each.revision for each in known.walk_revisions()} else "newer"


def upgrade(connection: Connection, progress: Callable[[str], None] = silent, revision: str = "head") -> None:
    """Bring the schema behind an open connection to `revision`."""
    state = schema_state(connection)
    connection.rollback()
    if state == "newer":
        raise ConfigurationError(
            "DATABASE_URL",
            "the database was made by a newer version of this program",
            "install that version, or restore the backup from before",
        )
    if state == "current" and revision == "head":
        progress("The database is up to date.")
        return
    settings = migration_settings()
    settings.attributes["connection"] = connection
    settings.attributes["progress"] = progress
    command.upgrade(settings, revision)
    progress(f"The database is up to date (revision {revisions().get_current_head()}).")


def downgrade(connection: Connection, revision: str) -> None:
    """Bring the schema behind an open connection back to `revision` (``base``: to nothing); for emergencies."""
    settings = migration_settings()
    settings.attributes["connection"] = connection
    command.downgrade(settings, revision)
