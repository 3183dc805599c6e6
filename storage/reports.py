"""Read-only questions for figures and pages. Nothing here locks, and nothing here decides."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, FromClause, func, select

from bot.desk.states import Case
from bot.ports.board import CaseSeen
from bot.ports.listing import Only, Place, SaleLine
from bot.ports.records import Incoming, Outgoing, Post, Sale
from bot.ports.standing import Standing
from storage import board, listing, standing, versions
from storage.statements import is_any
from storage.tables import metadata

T = TypeVar("T")
Queue = standing.Queue
COUNTED_UP_TO = standing.COUNTED_UP_TO

_CUSTOMERS = metadata.tables["customers"]
_SALES = metadata.tables["sales"]
_PROMISES = metadata.tables["promises"]
_CASES = metadata.tables["cases"]
_OUTBOX = metadata.tables["outbox"]
_INBOX = metadata.tables["inbox"]


class SqlReports:
    """Implements `bot.ports.store.Reports`. Each question sees one moment of the database."""

    def __init__(self, read: Callable[[Callable[[Connection], Any]], Any]) -> None:
        """Ask through `read`, which runs a function on a connection that is only read from."""
        self._read = read

    def counts(self) -> dict[str, int]:
        """Give how many there are of each.

        Returns:
            ``sales``, ``linked`` (a chat), ``asked``, ``answered``, ``confirmed``; ``open_cases``;
            messages ``waiting``, ``sending``, ``unknown``, ``failed``, ``held``; ``new_inbox``, ``failed_inbox``.
        """
        return dict(self._read(_counts))

    def answers(self) -> None:
        """Come back once the database has answered the smallest of questions; raise what keeps it from that."""
        self._read(lambda connection: connection.execute(select(1)).scalar_one())

    def standing(self, now: datetime) -> Standing:
        """Give how the queues stand: quick however many rows wait, because nothing is counted beyond a bound."""
        return self._ask(lambda connection: standing.standing(connection, now))

    def sales_by_stage(self) -> dict[str, int]:
        """Give how many sales are ``linked``, ``asked``, ``answered``, ``confirmed``, and ``all``. Reads every one."""
        return self._ask(standing.sales_by_stage)

    def conversations_by_flow(self) -> list[tuple[str, str, str | None, bool, int]]:
        """Give how many conversations there are of each flow, status, outcome, and with or without a complete sale."""
        return self._ask(versions.conversations_by_flow)

    def arrivals(self, after: int) -> tuple[int, dict[str, datetime]]:
        """Give the last row of the inbox, and when each source was last heard, of the rows beyond `after`."""
        return self._ask(lambda connection: standing.arrivals(connection, after))

    def unheld_duties(self, duties: Sequence[str]) -> list[str]:
        """Give those of `duties` that no program has at this moment."""
        return self._ask(lambda connection: standing.unheld_duties(connection, duties))

    def note(self, key: str) -> str | None:
        """Give a small value that the program remembers about itself."""
        return self._ask(lambda connection: standing.note(connection, key))

    def outbox(self, states: Sequence[str], limit: int) -> list[Outgoing]:
        """Give messages in any of `states`, state by state: what waits by when it may go, the rest oldest first."""
        return self._ask(lambda connection: standing.messages_in(connection, states, limit))

    def inbox(self, states: Sequence[str], limit: int) -> list[Incoming]:
        """Give what came in and is in any of `states`, state by state, oldest first."""
        return self._ask(lambda connection: standing.incoming_in(connection, states, limit))

    def failed_ids(self, queue: Queue, after: int, limit: int) -> list[int]:
        """Give the next ids beyond `after` of what failed in a queue, in order."""
        return self._ask(lambda connection: standing.failed_ids(connection, queue, after, limit))

    def numbers(self, queue: Queue, states: Sequence[str]) -> dict[str, int]:
        """Give how many rows of a queue stand in each of `states`; `COUNTED_UP_TO` means so many or more."""
        return self._ask(lambda connection: standing.numbers_in(connection, queue, states))

    def unsettled_cases(self, limit: int) -> list[CaseSeen]:
        """Give the cases that wait for staff or for the customer, those that are due first."""
        return self._ask(lambda connection: board.unsettled_cases(connection, limit))

    def case_seen(self, case_id: str) -> CaseSeen | None:
        """Give one case with whom and what it is about."""
        return self._ask(lambda connection: board.case_seen(connection, case_id))

    def cases_of_sales(self, sale_ids: Collection[str]) -> dict[str, Case]:
        """Give the newest case of each of these sales that has one."""
        return self._ask(lambda connection: board.cases_of_sales(connection, sale_ids))

    def posts_of(self, case_ids: Collection[str]) -> dict[str, Post]:
        """Give where the cards of cases stand."""
        return self._ask(lambda connection: board.posts_of(connection, case_ids))

    def names_of(self, customer_ids: Collection[str]) -> dict[str, str]:
        """Give the names of customers."""
        return self._ask(lambda connection: board.names_of(connection, customer_ids))

    def case_figures(self, teams: Collection[str], since: datetime, now: datetime) -> dict[str, int]:
        """Give how many cases were ``opened``, ``answered``, ``confirmed`` since then, and are ``late`` now."""
        return self._ask(lambda connection: board.case_figures(connection, teams, since, now))

    def _ask(self, question: Callable[[Connection], T]) -> T:
        answer: T = self._read(question)
        return answer

    def sales_for_figures(self) -> list[dict[str, Any]]:
        """Give what the figures need, per sale, in the order of their ids.

        Returns:
            ``id``; ``asked``, ``answered``, ``confirmed`` (true or false); ``factors`` (name to the latest value);
            ``unhappy_touchpoints`` (of its unhappy cases, each once); ``broken_promises`` (each with ``id``, ``text``,
            ``touchpoint``).
        """
        return list(self._read(_sales_for_figures))

    def sales(self, *, text: str = "", limit: int = 50) -> list[Sale]:
        """Find sales by order id or the customer's name (any part, in any case), newest first."""
        return self._ask(lambda connection: listing.sales(connection, text=text, limit=limit))

    def sales_page(
        self, *, text: str = "", only: Only = "all", after: Place | None = None, limit: int = 50
    ) -> list[SaleLine]:
        """Give the same as a list shows them, from a place on."""
        found = listing.sales_page
        return self._ask(lambda connection: found(connection, text=text, only=only, after=after, limit=limit))


def _counts(connection: Connection) -> dict[str, int]:
    def number(of: FromClause, *conditions: Any) -> int:
        return connection.execute(select(func.count()).select_from(of).where(*conditions)).scalar_one()

    linked = _SALES.join(_CUSTOMERS, _CUSTOMERS.c.id == _SALES.c.customer_id)
    messages = {
        state: number(_OUTBOX, is_any(_OUTBOX.c.state, state))
        for state in ("waiting", "sending", "unknown", "failed", "held")
    }
    return {
        "sales": number(_SALES),
        "linked": number(linked, _CUSTOMERS.c.chat_id.is_not(None)),
        "asked": number(_SALES, _SALES.c.asked_at.is_not(None)),
        "answered": number(_SALES, _SALES.c.answered_at.is_not(None)),
        "confirmed": number(_SALES, _SALES.c.confirmed_at.is_not(None)),
        "open_cases": number(_CASES, _CASES.c.status.not_in(["confirmed", "unconfirmed"])),
        **messages,
        "new_inbox": number(_INBOX, is_any(_INBOX.c.state, "new")),
        "failed_inbox": number(_INBOX, is_any(_INBOX.c.state, "failed")),
    }


def _sales_for_figures(connection: Connection) -> list[dict[str, Any]]:
    touchpoints: defaultdict[str, dict[str, None]] = defaultdict(dict)
    unhappy = select(_CASES.c.sale_id, _CASES.c.touchpoint).where(
        is_any(_CASES.c.reason, "unhappy"), _CASES.c.touchpoint.is_not(None)
    )
    for sale_id, touchpoint in connection.execute(unhappy.order_by(_CASES.c.opened_at)):
        touchpoints[sale_id][touchpoint] = None
    broken: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    promises = select(*_PROMISES.c["sale_id", "id", "text", "touchpoint"]).where(is_any(_PROMISES.c.state, "broken"))
    for row in connection.execute(promises.order_by(_PROMISES.c.id)).mappings():
        broken[row["sale_id"]].append({name: row[name] for name in ("id", "text", "touchpoint")})
    sales = select(*_SALES.c["id", "asked_at", "answered_at", "confirmed_at", "factors"]).order_by(_SALES.c.id)
    return [
        {
            "id": row["id"],
            "asked": row["asked_at"] is not None,
            "answered": row["answered_at"] is not None,
            "confirmed": row["confirmed_at"] is not None,
            "factors": row["factors"],
            "unhappy_touchpoints": list(touchpoints.get(row["id"], ())),
            "broken_promises": broken.get(row["id"], []),
        }
        for row in connection.execute(sales).mappings()
    ]
