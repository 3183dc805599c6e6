"""Conversations, verdicts, pinned flows, cases, the log and the program's own notes, within a transaction."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, select, update

from bot.desk.states import Case
from bot.ports.records import Conversation, LogEntry, Post, Verdict
from storage.mapping import (
    case_from,
    case_values,
    conversation_from,
    conversation_values,
    log_from,
    log_values,
    post_from,
    post_values,
    verdict_from,
    verdict_values,
)
from storage.statements import Statements, locked, sought, sought_among
from storage.tables import metadata

_CONVERSATIONS = metadata.tables["conversations"]
_VERDICTS = metadata.tables["verdicts"]
_FLOW_VERSIONS = metadata.tables["flow_versions"]
_CASES = metadata.tables["cases"]
_POSTS = metadata.tables["case_posts"]
_LOG = metadata.tables["log"]
_SALES = metadata.tables["sales"]
_NOTES = metadata.tables["notes"]

_CONVERSATION = locked(sought(_CONVERSATIONS.c.id))
_CONVERSATIONS_AMONG = locked(sought_among(_CONVERSATIONS.c.id).order_by(_CONVERSATIONS.c.id))
_CONVERSATION_BY_KEY = sought(_CONVERSATIONS.c.key)
_CONVERSATIONS_OF = locked(
    sought(_CONVERSATIONS.c.sale_id).order_by(_CONVERSATIONS.c.started_at.desc(), _CONVERSATIONS.c.id.desc())
)
_VERDICTS_OF = sought(_VERDICTS.c.sale_id).order_by(_VERDICTS.c.id)
_CASE = locked(sought(_CASES.c.id))
_CASES_OF = locked(sought(_CASES.c.sale_id).order_by(_CASES.c.opened_at.desc(), _CASES.c.id.desc()))
_CASES_AMONG = locked(sought_among(_CASES.c.sale_id).order_by(_CASES.c.opened_at.desc(), _CASES.c.id.desc()))
_LIVE_POST = sought(_POSTS.c.case_id).where(_POSTS.c.live)
_CUSTOMER_OF = select(_SALES.c.customer_id).where(_SALES.c.id == bindparam("sought")).scalar_subquery()
_STORY_OF = (
    select(_LOG)
    .where((_LOG.c.sale_id == bindparam("sought")) | (_LOG.c.sale_id.is_(None) & (_LOG.c.customer_id == _CUSTOMER_OF)))
    .order_by(_LOG.c.at, _LOG.c.id)
)
"""What happened to the sale, and to its customer as a whole (consent, /stop, blocked)."""
_NOTE = sought(_NOTES.c.key)


class ConversationStatements(Statements):
    """Implements the part of `bot.ports.store.UnitOfWork` that is about what was said, and what is done about it."""

    def conversation(self, conversation_id: str) -> Conversation | None:
        """Give the conversation."""
        known = self._known.conversations
        if conversation_id not in known and (row := self._one(_CONVERSATION, sought=conversation_id)):
            known[conversation_id] = conversation_from(row)
        return known.get(conversation_id)

    def conversation_by_key(self, key: str) -> Conversation | None:
        """Give the conversation with this start key."""
        row = self._one(_CONVERSATION_BY_KEY, sought=key)
        return conversation_from(row) if row else None

    def conversations_of(self, sale_id: str) -> list[Conversation]:
        """Give all conversations of a sale, newest first."""
        return [conversation_from(row) for row in self._all(_CONVERSATIONS_OF, sought=sale_id)]

    def read_conversations(self, conversation_ids: Iterable[str]) -> None:
        """Read those that are not known yet, all in one statement."""
        if missing := set(conversation_ids) - self._known.conversations.keys():
            for row in self._all(_CONVERSATIONS_AMONG, sought=sorted(missing)):
                self._known.conversations[row["id"]] = conversation_from(row)

    def put_conversation(self, conversation: Conversation) -> None:
        """Store the conversation."""
        self._upsert(_CONVERSATIONS, conversation_values(conversation))
        self._known.conversations[conversation.id] = conversation

    def add_verdict(self, verdict: Verdict) -> None:
        """Append what the customer said."""
        self._add(_VERDICTS, verdict_values(verdict))

    def verdicts_of(self, sale_id: str) -> list[Verdict]:
        """Give the verdicts of a sale, oldest first."""
        return [verdict_from(row) for row in self._all(_VERDICTS_OF, sought=sale_id)]

    def flow_source(self, flow: str, version: str) -> str | None:
        """Give the YAML text of a published version."""
        pinned = (_FLOW_VERSIONS.c.flow == flow) & (_FLOW_VERSIONS.c.version == version)
        return self._connection.execute(select(_FLOW_VERSIONS.c.source).where(pinned)).scalar_one_or_none()

    def latest_flows(self) -> dict[str, str]:
        """Give the YAML text of the newest kept version of each flow, by name."""
        oldest_first = select(_FLOW_VERSIONS.c.flow, _FLOW_VERSIONS.c.source).order_by(_FLOW_VERSIONS.c.created_at)
        return {row.flow: row.source for row in self._connection.execute(oldest_first)}

    def put_flow(self, flow: str, version: str, source: str, now: datetime) -> None:
        """Keep a version for ever; keeping it again changes nothing."""
        row = {"flow": flow, "version": version, "source": source, "created_at": now}
        self._add_once(_FLOW_VERSIONS, row, "flow", "version")

    def case(self, case_id: str) -> Case | None:
        """Give the case."""
        row = self._one(_CASE, sought=case_id)
        return case_from(row) if row else None

    def sale_of_case(self, case_id: str) -> str | None:
        """Give whose case it is, without a lock: so that the customer can be locked first."""
        owner = select(_CASES.c.sale_id).where(_CASES.c.id == case_id)
        return self._connection.execute(owner).scalar_one_or_none()

    def cases_of(self, sale_id: str) -> list[Case]:
        """Give the cases of a sale, newest first."""
        known = self._known.cases_of
        if sale_id not in known:
            known[sale_id] = [case_from(row) for row in self._all(_CASES_OF, sought=sale_id)]
        return list(known[sale_id])

    def read_cases_of(self, sale_ids: Iterable[str]) -> None:
        """Read the cases of those sales whose cases are not known yet, all in one statement."""
        if missing := set(sale_ids) - self._known.cases_of.keys():
            found: dict[str, list[Case]] = {sale_id: [] for sale_id in missing}
            for row in self._all(_CASES_AMONG, sought=sorted(missing)):
                found[row["sale_id"]].append(case_from(row))
            self._known.cases_of |= found

    def put_case(self, case: Case) -> None:
        """Store the case."""
        self._upsert(_CASES, case_values(case))
        self._known.cases_of.pop(case.sale_id, None)

    def post_of(self, case_id: str) -> Post | None:
        """Give the live card of a case."""
        row = self._one(_LIVE_POST, sought=case_id)
        return post_from(row) if row else None

    def put_post(self, post: Post) -> None:
        """Store where the card stands; older posts of the case are no longer live."""
        if post.live:
            self._connection.execute(update(_POSTS).where(_POSTS.c.case_id == post.case_id).values(live=False))
        self._upsert(_POSTS, post_values(post))

    def log(self, entry: LogEntry) -> None:
        """Append to the log."""
        self._add(_LOG, log_values(entry))

    def story_of(self, sale_id: str) -> list[LogEntry]:
        """Give the log of a sale, oldest first."""
        return [log_from(row) for row in self._all(_STORY_OF, sought=sale_id)]

    def note(self, key: str) -> str | None:
        """Give a small value that the program remembers about itself (for example Telegram's offset)."""
        row = self._one(_NOTE, sought=key)
        return row["value"] if row else None

    def put_note(self, key: str, value: str) -> None:
        """Remember a small value."""
        self._upsert(_NOTES, {"key": key, "value": value})
