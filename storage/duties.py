"""Who may do what only one program may do at a time: working on a SQLite file at all, polling Telegram on PostgreSQL.

On PostgreSQL a duty is an advisory lock of a connection of its own: it ends with the program, however that dies, and
the next one takes it over. On SQLite there is one program, which has every duty; a second is refused.
"""

import contextlib
from collections.abc import Iterator
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

SILENT_SECONDS = 8
"""How long a program may say nothing on the connection of a duty before the server takes the duty from it.

It says something every few seconds (`hold`); who does not is stopped, frozen, or cut off without a word, which a
connection by itself shows only after minutes. Older servers than 14 lack this, and go by TCP's own signs of life.
Source: https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-SESSION-TIMEOUT (read 2026-11-25)
"""
_LOST_WHEN_SILENT = text(
    "SELECT set_config(name, :seconds, false) FROM pg_settings WHERE name = 'idle_session_timeout'"
)


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


class Duties:
    """The duties that this program holds."""

    def __init__(self, engine: Engine) -> None:
        """Hold none yet."""
        self._engine = engine
        self._held: dict[str, Connection] = {}

    def hold(self, duty: str) -> bool:
        """Take a duty, or make sure that it is still ours. False: another program has it."""
        if self._engine.dialect.name != "postgresql":
            return True
        if duty in self._held:
            try:
                self._held[duty].execute(text("SELECT 1"))
            except DBAPIError:
                self.drop(duty)
                return False
            return True
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        lock = select(func.pg_try_advisory_lock(func.hashtextextended(duty, DUTIES)))
        if connection.execute(lock).scalar_one():
            connection.execute(_LOST_WHEN_SILENT, {"seconds": f"{SILENT_SECONDS}s"})
            self._held[duty] = connection
            return True
        connection.close()
        return False

    def drop(self, duty: str) -> None:
        """Give a duty up, so that another program can take it at once. Dropping what is not held changes nothing."""
        connection = self._held.pop(duty, None)
        if connection is not None:
            # The lock belongs to the connection: it must not go back into the pool with it.
            with contextlib.suppress(DBAPIError):
                connection.invalidate()
            connection.close()

    def drop_all(self) -> None:
        """Give everything up."""
        for duty in list(self._held):
            self.drop(duty)
