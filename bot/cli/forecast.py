"""What an import would set off, worked out without storing anything: pure, over scratch sales, one after the other."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot import portions
from bot.adapters.order_files.spool import Spooled
from bot.catch_up import AT_ONCE
from bot.desk.shop import Guards
from bot.messages import House
from bot.ports.orders import parse_order_event
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

    That of the `late` was due more than an hour ago; they are given turns (see `bot.catch_up`). `too_late` counts
    conversations whose time is past, which so will not begin. `unlinked` of all these customers have no chat yet:
    nothing is written to them before they link one.
    """

    late: int = 0
    now: int = 0
    soon: int = 0
    later: int = 0
    too_late: int = 0
    unlinked: int = 0

    @property
    def all(self) -> int:
        """How many customers would be written to, sooner or later."""
        return self.late + self.now + self.soon + self.later

    def at_once(self, guards: Guards) -> int:
        """Tell to how many it would be written as soon as it is day: of the late ones only a handful is among them."""
        handful = guards.catch_up_per_hour * AT_ONCE // timedelta(hours=1)
        both = self.now + min(self.late, handful)
        return min(both, guards.import_first) if self.all > guards.import_first else both

    def in_turn(self, guards: Guards) -> int:
        """Tell how many wait for a turn."""
        return self.late + self.now - self.at_once(guards)


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
    _events: list[tuple[str, str, datetime, tuple[str, ...] | None]] = field(default_factory=list)

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
        sale = replace(
            self.sale,
            customer_id=event.customer_id,
            items=tuple(event.payload["sale"].get("items", ())) or self.sale.items,
        )
        parts = parse_order_event(event.payload).items if event.payload.get("items") else ()
        self.sale, about = portions.happens(portions.settled(sale), event.type, event.occurred_at, parts)
        self._events.append((event.id, event.type, event.occurred_at, about))

    def outlook(self, house: House, now: datetime) -> Outlook:
        """Tell what it would set off, if its events were stored `now`. Quiet hours and days may move it."""
        begins = self._begins(house)
        due = [start.due_at for start in begins if start.expires_at > max(now, start.due_at)]
        return Outlook(min(due, default=None), len(begins) - len(due))

    def _begins(self, house: House) -> list[Start]:
        """Give what would begin, each once, and nothing that an event of the sale keeps from beginning."""
        if self.sale.confirmed_at is not None:
            return []
        found: dict[str, Start] = {}
        for event_id, kind, at, about in self._events:
            for start in (
                () if about is None else starts(house, self.sale, on=kind, at=at, occurrence=event_id, about=about)
            ):
                ended = {"order.cancelled", "order.returned"} - {kind}
                if start.key in self.known.planned or (ended | set(start.trigger.unless)) & set(self.sale.happened):
                    continue
                earlier = found.get(start.key)
                found[start.key] = min(start, earlier, key=lambda each: each.due_at) if earlier else start
        return list(found.values())


def draft(sale_id: str, known: Known) -> Draft:
    """Give a sale as it is stored, or a new one."""
    return Draft(known, known.sale or Sale(sale_id, ""))
