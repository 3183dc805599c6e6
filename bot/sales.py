"""Use cases of sales: order events, promises, planning what begins when, linking a chat.

Plain functions over a unit of work; they decide nothing about conversations or cases.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from bot import portions
from bot.desk.states import Case
from bot.durations import Duration, parse_duration
from bot.flows.facts import ANSWERED, variant_for
from bot.flows.model import Flow, Trigger
from bot.knowledge import of_sale
from bot.messages import House, note_down
from bot.ports.orders import CustomerForm, OrderEvent, SaleForm
from bot.ports.records import Customer, LinkToken, Moment, Outgoing, Promise, Sale
from bot.ports.store import UnitOfWork

UNDER_WAY = timedelta(days=7)
"""How long a question waits for a new parcel of which nobody says that it came."""

SEEN_TO = timedelta(days=1)
"""How long after a new parcel came the customer is asked whether it is right now."""


def record(uow: UnitOfWork, house: House, event: OrderEvent, now: datetime, *, batch: str = "") -> Sale:
    """Take in one order event: customer, sale, promises, log; and plan every conversation that it starts.

    Events may come in any order: what is known is only added to, and the stage only moves forward. `batch` is the
    import that it came with, if with a large one.
    """
    customer = _customer(uow, event.sale.customer)
    uow.put_customer(customer)
    before = uow.sale(event.sale.id)
    told = _sale(before, customer.id, event)
    sale, about = portions.happens(told, event.type, event.occurred_at, event.items)
    uow.put_sale(sale)
    for form in event.sale.promises:
        known = {promise.id: promise for promise in uow.promises_of(sale.id)}.get(form.id)
        uow.put_promise(
            Promise(
                sale.id,
                form.id,
                form.text,
                form.touchpoint,
                form.made_by,
                form.due_at,
                known.state if known else "open",
            )
        )
    named: dict[str, Any] = {"items": [each.sku for each in event.items]} if event.items else {}
    note_down(
        uow,
        now,
        event.type,
        sale_id=sale.id,
        customer_id=customer.id,
        event=event.id,
        occurred_at=event.occurred_at.isoformat(),
        **named,
    )
    if about is not None:
        plan_starts(
            uow, house, sale, on=event.type, at=event.occurred_at, occurrence=event.id, about=about, batch=batch
        )
    if event.type in ("order.shipped", "order.delivered"):
        _wait_for_new_parcel(uow, house, sale)
    if before is not None:
        uow.release_held(sale.id, now)
    return sale


def _customer(uow: UnitOfWork, form: CustomerForm) -> Customer:
    known = uow.customer(form.id)
    while known is not None and known.extra.get("same_as"):
        known = uow.customer(known.extra["same_as"])
    base = known or Customer(form.id)
    return replace(
        base,
        name=form.name or base.name,
        locale=form.locale or base.locale,
        country=form.country.upper() if form.country else base.country,
        time_zone=form.time_zone or base.time_zone,
        extra={**base.extra, **(form.model_extra or {})},
    )


def _sale(known: Sale | None, customer_id: str, event: OrderEvent) -> Sale:
    """Give the sale with what the event tells of it, before the event has happened to it."""
    form: SaleForm = event.sale
    base = known or Sale(form.id, customer_id)
    told = replace(
        base,
        customer_id=customer_id,
        summary=form.summary or base.summary,
        items=tuple(item.model_dump(mode="json") for item in form.items) or base.items,
        extra={**base.extra, **(form.model_extra or {})},
    )
    return portions.settled(told)


# What begins when -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """One conversation that is to begin: which flow, where it enters, when, and the key that keeps it single."""

    flow: str
    trigger: Trigger
    due_at: datetime
    expires_at: datetime
    key: str


def starts(
    house: House, sale: Sale, *, on: str, at: datetime, occurrence: str, about: Sequence[str] = ()
) -> list[Start]:
    """Tell which conversations an event of a sale begins, and when; `about` some of its items, or none: all."""
    seen = portions.narrowed(sale, about)
    return [
        Start(
            flow=flow.name,
            trigger=trigger,
            due_at=after(house, _length(trigger, seen, at), at),
            expires_at=after(house, flow.expires, at),
            key=_start_key(flow, sale, trigger, occurrence, about),
        )
        for flow in house.flows.flows.values()
        for trigger in flow.triggers
        if trigger.on == on
    ]


def _start_key(flow: Flow, sale: Sale, trigger: Trigger, occurrence: str, about: Sequence[str]) -> str:
    single = flow.once and trigger.on not in ("remedy.done", ANSWERED)
    which = "".join(f":{sku}" for sku in sorted(about)) if single else f":{occurrence}"
    return f"start:{flow.name}:{sale.id}{which}"


def _length(trigger: Trigger, sale: Sale, at: datetime) -> Duration:
    field = trigger.item_field
    told = [parse_duration(item[field]) for item in sale.items if item.get(field)] if field else []
    if told:
        return max(told, key=lambda each: (each.span, each.business_days))
    own = variant_for(trigger.variants, of_sale(sale), at)
    return trigger.after if own is None or own.after is None else own.after


def after(house: House, duration: Duration, at: datetime) -> datetime:
    """Give the moment that lies `duration` after `at`; business days are the shop's."""
    if duration.business_days:
        return house.shop.calendar.add_business_days(at, duration.business_days)
    return at + duration.span


def release(uow: UnitOfWork, customer_id: str, now: datetime) -> None:
    """Something changed for a customer: whatever waited for that, of any sale of theirs, is looked at again."""
    for sale in uow.sales_of(customer_id):
        uow.release_held(sale.id, now)


def _wait_for_new_parcel(uow: UnitOfWork, house: House, sale: Sale) -> None:
    """What would ask about a parcel, or about a remedy, while a new parcel is under way, waits until that has come.

    Should nobody tell that it came, it is asked all the same after a while.
    """
    shipped_at, came_at = portions.latest(sale, "order.shipped"), portions.latest(sale, "order.delivered")
    remedied = [remedy.at for case in uow.cases_of(sale.id) for remedy in case.remedies]
    anew = portions.shipped_anew_at(sale)
    is_replaced = shipped_at is not None and any(at <= shipped_at for at in remedied)
    if shipped_at is None or not (anew or is_replaced):
        return
    has_come = came_at is not None and came_at >= shipped_at
    again: dict[str, datetime] = {}
    if anew and has_come and came_at is not None:
        again = {each.key: each.due_at for each in starts(house, sale, on="order.delivered", at=came_at, occurrence="")}
    for moment in uow.moments_of(sale.id):
        about_case = moment.case_id is not None
        counts = (about_case and is_replaced) or (anew and moment.data.get("on") == "order.delivered")
        if moment.kind != "start" or moment.state != "planned" or moment.id is None or not counts:
            continue
        if not has_come or came_at is None:
            reason = "a new parcel is under way: it is asked about once that has come, or after a week"
            uow.settle(moment.id, "planned", reason, due_at=max(moment.due_at, shipped_at + UNDER_WAY))
        elif about_case:
            uow.settle(moment.id, "planned", "the new parcel has come", due_at=came_at + SEEN_TO)
        elif moment.key in again:
            uow.settle(moment.id, "planned", "the new parcel has come", due_at=again[moment.key])


def plan_starts(  # noqa: PLR0913 - what a start is made of, by name
    uow: UnitOfWork,
    house: House,
    sale: Sale,
    *,
    on: str,
    at: datetime,
    occurrence: str,
    case: Case | None = None,
    about: Sequence[str] = (),
    batch: str = "",
    due_at: datetime | None = None,
) -> None:
    """Plan every conversation that this event begins, at `due_at` or when the flow says.

    Planning it again changes nothing but an earlier time. `about` are the items that it is to be about; none: all.
    """
    for start in starts(house, sale, on=on, at=at, occurrence=occurrence, about=about):
        data: dict[str, Any] = {
            "flow": start.flow,
            "step": start.trigger.step,
            "on": on,
            "unless": list(start.trigger.unless),
            "expires_at": start.expires_at.isoformat(),
        }
        if start.trigger.condition is not None:
            data["if"] = start.trigger.condition
        if on == ANSWERED:
            data["at"] = at.isoformat()
        if case is not None:
            data["cycle"] = case.cycle + 1
        if about:
            data["items"] = list(about)
        if batch:
            data["batch"] = batch
        uow.plan(
            Moment(
                key=start.key,
                kind="start",
                due_at=due_at or start.due_at,
                sale_id=sale.id,
                case_id=case.id if case else None,
                data=data,
            )
        )


# Linking ------------------------------------------------------------------------------------------------------------


def hash_token(token: str) -> str:
    """Give what is stored of a link token: its SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


def make_link(uow: UnitOfWork, house: House, sale: Sale, now: datetime) -> str:
    """Make a new single-use link for a sale and give its address. Links made before stay good until they are used."""
    token = house.clock.new_token()
    uow.put_link_token(
        LinkToken(hash_token(token), sale.id, sale.customer_id, now, now + house.shop.link_expires_after)
    )
    note_down(uow, now, "link.made", sale_id=sale.id, customer_id=sale.customer_id)
    return f"https://t.me/{house.bot_username}?start={token}"


@dataclass(frozen=True, slots=True)
class Linked:
    """What came of a link token: the `customer` (None: refused), and the name of the phrase that says so."""

    customer: Customer | None
    says: str
    sale_id: str | None = None


def use_link(uow: UnitOfWork, token: str, chat: Mapping[str, Any], now: datetime) -> Linked:
    """Link a chat by its token: once, before it expires. The same chat may tap the same link again."""
    found = uow.link_token(hash_token(token))
    if found is None:
        return Linked(None, "link_unknown")
    chat_id: int = chat["chat_id"]
    if found.used_at is not None and found.used_by != chat_id:
        return Linked(None, "link_used")
    if found.used_at is None and found.expires_at <= now:
        return Linked(None, "link_expired")
    owner = uow.customer(found.customer_id)
    while owner is not None and owner.extra.get("same_as"):
        owner = uow.customer(owner.extra["same_as"])
    if owner is None:
        return Linked(None, "link_unknown")
    holder = uow.customer_by_chat(chat_id)
    if holder is not None and holder.id != owner.id:
        owner = _join(uow, owner, holder)
    if owner.chat_id not in (None, chat_id):
        # Another chat, so perhaps another person (a gift): what the first agreed to does not bind them.
        owner = replace(owner, consents={})
        note_down(uow, now, "customer.moved_chat", sale_id=found.sale_id, customer_id=owner.id)
    linked = replace(
        owner,
        chat_id=chat_id,
        chat_locale=chat.get("language") or owner.chat_locale,
        name=owner.name or chat.get("first_name", ""),
        linked_at=owner.linked_at or now,
        stopped_at=None,
        unreachable_at=None,
    )
    uow.put_customer(linked)
    uow.put_link_token(replace(found, used_at=found.used_at or now, used_by=chat_id))
    note_down(uow, now, "customer.linked", sale_id=found.sale_id, customer_id=linked.id)
    return Linked(linked, "hello_consent", found.sale_id)


def _join(uow: UnitOfWork, other: Customer, holder: Customer) -> Customer:
    """Make two customer records of one chat into one: a guest gets a new customer number with every order."""
    for sale in uow.sales_of(other.id):
        uow.put_sale(replace(sale, customer_id=holder.id))
        for conversation in uow.conversations_of(sale.id):
            uow.put_conversation(replace(conversation, customer_id=holder.id))
        for case in uow.cases_of(sale.id):
            uow.put_case(replace(case, customer_id=holder.id))
        for message in uow.outgoing_of(sale.id):
            if message.channel == "telegram" and message.state in ("waiting", "held"):
                uow.put_outgoing(_readdressed(message, holder))
    uow.put_customer(replace(other, chat_id=None, extra={**other.extra, "same_as": holder.id}))
    return replace(holder, name=other.name or holder.name, locale=other.locale or holder.locale)


def _readdressed(message: Outgoing, holder: Customer) -> Outgoing:
    body = {**message.body, "chat_id": holder.chat_id}
    return replace(message, customer_id=holder.id, lane=f"chat:{holder.chat_id}", body=body)
