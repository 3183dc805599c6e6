"""The points between every two steps of the program at which it may be killed, laid around it from outside.

receive → commit → acknowledge, handle → commit, claim → commit → send → mark → commit: the product has no hooks for this.
Its doors are wrapped here, by their documented names: `Database.run`, `Channel.deliver`, and the libraries' own ways to
fetch and to acknowledge. What must not live here: any decision about when to kill.
"""

import functools
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from telegram import Bot

from bot.adapters.slack.poster import SlackPoster
from bot.adapters.telegram.messenger import TelegramMessenger
from bot.adapters.telegram.receiver import TelegramWebhook
from storage.database import SqlDatabase
from storage.unit_of_work import SqlUnitOfWork

RECEIVED, ACKNOWLEDGING = "updates received", "updates acknowledged by the next question"
CALLED, ANSWERING = "update received by a call", "update acknowledged by the answer"
TRANSACTIONS = ("receive", "handle", "moments", "claim", "mark", "recover")
"""What a transaction does, told by what it asks of the unit of work."""

_ALWAYS = (
    *(f"{name} {where} commit" for name in TRANSACTIONS for where in ("before", "after")),
    *(f"{name} {where}" for where in ("before", "after") for name in ("telegram send", "slack send", "slack ack")),
)


def seams_of(*, called: bool) -> tuple[str, ...]:
    """Give the seams of a program that is called over HTTP, or of one that polls."""
    return (*((CALLED, ANSWERING) if called else (RECEIVED, ACKNOWLEDGING)), *_ALWAYS)


# In the order in which they decide what a transaction is; a claim also writes rows, and so on. An empty answer is a look
# that found nothing.
_TELLING = {
    name: kind
    for name, kind in (
        ("receive", "receive"),
        ("claim", "claim"),
        ("new_incoming", "handle"),
        ("new_among", "handle"),
        ("due_moments", "moments"),
        ("expired_leases", "recover"),
        ("arrived", "mark"),
        ("put_outgoing", "mark"),
    )
    if hasattr(SqlUnitOfWork, name)
}
_LOOKS = frozenset({"new_incoming", "new_among", "due_moments", "expired_leases"})


class Seams:
    """Counts what passes each seam, and kills this very process where it was told to."""

    def __init__(self, report: Callable[..., None]) -> None:
        """Tell `report` (keywords) of a kill right before it happens."""
        self.passed: Counter[str] = Counter()
        self._report = report
        self._kill_at: dict[str, int] = {}
        self._asked = threading.local()

    def kill_at(self, seam: str, nth: int) -> None:
        """Die at the `nth` passing of `seam` from now; 0 takes that back."""
        if nth:
            self._kill_at[seam] = nth
        else:
            self._kill_at.pop(seam, None)

    def at(self, seam: str) -> None:
        """Pass a seam, or die there."""
        self.passed[seam] += 1
        left = self._kill_at.get(seam)
        if left is None:
            return
        self._kill_at[seam] = left - 1
        if left <= 1:
            self._report(event="killed", seam=seam, passed=dict(self.passed))
            os.kill(os.getpid(), signal.SIGKILL)

    def lay(self) -> None:
        """Lay the seams around the program's doors, for this process."""
        self._around(TelegramMessenger, "deliver", "telegram send before", "telegram send after")
        self._around(SlackPoster, "deliver", "slack send before", "slack send after")
        self._around(AsyncAck, "__call__", "slack ack before", "slack ack after")
        self._around(TelegramWebhook, "handle", CALLED, ANSWERING)
        self._around_fetching()
        for method in _TELLING:
            self._listen_to(method)
        self._around_transactions()

    def _around(self, owner: type, name: str, before: str, after: str) -> None:
        inner = getattr(owner, name)

        @functools.wraps(inner)
        async def wrapped(*args: Any, **more: Any) -> Any:
            self.at(before)
            given = await inner(*args, **more)
            self.at(after)
            return given

        setattr(owner, name, wrapped)

    def _around_fetching(self) -> None:
        inner = Bot.do_api_request

        @functools.wraps(inner)
        async def fetch(bot: Bot, endpoint: str, api_kwargs: Any = None, *args: Any, **more: Any) -> Any:
            if (api_kwargs or {}).get("offset"):
                self.at(ACKNOWLEDGING)
            given = await inner(bot, endpoint, api_kwargs, *args, **more)
            if given:
                self.at(RECEIVED)
            return given

        Bot.do_api_request = fetch  # type: ignore[method-assign]

    def _listen_to(self, method: str) -> None:
        inner = getattr(SqlUnitOfWork, method)

        @functools.wraps(inner)
        def wrapped(uow: SqlUnitOfWork, *args: Any, **more: Any) -> Any:
            given = inner(uow, *args, **more)
            looked_in_vain = method in _LOOKS and not given
            claimed_nothing = method == "claim" and not (args[0] if args else more.get("ids"))
            if not looked_in_vain and not claimed_nothing:
                getattr(self._asked, "methods", set()).add(method)
            return given

        setattr(SqlUnitOfWork, method, wrapped)

    def _around_transactions(self) -> None:
        inner = SqlDatabase.run

        @functools.wraps(inner)
        async def run(database: SqlDatabase, work: Callable[[SqlUnitOfWork], Any]) -> Any:
            kind: list[str] = []

            def watched(uow: SqlUnitOfWork) -> Any:
                self._asked.methods = set()
                given = work(uow)
                kind[:] = [name for method, name in _TELLING.items() if method in self._asked.methods][:1]
                for name in kind:
                    uow.flush()
                    self.at(f"{name} before commit")
                return given

            result = await inner(database, watched)
            for name in kind:
                self.at(f"{name} after commit")
            return result

        SqlDatabase.run = run  # type: ignore[method-assign]
