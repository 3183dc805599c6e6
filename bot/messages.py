"""How the house speaks: whose language, which zone, which words; and the one way into the outbox.

`House` is what every use case is handed beside its unit of work. No rule of conversations or cases lives here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from babel.core import get_global

from bot.desk.shop import Shop
from bot.desk.states import Case
from bot.errors import FollowUpError, NotFound
from bot.flows.model import Flow, Texts
from bot.flows.parse import parse_flow
from bot.flows.render import render
from bot.ports.channels import Clock, FlowSource
from bot.ports.records import Customer, FlowVersion, LogEntry, Outgoing, OutgoingKind, Promise, Sale
from bot.ports.store import UnitOfWork

EDITED = "✏️ "
"""What stands before words with which a customer changed an earlier message."""

URGENT, TIDYING, ORDINARY, LATER = 0, 1, 5, 8
"""Priorities in the outbox: answers and staff before edits of what stands there, before questions, before reminders."""


@dataclass(slots=True)
class House:
    """The shop, its flows and the maker of ids: what use cases need beside a unit of work.

    Times are always passed in.
    """

    shop: Shop
    flows: FlowSource
    clock: Clock
    bot_username: str = ""
    _pinned: dict[tuple[str, str], Flow] = field(default_factory=dict)
    _needs: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def new_id(self) -> str:
        """Give a new opaque id."""
        return self.clock.new_id()

    def pinned(self, uow: UnitOfWork, name: str, version: str) -> Flow | None:
        """Give the version of a flow on which a conversation began; None if it cannot be read any more."""
        current = self.flows.flows.get(name)
        if current is not None and current.version == version:
            return current
        known = self._pinned.get((name, version))
        if known is None:
            try:
                known = as_kept(uow, name, version)
            except FollowUpError:
                return None
            self._pinned[name, version] = known
        return known

    def needs_of(self, flow: Flow, work_out: Callable[[Flow], frozenset[str]]) -> frozenset[str]:
        """Give what a version of a flow makes use of, worked out once."""
        known = self._needs.get((flow.name, flow.version))
        if known is None:
            known = self._needs[flow.name, flow.version] = work_out(flow)
        return known


def as_kept(uow: UnitOfWork, name: str, version: str) -> Flow:
    """Read a version as it was kept, whatever form of the language it is written in.

    Raises:
        NotFound: it was never kept.
        FlowError: this program cannot read it.
    """
    kept = uow.flow_version(name, version)
    if kept is None:
        raise NotFound(f"the version {version} of the flow {name!r} was never kept")
    flow = parse_flow(kept.source, file=f"{name} as kept ({version})", written_in=kept.format)
    return replace(flow, version=version, phrases=kept.phrases)


def keep(uow: UnitOfWork, flow: Flow, now: datetime) -> None:
    """Keep this version of a flow for ever."""
    uow.put_flow(FlowVersion(flow.name, flow.version, flow.source, now, flow.phrases or {}))


def languages_for(house: House, customer: Customer) -> list[str]:
    """Give the languages to try, in order: their own choice, the order's, Telegram's hint, the shop's."""
    wanted = [customer.language, customer.locale, customer.chat_locale, *house.shop.languages]
    return list(dict.fromkeys(each for each in wanted if each))


def zone_of(house: House, customer: Customer) -> str:
    """Give the customer's time zone: their own, or their country's where it has just one, else the shop's."""
    if customer.time_zone:
        return customer.time_zone
    zones: Sequence[str] = get_global("territory_zones").get((customer.country or "").upper(), [])
    return zones[0] if len(zones) == 1 else house.shop.time_zone


def country_of(house: House, customer: Customer) -> str:
    """Give whose holidays the customer keeps: their own country's, or else the shop's."""
    return customer.country or house.shop.country


def context_for(
    house: House,
    customer: Customer | None,
    sale: Sale | None = None,
    promises: Sequence[Promise] = (),
    case: Case | None = None,
    now: datetime | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Gather what a text may speak of. See `bot.flows.render` for the names.

    By when a person answers is told only where that still lies ahead of `now`: anything else nobody promised (rule 11).
    """
    dated = [each for each in promises if each.due_at]
    shown = dated[0] if dated else (promises[0] if promises else None)
    remedy = case.remedies[-1] if case and case.remedies else None
    return {
        "customer": _customer(customer),
        "sale": _sale(sale) if sale else {},
        "items": [dict(item) for item in sale.items] if sale else [],
        "promise": _promise(shown),
        "promises": [_promise(each) for each in promises],
        "expected": {"at": min((each.due_at for each in dated if each.due_at), default=None)},
        "shop": {"name": house.shop.name, "privacy": house.shop.privacy_link or ""},
        "case": _case(case, now),
        "remedy": {"kind": remedy_label(house, customer, remedy.kind), "note": remedy.note} if remedy else {},
        **more,
    }


def _customer(customer: Customer | None) -> dict[str, str]:
    name = customer.name if customer else ""
    return {"id": customer.id if customer else "", "name": name, "first_name": name.split(" ")[0]}


def _sale(sale: Sale) -> dict[str, Any]:
    total, currency = sale.extra.get("total"), sale.extra.get("currency")
    return {"id": sale.id, "summary": sale.summary or sale.id, "total": total, "currency": currency}


def _case(case: Case | None, now: datetime | None) -> dict[str, Any]:
    if case is None:
        return {}
    awaited = case.answered_at is None and case.status in ("open", "claimed", "call")
    due_at = case.due_at if awaited and (now is None or now < case.due_at) else None
    return {"due_at": due_at, "answer_by": due_at, "said": " – ".join(case.said.splitlines()), "team": case.team}


def _promise(promise: Promise | None) -> dict[str, Any]:
    return {"text": promise.text, "due_at": promise.due_at} if promise else {}


def remedy_label(house: House, customer: Customer | None, kind: str) -> str:
    """Give the name of a remedy in the customer's language; the key itself if the shop no longer knows it."""
    languages = languages_for(house, customer) if customer else house.shop.languages
    return house.shop.remedy_label(kind, next(iter(languages), ""))


def speak(house: House, customer: Customer, texts: Texts, context: Mapping[str, Any]) -> str:
    """Render a text for one customer, in their language and with their clock."""
    return render(texts, languages_for(house, customer), context, zone=zone_of(house, customer))


def phrase(house: House, customer: Customer, name: str, context: Mapping[str, Any]) -> str:
    """Say one of the bot's own sentences."""
    return speak(house, customer, house.flows.phrases[name], context)


def write_to(  # noqa: PLR0913 - a row of the outbox is made of all of this
    uow: UnitOfWork,
    house: House,
    customer: Customer,
    *,
    kind: OutgoingKind,
    text: str | None,
    now: datetime,
    key: str | None = None,
    buttons: Sequence[tuple[str, str]] = (),
    in_one_row: bool = False,
    link: tuple[str, str] | None = None,
    purpose: str | None = None,
    priority: int | None = None,
    expires_at: datetime | None = None,
    sale_id: str | None = None,
    conversation_id: str | None = None,
    case_id: str | None = None,
    turn: int | None = None,
    **body: Any,
) -> None:
    """Put a message to a customer into the outbox.

    `buttons` are pairs of label and data, one to a row, or all `in_one_row`; a `link` is one of label and address.
    Without a `priority` it is urgent; an edit comes after what is to be said, for which the customer waits.
    """
    if priority is None:
        priority = TIDYING if kind == "edit" else URGENT
    if customer.chat_id is None and "chat_id" not in body:
        return
    content: dict[str, Any] = {"chat_id": customer.chat_id, "text": text, **body}
    if buttons:
        content["buttons"] = [[{"label": label, "data": data}] for label, data in buttons]
        if in_one_row:
            content["buttons"] = [[each for row in content["buttons"] for each in row]]
    if link is not None:
        content["buttons"] = [*content.get("buttons", ()), [{"label": link[0], "url": link[1]}]]
    uow.send(
        Outgoing(
            key=key or house.new_id(),
            channel="telegram",
            lane=f"chat:{content['chat_id']}",
            kind=kind,
            body=content,
            not_before=now,
            created_at=now,
            purpose=purpose,
            priority=priority,
            expires_at=expires_at,
            sale_id=sale_id,
            customer_id=customer.id or None,
            conversation_id=conversation_id,
            case_id=case_id,
            turn=turn,
        )
    )


def tell_desk(
    uow: UnitOfWork,
    house: House,
    case: Case,
    kind: Literal["card", "thread", "whisper", "task"],
    now: datetime,
    *,
    not_before: datetime | None = None,
    lane: str | None = None,
    **body: Any,
) -> None:
    """Put something for the case's channel into the outbox. Where the card stands is looked up when it is sent.

    A card keeps the team whose it is now: should it have to be posted once more, it is sought where it was posted, even
    where the case has been handed over since. What is said in a `lane` of its own waits for nothing before it.
    """
    if kind == "card":
        body = {"team": case.team, **body}
    uow.send(
        Outgoing(
            key=house.new_id(),
            channel="slack",
            lane=lane or (f"case:{case.id}" if kind != "whisper" else f"whisper:{case.id}"),
            kind=kind,
            body=body,
            not_before=not_before or now,
            created_at=now,
            priority=URGENT,
            sale_id=case.sale_id,
            customer_id=case.customer_id,
            case_id=case.id,
        )
    )


def short_of(words: str, most: int = 60) -> str:
    """Give the beginning of somebody's words, in one line, calling upon nobody."""
    line = " ".join(words.split()).replace("{user:", "{ user:").replace("<@", "< @")
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def tell_operator(uow: UnitOfWork, house: House, key: str, text: str, now: datetime) -> None:
    """Put something for whoever runs the program into the outbox; the same `key` again changes nothing."""
    uow.send(
        Outgoing(
            key=key,
            channel="slack",
            lane="operator",
            kind="alarm",
            body={"channel": house.shop.alarm_channel, "text": text},
            not_before=now,
            created_at=now,
            priority=URGENT,
        )
    )


def note_down(
    uow: UnitOfWork,
    now: datetime,
    kind: str,
    /,
    *,
    sale_id: str | None = None,
    customer_id: str | None = None,
    case_id: str | None = None,
    **data: Any,
) -> None:
    """Append one line to the log of what happened."""
    uow.log(LogEntry(at=now, kind=kind, sale_id=sale_id, customer_id=customer_id, case_id=case_id, data=data))
