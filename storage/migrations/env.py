"""What Alembic runs: on the connection that `storage.schema` hands in. All of it is one transaction."""

from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationInfo
from sqlalchemy import Connection, text

from storage.compatibility import demand_no_older_program, keep_floor, wait_for_turn
from storage.tables import metadata

_MIGRATING = 0xAF7E125A1E
"""The advisory lock by which, of several processes that start at once, one migrates and the others wait."""
_TURN_SECONDS = 60
_TABLE_SECONDS = 2


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
        wait_for_turn(connection, _MIGRATING, turn_seconds=_TURN_SECONDS, table_seconds=_TABLE_SECONDS)
        known, schema = context.script, context.get_context()
        now_at, target = schema.get_current_revision(), context.get_revision_argument()
        if not context.config.attributes.get("is_downgrade"):
            pending = list(known.iterate_revisions(target, now_at or "base"))
            demand_no_older_program(connection, known, pending[::-1])
        context.run_migrations()
        keep_floor(connection, known, schema.get_current_revision())
        if connection.dialect.name == "sqlite":
            astray = connection.execute(text("PRAGMA foreign_key_check")).all()
            if astray:
                raise RuntimeError(f"this migration leaves rows that refer to nothing: {astray[:5]}")


_migrate(context.config.attributes["connection"])
