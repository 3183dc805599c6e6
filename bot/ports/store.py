"""The door to storage. One `UnitOfWork` is one transaction; committing is `Database.run`'s alone.

Everything is synchronous: a transaction is one plain function, run whole in a database thread. All writes are upserts
by id (or by key, where a record has one).
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from bot.desk.states import Case
from bot.ports.listing import Only, Place, SaleLine
from bot.ports.records import (
    Arrived,
    Candidate,
    Conversation,
    Customer,
    FlowVersion,
    InboxSource,
    Incoming,
    LinkToken,
    LogEntry,
    Moment,
    Outgoing,
    Pass,
    Pause,
    Post,
    Promise,
    Publication,
    Sale,
    Underway,
    Verdict,
)

T = TypeVar("T")


class UnitOfWork(Protocol):
    """All that use cases may ask of storage within one transaction.

    What was read or stored once is at hand for the rest of the transaction, and writes are gathered until something is
    read from the database: so an error of the database in a write may show later than its call, at the latest at the
    commit.

    On PostgreSQL `customer(...)` takes a row lock, so every use case that will write loads the customer first: that
    serialises what happens to one customer and keeps locks in one order. On SQLite the write transaction itself is the
    lock.
    """

    # customers, sales, promises
    def customer(self, customer_id: str) -> Customer | None:
        """Give the customer, locked until the transaction ends."""

    def customer_by_chat(self, chat_id: int) -> Customer | None:
        """Give the customer who linked this chat, locked."""

    def put_customer(self, customer: Customer) -> None:
        """Store the customer."""

    def sale(self, sale_id: str) -> Sale | None:
        """Give the sale."""

    def sales_of(self, customer_id: str) -> list[Sale]:
        """Give the customer's sales, newest first (by their latest event, then id)."""

    def put_sale(self, sale: Sale) -> None:
        """Store the sale.

        Raises:
            Forbidden: it would be complete at a moment at which the customer themselves said nothing (rule 1).
        """

    def promises_of(self, sale_id: str) -> list[Promise]:
        """Give the promises of a sale in the order of their ids."""

    def put_promise(self, promise: Promise) -> None:
        """Store the promise (key: sale and id)."""

    # conversations and verdicts
    def conversation(self, conversation_id: str) -> Conversation | None:
        """Give the conversation."""

    def conversation_by_key(self, key: str) -> Conversation | None:
        """Give the conversation with this start key."""

    def conversations_of(self, sale_id: str) -> list[Conversation]:
        """Give all conversations of a sale, newest first."""

    def put_conversation(self, conversation: Conversation) -> None:
        """Store the conversation."""

    def add_verdict(self, verdict: Verdict) -> None:
        """Append what the customer said."""

    def verdicts_of(self, sale_id: str) -> list[Verdict]:
        """Give the verdicts of a sale, oldest first."""

    # versions of flows
    def flow_version(self, flow: str, version: str) -> FlowVersion | None:
        """Give a version that was kept."""

    def put_flow(self, version: FlowVersion) -> None:
        """Keep a version for ever; keeping it again changes nothing."""

    def publications(self, flow: str | None = None) -> list[Publication]:
        """Give what was published, of one flow or of all, by flow and number."""

    def publish(self, publication: Publication) -> bool:
        """Add a publication; false where its number is taken, also by a transaction that commits meanwhile."""

    def running_on(self, flow: str | None = None) -> dict[tuple[str, str], int]:
        """Count the conversations that have not ended, by flow and version. Reads many rows: for people who ask."""

    def unfinished_on(self, flow: str, version: str, after: str, limit: int) -> list[Conversation]:
        """Give the next `limit` conversations on a version that have not ended, beyond the id `after`. Locks none."""

    # cases
    def case(self, case_id: str) -> Case | None:
        """Give the case."""

    def sale_of_case(self, case_id: str) -> str | None:
        """Give the id of the sale that a case is about, without a lock."""

    def cases_of(self, sale_id: str) -> list[Case]:
        """Give the cases of a sale, newest first."""

    def put_case(self, case: Case) -> None:
        """Store the case.

        Raises:
            Forbidden: it would be confirmed at a moment at which the customer themselves said nothing (rule 1).
        """

    def cases_to_show(self, teams: Collection[str], now: datetime) -> list[Case]:
        """Give the cases of these teams whose first card waits in the outbox, and has no other reason to wait.

        The oldest due first, a thousand at most; without a lock.
        """

    def post_of(self, case_id: str) -> Post | None:
        """Give the live card of a case."""

    def put_post(self, post: Post) -> None:
        """Store where the card stands; older posts of the case are no longer live."""

    # moments
    def plan(self, moment: Moment) -> None:
        """Plan a moment.

        The same key again: where it is earlier, and still planned or held, it is brought forward with its data; else
        nothing changes.
        """

    def moments_of(self, sale_id: str) -> list[Moment]:
        """Give all moments of a sale by their time."""

    def due_moments(self, now: datetime, limit: int) -> list[Moment]:
        """Give planned moments that are due, oldest first; on PostgreSQL locked, those locked by others left out."""

    def settle(self, moment_id: int, state: str, reason: str | None = None, due_at: datetime | None = None) -> None:
        """Set what became of a moment; with `due_at` it is planned anew for then."""

    def drop_moments(
        self,
        *,
        conversation_id: str | None = None,
        case_id: str | None = None,
        kinds: Sequence[str] | None = None,
        reason: str = "",
    ) -> None:
        """Drop what is still planned or held of a conversation or a case."""

    def release_held(self, sale_id: str, now: datetime) -> None:
        """Plan held moments of a sale anew (due now, if past), because something changed; held messages wait again.

        What a pause holds is left alone: only its end frees that.
        """

    def asking_of(self, customer_id: str) -> list[Conversation]:
        """Give those conversations of a customer, of any sale, that have a question to ask or to be answered."""

    # pauses
    def pauses(self) -> list[Pause]:
        """Give the pauses that run, oldest first."""

    def pauses_since(self, at: datetime) -> list[Pause]:
        """Give the pauses that ran at any time since then, those that run included."""

    def put_pause(self, pause: Pause) -> None:
        """Store a pause; one without an id is new."""

    def release_paused(self) -> int:
        """Plan anew, for when they were due, the moments that a pause holds; gives how many."""

    def paused_messages(self) -> list[Outgoing]:
        """Give the messages that a pause holds, oldest first."""

    # outbox
    def send(self, message: Outgoing) -> None:
        """Put a message into the outbox; the same key again changes nothing."""

    def candidates(self, now: datetime, limit: int, channel: str) -> list[Candidate]:
        """Give messages of a channel that may go now, by priority and age, for us to claim, with what the guards ask.

        While one message of a lane is being sent, the others of that lane are not given. In a ``case:`` lane only the
        first unsettled message is given, so that a thread keeps its order. On PostgreSQL the lanes are locked until the
        transaction ends, and those that others hold are left out. Customers are not locked: whoever stops in this very
        moment may yet be written to, as if they had stopped in the next.
        """

    def claim(self, ids: Sequence[int], lease_until: datetime) -> None:
        """Mark messages as being sent by us until the lease ends; counts an attempt."""

    def underway(self, messages: Sequence[Outgoing]) -> dict[int, Underway]:
        """Give how claimed messages stand now, by their ids; what is no more is left out.

        On PostgreSQL they are locked, after their customers. Ask first, before customers or sales are read otherwise.
        """

    def arrived(self, messages: Sequence[Arrived], now: datetime) -> None:
        """Store that messages were taken, many at once: they are ``sent``.

        Of a question: that its sale was asked for the first time, if so, and its customer last. Before customers and
        sales are read: what is known of them within the transaction does not learn of it.
        """

    def expired_leases(self, now: datetime) -> list[Outgoing]:
        """Give messages whose sender died between claim and mark."""

    def put_outgoing(self, message: Outgoing) -> None:
        """Store what became of a message (by its id)."""

    def outgoing(self, message_id: int) -> Outgoing | None:
        """Give one message of the outbox."""

    def outgoing_of(self, sale_id: str) -> list[Outgoing]:
        """Give all messages of a sale, oldest first."""

    def asks_of(self, sale_id: str) -> list[Outgoing]:
        """Give the questions and reminders of a sale, oldest first, whatever became of them."""

    def drop_outgoing(self, message: Outgoing, reason: str) -> None:
        """Let a message that still waits, or is held, never go out; where it is on its way by now, nothing changes."""

    def question_of(self, conversation_id: str, turn: int) -> Outgoing | None:
        """Give the message that asked a question."""

    def outbox(self, states: Sequence[str], limit: int) -> list[Outgoing]:
        """Give messages in any of `states`, oldest first."""

    def next_outgoing_at(self, channel: str | None = None) -> datetime | None:
        """Give when the next waiting message (of a channel, or any) may go."""

    def next_moment_at(self) -> datetime | None:
        """Give when the next planned moment is due."""

    # inbox
    def receive(self, items: Iterable[Incoming]) -> list[bool]:
        """Commit what came in; for each item, whether it was new (false: a repeat)."""

    def new_incoming(self, limit: int) -> list[Incoming]:
        """Give what is to be handled: staff before customers before orders, of each in order of arrival.

        None takes a whole batch while another waits. On PostgreSQL lanes that another process works on are left out.
        """

    def new_among(self, source: InboxSource, keys: Collection[str]) -> list[Incoming]:
        """Give those rows with one of these keys that are still to be handled, in order of arrival."""

    def states_among(self, source: InboxSource, keys: Collection[str]) -> dict[str, str]:
        """Give the state of each thing that came in with one of these keys; those that never came are left out."""

    def settle_incoming(self, incoming_id: int, state: str, error: str | None = None) -> None:
        """Set what became of it; counts an attempt where it failed."""

    def inbox(self, states: Sequence[str], limit: int) -> list[Incoming]:
        """Give incoming things in any of `states`."""

    def retry_incoming(self, ids: Sequence[int]) -> list[int]:
        """Let those of `ids` be handled again that failed or were ignored; gives them. Others stay as they are."""

    # links, log, settings of the program itself
    def link_token(self, token_hash: str) -> LinkToken | None:
        """Give the token with this hash, locked."""

    def put_link_token(self, token: LinkToken) -> None:
        """Store the token."""

    # the door of the console
    def pass_of(self, pass_hash: str) -> Pass | None:
        """Give the pass with this hash, locked."""

    def put_pass(self, given: Pass) -> None:
        """Store the pass."""

    def drop_passes(self, now: datetime) -> None:
        """Forget every pass that has expired."""

    def log(self, entry: LogEntry) -> None:
        """Append to the log."""

    def story_of(self, sale_id: str) -> list[LogEntry]:
        """Give the log of a sale, and what happened to its customer as a whole, oldest first."""

    def note(self, key: str) -> str | None:
        """Give a small value that the program remembers about itself (for example Telegram's offset)."""

    def hold_note(self, key: str) -> str | None:
        """Give a small value that is about to change, kept from other programs until the transaction ends."""

    def put_note(self, key: str, value: str) -> None:
        """Remember a small value."""

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

        On PostgreSQL this also locks the customers, those of `sales` included, before anything else: whoever is about
        to work on sales or cases calls it first, so that all lock in one order.
        """

    def is_passing(self, error: Exception) -> bool:
        """Tell whether an error is storage's own passing trouble: do not catch it, the transaction is redone."""

    def savepoint(self) -> Any:
        """Open a savepoint, a context manager: what raises inside is undone, the rest of the transaction stands."""


class Database(Protocol):
    """Where transactions run."""

    async def run(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` whole in a database thread, in one transaction, and commit; undo it all if it raises."""

    def run_now(self, work: Callable[[UnitOfWork], T]) -> T:
        """The same, in the calling thread (commands of the terminal)."""

    def close(self) -> None:
        """Give up connections and threads."""


class Reports(Protocol):
    """Read-only questions for figures and pages."""

    def counts(self) -> dict[str, int]:
        """Give how many sales, linked, asked, answered, confirmed; open cases.

        Waiting, unknown, failed messages; new inbox.
        """

    def sales_for_figures(self) -> list[dict[str, Any]]:
        """Give per sale: id, asked, answered, confirmed, factors (latest), unhappy touchpoints, broken promises."""

    def sales(self, *, text: str = "", limit: int = 50) -> list[Sale]:
        """Find sales by order id or the customer's name."""

    def sales_page(
        self, *, text: str = "", only: Only = "all", after: Place | None = None, limit: int = 50
    ) -> list[SaleLine]:
        """Give the same as a list shows them, newest first, from a place on."""
