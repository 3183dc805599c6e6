"""A database that lasts as long as one try-out: SQLite in memory, with all tables, emptied in a moment.

For playing a flow through and for flow tests, which need hundreds of them; never for anything that is to stay.
Everything runs in the calling thread.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import TypeVar

from sqlalchemy import Connection, bindparam, create_engine, func, select
from sqlalchemy.pool import StaticPool

from storage.schema import upgrade
from storage.statements import is_any
from storage.tables import metadata
from storage.unit_of_work import SqlUnitOfWork

T = TypeVar("T")


_MOMENTS, _OUTBOX = metadata.tables["moments"], metadata.tables["outbox"]
_NOW = bindparam("now", type_=_OUTBOX.c.not_before.type)
_NEXT_AFTER = select(
    select(func.min(_MOMENTS.c.due_at))
    .where(is_any(_MOMENTS.c.state, "planned"), _MOMENTS.c.due_at > _NOW)
    .scalar_subquery(),
    select(func.min(_OUTBOX.c.not_before))
    .where(is_any(_OUTBOX.c.state, "waiting"), _OUTBOX.c.not_before > _NOW)
    .scalar_subquery(),
)


class ScratchDatabase:
    """A database in memory. Its tables are made once, and emptied by `empty`.

    One engine serves all that is tried in turn: SQLAlchemy keeps what it compiled of a statement with the engine, and
    to compile anew costs more than everything else in a short life.
    """

    def __init__(self) -> None:
        """Open it, with all tables and no rows."""
        arguments = {"isolation_level": None, "check_same_thread": False}
        # Without listeners, for which SQLAlchemy would look at each statement; so `_begun` begins.
        self.engine = create_engine("sqlite://", poolclass=StaticPool, connect_args=arguments)
        with self.engine.connect() as connection:
            upgrade(connection)
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        # Those that refer to others come first.
        self._emptying = [f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)]  # noqa: S608 - our own names

    def run(self, work: Callable[[SqlUnitOfWork], T]) -> T:
        """Run `work` whole in one transaction, and commit; undo it all if it raises."""
        with self._begun() as connection:
            unit = SqlUnitOfWork(connection)
            result = work(unit)
            unit.flush()
        return result

    def run_at(self, now: datetime, work: Callable[[SqlUnitOfWork], None]) -> tuple[datetime | None, datetime | None]:
        """The same; give when, later than `now`, the next planned moment is due, and when the next message may go.

        What could go by `now` and has not stands behind another that is yet to go: its time comes with that one's.
        """
        with self._begun() as connection:
            unit = SqlUnitOfWork(connection)
            work(unit)
            unit.flush()
            moment, message = connection.execute(_NEXT_AFTER, {"now": now}).one()
        return moment, message

    def empty(self) -> None:
        """Take all rows out, as if it had just been opened.

        Row by row rather than by handing SQLite an image of the empty file: statements that the driver keeps prepared
        would then point into memory that is gone, and the process would crash.
        """
        with self._begun() as connection:
            for command in self._emptying:
                connection.exec_driver_sql(command)

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    def close(self) -> None:
        """Give the memory back."""
        self.engine.dispose()


@cache
def shared_scratch() -> ScratchDatabase:
    """Give the one that a program which tries one thing after the other needs; whoever takes it empties it first."""
    return ScratchDatabase()
