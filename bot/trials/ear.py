"""Hearing what the use cases do while they do it: a unit of work that tells the trail what passes through it.

Everything is handed on to the real unit of work; nothing is decided or changed here.
"""

from datetime import datetime
from typing import Any

from bot.desk.states import Case
from bot.ports.records import Conversation, LogEntry, Moment, Outgoing, Verdict
from bot.ports.store import UnitOfWork
from bot.trials.trail import Trail


class Ear:
    """A unit of work that tells the trail what passes through it; everything else it hands on unheard."""

    def __init__(self, uow: UnitOfWork, trail: Trail) -> None:
        """Listen to `uow`."""
        self._uow, self._trail = uow, trail

    def __getattr__(self, name: str) -> Any:
        """Hand on what is not listened to."""
        return getattr(self._uow, name)

    def send(self, message: Outgoing) -> None:
        """Hear that a message is decided upon."""
        self._trail.sends(message)
        self._uow.send(message)

    def put_outgoing(self, message: Outgoing) -> None:
        """Hear what becomes of a message."""
        self._trail.puts_outgoing(message)
        self._uow.put_outgoing(message)

    def plan(self, moment: Moment) -> None:
        """Hear what is to happen later."""
        self._trail.plans(moment)
        self._uow.plan(moment)

    def settle(self, moment_id: int, state: str, reason: str | None = None, due_at: datetime | None = None) -> None:
        """Hear what becomes of a moment."""
        self._trail.settles(moment_id, state, reason)
        self._uow.settle(moment_id, state, reason, due_at)

    def release_held(self, sale_id: str, now: datetime) -> None:
        """Hear that what was held may be free."""
        self._trail.releases()
        self._uow.release_held(sale_id, now)

    def put_conversation(self, conversation: Conversation) -> None:
        """Hear where a conversation stands."""
        self._trail.puts_conversation(conversation)
        self._uow.put_conversation(conversation)

    def add_verdict(self, verdict: Verdict) -> None:
        """Hear an answer of the customer."""
        self._trail.adds_verdict(verdict)
        self._uow.add_verdict(verdict)

    def put_case(self, case: Case) -> None:
        """Hear how a case stands."""
        self._trail.puts_case(case)
        self._uow.put_case(case)

    def log(self, entry: LogEntry) -> None:
        """Hear what happened."""
        self._trail.logs(entry)
        self._uow.log(entry)

    def settle_incoming(self, incoming_id: int, state: str, error: str | None = None) -> None:
        """Hear whether anything came of it. It stands in no inbox here, so there is no row to settle."""
        del incoming_id
        if state in ("ignored", "failed"):
            self._trail.refuse(error or state)
