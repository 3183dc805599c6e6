"""Versions of flows and what was published of them, within a transaction."""

from typing import Any

from sqlalchemy import Connection, func, select

from bot.ports.records import Conversation, FlowVersion, Publication
from storage.mapping import conversation_from
from storage.statements import Statements
from storage.tables import metadata

_VERSIONS = metadata.tables["flow_versions"]
_PUBLICATIONS = metadata.tables["flow_publications"]
_CONVERSATIONS = metadata.tables["conversations"]
_SALES = metadata.tables["sales"]

_UNFINISHED = _CONVERSATIONS.c.state["status"].as_string() != "finished"


def conversations_by_flow(connection: Connection) -> list[tuple[str, str, str | None, bool, int]]:
    """Count conversations by flow, status, outcome, and whether their sale is complete. Reads every one."""
    each = (
        select(
            _CONVERSATIONS.c.flow,
            _CONVERSATIONS.c.state["status"].as_string().label("status"),
            _CONVERSATIONS.c.state["outcome"].as_string().label("outcome"),
            _SALES.c.confirmed_at.is_not(None).label("complete"),
        )
        .select_from(_CONVERSATIONS.join(_SALES, _SALES.c.id == _CONVERSATIONS.c.sale_id))
        .subquery()
    )
    # Grouped outside: to PostgreSQL, one expression with two parameters is two expressions.
    by = (each.c.flow, each.c.status, each.c.outcome, each.c.complete)
    rows = connection.execute(select(*by, func.count()).group_by(*by))
    return [(flow, status, outcome, bool(complete), number) for flow, status, outcome, complete, number in rows]


class VersionStatements(Statements):
    """Implements the part of `bot.ports.store.UnitOfWork` that is about versions of flows."""

    def flow_version(self, flow: str, version: str) -> FlowVersion | None:
        """Give a version that was kept."""
        kept = select(_VERSIONS).where(_VERSIONS.c.flow == flow, _VERSIONS.c.version == version)
        row = self._one(kept)
        if row is None:
            return None
        # A program from before these columns wrote neither; what it wrote is the first form, or is read alike.
        return FlowVersion(**{**row, "phrases": row["phrases"] or {}, "format": row["format"] or 1})

    def put_flow(self, version: FlowVersion) -> None:
        """Keep a version for ever; keeping it again changes nothing."""
        if (version.flow, version.version) not in self._known.flows:
            self._known.flows.add((version.flow, version.version))
            row: dict[str, Any] = {
                "flow": version.flow,
                "version": version.version,
                "source": version.source,
                "created_at": version.created_at,
                "format": version.format,
                "phrases": {name: dict(texts) for name, texts in version.phrases.items()},
            }
            self._add_once(_VERSIONS, row, "flow", "version")

    def publications(self, flow: str | None = None) -> list[Publication]:
        """Give what was published, of one flow or of all, by flow and number."""
        query = select(_PUBLICATIONS).order_by(_PUBLICATIONS.c.flow, _PUBLICATIONS.c.number)
        if flow is not None:
            query = query.where(_PUBLICATIONS.c.flow == flow)
        return [Publication(**row) for row in self._all(query)]

    def publish(self, publication: Publication) -> bool:
        """Add a publication; false where its number is taken.

        Whoever adds the same number at the same moment waits here until the other has committed, and then gets false.
        Source: https://www.postgresql.org/docs/current/transaction-iso.html#XACT-READ-COMMITTED (read 2026-11-25).
        """
        row = {name: getattr(publication, name) for name in Publication.__dataclass_fields__}
        insert = self._insert_once(_PUBLICATIONS, "flow", "number").returning(_PUBLICATIONS.c.number)
        return self._connection.execute(insert, row).scalar_one_or_none() is not None

    def running_on(self, flow: str | None = None) -> dict[tuple[str, str], int]:
        """Count the conversations that have not ended, by flow and version."""
        by = (_CONVERSATIONS.c.flow, _CONVERSATIONS.c.version)
        query = select(*by, func.count()).where(_UNFINISHED).group_by(*by)
        if flow is not None:
            query = query.where(_CONVERSATIONS.c.flow == flow)
        return {(name, version): number for name, version, number in self._connection.execute(query)}

    def unfinished_on(self, flow: str, version: str, after: str, limit: int) -> list[Conversation]:
        """Give the next `limit` conversations on a version that have not ended, beyond the id `after`. Locks none."""
        on_it = (_CONVERSATIONS.c.flow == flow) & (_CONVERSATIONS.c.version == version) & _UNFINISHED
        query = select(_CONVERSATIONS).where(on_it, _CONVERSATIONS.c.id > after).order_by(_CONVERSATIONS.c.id)
        return [conversation_from(row) for row in self._all(query.limit(limit))]
