"""What an import would set off, worked out without storing anything: pure, over scratch sales, one after the other."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.adapters.order_files.spool import Spooled
from bot.messages import House
from bot.ports.records import Customer, Sale
from bot.sales import Start, starts

SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored: the sale (None: nothing), the keys of what was ever planned for it, and whose it now is."""

    sale: Sale | None = None
    customer: Customer | None = None
    planned: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Forecast:
    """Whom an import would write to: how many customers whose first message would be due `now`, `soon` or `later`.

    `too_late` counts conversations whose time is past, which so will not begin. `unlinked` of all these customers have
    no chat yet: nothing is written to them before they link one.
    """

    now: int = 0
    soon: int = 0
    later: int = 0
    too_late: int = 0
    unlinked: int = 0


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one sale would set off: when its customer would first be written to, if at all, and what comes too late."""

    due_at: datetime | None
    too_late: int


@dataclass(slots=True)
class Draft:
    """A sale as it would be after its new events, which are `add`ed one by one."""

    known: Known
    sale: Sale
    _events: list[tuple[str, str, datetime]] = field(default_factory=list)

    @property
    def customer_id(self) -> str:
        """Who would be written to."""
        return self.sale.customer_id if self.known.customer is None else self.known.customer.id

    @property
    def is_unlinked(self) -> bool:
        """Whether nothing can be written to its customer yet."""
        return self.known.customer is None or self.known.customer.chat_id is None

    def add(self, event: Spooled) -> None:
        """Let it happen: an event that is not stored yet."""
        self._events.append((event.id, event.type, event.occurred_at))
        first = min(event.occurred_at, self.sale.happened.get(event.type, event.occurred_at))
        self.sale = replace(
            self.sale,
            customer_id=event.customer_id,
            items=tuple(event.payload["sale"].get("items", ())) or self.sale.items,
            happened={**self.sale.happened, event.type: first},
        )

    def outlook(self, house: House, now: datetime) -> Outlook:
        """Tell what it would set off, if its events were stored `now`. Quiet hours may move a message by some hours."""
        begins = self._begins(house)
        due = [start.due_at for start in begins if start.expires_at > max(now, start.due_at)]
        return Outlook(min(due, default=None), len(begins) - len(due))

    def _begins(self, house: House) -> list[Start]:
        """Give what would begin, each once, and nothing that an event of the sale keeps from beginning."""
        if self.sale.confirmed_at is not None:
            return []
        found: dict[str, Start] = {}
        for event_id, kind, at in self._events:
            for start in starts(house, self.sale, on=kind, at=at, occurrence=event_id):
                ended = {"order.cancelled", "order.returned"} - {kind}
                if start.key in self.known.planned or (ended | set(start.trigger.unless)) & set(self.sale.happened):
                    continue
                earlier = found.get(start.key)
                found[start.key] = min(start, earlier, key=lambda each: each.due_at) if earlier else start
        return list(found.values())


def draft(sale_id: str, known: Known) -> Draft:
    """Give a sale as it is stored, or a new one."""
    return Draft(known, known.sale or Sale(sale_id, ""))
