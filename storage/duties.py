"""Who may do what only one program may do at a time: working on a SQLite file at all, polling or sending on PostgreSQL.

On PostgreSQL a duty is an advisory lock of a connection of its own, beside the pool: it ends with the program, however
that dies, and with its network; the next one takes it over. On SQLite there is one program, which has every duty; a
second is refused.
"""

import contextlib
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import DBAPIError

from bot.errors import ConfigurationError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: the lock is left out, nothing else changes
    fcntl = None  # type: ignore[assignment]

DUTIES = 3
"""Namespace of the advisory locks (see `storage.statements`)."""


@contextlib.contextmanager
def alone_on(file: Path) -> Iterator[None]:
    """Make sure that no second program works on a SQLite file while the block lasts.

    Raises:
        ConfigurationError: one does already.
    """
    with file.with_name(file.name + ".lock").open("a") as handle:
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                mend = "stop the other one; for several programs at once use PostgreSQL"
                raise ConfigurationError("DATABASE_URL", f"another aftersale already runs on {file}", mend) from None
        yield


SILENCE = timedelta(seconds=10)
"""After how long the server ends the connection of a holder that is not heard of: a hung one, or one cut off."""

_PATIENCE = text(
    f"SELECT set_config(name, '{SILENCE.total_seconds():.0f}s', false)"  # noqa: S608 - a number of ours
    " FROM pg_settings WHERE name = 'idle_session_timeout'"
)
"""Servers older than 14 have no such setting, and go by TCP's own signs of life.

Source: https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-SESSION-TIMEOUT (read 2026-11-25).
"""


class Duties:
    """The duties that this program holds. May be asked from any thread."""

    def __init__(self, engine: Engine | None) -> None:
        """Hold none yet. `engine` opens connections beside the pool; None: this program is alone and has all duties.

        One connection serves for all duties, so that none waits for the pool, nor the pool for it.
        """
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT") if engine is not None else None
        self._alone = threading.Lock()
        self._connection: Connection | None = None
        self._held: set[str] = set()

    def hold(self, duty: str) -> bool:
        """Take a duty, or make sure that it is still ours. False: another program has it, or it was lost just now.

        A holder asks again within `SILENCE`, or loses it.

        Raises:
            DBAPIError: the database cannot be reached.
        """
        if self._engine is None:
            return True
        with self._alone:
            if self._connection is None:
                self._connection = _open(self._engine)
            try:
                if duty in self._held:
                    self._connection.execute(text("SELECT 1"))
                    return True
                lock = select(func.pg_try_advisory_lock(func.hashtextextended(duty, DUTIES)))
                if self._connection.execute(lock).scalar_one():
                    self._held.add(duty)
                    return True
            except DBAPIError:
                self._let_go()
            return False

    def drop(self, duty: str) -> None:
        """Give a duty up, so that another program can take it at once. Dropping what is not held changes nothing."""
        with self._alone:
            if self._connection is None or duty not in self._held:
                return
            try:
                self._held.discard(duty)
                self._connection.execute(select(func.pg_advisory_unlock(func.hashtextextended(duty, DUTIES))))
            except DBAPIError:
                self._let_go()

    def holds(self, duty: str) -> bool:
        """Tell whether this program has a duty, as far as it knows; nobody is asked. On SQLite it has every one."""
        return self._engine is None or duty in self._held

    def drop_all(self) -> None:
        """Give everything up, so that other programs can take it at once."""
        with self._alone:
            if self._connection is not None:
                # Not left to the end of the connection: the server may take a moment to notice that.
                with contextlib.suppress(DBAPIError):
                    self._connection.execute(select(func.pg_advisory_unlock_all()))
            self._let_go()

    def _let_go(self) -> None:
        """End the connection, and every duty with it."""
        self._held.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(DBAPIError):
                connection.close()


def _open(engine: Engine) -> Connection:
    connection = engine.connect()
    # PostgreSQL 14 and newer; before, only the network's end is noticed.
    with contextlib.suppress(DBAPIError):
        connection.execute(_PATIENCE)
    return connection
