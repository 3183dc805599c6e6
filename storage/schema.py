"""How far the schema is, by Alembic's account, and bringing it forward: no Alembic command, no ini file.

Which programs may work on a schema that is newer than they are stands in `storage.compatibility`.
"""

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

import storage.migrations
import storage.migrations.versions
from bot.errors import ConfigurationError
from storage.compatibility import is_contract, may_work

SchemaState: TypeAlias = Literal["empty", "old", "current", "ahead", "newer"]
"""``ahead``: newer than this program, which may work on it all the same, as long as an upgrade lasts."""


def silent(_line: str) -> None:
    """Say nothing."""


def migration_settings(more: Sequence[Path] = ()) -> Config:
    """Give Alembic's settings: the revisions that are inside the installed package, and those in the folders `more`."""
    settings = Config()
    folder = Path(next(iter(storage.migrations.__path__)))
    settings.set_main_option("script_location", _plain(folder))
    settings.set_main_option("path_separator", "os")
    folders = [Path(each) for each in storage.migrations.versions.__path__]
    settings.set_main_option("version_locations", os.pathsep.join(_plain(each) for each in [*folders, *more]))
    return settings


def _plain(folder: Path) -> str:
    return str(folder).replace("%", "%%")


@cache
def revisions() -> ScriptDirectory:
    """Give the revisions that this program knows."""
    return ScriptDirectory.from_config(migration_settings())


def schema_state(connection: Connection, known: ScriptDirectory | None = None) -> SchemaState:
    """Say how the schema stands, measured by the revisions in `known`.

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
    if revision in {each.revision for each in known.walk_revisions()}:
        return "old"
    return "ahead" if may_work(connection, known) else "newer"


def upgrade(
    connection: Connection,
    progress: Callable[[str], None] = silent,
    revision: str = "head",
    settings: Config | None = None,
) -> None:
    """Bring the schema behind an open connection to `revision`.

    Args:
        connection: to the database; all happens in one transaction.
        progress: is told one line for each step.
        revision: where to go; by default all the way.
        settings: which revisions there are; by default this program's own.
    """
    settings = settings or migration_settings()
    known = ScriptDirectory.from_config(settings)
    state = schema_state(connection, known)
    connection.rollback()
    if state == "newer":
        raise ConfigurationError(
            "DATABASE_URL",
            "the database was made by a newer version of this program",
            "install that version, or restore the backup from before",
        )
    if state == "ahead":
        progress("The database is newer than this program, which may still work on it. Nothing to do.")
        return
    if state == "current" and revision == "head":
        progress("The database is up to date.")
        return
    settings.attributes["connection"] = connection
    settings.attributes["progress"] = progress
    command.upgrade(settings, revision)
    progress(f"The database is up to date (revision {known.get_current_head()}).")


def takes_away(connection: Connection, known: ScriptDirectory) -> bool:
    """Tell whether bringing the schema to the newest of `known` takes away what an older program needs."""
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is not None and revision not in {each.revision for each in known.walk_revisions()}:
        return False
    return any(is_contract(script) for script in known.iterate_revisions("heads", revision or "base"))


def downgrade(connection: Connection, revision: str, settings: Config | None = None) -> None:
    """Bring the schema behind an open connection back to `revision` (``base``: to nothing); for emergencies."""
    settings = settings or migration_settings()
    settings.attributes["connection"] = connection
    settings.attributes["is_downgrade"] = True
    command.downgrade(settings, revision)
