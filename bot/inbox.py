"""Use case: handle what came in, whoever sent it: committed rows of the inbox, many in one transaction.

The adapters' translators turn a row's raw payload into an event in this product's words; here it finds its use case.
A row that cannot be handled stays visible with its error and blocks no other.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from bot import cases, conversations, sales
from bot.errors import FollowUpError
from bot.flows.model import Purpose
from bot.flows.render import name_of_language
from bot.messages import EDITED, House, context_for, note_down, phrase, write_to
from bot.ports.inbound import (
    ButtonTapped,
    CaseRemedied,
    ChatBlocked,
    ChatEvent,
    ChatStarted,
    CommandGiven,
    DeskEvent,
    MessageDeleted,
    MessageEdited,
    MessageWritten,
    NotForUs,
    PersonLeft,
    Reacted,
    StaffAction,
)
from bot.ports.orders import OrderEvent, parse_order_event
from bot.ports.records import Customer, Incoming, Json, Sale
from bot.ports.store import UnitOfWork

CONSENTS: Mapping[str, tuple[Purpose, ...]] = {
    "c:all": (Purpose.SERVICE, Purpose.RESULT),
    "c:service": (Purpose.SERVICE,),
    "c:none": (),
}
"""What each button below the question for consent allows. ``c:all``: service questions, and the one after first use."""

LANGUAGE_BUTTON = "l:"
"""How the data of a button that chooses a language begins; its code follows."""

CONSENT_VERSION = "2026-11"
"""Which wording of the question was answered; stands in the log as proof."""


@dataclass(frozen=True, slots=True)
class Translators:
    """How raw payloads become events: handed in by the composition root."""

    telegram: Callable[[Json], ChatEvent]
    slack: Callable[[Json], DeskEvent]


Event: TypeAlias = OrderEvent | ChatEvent | DeskEvent


def handle(
    uow: UnitOfWork,
    house: House,
    translators: Translators,
    items: Sequence[Incoming],
    now: datetime,
    *,
    careful: bool = True,
    batch: str = "",
) -> None:
    """Handle rows of the inbox in their order, and settle each; `batch` is the import that they came with, if any.

    Done `careful`, what raises is undone and leaves its row ``failed`` with its error; otherwise it raises, and all is
    to be done again with care: quicker where nothing spoils.
    """
    events: list[tuple[Incoming, Event]] = []
    for item in items:
        try:
            events.append((item, _event(translators, item)))
        except FollowUpError as error:
            uow.settle_incoming(item.id or 0, "failed", str(error))
    _read_ahead(uow, [event for _, event in events])
    for item, event in events:
        try:
            with uow.savepoint() if careful else nullcontext():
                ignored = _handle(uow, house, event, now, batch)
        except FollowUpError as error:
            if not careful:
                raise
            uow.settle_incoming(item.id or 0, "failed", str(error))
        else:
            uow.settle_incoming(item.id or 0, "ignored" if ignored else "done", ignored)


def _event(translators: Translators, item: Incoming) -> Event:
    match item.source:
        case "shop":
            return parse_order_event(item.payload)
        case "telegram":
            return translators.telegram(item.payload)
        case "slack":
            return translators.slack(item.payload)


def _read_ahead(uow: UnitOfWork, events: Sequence[Event]) -> None:
    """Read together what will be asked for one by one."""
    orders = [each.sale for each in events if isinstance(each, OrderEvent)]
    taps = [each.data for each in events if isinstance(each, ButtonTapped)]
    chats = {each.chat_id for each in events if not isinstance(each, NotForUs) and hasattr(each, "chat_id")}
    uow.read_ahead(
        customers={each.customer.id for each in orders},
        chats=chats,
        sales={each.id for each in orders},
        conversations={of for each in taps if (of := conversations.conversation_of(each)) is not None},
        is_whole=True,
    )


def _handle(uow: UnitOfWork, house: House, event: Event, now: datetime, batch: str) -> str | None:
    match event:
        case OrderEvent():
            sale = sales.record(uow, house, event, now, batch=batch)
            if event.type in ("order.cancelled", "order.returned"):
                conversations.withdraw(uow, house, sale, event.type, now)
            conversations.happened(uow, house, sale, event.type, now)
            if event.type == "order.delivered":
                cases.delivered(uow, house, sale, event.occurred_at)
            return None
        case CaseRemedied():
            in_vain = cases.staff(uow, house, event, now)
            conversations.remedied(uow, house, event.case_id, now)
            return in_vain
        case PersonLeft():
            cases.left(uow, event, now)
            return None
        case NotForUs():
            return event.reason
        case _ if isinstance(event, StaffAction):
            return cases.staff(uow, house, event, now)
        case _:
            return chat(uow, house, event, now)


def chat(  # noqa: PLR0911 - one way out for each thing that can happen
    uow: UnitOfWork, house: House, event: ChatEvent, now: datetime
) -> str | None:
    """Handle one thing that happened in a customer's chat. Gives why nothing came of it, or None."""
    if isinstance(event, NotForUs):
        return event.reason
    if isinstance(event, ChatStarted):
        return _started(uow, house, event, now)
    customer = uow.customer_by_chat(event.chat_id)
    if customer is None:
        return _stranger(uow, house, event, now)
    match event:
        case CommandGiven():
            return _command(uow, house, customer, event, now)
        case ButtonTapped() if event.data in CONSENTS:
            _consented(uow, house, customer, event, now)
        case ButtonTapped() if event.data.startswith(LANGUAGE_BUTTON):
            return _chose_language(uow, house, customer, event, now)
        case ButtonTapped():
            return conversations.tapped(uow, house, customer, event.data, now)
        case MessageWritten():
            return conversations.wrote(uow, house, customer, event.text, event.media, now)
        case MessageEdited() if event.text.strip().startswith("/stop"):
            return _command(uow, house, customer, CommandGiven(event.chat_id, "stop", event.text, None), now)
        case MessageEdited():
            return conversations.wrote(uow, house, customer, f"{EDITED}{event.text}", event.media, now)
        case MessageDeleted():
            return _deleted(uow, house, customer, now)
        case ChatBlocked():
            _blocked(uow, customer, event, now)
        case Reacted():
            note_down(uow, now, "customer.reacted", customer_id=customer.id, emoji=event.emoji)
    return None


def _deleted(uow: UnitOfWork, house: House, customer: Customer, now: datetime) -> str | None:
    """Tell staff of an open case that the customer took a message back; what it said stands in the thread above."""
    found = (cases.open_of(uow, sale.id) for sale in uow.sales_of(customer.id))
    case = next((each for each in found if each is not None), None)
    if case is None:
        return "a message was deleted, and no case is open"
    cases.deleted(uow, house, case, "", now)
    return None


# Linking, commands, consent ----------------------------------------------------------------------------------------


def _say(uow: UnitOfWork, house: House, customer: Customer, name: str, now: datetime, **more: object) -> None:
    text = phrase(house, customer, name, context_for(house, customer))
    write_to(uow, house, customer, kind="system", text=text, now=now, **more)  # type: ignore[arg-type]


def _ask_consent(
    uow: UnitOfWork, house: House, customer: Customer, sale: Sale | None, question: str, now: datetime
) -> None:
    context = context_for(house, customer, sale)
    buttons = [(phrase(house, customer, name, context), f"c:{name.removeprefix('consent_')}") for name in _ANSWERS]
    text = phrase(house, customer, question, context)
    # An answer to Start, and a question: so it goes out at most once, as all that the bot asks.
    write_to(uow, house, customer, kind="answer", text=text, now=now, buttons=buttons)


_ANSWERS = ("consent_all", "consent_service", "consent_none")


def _welcome(uow: UnitOfWork, house: House, customer: Customer, sale: Sale | None, now: datetime) -> None:
    """Greet somebody who has just linked a sale; who agreed before is not asked again."""
    agreed = [purpose for purpose, may in customer.consents.items() if may]
    if not agreed:
        _ask_consent(uow, house, customer, sale, "hello_consent", now)
        return
    _say(uow, house, customer, "consent_thanks_all" if Purpose.RESULT in agreed else "consent_thanks_service", now)
    sales.release(uow, customer.id, now)


def _started(uow: UnitOfWork, house: House, event: ChatStarted, now: datetime) -> str | None:
    if event.token:
        chat_facts = {"chat_id": event.chat_id, "language": event.language, "first_name": event.first_name}
        linked = sales.use_link(uow, event.token, chat_facts, now)
        if linked.customer is not None:
            _welcome(uow, house, linked.customer, uow.sale(linked.sale_id or ""), now)
            return None
        known = uow.customer_by_chat(event.chat_id) or _nobody(event.chat_id, event.language, event.first_name)
        _say(uow, house, known, linked.says, now)
        return linked.says.replace("_", " ")
    customer = uow.customer_by_chat(event.chat_id)
    if customer is None:
        return _stranger(uow, house, event, now)
    customer = replace(customer, stopped_at=None, unreachable_at=None)
    uow.put_customer(customer)
    note_down(uow, now, "customer.started_again", customer_id=customer.id)
    _ask_consent(uow, house, customer, next(iter(uow.sales_of(customer.id)), None), "start_again", now)
    return None


def _nobody(chat_id: int, language: str | None, first_name: str = "") -> Customer:
    return Customer("", name=first_name, chat_id=chat_id, chat_locale=language)


def _stranger(uow: UnitOfWork, house: House, event: ChatEvent, now: datetime) -> str:
    """Answer somebody whose chat belongs to no sale: how to link it; never more."""
    if not isinstance(event, ChatStarted | CommandGiven | MessageWritten):
        return "this chat is not linked to a customer"
    name = "not_linked"
    if isinstance(event, CommandGiven) and event.command in ("help", "privacy"):
        name = event.command
    _say(uow, house, _nobody(event.chat_id, event.language), name, now)
    return "this chat is not linked to a customer"


def _command(uow: UnitOfWork, house: House, customer: Customer, event: CommandGiven, now: datetime) -> str | None:
    match event.command:
        case "stop":
            uow.put_customer(replace(customer, stopped_at=now, consents={}, last_wrote_at=now))
            note_down(uow, now, "customer.stopped", customer_id=customer.id)
            conversations.stop(uow, house, customer, now)
            _say(uow, house, customer, "stop_done", now)
        case "privacy" | "help":
            _say(uow, house, customer, event.command, now)
        case "language":
            _ask_language(uow, house, customer, now)
        case _:
            return conversations.wrote(uow, house, customer, event.text, (), now)
    return None


def languages_offered(house: House) -> list[str]:
    """Give the languages that a customer can choose: the shop's, and those that the bot's own sentences are in."""
    spoken = [code for code in house.flows.phrases["language_set"] if code not in house.shop.languages]
    return [*house.shop.languages, *spoken]


def _ask_language(uow: UnitOfWork, house: House, customer: Customer, now: datetime) -> None:
    buttons = [(name_of_language(code), f"{LANGUAGE_BUTTON}{code}") for code in languages_offered(house)]
    _say(uow, house, customer, "language_ask", now, buttons=buttons)


def _chose_language(
    uow: UnitOfWork, house: House, customer: Customer, event: ButtonTapped, now: datetime
) -> str | None:
    """Take the customer's own choice, which comes before the order's, Telegram's and the shop's."""
    code = event.data.removeprefix(LANGUAGE_BUTTON)
    if code not in languages_offered(house):
        return f"there is no language {code!r} here"
    customer = replace(customer, language=code)
    uow.put_customer(customer)
    note_down(uow, now, "customer.chose_language", customer_id=customer.id, language=code)
    if event.message_id is not None:
        text = f"{event.text}\n\n➜ {name_of_language(code)}" if event.text else None
        write_to(uow, house, customer, kind="edit", text=text, now=now, message_id=event.message_id)
    _say(uow, house, customer, "language_set", now)
    return None


def _consented(uow: UnitOfWork, house: House, customer: Customer, event: ButtonTapped, now: datetime) -> None:
    allowed = CONSENTS[event.data]
    consents = {purpose.value: purpose in allowed for purpose in (Purpose.SERVICE, Purpose.RESULT)}
    answered = customer.extra.get("consent_message")
    if customer.consents == consents and answered is not None and answered == event.message_id:
        return
    extra = {**customer.extra, "consent_message": event.message_id}
    customer = replace(customer, consents=consents, stopped_at=None, unreachable_at=None, extra=extra)
    uow.put_customer(customer)
    note_down(
        uow, now, "customer.consented", customer_id=customer.id, consents=consents, wording=CONSENT_VERSION
    )  # fmt: skip
    name = "consent_thanks_" + event.data.removeprefix("c:")
    if event.message_id is not None:
        label = phrase(house, customer, "consent_" + event.data.removeprefix("c:"), {})
        text = f"{event.text}\n\n➜ {label}" if event.text else None
        write_to(uow, house, customer, kind="edit", text=text, now=now, message_id=event.message_id)
    _say(uow, house, customer, name, now)
    sales.release(uow, customer.id, now)


def _blocked(uow: UnitOfWork, customer: Customer, event: ChatBlocked, now: datetime) -> None:
    uow.put_customer(replace(customer, unreachable_at=now if event.blocked else None))
    note_down(uow, now, "customer.blocked" if event.blocked else "customer.unblocked", customer_id=customer.id)
    if not event.blocked:
        sales.release(uow, customer.id, now)
