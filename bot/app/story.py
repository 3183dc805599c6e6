"""What happened to a sale, what happens next, and why: gathered once, for the terminal and for the pages alike.

Reading and words only; how they are laid out is said where they are shown.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from bot import holding
from bot.app import log_words
from bot.app.wording import clock, short
from bot.conversations import may_begin
from bot.desk.states import Case
from bot.errors import NotFound
from bot.flows.model import Flow, Texts
from bot.guards import WAITS_ITS_TURN
from bot.messages import House, languages_for
from bot.ports.records import PAUSED, Customer, DeskKind, LogEntry, Moment, Outgoing, Promise, Sale
from bot.ports.store import UnitOfWork
from bot.satisfaction import satisfaction

_MESSAGE_NAMES: Mapping[str, str] = {
    "question": "question",
    "reminder": "reminder",
    "notice": "notice",
    "answer": "answer",
    "system": "about the chat",
    "staff_reply": "reply of staff",
    "edit": "change of an earlier message",
    "card": "case card",
    "thread": "line in the case's thread",
    "whisper": "hint to a member of staff",
    "task": "task for a second team",
    "digest": "summary of new cases",
    "alarm": "alarm for whoever runs the program",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story: `who` did or said `what`."""

    at: datetime
    who: str
    what: str
    kind: str


@dataclass(frozen=True, slots=True)
class Next:
    """Something that is still to come: `at` is when (None: once `reason` no longer holds), with exactly one reason."""

    at: datetime | None
    what: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Why:
    """One message, sent or not: its state, the one reason, and when something happens next (None: never)."""

    what: str
    state: str
    reason: str
    next_at: datetime | None
    text: str


@dataclass(frozen=True, slots=True)
class Story:
    """All that there is to tell about a sale."""

    sale: Sale
    customer: Customer
    satisfaction: float | None
    promises: Sequence[Promise]
    cases: Sequence[Case]
    story: Sequence[Line]
    next: Sequence[Next]
    why: Sequence[Why]


def find_sale(uow: UnitOfWork, sale_id: str) -> Sale:
    """Give the sale.

    Raises:
        NotFound: there is no such sale; the text says how sales get in.
    """
    sale = uow.sale(sale_id)
    if sale is None:
        raise NotFound(f"there is no sale {sale_id!r} → add it with: aftersale sale add, or aftersale import")
    return sale


def why_lines(uow: UnitOfWork, house: House, sale_id: str, now: datetime) -> list[str]:
    """Say in lines why each message of a sale was sent or not, for whoever asks in Slack.

    Raises:
        NotFound: there is no such sale.
    """
    at, desk = clock(house.shop.time_zone), {_MESSAGE_NAMES[kind] for kind in get_args(DeskKind)}
    return [
        f"{each.what} – {each.state}: {each.reason}"
        + (f" “{each.text}”" if each.text else "")
        + (f" (next: {at(each.next_at)})" if each.next_at else "")
        for each in gather(uow, house, sale_id, now).why
        if each.what not in desk
    ]


def gather(uow: UnitOfWork, house: House, sale_id: str, now: datetime) -> Story:
    """Read the story of a sale, its lines by time.

    Raises:
        NotFound: there is no such sale.
    """
    sale = find_sale(uow, sale_id)
    customer = uow.customer(sale.customer_id) or Customer(sale.customer_id)
    writer = log_words.Writer(
        label=lambda flow, step, choice: _label(_said_by(uow, house, sale, flow), house, customer, step, choice),
        staff=lambda member: uow.note(f"staff:{member}") or member,
        time=clock(house.shop.time_zone),
    )
    moments, messages = uow.moments_of(sale.id), uow.outgoing_of(sale.id)
    return Story(
        sale=sale,
        customer=customer,
        satisfaction=satisfaction(sale.factors),
        promises=uow.promises_of(sale.id),
        cases=uow.cases_of(sale.id),
        story=[_line(writer, entry) for entry in uow.story_of(sale.id)],
        next=coming(uow, house, sale, customer, now),
        why=[
            *(_why_message(uow, house, each, moments, now) for each in messages if each.kind != "edit"),
            *(_why_moment(uow, house, each, sale, customer, now) for each in moments if _has_no_message(each)),
        ],
    )


def _line(writer: log_words.Writer, entry: LogEntry) -> Line:
    who, what = writer.words(entry)
    return Line(entry.at, who, what, entry.kind)


def _said_by(uow: UnitOfWork, house: House, sale: Sale, flow: str) -> list[Flow]:
    """Give the versions of a flow that spoke with the customer of a sale, the newest first."""
    versions = [each.version for each in uow.conversations_of(sale.id) if each.flow == flow]
    found = (house.pinned(uow, flow, version) for version in dict.fromkeys(versions))
    return [each for each in found if each is not None]


def _label(versions: Sequence[Flow], house: House, customer: Customer, step: str, choice: str) -> str:
    """Give what stood on the button that the customer tapped; its name where no version that can be read has it."""
    asked = (flow.steps.get(step) for flow in versions)
    found = (each.label for ask in asked for each in getattr(ask, "choices", ()) if each.name == choice)
    labels: Texts = next(found, {})
    return next((labels[language] for language in languages_for(house, customer) if language in labels), choice)


def coming(uow: UnitOfWork, house: House, sale: Sale, customer: Customer, now: datetime) -> list[Next]:
    """Give what is planned, held or waits to be sent for a sale, by time; what has no time comes last."""
    steps = [
        Next(at, _moment_name(moment), moment.state, reason)
        for moment in uow.moments_of(sale.id)
        if moment.state in ("planned", "held")
        for reason in [_moment_reason(uow, house, moment, sale, customer, now)]
        for at in [moment.due_at if moment.state == "planned" else _freed_at(uow, reason, sale, customer)]
    ]
    steps += [
        Next(at, name, message.state, _waits(message, now))
        for message in uow.outgoing_of(sale.id)
        if message.state in ("waiting", "sending", "held")
        for name in [_message_name(message)]
        for at in [_freed_at(uow, message.reason, sale, customer) if message.state == "held" else message.not_before]
    ]
    return sorted(steps, key=lambda each: (each.at is None, each.at or now))


def _message_name(message: Outgoing) -> str:
    text = short(_shown(message), 40)
    return _MESSAGE_NAMES[message.kind] + (f" “{text}”" if text else "")


def _shown(message: Outgoing) -> str:
    return re.sub(r"\{user:(\w+)\}", r"@\1", message.body.get("text") or "")


def _moment_name(moment: Moment) -> str:
    match moment.kind:
        case "start":
            return f"“{_spaced(moment.data['flow'])}” begins"
        case "remind":
            return "a reminder"
        case "silence":
            return "the question counts as unanswered"
        case "wait":
            return "the conversation goes on"
        case "expire":
            return "the conversation expires"
        case "ladder":
            return "the case climbs a rung"
        case "wake":
            return "a task is due" if "task" in moment.data else "the case is no longer put aside"


def _moment_reason(uow: UnitOfWork, house: House, moment: Moment, sale: Sale, customer: Customer, now: datetime) -> str:
    """Give the one reason of a moment: why it is held or dropped, or, where it is planned, what it was planned for."""
    if moment.state != "planned" or moment.reason:
        return moment.reason or moment.state
    if moment.kind != "start":
        return {
            "remind": "if no answer comes before",
            "silence": "if no answer comes before",
            "ladder": "if nobody answers the customer before",
            "wake": "if it is not done before" if "task" in moment.data else "it was put aside until then",
        }.get(moment.kind, "the flow says so")
    flow = house.flows.flows.get(moment.data["flow"])
    if flow is None:
        return f"there is no flow {moment.data['flow']} any more"
    obstacle = may_begin(uow, house, flow, moment, sale, customer, max(now, moment.due_at))
    if obstacle is not None:
        fate = "held" if obstacle[0] == "held" else "left out"
        return f"as things stand, it would be {fate}: {obstacle[1]}"
    return f"because of {moment.data['on']}"


def _waits(message: Outgoing, now: datetime) -> str:
    """Give the one reason why a message has not gone out yet."""
    if message.reason:
        return message.reason
    if message.state == "sending":
        return "it is on its way"
    if message.not_before > now:
        return "its time has not come"
    return "it is next; it goes out while aftersale run runs"


def _has_no_message(moment: Moment) -> bool:
    """Tell whether nothing in the outbox speaks for this moment: a conversation that has not begun, or never will."""
    return moment.kind == "start" and moment.state != "done"


def _why_moment(uow: UnitOfWork, house: House, moment: Moment, sale: Sale, customer: Customer, now: datetime) -> Why:
    next_at = moment.due_at if moment.state == "planned" else _freed_at(uow, moment.reason, sale, customer)
    reason = _moment_reason(uow, house, moment, sale, customer, now)
    return Why(f"first of “{_spaced(moment.data['flow'])}”", moment.state, reason, next_at, "")


def _why_message(uow: UnitOfWork, house: House, message: Outgoing, moments: Sequence[Moment], now: datetime) -> Why:
    next_at = message.not_before if message.state in ("waiting", "sending") else None
    if message.state == "held":
        sale = uow.sale(message.sale_id or "")
        next_at = _freed_at(uow, message.reason, sale, uow.customer(message.customer_id or ""))
    if message.state in ("sent", "unknown"):
        timers = (
            each.due_at
            for each in moments
            if each.conversation_id == message.conversation_id and each.state == "planned" and message.turn is not None
            if each.data.get("turn") == message.turn
        )
        next_at = min(timers, default=None)
    reason = _sent_because(uow, message, clock(house.shop.time_zone)) if message.state == "sent" else ""
    if message.state in ("waiting", "sending"):
        reason = _waits(message, now)
    return Why(
        _MESSAGE_NAMES[message.kind],
        message.state,
        reason or message.reason or message.state,
        next_at,
        short(_shown(message), 50),
    )


def _freed_at(uow: UnitOfWork, reason: str | None, sale: Sale | None, customer: Customer | None) -> datetime | None:
    """Tell when what is held is free at the latest, where that is known: None, where somebody must do something."""
    if sale is None or customer is None:
        return None
    if reason == WAITS_ITS_TURN:
        ends = [
            moment.due_at
            for talk in uow.asking_of(customer.id)
            for moment in uow.moments_of(talk.sale_id)
            if moment.conversation_id == talk.id and moment.state == "planned" and moment.kind in ("silence", "expire")
        ]
        return min(ends, default=None)
    if reason and reason.startswith(PAUSED):
        return min((each.until for each in uow.pauses() if each.until and holding.words_in(each, reason)), default=None)
    return None


def _sent_because(uow: UnitOfWork, message: Outgoing, at: Callable[[datetime | None], str]) -> str:
    match message.kind:
        case "answer" | "system":
            cause = "the customer wrote or tapped"
        case "staff_reply":
            cause = "staff answered"
        case "reminder":
            cause = "no answer had come"
        case "card" | "thread" | "whisper":
            cause = "the case changed"
        case _:
            conversation = uow.conversation(message.conversation_id) if message.conversation_id else None
            if conversation is not None and conversation.state.follows and message.turn == 1:
                return f"it waited its turn, and followed the customer's answer in the same talk; {at(message.sent_at)}"
            cause = f"the flow “{_spaced(conversation.flow)}” says so" if conversation else "the flow says so"
    return f"{cause}; {at(message.sent_at)}"


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def number(value: float | None) -> str:
    """Write a share from 0 to 1: ``0.5``; a dash where it is unknown, which is neither 0 nor 1."""
    return "–" if value is None else f"{value:.2f}".rstrip("0").rstrip(".") or "0"
