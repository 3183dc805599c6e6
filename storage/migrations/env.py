"""What Alembic runs: on the connection that `storage.schema` hands in. All of it is one transaction."""

from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationInfo
from sqlalchemy import Connection, text

from storage.tables import metadata

_MIGRATING = 0xAF7E125A1E
"""The advisory lock by which, of several processes that start at once, one migrates and the others wait."""


def _tell(*, step: MigrationInfo, **_more: Any) -> None:
    progress = context.config.attributes.get("progress")
    if progress is not None and step.is_upgrade:
        progress(f"Revision {step.up_revision_id}")


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        transactional_ddl=True,
        on_version_apply=_tell,  # type: ignore[arg-type] # called by keyword, as documented
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # A table that somebody holds shall stop the migration, not the migration everybody behind it.
            connection.execute(text("SET LOCAL lock_timeout = '10s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
        context.run_migrations()
        if connection.dialect.name == "sqlite":
            astray = connection.execute(text("PRAGMA foreign_key_check")).all()
            if astray:
                raise RuntimeError(f"this migration leaves rows that refer to nothing: {astray[:5]}")


_migrate(context.config.attributes["connection"])
