"""What an import would set off, worked out without storing anything: pure, over scratch sales."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.messages import House
from bot.ports.orders import OrderEvent
from bot.ports.records import Customer, Sale
from bot.sales import Start, starts

SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored about a sale: the record (None: nothing), its customer, and the keys of what was ever planned."""

    sale: Sale | None = None
    customer: Customer | None = None
    planned: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Forecast:
    """Whom an import would write to: ids of customers whose first message would be due `now`, `soon` or `later`.

    `too_late` counts conversations whose time is past, which so will not begin. `unlinked` are those of all the
    customers who have no chat yet: nothing is written to them before they link one.
    """

    now: frozenset[str] = frozenset()
    soon: frozenset[str] = frozenset()
    later: frozenset[str] = frozenset()
    too_late: int = 0
    unlinked: frozenset[str] = frozenset()


def forecast(house: House, events: Iterable[OrderEvent], known: Mapping[str, Known], now: datetime) -> Forecast:
    """Tell whom these new events would write to, and when. Quiet hours may move a message by some hours.

    Args:
        house: the shop and its flows.
        events: events that are not stored yet.
        known: by sale id, what is stored already; sales that are not in it are new.
        now: the time at which they would be stored.
    """
    drafts: dict[str, _Draft] = {}
    for event in events:
        stored = known.get(event.sale.id, Known())
        draft = drafts.setdefault(event.sale.id, _Draft(stored, stored.sale or Sale(event.sale.id, "")))
        draft.add(event)
    due: dict[str, list[datetime]] = {}
    too_late = 0
    unlinked = set()
    for draft in drafts.values():
        customer_id = draft.sale.customer_id
        if draft.known.customer is None or draft.known.customer.chat_id is None:
            unlinked.add(customer_id)
        for start in draft.begins(house):
            if start.expires_at <= max(now, start.due_at):
                too_late += 1
            else:
                due.setdefault(customer_id, []).append(start.due_at)
    firsts = {customer_id: min(times) for customer_id, times in due.items()}
    return Forecast(
        now=frozenset(each for each, at in firsts.items() if at <= now),
        soon=frozenset(each for each, at in firsts.items() if now < at <= now + SOON),
        later=frozenset(each for each, at in firsts.items() if at > now + SOON),
        too_late=too_late,
        unlinked=frozenset(unlinked),
    )


@dataclass(slots=True)
class _Draft:
    """A sale as it would be after its new events."""

    known: Known
    sale: Sale
    events: list[OrderEvent] = field(default_factory=list)

    def add(self, event: OrderEvent) -> None:
        self.events.append(event)
        first = min(event.occurred_at, self.sale.happened.get(event.type, event.occurred_at))
        self.sale = replace(
            self.sale,
            customer_id=event.sale.customer.id,
            items=tuple(item.model_dump(mode="json") for item in event.sale.items) or self.sale.items,
            happened={**self.sale.happened, event.type: first},
        )

    def begins(self, house: House) -> list[Start]:
        """Give what would begin, each once, and nothing that an event of the sale keeps from beginning."""
        if self.sale.confirmed_at is not None:
            return []
        found: dict[str, Start] = {}
        for event in self.events:
            for start in starts(house, self.sale, on=event.type, at=event.occurred_at, occurrence=event.id):
                ended = {"order.cancelled", "order.returned"} - {event.type}
                if start.key in self.known.planned or (ended | set(start.trigger.unless)) & set(self.sale.happened):
                    continue
                earlier = found.get(start.key)
                found[start.key] = min(start, earlier, key=lambda each: each.due_at) if earlier else start
        return list(found.values())
