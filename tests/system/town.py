"""A shop with many customers, played in no time: the real use cases over a database in memory, on a clock that is moved.

What lives here: letting events, customers and staff act, and doing what becomes due as the running program does it. What
must not: expectations; they stand in the tests.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from bot import holding, inbox, overdue
from bot.adapters.clock import MovableClock
from bot.adapters.flow_files import FlowFiles
from bot.adapters.shop_file import default_shop
from bot.desk.shop import Shop
from bot.dispatch import Outcome, claim, mark_all
from bot.errors import DeliveryUnknown
from bot.messages import House
from bot.ports.inbound import ButtonTapped, CaseRemedied, ChatBlocked, MessageWritten
from bot.ports.records import Customer, Incoming, Moment, Outgoing
from bot.ports.store import UnitOfWork
from storage.scratch import ScratchDatabase, shared_scratch

T = TypeVar("T")
BATCH = 200


@cache
def shipped() -> FlowFiles:
    """Give the shipped flows, read once."""
    flows = FlowFiles()
    flows.load()
    return flows


@dataclass(frozen=True)
class Said:
    """A message that went out, and which questions of the customer were open at that moment."""

    at: datetime
    message: Outgoing
    open_before: tuple[str, ...]


class Town:
    """Customers ``c0``, ``c1`` … who have all linked a chat and agreed; the shop's events; its staff; its bot."""

    def __init__(self, start: datetime, *, shop: Shop | None = None, flows: Any = None) -> None:
        """Begin, with nobody, at `start`."""
        self.clock = MovableClock(start)
        self.house = House(shop or default_shop(), flows or shipped(), self.clock, "bot")
        self.database: ScratchDatabase = shared_scratch()
        self.database.empty()
        self.said: list[Said] = []
        self.lost: Callable[[Outgoing], bool] = lambda _message: False
        self._numbers = 0

    @property
    def now(self) -> datetime:
        """The moment that it is."""
        return self.clock.now()

    def run(self, work: Callable[[UnitOfWork], T]) -> T:
        """Do something in one transaction."""
        return self.database.run(work)

    # what happens

    def moves_in(self, name: str, *, zone: str | None = None, country: str | None = "DK") -> None:
        """Let a customer link a chat and agree to everything."""
        consents = {"service": True, "result": True}
        chat = 1000 + sum(ord(each) * 31**place for place, each in enumerate(name))
        who = Customer(name, name=name, country=country, time_zone=zone, chat_id=chat, consents=consents)
        self.run(lambda uow: uow.put_customer(who))

    def happens(
        self,
        kind: str,
        sale: str,
        customer: str,
        told: Mapping[str, Any] | None = None,
        *,
        batch: str = "",
        **more: Any,
    ) -> None:
        """Let the shop tell of an order event; `told` is what it says of the sale, `more` are the event's own fields."""
        self._numbers += 1
        event = {
            "id": f"e{self._numbers}",
            "type": kind,
            "occurred_at": self.now.isoformat(),
            **more,
            "sale": {"id": sale, "customer": {"id": customer}, **(told or {})},
        }
        self._take("shop", event, batch=batch)

    def taps(self, customer: str, choice: int = 0, *, back: int = 1) -> None:
        """Let a customer tap a button below the question that they saw last, or one further `back`."""
        asked = [
            each.message
            for each in self.said
            if each.message.customer_id == customer
            and each.message.kind == "question"
            and "buttons" in each.message.body
        ]
        if len(asked) < back:
            return
        buttons = [each for row in asked[-back].body["buttons"] for each in row]
        data = buttons[choice % len(buttons)]["data"]
        chat = asked[-back].body["chat_id"]
        self._take("telegram", ButtonTapped(chat, data, None, None, ""))

    def writes(self, customer: str, text: str) -> None:
        """Let a customer write."""
        self._numbers += 1
        self._take("telegram", MessageWritten(self._chat(customer), self._numbers, text, (), None))

    def blocks(self, customer: str) -> None:
        """Let a customer block the bot."""
        self._take("telegram", ChatBlocked(self._chat(customer), True))  # noqa: FBT003

    def remedies(self, kind: str = "refund") -> None:
        """Let staff put right every case that waits for them."""
        for case in self.run(lambda uow: [each for sale in self.sales(uow) for each in uow.cases_of(sale)]):
            if case.status in ("open", "claimed", "call"):
                self._take("slack", CaseRemedied(case.id, "U1", kind, "paid back", "100 kr.", "carrier"))

    def pauses(self, scope: Any = "all", name: str = "", **more: Any) -> None:
        """Let an admin pause something."""
        self.run(lambda uow: holding.pause(uow, self.house, self.now, scope=scope, name=name, **more))
        self.settle()

    def resumes(self, scope: Any = "all", name: str = "") -> holding.Resumed:
        """Let them let it go on."""
        done = self.run(lambda uow: holding.resume(uow, self.house, self.now, scope=scope, name=name))
        self.settle()
        return done

    def _take(self, source: Any, event: Any, *, batch: str = "") -> None:
        if source == "shop":
            # As the inbox does, but without its row.
            self.run(lambda uow: self._happened(uow, event, batch))
        else:
            words = inbox.Translators(lambda _payload: event, lambda _payload: event)
            item = Incoming(source, "", "", {}, self.now)
            self.run(lambda uow: inbox.handle(uow, self.house, words, [item], self.now, careful=False))
        self.settle()

    def _happened(self, uow: UnitOfWork, event: Any, batch: str) -> None:
        words = inbox.Translators(lambda _payload: event, lambda _payload: event)
        item = Incoming("shop", "", "", event, self.now)
        inbox.handle(uow, self.house, words, [item], self.now, careful=False, batch=batch)

    def _chat(self, customer: str) -> int:
        found = self.run(lambda uow: uow.customer(customer))
        assert found is not None
        assert found.chat_id is not None
        return found.chat_id

    # time

    def go(self, by: timedelta | None = None, *, to: datetime | None = None) -> None:
        """Let time pass, and everything happen that becomes due on the way."""
        target = to or self.now + (by or timedelta())
        while True:
            at = self.run(self._next)
            if at is None or at > target:
                break
            self.clock.move_to(max(at, self.now))
            self.settle()
        self.clock.move_to(target)
        self.settle()

    def _next(self, uow: UnitOfWork) -> datetime | None:
        ends = [each.until for each in uow.pauses()]
        times = [uow.next_moment_at(), uow.next_outgoing_at("telegram"), uow.next_outgoing_at("slack"), *ends]
        return min((at for at in times if at is not None and at > self.now), default=None)

    def settle(self) -> None:
        """Do all that is due now, as the ticking program does it."""
        for _ in range(1000):
            if not self.run(self._fire) and not self.run(self._send):
                return
        raise AssertionError("it does not come to rest")

    def _fire(self, uow: UnitOfWork) -> bool:
        due = uow.due_moments(self.now, BATCH)
        overdue.fire(uow, self.house, due, self.now)
        return bool(due)

    def _send(self, uow: UnitOfWork) -> bool:
        outcomes = []
        for channel in ("telegram", "slack"):
            ready, _ = claim(uow, self.house, channel, self.now, BATCH, careful=False)
            for message in ready:
                self._numbers += 1
                if channel == "telegram" and message.kind != "edit":
                    self.said.append(Said(self.now, message, tuple(self._open(uow, message.customer_id or ""))))
                error = DeliveryUnknown("nobody knows") if self.lost(message) else None
                number = None if error else str(message.body.get("message_id") or self._numbers)
                outcomes.append(Outcome(message, external=number, error=error))
        if outcomes:
            mark_all(uow, self.house, outcomes, self.now)
        return bool(outcomes)

    def _open(self, uow: UnitOfWork, customer: str) -> Iterator[str]:
        for talk in uow.asking_of(customer):
            question = uow.question_of(talk.id, talk.state.turn)
            if question is not None and question.state in ("sent", "unknown"):
                yield talk.id

    # looking

    def sales(self, uow: UnitOfWork) -> list[str]:
        """Give the ids of all sales."""
        return [sale.id for name in self._names(uow) for sale in uow.sales_of(name)]

    def _names(self, uow: UnitOfWork) -> list[str]:
        from sqlalchemy import text  # noqa: PLC0415 - the port gives no list of customers, and need not

        return list(uow._connection.execute(text("SELECT id FROM customers ORDER BY id")).scalars())  # type: ignore[attr-defined]

    def moments(self, kind: str = "start") -> list[Moment]:
        """Give all moments of a kind."""
        return self.run(lambda uow: [m for s in self.sales(uow) for m in uow.moments_of(s) if m.kind == kind])

    def messages(self) -> list[Outgoing]:
        """Give all messages to customers."""
        return self.run(lambda uow: [m for s in self.sales(uow) for m in uow.outgoing_of(s) if m.channel == "telegram"])

    def asked(self) -> list[Said]:
        """Give the questions that went out of the bot's own accord."""
        return [each for each in self.said if each.message.kind == "question" and not each.message.body.get("prompted")]
