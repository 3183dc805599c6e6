"""Signals between the programs on one PostgreSQL: something came in, or is to go out, so look now and not in a second.

A signal carries nothing and may be lost: whoever misses one finds the rows at the next tick. On SQLite there is one
program, which needs none.
"""

import logging
import threading
from collections.abc import Callable

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from storage.statements import CHANNEL

_LOOK_WHETHER_TO_STOP = 0.1
_CONNECT_AGAIN = 2.0
_log = logging.getLogger(__name__)


class Ear:
    """Listens in a thread of its own, on a connection of its own, until it is closed."""

    def __init__(self, engine: Engine, heard: Callable[[], None]) -> None:
        """Call `heard`, from that thread, at each signal, and whenever one may have been missed."""
        self._engine, self._heard = engine, heard
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="storage-signals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._closed.set()
        self._thread.join()
        self._engine.dispose()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen_once()
            except (DBAPIError, psycopg.Error) as error:
                _log.warning("the database's signals cannot be heard, so it is looked every second: %s", error)
                self._closed.wait(_CONNECT_AGAIN)

    def _listen_once(self) -> None:
        raw = self._engine.raw_connection()
        try:
            connection = raw.driver_connection
            if connection is None:
                return
            connection.autocommit = True
            connection.execute(f"LISTEN {CHANNEL}")
            self._heard()
            while not self._closed.is_set():
                for _ in connection.notifies(timeout=_LOOK_WHETHER_TO_STOP, stop_after=1):
                    self._heard()
        finally:
            raw.invalidate()
