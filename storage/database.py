"""Opening a database, and the threads in which its transactions run.

SQLite: one writer thread, one write at a time, readers beside it. PostgreSQL: a small pool, each
connection with its thread.
What a transaction is stands in `storage.unit_of_work`, how the schema comes to be in `storage.schema`.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, StaticPool

from bot.errors import ConfigurationError
from storage.compatibility import program_name
from storage.duties import Duties, alone_on
from storage.reports import SqlReports
from storage.schema import SchemaState, migration_settings, revisions, schema_state, silent, takes_away, upgrade
from storage.unit_of_work import SqlUnitOfWork, in_transaction

T = TypeVar("T")

POSTGRESQL_WORKERS = 8
_READERS = 4
_LOCK_TIMEOUT = timedelta(seconds=10)
_CONNECT_TIMEOUT = timedelta(seconds=10)
_MIGRATION_ATTEMPTS = 5
_MIGRATION_PAUSE = timedelta(seconds=1)
_VARIABLE = "DATABASE_URL"
_FORMS = "write sqlite:///aftersale.db, or postgresql://user:password@host/name"


class SqlDatabase:
    """Implements `bot.ports.store.Database` on SQLite and PostgreSQL."""

    def __init__(self, engine: Engine, readers: Engine | None, *, workers: int, duties: Duties) -> None:
        """Write through `engine` in `workers` threads; read through `readers`, or, if None, as if it were a write."""
        self._engine = engine
        self._readers = readers
        self._executor = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="storage")
        self.duties = duties
        self._ears: list[Any] = []

    def reserved(self) -> AbstractContextManager[None]:
        """Keep other programs off a database on which only one may work (a SQLite file), while the block lasts.

        Raises:
            ConfigurationError: another one is there already.
        """
        file = self._engine.url.database
        if not self.is_alone or not file or file == ":memory:":
            return nullcontext()
        return alone_on(Path(file))

    @property
    def is_alone(self) -> bool:
        """Whether only one program at a time may work on this database (SQLite)."""
        return self._engine.dialect.name == "sqlite"

    async def run(self, work: Callable[[SqlUnitOfWork], T]) -> T:
        """Run `work` whole in a database thread, in one transaction, and commit; undo it all if it raises.

        A caller that is cancelled while it waits does not stop the work: it is still committed, or undone, whole.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, in_transaction, self._engine, work)

    def run_now(self, work: Callable[[SqlUnitOfWork], T]) -> T:
        """The same, and wait for it here. From any thread but the database's own: never from within `work`."""
        return self._executor.submit(in_transaction, self._engine, work).result()

    def reports(self) -> SqlReports:
        """Give the read-only questions; they may be asked from any thread, and never hold up a write."""
        return SqlReports(self._read)

    async def read(self, question: Callable[[SqlReports], T]) -> T:
        """Ask one or more read-only questions from async code, without holding up the loop."""
        return await asyncio.to_thread(question, self.reports())

    def listen(self, heard: Callable[[], None]) -> None:
        """Have `heard` called, from a thread of storage, whenever another program put something into inbox or outbox.

        Signals may be missed, and mean no more than that it is worth looking. On SQLite there is no other program.
        """
        if not self.is_alone:
            from storage.signals import Ear  # noqa: PLC0415 - as below: the driver is for PostgreSQL alone

            location = self._engine.url
            self._ears.append(Ear(_postgresql(location, poolclass=NullPool), heard))

    def schema_state(self) -> SchemaState:
        """Say whether the schema is ``empty``, ``old``, ``current``, ``ahead`` (but usable), or ``newer``."""
        return self._read(schema_state)

    def close(self) -> None:
        """Finish what is running, then give up connections and threads. Closing twice is harmless."""
        while self._ears:
            self._ears.pop().close()
        self._executor.shutdown(wait=True)
        self.duties.drop_all()
        self._engine.dispose()
        if self._readers is not None:
            self._readers.dispose()

    def _read(self, question: Callable[[Connection], T]) -> T:
        if self._readers is None:
            return self._executor.submit(_ask, self._engine, question).result()
        return _ask(self._readers, question)


def is_passing(error: Exception) -> bool:
    """Tell whether an error is the database's own passing trouble (restarted, locked, out of reach), not the work's."""
    return isinstance(error, OperationalError | InterfaceError | PoolTimeout)


def _ask(engine: Engine, question: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        return question(connection)


def open_database(url: str, *, workers: int = POSTGRESQL_WORKERS) -> SqlDatabase:
    """Open the database at `url` and make sure that it answers. The schema is left as it is.

    Only a database in memory, which is always new, comes with its schema.

    Args:
        url: ``sqlite:///path`` (``sqlite://`` for one in memory) or ``postgresql://…``.
        workers: threads and connections on PostgreSQL; SQLite always has one writer.

    Raises:
        ConfigurationError: the URL cannot be read, or nothing answers there; names DATABASE_URL.
    """
    location = parse_url(url)
    with _must_answer(location):
        if location.get_backend_name() == "postgresql":
            engine = _postgresql(location, pool_size=workers, max_overflow=_READERS, pool_pre_ping=True)
            readers: Engine | None = engine.execution_options(postgresql_readonly=True)
            duties = Duties(_postgresql(location, poolclass=NullPool))
        else:
            engine, readers = _sqlite(location)
            workers, duties = 1, Duties(None)
        with engine.connect() as connection:
            if location.get_backend_name() == "sqlite" and is_in_memory(location):
                upgrade(connection)
        return SqlDatabase(engine, readers, workers=workers, duties=duties)


def migrate(url: str, progress: Callable[[str], None] = silent, settings: Config | None = None) -> None:
    """Bring the schema at `url` to what this program needs; does nothing where it is so already.

    All of it is one transaction, on SQLite and PostgreSQL alike: if a step fails, nothing is changed. On PostgreSQL it
    keeps no running program waiting for long: a table that stays in use is given up after two seconds, and tried again.

    Args:
        url: as for `open_database`; a file that does not exist is made.
        progress: is told one line for each step.
        settings: which revisions there are; by default this program's own.

    Raises:
        ConfigurationError: nothing answers there, the schema is newer than this program, an older program that could
            not go on is running, or a step failed.
    """
    location = parse_url(url)
    settings = settings or migration_settings()
    engine = open_for_migration(location)
    try:
        with _must_answer(location):
            engine.connect().close()
        with _alone_if_needed(engine, location, settings):
            _upgrade(engine, progress, settings)
    except DatabaseError as error:
        problem = f"the schema could not be brought up to date, nothing was changed: {_reason(error)}"
        raise ConfigurationError(_VARIABLE, problem, "stop what else uses the database, or restore a backup") from error
    finally:
        engine.dispose()


def _alone_if_needed(engine: Engine, location: URL, settings: Config) -> AbstractContextManager[None]:
    """On SQLite: keep the program off a file from which a migration takes away what an older one needs."""
    if location.get_backend_name() != "sqlite" or is_in_memory(location):
        return nullcontext()
    with engine.connect() as connection:
        needed = takes_away(connection, ScriptDirectory.from_config(settings))
    return alone_on(Path(str(location.database))) if needed else nullcontext()


def _upgrade(engine: Engine, progress: Callable[[str], None], settings: Config) -> None:
    for left in range(_MIGRATION_ATTEMPTS - 1, -1, -1):
        try:
            with engine.connect() as connection:
                upgrade(connection, progress, settings=settings)
        except OperationalError as error:
            # Source: https://www.postgresql.org/docs/current/errcodes-appendix.html (55P03; read 2026-11-25)
            if getattr(error.orig, "sqlstate", None) != "55P03":
                raise
            if not left:
                problem = "the schema was not changed, because a table that it concerns stayed in use"
                mend = "end what holds it (a long report, pg_dump), then migrate again; what runs may go on running"
                raise ConfigurationError(_VARIABLE, problem, mend) from error
            progress("A table is in use; trying again.")
            time.sleep(_MIGRATION_PAUSE.total_seconds())
        else:
            return


def parse_url(url: str) -> URL:
    """Read a database URL, with the driver that this program uses.

    Raises:
        ConfigurationError: it is not one, or of a database that this program does not know.
    """
    try:
        location = make_url(url)
    except ArgumentError:
        raise ConfigurationError(_VARIABLE, "cannot be read as a database URL", _FORMS) from None
    if location.drivername in {"postgresql", "postgres", "postgresql+psycopg"}:
        return location.set(drivername="postgresql+psycopg")
    if location.drivername != "sqlite":
        raise ConfigurationError(_VARIABLE, f"{location.drivername} is not a database that we can use", _FORMS)
    if not is_in_memory(location) and not Path(str(location.database)).absolute().parent.is_dir():
        problem = f"the folder of {location.database} does not exist"
        raise ConfigurationError(_VARIABLE, problem, "create it, or name another file")
    return location


def is_in_memory(location: URL) -> bool:
    """Say whether this is SQLite's database without a file."""
    return location.database in {None, "", ":memory:"}


def open_for_migration(location: URL) -> Engine:
    """Open an engine for changing the schema: one connection; on SQLite foreign keys are not watched meanwhile.

    SQLite changes most of a table only by building it anew, which with foreign keys on would look like deleting rows.
    Source: https://www.sqlite.org/lang_altertable.html#otheralter
    """
    if location.get_backend_name() == "postgresql":
        engine = _postgresql(location, poolclass=NullPool)
    else:
        engine = create_engine(location, poolclass=NullPool, connect_args=_SQLITE_ARGS)
        _on_connect(engine, "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=OFF")
        _begin_with(engine, "BEGIN IMMEDIATE")
    return engine


@contextmanager
def _must_answer(location: URL) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        where = location.render_as_string(hide_password=True)
        if location.get_backend_name() == "postgresql":
            mend = "start the server, or mend host, port, name, user and password"
        else:
            mend = "name a file that this user may write, on a local disk"
        raise ConfigurationError(_VARIABLE, f"{where} does not answer: {_reason(error)}", mend) from error


def _reason(error: DatabaseError) -> str:
    return (str(error.orig).strip().splitlines() or ["no reason given"])[0]


# PostgreSQL -------------------------------------------------------------------------------------------------------

_KEEP_ALIVE = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""A cut network is noticed within some ten seconds, where the system's own setting is two hours.

Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-KEEPALIVES (read 2026-11-25).
"""

_KEEP_ALIVE_THERE = (
    "SELECT set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false),"
    " set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '10000', false),"
    " set_config('idle_in_transaction_session_timeout', '30s', false)"
)
"""The same for the server's side: it gives up the locks of a program that is cut off, and its duties, as soon.

A transaction here is one plain function; one that stands still for half a minute has nobody behind it any more.
By statement, not as `options` of the connection: poolers between here and the server refuse those.

Source: https://www.postgresql.org/docs/current/runtime-config-connection.html (read 2026-11-25).
"""


def _postgresql(location: URL, **pool: Any) -> Engine:
    if "connect_timeout" not in location.query:
        location = location.update_query_dict({"connect_timeout": str(int(_CONNECT_TIMEOUT.total_seconds()))})
    name = str(location.query.get("application_name", "aftersale"))
    location = location.update_query_dict({"application_name": program_name(revisions().get_current_head(), name)})
    location = location.update_query_dict(
        {name: str(n) for name, n in _KEEP_ALIVE.items() if name not in location.query}
    )
    engine = create_engine(location, isolation_level="READ COMMITTED", **pool)

    @event.listens_for(engine, "connect")
    def _begin(connection: Any, _record: Any) -> None:
        from storage.postgresql_text import StorableText  # noqa: PLC0415 - a shop on SQLite need not load the driver

        connection.adapters.register_dumper(str, StorableText)
        connection.autocommit = True  # outside of any transaction, so that it stays whatever becomes of the first
        connection.execute(_KEEP_ALIVE_THERE)
        connection.autocommit = False

    return engine


# SQLite -----------------------------------------------------------------------------------------------------------

_SQLITE_ARGS = {
    # None: the driver begins no transactions of its own; we begin them (below), so that also a SELECT stands in one.
    # Source: https://docs.python.org/3/library/sqlite3.html#sqlite3-transaction-control-isolation-level
    "isolation_level": None,
    "check_same_thread": False,
    "timeout": _LOCK_TIMEOUT.total_seconds(),
}
_SQLITE_PRAGMAS = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON")


def _sqlite(location: URL) -> tuple[Engine, Engine | None]:
    if is_in_memory(location):
        engine = create_engine(location, poolclass=StaticPool, connect_args=_SQLITE_ARGS)
        _on_connect(engine, *_SQLITE_PRAGMAS)
        _begin_with(engine, "BEGIN IMMEDIATE")
        return engine, None
    engine = create_engine(location, pool_size=1, max_overflow=0, connect_args=_SQLITE_ARGS)
    _on_connect(engine, *_SQLITE_PRAGMAS)
    # A write that begins as a read can find that another overtook it, and then loses silently or fails; so every
    # transaction takes the lock at once. Source: https://www.sqlite.org/lang_transaction.html
    _begin_with(engine, "BEGIN IMMEDIATE")
    readers = create_engine(location, pool_size=_READERS, connect_args=_SQLITE_ARGS)
    _on_connect(readers, "PRAGMA query_only=ON")
    _begin_with(readers, "BEGIN")
    return engine, readers


def _on_connect(engine: Engine, *pragmas: str) -> None:
    @event.listens_for(engine, "connect")
    def _set(connection: Any, _record: Any) -> None:
        for pragma in pragmas:
            connection.execute(pragma)


def _begin_with(engine: Engine, command: str) -> None:
    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(command)
