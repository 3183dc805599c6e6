"""Conversations, verdicts, cases, the log and the program's own notes, within a transaction."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, or_, select, update

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
_CASES = metadata.tables["cases"]
_POSTS = metadata.tables["case_posts"]
_OUTBOX = metadata.tables["outbox"]
_LOG = metadata.tables["log"]
_SALES = metadata.tables["sales"]
_NOTES = metadata.tables["notes"]

_CONVERSATIONS_AMONG = locked(sought_among(_CONVERSATIONS.c.id).order_by(_CONVERSATIONS.c.id))
_CONVERSATIONS_BY_KEY = sought_among(_CONVERSATIONS.c.key)
_CONVERSATIONS_OF_AMONG = locked(sought_among(_CONVERSATIONS.c.sale_id).order_by(_CONVERSATIONS.c.id))
_ASKING_OF = locked(
    sought(_CONVERSATIONS.c.customer_id)
    .where(_CONVERSATIONS.c.state["status"].as_string() == "asking")
    .order_by(_CONVERSATIONS.c.id)
)
_VERDICTS_OF = sought(_VERDICTS.c.sale_id).order_by(_VERDICTS.c.id)
_CASE = locked(sought(_CASES.c.id))
_CASES_OF_AMONG = locked(sought_among(_CASES.c.sale_id).order_by(_CASES.c.id))
_LIVE_POST = sought(_POSTS.c.case_id).where(_POSTS.c.live)
_CUSTOMER_OF = select(_SALES.c.customer_id).where(_SALES.c.id == bindparam("sought")).scalar_subquery()
_STORY_OF = (
    select(_LOG)
    .where((_LOG.c.sale_id == bindparam("sought")) | (_LOG.c.sale_id.is_(None) & (_LOG.c.customer_id == _CUSTOMER_OF)))
    .order_by(_LOG.c.at, _LOG.c.id)
)
"""What happened to the sale, and to its customer as a whole (consent, /stop, blocked)."""
_NOTE = sought(_NOTES.c.key)
_FIRST_CARD = exists().where(
    # By the sale first: that has an index.
    _OUTBOX.c.sale_id == _CASES.c.sale_id,
    _OUTBOX.c.case_id == _CASES.c.id,
    _OUTBOX.c.kind == "card",
    _OUTBOX.c.state == "waiting",
    or_(_OUTBOX.c.not_before <= bindparam("now", type_=_OUTBOX.c.not_before.type), _OUTBOX.c.reason.is_not(None)),
)
_TO_SHOW = (
    select(_CASES)
    .where(
        # As in the partial index, so that it serves.
        _CASES.c.status.not_in(["confirmed", "unconfirmed"]),
        _CASES.c.team.in_(bindparam("teams", expanding=True)),
        _FIRST_CARD,
        ~exists().where(_POSTS.c.case_id == _CASES.c.id, _POSTS.c.live),
    )
    .order_by(_CASES.c.due_at, _CASES.c.id)
    .limit(1000)
)


class ConversationStatements(Statements):
    """Implements the part of `bot.ports.store.UnitOfWork` that is about what was said, and what is done about it."""

    # conversations

    def conversation(self, conversation_id: str) -> Conversation | None:
        """Give the conversation."""
        self.read_conversations([conversation_id])
        return self._known.conversations[conversation_id]

    def conversation_by_key(self, key: str) -> Conversation | None:
        """Give the conversation with this start key."""
        self.read_conversation_keys([key])
        found = self._known.conversation_keys[key]
        return self._known.conversations[found] if found is not None else None

    def conversations_of(self, sale_id: str) -> list[Conversation]:
        """Give all conversations of a sale, newest first."""
        self.read_conversations_of([sale_id])
        found = [self._known.conversations[each] for each in self._known.conversations_of[sale_id]]
        return sorted((each for each in found if each is not None), key=_begun, reverse=True)

    def asking_of(self, customer_id: str) -> list[Conversation]:
        """Give those conversations of a customer, of any sale, that have a question to ask or to be answered."""
        for row in self._all(_ASKING_OF, sought=customer_id):
            # What was put here already is newer than what is stored.
            self._know_conversation(self._known.conversations.get(row["id"]) or conversation_from(row))
        found = (each for each in self._known.conversations.values() if each is not None)
        return sorted((e for e in found if e.customer_id == customer_id and e.state.status == "asking"), key=_begun)

    def read_conversations(self, conversation_ids: Collection[str]) -> None:
        """Read those that are not known yet, all in one statement."""
        if missing := set(conversation_ids) - self._known.conversations.keys():
            self._known.conversations.update(dict.fromkeys(missing))
            self._take_conversations(_CONVERSATIONS_AMONG, missing)

    def read_conversation_keys(self, keys: Collection[str]) -> None:
        """Look which of these start keys have a conversation, all in one statement."""
        if missing := set(keys) - self._known.conversation_keys.keys():
            self._known.conversation_keys.update(dict.fromkeys(missing))
            self._take_conversations(_CONVERSATIONS_BY_KEY, missing)

    def read_conversations_of(self, sale_ids: Collection[str]) -> None:
        """Read all of those sales whose conversations are not known yet, all in one statement."""
        if missing := set(sale_ids) - self._known.conversations_of.keys():
            self._known.conversations_of.update({each: set() for each in missing})
            self._take_conversations(_CONVERSATIONS_OF_AMONG, missing)

    def _take_conversations(self, query: Any, among: set[str]) -> None:
        for row in self._all(query, sought=sorted(among)):
            # What was put here already is newer than what is stored.
            self._know_conversation(self._known.conversations.get(row["id"]) or conversation_from(row))

    def _know_conversation(self, conversation: Conversation) -> None:
        self._known.conversations[conversation.id] = conversation
        self._known.conversation_keys[conversation.key] = conversation.id
        if (of_sale := self._known.conversations_of.get(conversation.sale_id)) is not None:
            of_sale.add(conversation.id)

    def put_conversation(self, conversation: Conversation) -> None:
        """Store the conversation."""
        self._upsert(_CONVERSATIONS, conversation_values(conversation), conversation.id)
        self._know_conversation(conversation)

    # verdicts

    def add_verdict(self, verdict: Verdict) -> None:
        """Append what the customer said."""
        self._add(_VERDICTS, verdict_values(verdict))

    def verdicts_of(self, sale_id: str) -> list[Verdict]:
        """Give the verdicts of a sale, oldest first."""
        return [verdict_from(row) for row in self._all(_VERDICTS_OF, sought=sale_id)]

    # cases

    def case(self, case_id: str) -> Case | None:
        """Give the case."""
        if case_id not in self._known.cases and (row := self._one(_CASE, sought=case_id)):
            self._known.cases[case_id] = case_from(row)
        return self._known.cases.get(case_id)

    def sale_of_case(self, case_id: str) -> str | None:
        """Give whose case it is, without a lock: so that the customer can be locked first."""
        owner = select(_CASES.c.sale_id).where(_CASES.c.id == case_id)
        return self._connection.execute(owner).scalar_one_or_none()

    def cases_of(self, sale_id: str) -> list[Case]:
        """Give the cases of a sale, newest first."""
        self.read_cases_of([sale_id])
        found = (self._known.cases[each] for each in self._known.cases_of[sale_id])
        return sorted(found, key=lambda each: (each.opened_at, each.id), reverse=True)

    def read_cases_of(self, sale_ids: Collection[str]) -> None:
        """Read the cases of those sales whose cases are not known yet, all in one statement."""
        if missing := set(sale_ids) - self._known.cases_of.keys():
            self._known.cases_of.update({each: set() for each in missing})
            for row in self._all(_CASES_OF_AMONG, sought=sorted(missing)):
                if row["id"] not in self._known.cases:
                    self._known.cases[row["id"]] = case_from(row)
                self._known.cases_of[row["sale_id"]].add(row["id"])

    def put_case(self, case: Case) -> None:
        """Store the case.

        Raises:
            Forbidden: it would be confirmed at a moment at which the customer themselves said nothing (rule 1).
        """
        if case.status == "confirmed":
            before = self.case(case.id)
            if before is None or before.status != "confirmed":
                self._demand_own_word(case.customer_id, case.closed_at, "confirms a case")
        self._upsert(_CASES, case_values(case), case.id)
        self._known.cases[case.id] = case
        if (of_sale := self._known.cases_of.get(case.sale_id)) is not None:
            of_sale.add(case.id)

    def cases_to_show(self, teams: Collection[str], now: datetime) -> list[Case]:
        """Give the cases of these teams whose first card waits, the oldest due first. See the port."""
        return [case_from(row) for row in self._all(_TO_SHOW, teams=sorted(teams), now=now)] if teams else []

    def post_of(self, case_id: str) -> Post | None:
        """Give the live card of a case."""
        row = self._one(_LIVE_POST, sought=case_id)
        return post_from(row) if row else None

    def put_post(self, post: Post) -> None:
        """Store where the card stands; older posts of the case are no longer live."""
        if post.live:
            self._connection.execute(update(_POSTS).where(_POSTS.c.case_id == post.case_id).values(live=False))
        self._upsert(_POSTS, post_values(post), (post.case_id, post.channel, post.ts))

    # the log and the program's own notes

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

    def hold_note(self, key: str) -> str | None:
        """Give a small value that is about to change, kept from other programs until the transaction ends."""
        self._add_once(_NOTES, {"key": key, "value": ""}, "key")
        row = self._one(_NOTE.with_for_update(), sought=key)
        return (row["value"] or None) if row else None

    def put_note(self, key: str, value: str) -> None:
        """Remember a small value."""
        self._upsert(_NOTES, {"key": key, "value": value}, key)


def _begun(conversation: Conversation) -> tuple[datetime, str]:
    return conversation.started_at, conversation.id
