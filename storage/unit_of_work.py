"""One transaction: everything that use cases may ask of storage, and THE one commit.

Nothing else in the project commits. A transaction that fails because another was quicker (a serialization failure or a
deadlock on PostgreSQL, a locked file on SQLite) left nothing behind, and is done again from its start.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from storage.conversations import ConversationStatements
from storage.inbox import InboxStatements
from storage.moments import MomentStatements
from storage.passes import PassStatements
from storage.sales import SaleStatements
from storage.sending import SendingStatements
from storage.statements import NOTIFY
from storage.versions import VersionStatements

T = TypeVar("T")

ATTEMPTS = 3
_PAUSE = timedelta(milliseconds=50)
_TRY_AGAIN_SQLSTATES = frozenset({"40001", "40P01"})
"""Serialization failure; deadlock. Source: https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html"""


class SqlUnitOfWork(
    SaleStatements,
    ConversationStatements,
    VersionStatements,
    MomentStatements,
    SendingStatements,
    InboxStatements,
    PassStatements,
):
    """Implements `bot.ports.store.UnitOfWork`: one of its parts for each kind of thing."""

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Open a savepoint, a context manager: what raises inside is undone, the rest of the transaction stands."""
        nested = self._connection.begin_nested()
        try:
            with nested:
                yield
                self.flush()
        except BaseException:
            self._forget()
            raise

    def is_passing(self, error: Exception) -> bool:
        """Tell whether an error is the database's own passing trouble: the whole transaction is then to be redone."""
        return isinstance(error, DBAPIError) and (
            _was_overtaken(error) or not isinstance(error, IntegrityError | DataError)
        )

    def read_ahead(
        self,
        *,
        customers: Collection[str] = (),
        chats: Collection[int] = (),
        sales: Collection[str] = (),
        conversations: Collection[str] = (),
        keys: Collection[str] = (),
        is_whole: bool = False,
    ) -> None:
        """Read many in a few statements, to have them at hand one by one. Cases come with their sales.

        `chats`: customers by their chat. `keys`: conversations by their start key. `is_whole`: with each sale also its
        promises, all its conversations, and what was asked in them.
        """
        self.read_customers(customers)
        self.read_chats(chats)
        self.read_owners(sales)
        self.read_conversations(conversations)
        known = (self._known.conversations[each] for each in conversations)
        sales = {*sales, *(each.sale_id for each in known if each is not None)}
        self.read_sales(sales)
        self.read_cases_of(sales)
        if keys:
            self.read_conversation_keys(keys)
        if is_whole:
            self.read_promises_of(sales)
            self.read_conversations_of(sales)
            self.read_asks_of(sales)


def in_transaction(engine: Engine, work: Callable[[SqlUnitOfWork], T]) -> T:
    """Run `work` whole in one transaction and commit it; undo all of it if it raises.

    `work` may be run up to three times, each time on the state that it then finds; so it must do nothing but read and
    write here.

    Raises:
        Exception: whatever `work` raised; nothing of it was stored.
    """
    attempt = 1
    while True:
        try:
            with engine.begin() as connection:
                unit = SqlUnitOfWork(connection)
                result = work(unit)
                unit.flush()
                if unit.has_news and engine.dialect.name == "postgresql":
                    connection.execute(NOTIFY)
                return result
        except DBAPIError as error:
            if attempt == ATTEMPTS or not _was_overtaken(error):
                raise
        time.sleep(_PAUSE.total_seconds() * attempt)
        attempt += 1


def _was_overtaken(error: DBAPIError) -> bool:
    if getattr(error.orig, "sqlstate", None) in _TRY_AGAIN_SQLSTATES:
        return True
    # Extended codes such as SQLITE_BUSY_SNAPSHOT begin with the same word. Source: https://www.sqlite.org/rescode.html
    return str(getattr(error.orig, "sqlite_errorname", "")).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
