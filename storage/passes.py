"""Passes to the console, within a transaction."""

from datetime import datetime

from sqlalchemy import bindparam, delete

from bot.ports.records import Pass
from storage.mapping import pass_from, pass_values
from storage.statements import Statements, locked, sought
from storage.tables import metadata

_PASSES = metadata.tables["passes"]
_PASS = locked(sought(_PASSES.c.hash))
_DROP = delete(_PASSES).where(_PASSES.c.expires_at <= bindparam("now"))


class PassStatements(Statements):
    """Implements the part of `bot.ports.store.UnitOfWork` that is about the door of the console."""

    def pass_of(self, pass_hash: str) -> Pass | None:
        """Give the pass with this hash, locked."""
        row = self._one(_PASS, sought=pass_hash)
        return pass_from(row) if row else None

    def put_pass(self, given: Pass) -> None:
        """Store the pass."""
        self._upsert(_PASSES, pass_values(given), given.hash)

    def drop_passes(self, now: datetime) -> None:
        """Forget every pass that has expired."""
        self._connection.execute(_DROP, {"now": now})
