"""Old and new programs on one database: which of them may work on the schema that a migration left.

A migration only *expands* (what an older program writes and reads stays right), unless it says ``contract = True`` and
names in ``oldest_program`` the revision that a program must know at least. What holds for the schema as it stands is
kept as a note in the database itself, so that a program which has never heard of the newest revision can read it.
No migration stands here, and nothing is brought forward; that is `storage.schema`'s.
"""

from collections.abc import Sequence

from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from bot.errors import ConfigurationError
from storage.tables import metadata

OLDEST_PROGRAM = "schema.oldest_program"
"""Under which note stands the oldest revision whose program still works on the schema."""

_NOTES = metadata.tables["notes"]
_NAME = "aftersale"
_NAME_MAX_BYTES = 63
"""How much of a program's name PostgreSQL keeps. Source:
https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-APPLICATION-NAME (read 2026-11-25)"""


def program_name(revision: str | None, given: str = _NAME) -> str:
    """Give the name under which a program shows itself to PostgreSQL: it ends with the newest revision that it knows.

    Args:
        revision: that revision.
        given: the operator's own name for it, of which the beginning is kept; or what this function gave before.
    """
    given = given.rpartition(f"{_NAME}/")[0].rstrip() or _NAME if f"{_NAME}/" in given else given
    mark = f" {_NAME}/{revision or ''}"
    return (given[: _NAME_MAX_BYTES - len(mark)] + mark).removeprefix(f"{_NAME} ")


def floor_of(known: ScriptDirectory, revision: str) -> str:
    """Give the oldest revision whose program works on the schema of `revision`."""
    for script in known.iterate_revisions(revision, "base"):
        if is_contract(script):
            return str(getattr(script.module, "oldest_program", script.revision))
    return next(iter(known.get_bases()))


def is_contract(script: Script) -> bool:
    """Tell whether a migration takes something away that older programs need."""
    return bool(getattr(script.module, "contract", False))


def keep_floor(connection: Connection, known: ScriptDirectory, revision: str | None) -> None:
    """Note down, in the transaction that migrates, which programs may work on the schema of `revision`."""
    if revision is None:  # taken back to nothing: the table for notes is gone, too
        return
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = insert(_NOTES).values(key=OLDEST_PROGRAM, value=floor_of(known, revision))
    connection.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": row.excluded.value}))


def may_work(connection: Connection, known: ScriptDirectory) -> bool:
    """Tell whether a program that knows `known` may work on a schema newer than itself."""
    try:
        floor = connection.execute(select(_NOTES.c.value).where(_NOTES.c.key == OLDEST_PROGRAM)).scalar_one_or_none()
    except DBAPIError:  # not even the notes are where this program looks for them
        connection.rollback()
        return False
    # A floor that this program has never heard of came after it.
    return floor is not None and floor in {script.revision for script in known.walk_revisions()}


def demand_no_older_program(connection: Connection, known: ScriptDirectory, pending: Sequence[Script]) -> None:
    """Make sure that a contract migration takes nothing away from a program that is running.

    On PostgreSQL each program shows what it knows in the name of its connections; a SQLite file has one program only,
    which whoever migrates keeps off it.

    Raises:
        ConfigurationError: an older program is connected; says how many connections, and what to do.
    """
    contracts = [script for script in pending if is_contract(script)]
    if not contracts or connection.dialect.name != "postgresql":
        return
    floor = floor_of(known, contracts[-1].revision)
    older = {script.revision for script in known.iterate_revisions(floor, "base")} - {floor}
    names = _programs(connection)
    behind = [name for name in names if _revision_in(name) in older | {None}]
    if behind:
        problem = (
            f"revision {contracts[-1].revision} takes away what programs before {floor} need, and "
            f"{len(behind)} connections of such programs are open ({', '.join(sorted(set(behind)))})"
        )
        raise ConfigurationError("DATABASE_URL", problem, "start them anew with this version, then migrate")


def _programs(connection: Connection) -> list[str]:
    """Give the names of the programs' connections to this database but our own.

    The name is shown to every user, whoever else may see the rest. Source:
    https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW (read 2026-11-25)
    """
    others = text(
        "SELECT application_name FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE :ours"
    )
    return list(connection.execute(others, {"ours": f"%{_NAME}%"}).scalars())


def _revision_in(name: str) -> str | None:
    """Give the revision that a program's name ends with; None where it has none: a program from before they had."""
    _, found, revision = name.rpartition(f"{_NAME}/")
    return revision if found else None


def wait_for_turn(connection: Connection, key: int, *, turn_seconds: float, table_seconds: float) -> None:
    """On PostgreSQL: let one program migrate at a time, and stop this one rather than all who wait behind it.

    Args:
        connection: in the transaction that migrates.
        key: of the advisory lock by which, of several programs that start at once, one migrates and the others wait.
        turn_seconds: how long to wait for another one that migrates.
        table_seconds: how long to wait for a table that somebody uses; meanwhile everybody else waits behind us.
    """
    if connection.dialect.name != "postgresql":
        return
    patience = select(func.set_config("lock_timeout", f"{int(turn_seconds * 1000)}ms", True))  # noqa: FBT003 - SQL's own
    connection.execute(patience)
    connection.execute(select(func.pg_advisory_xact_lock(key)))
    connection.execute(select(func.set_config("lock_timeout", f"{int(table_seconds * 1000)}ms", True)))  # noqa: FBT003
