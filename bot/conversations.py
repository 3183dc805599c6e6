"""Use cases of conversations: begin, receive, a moment has come.

Each loads what it needs, lets `bot.flows.engine.step` decide, and carries the effects out as rows. What a customer
says is never lost: whatever no conversation can take becomes a case, so that a person looks at it (rule 4).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bot import cases, holding, portions
from bot.desk.states import Case
from bot.flows.effects import (
    Acknowledge,
    CloseQuestion,
    CompleteSale,
    Effect,
    Finish,
    Ignored,
    NoteTrouble,
    OpenCase,
    RecordVerdict,
    SendOffer,
    SendQuestion,
    SendReminder,
    SendText,
    StartTimer,
    StopTimers,
    TakeBack,
    TellCase,
)
from bot.flows.engine import change_span, label_of, step
from bot.flows.events import (
    Begun,
    ChangedMind,
    Event,
    Happened,
    Media,
    Stopped,
    Tapped,
    TimerFired,
    Unreachable,
    Withdrawn,
    Wrote,
)
from bot.flows.expressions import holds
from bot.flows.facts import ANSWERED, Facts, values_of, variant_for
from bot.flows.model import Ask, Factor, Flow, Offer, Say, Speaking, Texts, Wait
from bot.flows.render import render
from bot.flows.run import choice_of, own_values
from bot.flows.state import State
from bot.flows.times import next_in
from bot.guards import WAITS_ITS_TURN
from bot.knowledge import facts_for
from bot.messages import (
    LATER,
    ORDINARY,
    URGENT,
    House,
    context_for,
    languages_for,
    note_down,
    phrase,
    speak,
    write_to,
)
from bot.ports.channels import is_caption
from bot.ports.orders import LIFECYCLE
from bot.ports.records import Conversation, Customer, Moment, Outgoing, Promise, Sale, Verdict
from bot.ports.store import UnitOfWork
from bot.sales import after, plan_starts, release

WAITING = "waits_its_turn"
"""What stands in a customer's extra while a conversation waits for their answer to another one."""

REPLIES = (Tapped, ChangedMind, Wrote)
"""Events that are the customer's own doing: what answers them needs no further consent and no quiet hours."""


# A moment has come ------------------------------------------------------------------------------------------------


def moment_came(uow: UnitOfWork, house: House, moment: Moment, now: datetime) -> None:
    """Do what a due moment asks for, and settle it with one visible reason where nothing came of it."""
    if moment.id is None:
        return
    if moment.kind == "ladder" or moment.kind == "wake":  # noqa: PLR1714 - so that mypy knows which are left
        reason = cases.woken(uow, house, moment, now)
        uow.settle(moment.id, "dropped" if reason else "done", reason)
        return
    if moment.kind == "start":
        state, reason = _begin(uow, house, moment, now)
        uow.settle(moment.id, state, reason)
        if reason == WAITS_ITS_TURN:
            _remember_who_waits(uow, moment)
        case = uow.case(moment.case_id) if moment.case_id and state == "dropped" else None
        if case is not None:
            cases.silent(uow, house, case, now)
        return
    conversation = uow.conversation(moment.conversation_id or "")
    if conversation is None:
        uow.settle(moment.id, "dropped", "the conversation is gone")
        return
    uow.customer(conversation.customer_id)
    if stands_still(uow, house, moment, conversation, now):
        return
    uow.settle(moment.id, "done")
    advance(uow, house, conversation, TimerFired(moment.kind, moment.data.get("turn", 0)), now)


def stands_still(uow: UnitOfWork, house: House, moment: Moment, conversation: Conversation, now: datetime) -> bool:
    """Tell whether a pause keeps a moment of a conversation from coming now, and put it off if so.

    While it is paused, it waits. Afterwards the clock of an open question goes on where it stood: nobody is reminded,
    or counted as silent, for a time in which the bot was not there. (That a conversation expires is no clock of the
    bot's: by then it makes no sense any more to ask.)
    """
    if moment.kind == "expire":
        return False
    whose = {"flow": conversation.flow, "sale_id": conversation.sale_id, "batch": conversation.state.batch}
    running = holding.pause_of(uow.pauses(), **whose)
    if running is not None:
        uow.settle(moment.id or 0, "held", holding.words_for(running, house))
        return True
    if moment.kind not in ("remind", "silence"):
        return False
    asked_at = _runs_since(uow, conversation, moment)
    ended = uow.pauses_since(asked_at) if asked_at is not None else []
    if asked_at is None or not ended:
        return False
    stood = holding.stood_still(ended, asked_at, now, **whose)
    due_at = moment.due_at + stood - timedelta(seconds=moment.data.get("stood", 0))
    if due_at <= now:
        return False
    uow.settle(moment.id or 0, "done", "its clock stood still while it was paused; it comes later")
    plan_timer(uow, conversation, moment.kind, moment.data.get("turn", 0), due_at, stood=stood.total_seconds())
    return True


def _runs_since(uow: UnitOfWork, conversation: Conversation, moment: Moment) -> datetime | None:
    """Tell since when the clock of a question runs: patience from the question on, a reminder from the last."""
    turn = moment.data.get("turn", 0)
    asks = (each for each in uow.asks_of(conversation.sale_id) if each.conversation_id == conversation.id)
    said = [e.sent_at or e.not_before for e in asks if e.turn == turn and e.state in ("sent", "unknown")]
    return (max if moment.kind == "remind" else min)(said, default=None)


def _begin(
    uow: UnitOfWork, house: House, moment: Moment, now: datetime, *, in_the_same_talk: bool = False
) -> tuple[str, str | None]:
    sale = uow.sale(moment.sale_id)
    customer = uow.customer(sale.customer_id) if sale else None
    flow = house.flows.flows.get(moment.data["flow"])
    if sale is None or customer is None:
        return "dropped", "the sale is gone"
    if flow is None:
        return "held", f"there is no flow {moment.data['flow']} any more"
    verdict = may_begin(uow, house, flow, moment, sale, customer, now)
    if verdict is not None:
        return verdict
    refused = not_meant(uow, house, flow, moment, sale, customer, now)
    if refused is not None:
        return "dropped", refused
    conversation = Conversation(
        id=house.new_id(),
        key=moment.key,
        sale_id=sale.id,
        customer_id=customer.id,
        flow=flow.name,
        version=flow.version,
        state=State(about=skus_of(moment), batch=str(moment.data.get("batch", "")), follows=in_the_same_talk),
        started_at=now,
        expires_at=datetime.fromisoformat(moment.data["expires_at"]),
        cycle=moment.data.get("cycle", 1),
        case_id=moment.case_id,
    )
    uow.put_flow(flow.name, flow.version, flow.source, now)
    uow.put_conversation(conversation)
    note_down(
        uow, now, "conversation.begun", sale_id=sale.id, customer_id=customer.id,
        flow=flow.name, version=flow.version, conversation=conversation.id,
    )  # fmt: skip
    advance(uow, house, conversation, Begun(moment.data["step"]), now, in_the_same_talk=in_the_same_talk)
    return "done", None


def skus_of(moment: Moment) -> tuple[str, ...]:
    """Give which items of the order a conversation is to be about; none: all of them."""
    return tuple(moment.data.get("items", ()))


def may_begin(
    uow: UnitOfWork, house: House, flow: Flow, moment: Moment, sale: Sale, customer: Customer, now: datetime
) -> tuple[str, str] | None:
    """Tell why a conversation may not begin now: ``("dropped" | "held", reason)``; None if it may."""
    unless = set(moment.data.get("unless", ()))
    ended = {"order.cancelled", "order.returned"} - {moment.data["on"]}
    about = skus_of(moment)
    if about and moment.case_id is None and all(portions.is_gone(sale, sku) for sku in about):
        return "dropped", "what it was to be about was cancelled or returned"
    happened = sorted((unless | ended) & set(portions.narrowed(sale, about).happened))
    # Whatever became of the order: who was unhappy, and to whom something was done about it, is asked (rule 6).
    if happened and moment.case_id is None:
        return "dropped", f"{happened[0]} happened"
    if sale.confirmed_at is not None and moment.case_id is None:
        return "dropped", "the sale is complete"
    if datetime.fromisoformat(moment.data["expires_at"]) <= now:
        return "dropped", "its time is past: it expired before it could be sent"
    if uow.conversation_by_key(moment.key) is not None:
        return "dropped", "it began before"
    case = uow.case(moment.case_id) if moment.case_id else None
    if case is not None and case.status != "remedied":
        return "dropped", f"the case is {case.status}"
    if "case.open" in unless and cases.unsettled(cases.open_of(uow, sale.id)):
        return "held", "a case is open"
    return held_back(uow, house, flow, moment, sale, customer)


def not_meant(
    uow: UnitOfWork, house: House, flow: Flow, moment: Moment, sale: Sale, customer: Customer, now: datetime
) -> str | None:
    """Tell why a flow is not for this sale after all: its condition, or an answer later than the one it counts from."""
    if moment.data.get("on") == ANSWERED:
        if any(
            each.choice is not None and each.at.isoformat() > moment.data["at"] for each in uow.verdicts_of(sale.id)
        ):
            return "the customer answered once more since; it counts from that answer"
        if flow.once and any(each.flow == flow.name for each in uow.conversations_of(sale.id)):
            return "it began before"
    condition = moment.data.get("if")
    if condition is None:
        return None
    seen = portions.narrowed(sale, skus_of(moment))
    facts = facts_for(uow, house, flow, seen, customer, uow.promises_of(sale.id), cases.open_of(uow, sale.id))
    answer = holds(condition, values_of(facts, now))
    return None if answer.value else f"its condition does not hold: {answer.trouble or condition}"


def held_back(
    uow: UnitOfWork, house: House, flow: Flow, moment: Moment, sale: Sale, customer: Customer
) -> tuple[str, str] | None:
    """Tell what a conversation waits for, if anything; some event of the sale or the customer frees it."""
    batch = str(moment.data.get("batch", ""))
    paused = holding.pause_of(uow.pauses(), flow=flow.name, sale_id=sale.id, batch=batch)
    reasons: Sequence[tuple[bool, str]] = (
        (customer.chat_id is None, "the customer has not linked a chat"),
        (customer.stopped_at is not None, "the customer said /stop"),
        (customer.unreachable_at is not None, "the customer blocked the bot"),
        (not customer.consents.get(flow.purpose, False), f"no consent for {flow.purpose}"),
        (paused is not None, holding.words_for(paused, house) if paused else ""),
    )
    found = next((("held", reason) for applies, reason in reasons if applies), None)
    if found is None and asks(flow) and other_question(uow, customer, about_case=moment.case_id is not None):
        return "held", WAITS_ITS_TURN
    return found


def asks(flow: Flow) -> bool:
    """Tell whether a flow has a question."""
    return any(isinstance(each, Ask) for each in flow.steps.values())


def other_question(uow: UnitOfWork, customer: Customer, *, about_case: bool = False) -> Conversation | None:
    """Give the conversation, about whatever sale, whose question to the customer comes first.

    Whether what was done about a case is right now comes before questions that have not gone out yet.
    """
    found = uow.asking_of(customer.id)
    return next((each for each in found if not about_case or _asked_at(uow, each) is not None), None)


# The customer said something ------------------------------------------------------------------------------------


def tapped(uow: UnitOfWork, house: House, customer: Customer, data: str, now: datetime) -> str | None:
    """Take a tap on an answer button. Gives why nothing came of it, or None.

    The button's data is ``a:CONVERSATION:TURN:CHOICE``, or to change an answer ``x:CONVERSATION:TURN:0``; whoever taps
    must own the conversation.
    """
    read = _read_button(data)
    if read is None:
        return "this button is not one of ours"
    conversation_id, event = read
    conversation = uow.conversation(conversation_id)
    if conversation is None:
        return "the conversation of this button is gone"
    if conversation.customer_id != customer.id:
        return "this button belongs to somebody else"
    _touch(uow, customer, now)
    ignored = advance(uow, house, conversation, event, now)
    if ignored is not None and isinstance(event, ChangedMind):
        _too_late_to_change(uow, house, customer, conversation, event, now)
    return ignored


def _read_button(data: str) -> tuple[str, Tapped | ChangedMind] | None:
    try:
        kind, conversation_id, turn, choice = data.split(":")
        return conversation_id, ChangedMind(int(turn)) if kind == "x" else Tapped(int(turn), int(choice))
    except ValueError:
        return None


def _too_late_to_change(
    uow: UnitOfWork, house: House, customer: Customer, conversation: Conversation, event: ChangedMind, now: datetime
) -> None:
    """Say that an answer can no longer be changed by a button, and take the button away; words are heard as ever."""
    for message in uow.asks_of(conversation.sale_id):
        if message.conversation_id == conversation.id and message.turn == event.turn and message.external:
            write_to(
                uow, house, customer, kind="edit", text=None, now=now, sale_id=conversation.sale_id,
                conversation_id=conversation.id, message_id=int(message.external),
            )  # fmt: skip
    text = phrase(house, customer, "change_too_late", context_for(house, customer))
    write_to(uow, house, customer, kind="system", text=text, now=now, sale_id=conversation.sale_id)


def conversation_of(data: str) -> str | None:
    """Tell which conversation a button belongs to, by its data alone; None: to none."""
    read = _read_button(data)
    return read[0] if read else None


def wrote(
    uow: UnitOfWork, house: House, customer: Customer, text: str, media: Sequence[Media], now: datetime
) -> str | None:
    """Take words, pictures, voice: to the open question, else to the open case, else to the newest conversation."""
    _touch(uow, customer, now)
    sales = uow.sales_of(customer.id)
    if not sales:
        return "the customer has no sale"
    conversation, ambiguous = _meant(uow, sales)
    if conversation is not None:
        return advance(uow, house, conversation, Wrote(text, tuple(media), ambiguous), now)
    sale = next((each for each in sales if cases.open_of(uow, each.id)), sales[0])
    note_down(uow, now, "customer.wrote", sale_id=sale.id, customer_id=customer.id, text=text)
    effect = OpenCase("unclear", "", {}, None, text, tuple(media))
    case = cases.open_or_join(uow, house, sale, None, effect, now)
    said = phrase(house, customer, "ack_passed_on", context_for(house, customer, sale, case=case, now=now))
    write_to(uow, house, customer, kind="answer", text=said, now=now, sale_id=sale.id)
    return None


def _meant(uow: UnitOfWork, sales: Sequence[Sale]) -> tuple[Conversation | None, bool]:
    """Tell which conversation the customer's words belong to, and whether that is less than certain.

    The question that they saw last, if one is open; else the open case; else the newest conversation. A question that
    has not reached them yet cannot be what they answer.
    """
    found = [each for sale in sales for each in uow.conversations_of(sale.id)]
    asked = [(at, each) for each in found if (at := _asked_at(uow, each)) is not None]
    if asked:
        return max(asked, key=lambda pair: pair[0])[1], len(asked) > 1
    for sale in sales:
        case = cases.open_of(uow, sale.id)
        if case is not None:
            return next((each for each in found if each.id == case.conversation_id), None), True
    return max(found, key=lambda each: each.started_at, default=None), True


def _asked_at(uow: UnitOfWork, conversation: Conversation) -> datetime | None:
    """Tell when the open question of a conversation went out; None if none is open, or it has not gone out yet."""
    if conversation.state.status != "asking":
        return None
    question = uow.question_of(conversation.id, conversation.state.turn)
    if question is None or question.state not in ("sent", "unknown"):
        return None
    return question.sent_at or question.not_before


def _touch(uow: UnitOfWork, customer: Customer, now: datetime) -> None:
    uow.put_customer(replace(customer, last_wrote_at=now, unreachable_at=None))
    if customer.unreachable_at is not None:
        release(uow, customer.id, now)


def stop(uow: UnitOfWork, house: House, customer: Customer, now: datetime) -> None:
    """End whatever the bot would still say to this customer; only they can undo it. Cases stay, and staff is told."""
    for sale in uow.sales_of(customer.id):
        end_all(uow, house, sale, Stopped(), now)
        case = cases.open_of(uow, sale.id)
        if case is not None:
            cases.remark(uow, house, case, "🔕 The customer said /stop: the bot can no longer write to them.", now)


def end_all(uow: UnitOfWork, house: House, sale: Sale, event: Event, now: datetime) -> None:
    """Let something happen to every unfinished conversation of a sale.

    /stop also to finished ones, which a late tap may wake.
    """
    for conversation in uow.conversations_of(sale.id):
        if conversation.state.status != "finished" or isinstance(event, Stopped):
            advance(uow, house, conversation, event, now)


def withdraw(uow: UnitOfWork, house: House, sale: Sale, reason: str, now: datetime) -> None:
    """The order, or a part of it, was cancelled or returned: nothing more is said about that; a case goes on."""
    go_on = set()
    for conversation in uow.conversations_of(sale.id):
        if conversation.case_id is not None or not _is_lost(sale, reason, conversation.state.about):
            go_on.add(conversation.id)
        elif conversation.state.status != "finished":
            advance(uow, house, conversation, Withdrawn(reason), now)
    for message in uow.outgoing_of(sale.id):
        planned = message.state in ("waiting", "held") and message.kind in ("question", "reminder", "notice")
        if planned and message.conversation_id not in go_on:
            uow.drop_outgoing(message, f"{reason} happened")


def _is_lost(sale: Sale, reason: str, about: Sequence[str]) -> bool:
    """Tell whether an order was cancelled or returned whole, or at least all that a conversation is about."""
    return reason in sale.happened or (bool(about) and all(portions.is_gone(sale, sku) for sku in about))


def happened(uow: UnitOfWork, house: House, sale: Sale, event: str, now: datetime) -> None:
    """Something happened to a sale: whichever of its conversations waits for that goes on."""
    for conversation in uow.conversations_of(sale.id):
        seen = portions.narrowed(sale, conversation.state.about)
        if conversation.state.status == "waiting" and (event in seen.happened or event not in LIFECYCLE):
            flow = house.pinned(uow, conversation.flow, conversation.version)
            found = flow.steps.get(conversation.state.step or "") if flow else None
            if isinstance(found, Wait) and event in found.events:
                advance(uow, house, conversation, Happened(event), now)


def remedied(uow: UnitOfWork, house: House, case_id: str, now: datetime) -> None:
    """Something was done about a case: what waits for that goes on."""
    sale = uow.sale(uow.sale_of_case(case_id) or "")
    if sale is not None:
        happened(uow, house, sale, "remedy.done", now)


def unreachable(uow: UnitOfWork, house: House, conversation_id: str, reason: str, now: datetime) -> None:
    """A message was refused for good: the conversation it belongs to ends."""
    conversation = uow.conversation(conversation_id)
    if conversation is not None:
        advance(uow, house, conversation, Unreachable(reason), now)


# One step, carried out -----------------------------------------------------------------------------------------


def advance(
    uow: UnitOfWork,
    house: House,
    conversation: Conversation,
    event: Event,
    now: datetime,
    *,
    in_the_same_talk: bool = False,
) -> str | None:
    """Let one event happen to a conversation and carry the effects out. Gives why it was ignored, or None.

    `in_the_same_talk`: it begins right after the customer's last answer to another one, as if it were part of that.
    """
    flow = house.pinned(uow, conversation.flow, conversation.version)
    sale = uow.sale(conversation.sale_id)
    customer = uow.customer(conversation.customer_id)
    if customer is not None and customer.extra.get("same_as"):
        customer = uow.customer(customer.extra["same_as"])
    if flow is None or sale is None or customer is None:
        return "the flow version, sale or customer of this conversation cannot be read any more"
    promises = uow.promises_of(sale.id)
    case = uow.case(conversation.case_id) if conversation.case_id else cases.open_of(uow, sale.id)
    seen = portions.narrowed(sale, conversation.state.about)
    facts = facts_for(uow, house, flow, seen, customer, promises, case)
    transition = step(flow, conversation.state, event, now, facts)
    ignored = next((each.reason for each in transition.effects if isinstance(each, Ignored)), None)
    after_it = conversation
    if transition.state != conversation.state:
        after_it = replace(conversation, state=transition.state)
        uow.put_conversation(after_it)
    carrier = _Carrier(uow, house, flow, sale, customer, after_it, event, now, facts)
    carrier.promises, carrier.case = promises, case
    if in_the_same_talk:
        carrier.live = carrier.goes_on = True
    for effect in transition.effects:
        carrier.carry_out(effect)
    was, now_is = conversation.state.status, transition.state.status
    if now_is != was and (was == "asking" or now_is == "finished"):
        if carrier.live and now_is != "asking" and not transition.state.follows:
            _ask_on(uow, house, customer, now)
        release(uow, customer.id, now)
    return ignored


# Two questions in one talk ---------------------------------------------------------------------------------------


def _remember_who_waits(uow: UnitOfWork, moment: Moment) -> None:
    sale = uow.sale(moment.sale_id)
    customer = uow.customer(sale.customer_id) if sale else None
    if customer is not None and not customer.extra.get(WAITING):
        uow.put_customer(replace(customer, extra={**customer.extra, WAITING: True}))


def _ask_on(uow: UnitOfWork, house: House, customer: Customer, now: datetime) -> None:
    """The customer has answered all that was asked: what else is due, and only waited for that, follows at once.

    They are there, telephone in hand; a second interruption tomorrow would be worse. One more at most, and none where a
    case is open: then they wait for a person, not for the next question.
    """
    customer = uow.customer(customer.id) or customer
    if not customer.extra.get(WAITING):
        return
    extra = {name: value for name, value in customer.extra.items() if name != WAITING}
    uow.put_customer(replace(customer, extra=extra))
    theirs = uow.sales_of(customer.id)
    if any(cases.unsettled(case) for sale in theirs for case in uow.cases_of(sale.id)):
        return
    waiting = [
        each
        for sale in theirs
        for each in uow.moments_of(sale.id)
        if each.kind == "start" and each.state == "held" and each.reason == WAITS_ITS_TURN
    ]
    for moment in sorted(waiting, key=lambda each: each.due_at):
        state, reason = _begin(uow, house, moment, now, in_the_same_talk=True)
        uow.settle(moment.id or 0, state, reason)
        if state == "done":
            return


class _Carrier:
    """Carries the effects of one step out, in their order; what one finds out (the case), the next may say."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that an effect may need
        self,
        uow: UnitOfWork,
        house: House,
        flow: Flow,
        sale: Sale,
        customer: Customer,
        conversation: Conversation,
        event: Event,
        now: datetime,
        facts: Facts,
    ) -> None:
        self.uow, self.house, self.flow, self.now = uow, house, flow, now
        self.sale, self.customer, self.conversation = sale, customer, conversation
        self.live = isinstance(event, REPLIES)
        self.goes_on = False
        self.with_case = False
        self.is_choice = isinstance(event, Tapped)
        self.facts = facts
        self.promises: list[Promise] = []
        self.case: Case | None = None
        self._made: dict[str, Any] = {}
        self._made_of: tuple[object, object, object] = (None, None, None)

    def carry_out(self, effect: Effect) -> None:  # noqa: C901, PLR0912 - one arm for each kind of effect
        match effect:
            case SendQuestion():
                self._question(effect)
            case SendReminder():
                self._reminder(effect)
            case SendText():
                self._text(effect)
            case SendOffer():
                self._offer(effect)
            case Acknowledge():
                text = phrase(self.house, self.customer, f"ack_{effect.kind}", self._context())
                self._write("answer", text, key=f"{self.conversation.id}:ack{self.house.new_id()}")
            case CloseQuestion():
                self._close(effect)
            case RecordVerdict():
                self._verdict(effect)
            case OpenCase():
                self.with_case = True
                self._open_case(self._in_their_language(effect))
            case TellCase():
                self.with_case = True
                self._tell(effect)
            case TakeBack():
                self._take_back(effect)
            case StartTimer():
                self._timer(effect)
            case StopTimers():
                self.uow.drop_moments(
                    conversation_id=self.conversation.id, kinds=effect.kinds, reason="no longer needed"
                )
            case CompleteSale():
                self._complete()
            case Finish():
                self._finish(effect)
            case NoteTrouble():
                note_down(
                    self.uow, self.now, "flow.trouble", sale_id=self.sale.id, flow=self.flow.name,
                    conversation=self.conversation.id, step=effect.step, reason=effect.reason,
                )  # fmt: skip
            case Ignored():
                pass

    def _context(self) -> dict[str, Any]:
        """Give what texts may speak of; made anew only where something of it has changed since."""
        made_of = (self.sale, self.case, self.promises)
        if any(each is not before for each, before in zip(made_of, self._made_of, strict=True)):
            self._made, self._made_of = self._make_context(), made_of
        return self._made

    def _make_context(self) -> dict[str, Any]:
        more: dict[str, Any] = {"vars": dict(self.conversation.state.notes)}
        about = next((each for each in self.promises if each.id == self.conversation.state.promise), None)
        if about is not None:
            more["promise"] = {"text": about.text, "due_at": about.due_at}
        seen = portions.narrowed(self.sale, self.conversation.state.about)
        return context_for(self.house, self.customer, seen, self.promises, self.case, now=self.now, **more)

    def _words(self, spoken: Speaking) -> tuple[Texts, str | None]:
        """Give the texts and the picture of a step, as they are for what was bought."""
        own = own_values(self.flow, self.conversation.state, self.facts) if spoken.variants else {}
        variant = variant_for(spoken.variants, self.facts, self.now, own)
        if variant is None:
            return spoken.texts, spoken.photo
        return variant.texts or spoken.texts, variant.photo or spoken.photo

    def _write(self, kind: Any, text: str, **more: Any) -> None:
        write_to(
            self.uow, self.house, self.customer, kind=kind, text=text, now=self.now, sale_id=self.sale.id,
            conversation_id=self.conversation.id, **more,
        )  # fmt: skip

    def _buttons(self, ask: Ask, turn: int) -> list[tuple[str, str]]:
        wanted = languages_for(self.house, self.customer)
        return [
            (render(choice.label, wanted, self._context()), f"a:{self.conversation.id}:{turn}:{number}")
            for number, choice in enumerate(ask.choices)
        ]

    def _question(self, effect: SendQuestion) -> None:
        ask = self.flow.steps[effect.step]
        if not isinstance(ask, Ask):
            return
        timers: dict[str, Any] = {"silence": str(ask.silence.after)}
        if ask.remind and ask.remind.times:
            timers["remind"] = str(ask.remind.after)
        texts, photo = self._words(ask)
        text = speak(self.house, self.customer, texts, self._context())
        if self.goes_on:
            text = phrase(self.house, self.customer, "one_more", {**self._context(), "text": text})
        self._write(
            "question",
            text,
            key=f"{self.conversation.id}:q{effect.turn}",
            buttons=self._buttons(ask, effect.turn),
            in_one_row=ask.scale is not None,
            **_picture(photo),
            turn=effect.turn,
            timers=timers,
            purpose=self.flow.purpose.value,
            prompted=self.live,
            priority=URGENT if self.live else ORDINARY,
            expires_at=self.conversation.expires_at,
            **self._belonging(),
        )

    def _belonging(self) -> dict[str, bool]:
        """Mark what is said in the same breath as a case is opened: that the case is open does not hold it back."""
        return {"with_case": True} if self.with_case else {}

    def _reminder(self, effect: SendReminder) -> None:
        ask = self.flow.steps[effect.step]
        if not isinstance(ask, Ask) or ask.remind is None:
            return
        text = speak(self.house, self.customer, ask.remind.texts or self._words(ask)[0], self._context())
        if not ask.remind.texts:
            text = phrase(self.house, self.customer, "reminder", {**self._context(), "text": text})
        more = {"remind": str(ask.remind.after)} if effect.nth < ask.remind.times else {}
        self._write(
            "reminder",
            text,
            key=f"{self.conversation.id}:q{effect.turn}:r{effect.nth}",
            buttons=self._buttons(ask, effect.turn),
            in_one_row=ask.scale is not None,
            turn=effect.turn,
            timers=more,
            purpose=self.flow.purpose.value,
            priority=LATER,
            expires_at=self.conversation.expires_at,
        )

    def _text(self, effect: SendText) -> None:
        say = self.flow.steps[effect.step]
        if not isinstance(say, Say):
            return
        self._say(say, effect.visit)

    def _offer(self, effect: SendOffer) -> None:
        offer = self.flow.steps[effect.step]
        if not isinstance(offer, Offer):
            return
        label = render(offer.label, languages_for(self.house, self.customer), self._context())
        self._say(offer, effect.visit, link=(label, self.facts.links[offer.what]))

    def _say(self, spoken: Speaking, visit: int, **more: Any) -> None:
        texts, photo = self._words(spoken)
        self._write(
            "answer" if self.live else "notice",
            speak(self.house, self.customer, texts, self._context()),
            key=f"{self.conversation.id}:s{visit}",
            purpose=self.flow.purpose.value,
            prompted=self.live,
            priority=URGENT if self.live else ORDINARY,
            expires_at=self.conversation.expires_at,
            **_picture(photo),
            **self._belonging(),
            **more,
        )

    def _asked_with(self, turn: int) -> list[Outgoing]:
        return [
            message
            for message in self.uow.asks_of(self.sale.id)
            if message.conversation_id == self.conversation.id and message.turn == turn
        ]

    def _close(self, effect: CloseQuestion) -> None:
        """Replace the keyboards of a question by the choice made; what was not sent yet never will be."""
        ask = self.flow.steps.get(effect.step)
        label = ""
        if isinstance(ask, Ask) and effect.choice is not None:
            label = render(ask.choices[effect.choice].label, languages_for(self.house, self.customer), self._context())
        asked = self._asked_with(effect.turn)
        newest = next((each for each in reversed(asked) if each.external), None)
        for message in asked:
            if message.state in ("waiting", "held"):
                self.uow.drop_outgoing(message, "the question is closed")
            elif message.external and "buttons" in message.body:
                if not label:
                    self._take_away(message)
                    continue
                # One place to change the answer is enough: below the question that they saw last.
                buttons = self._change_button(effect.turn) if message is newest else ()
                more = {"captioned": True} if is_caption(message.body) else {}
                text = f"{message.body['text']}\n\n➜ {label}"
                self._write("edit", text, message_id=int(message.external), buttons=buttons, **more)

    def _change_button(self, turn: int) -> Sequence[tuple[str, str]]:
        if self.conversation.state.stopped or not change_span(self.flow, self.facts):
            return ()
        label = phrase(self.house, self.customer, "change_answer", self._context())
        return ((label, f"x:{self.conversation.id}:{turn}:0"),)

    def _take_away(self, message: Outgoing) -> None:
        write_to(
            self.uow, self.house, self.customer, kind="edit", text=None, now=self.now, sale_id=self.sale.id,
            conversation_id=self.conversation.id, message_id=int(message.external or 0),
        )  # fmt: skip

    def _verdict(self, effect: RecordVerdict) -> None:
        factors = {factor.value: value for factor, value in effect.factors.items()}
        media = tuple({"kind": each.kind, "file_id": each.file_id, "caption": each.caption} for each in effect.media)
        self.uow.add_verdict(
            Verdict(
                self.sale.id,
                self.conversation.id,
                self.flow.name,
                effect.step,
                effect.choice,
                factors,
                effect.touchpoint,
                effect.text,
                media,
                self.conversation.cycle,
                self.now,
            )
        )
        told = {**factors, **self._of_all_promises(effect)}
        self.sale = replace(
            self.sale, factors={**self.sale.factors, **told}, answered_at=self.sale.answered_at or self.now
        )
        self.uow.put_sale(self.sale)
        note_down(
            self.uow, self.now, "verdict", sale_id=self.sale.id, customer_id=self.customer.id,
            flow=self.flow.name, step=effect.step, choice=effect.choice, factors=factors, text=effect.text,
            media=list(media), cycle=self.conversation.cycle, **({"promise": effect.promise} if effect.promise else {}),
        )  # fmt: skip
        if "promise" in factors and effect.promise is not None:
            self._judge_promise(effect.promise, factors["promise"])
        elif "promise" in factors:
            self._judge_promises(factors["promise"], effect.touchpoint)
        if effect.choice is not None:
            occurrence = f"{self.conversation.id}:{effect.turn}"
            plan_starts(self.uow, self.house, self.sale, on=ANSWERED, at=self.now, occurrence=occurrence)

    def _of_all_promises(self, effect: RecordVerdict) -> dict[str, float]:
        """Give what several promises come to, each asked about by itself: no more than the least kept of them."""
        if effect.promise is None or Factor.PROMISE not in effect.factors:
            return {}
        about = [each for each in self.conversation.state.asked if each.promise and each.promise != effect.promise]
        others = [choice.factors for each in about if (choice := choice_of(self.flow, each)) is not None]
        kept = [factors[Factor.PROMISE] for factors in (effect.factors, *others) if Factor.PROMISE in factors]
        return {Factor.PROMISE.value: min(kept)}

    def _judge_promise(self, promise_id: str, kept: float) -> None:
        """Write down what the customer said of the one promise that they were asked about."""
        for promise in self.promises:
            if promise.id == promise_id:
                state: Any = {0.0: "broken", 1.0: "kept"}.get(kept, "open")
                self.uow.put_promise(replace(promise, state=state))
        self.promises = self.uow.promises_of(self.sale.id)

    def _open_case(self, effect: OpenCase) -> None:
        """Open a case, or join the open one. Only where somebody asked for it in so many words does its card wait."""
        said = self.flow.change_answer is not None or self.house.shop.change_answer is not None
        span = change_span(self.flow, self.facts)
        waits = effect.reason == "unhappy" and self.is_choice and said and bool(span)
        self.case = cases.open_or_join(
            self.uow, self.house, self.sale, self.conversation, effect, self.now,
            card_at=self.now + span if waits else None,
        )  # fmt: skip
        self.sale = self.uow.sale(self.sale.id) or self.sale

    def _take_back(self, effect: TakeBack) -> None:
        """The customer changed an answer: what had followed from it follows no more."""
        self._forget(effect)
        if effect.completion and self.conversation.state.about:
            self.sale = portions.reopened(self.sale, self.conversation.state.about)
            self.uow.put_sale(self.sale)
        if effect.completion and self.sale.confirmed_at is not None:
            self.sale = replace(self.sale, confirmed_at=None)
            self.uow.put_sale(self.sale)
            note_down(self.uow, self.now, "sale.reopened", sale_id=self.sale.id, reason="the answer was changed")
        case = self.case or cases.open_of(self.uow, self.sale.id)
        if not effect.case or case is None:
            return
        opened_by_it = case.opened_at.isoformat() == effect.at and not case.remedies and not self._words_since(effect)
        cases.take_back(self.uow, self.house, case, opened_by_it=opened_by_it, now=self.now)
        self.case = cases.open_of(self.uow, self.sale.id)

    def _judge_promises(self, kept: float, touchpoint: str | None) -> None:
        """Write down which promises the customer spoke of.

        All that are due where they are kept, else the one broken.
        """
        for promise in self.promises:
            concerned = promise.touchpoint == touchpoint or len(self.promises) == 1
            due = promise.due_at is None or promise.due_at <= self.now
            if kept == 1 and due and promise.state == "open":
                self.uow.put_promise(replace(promise, state="kept"))
            elif kept == 0 and (concerned or (promise.due_at is not None and due)):
                self.uow.put_promise(replace(promise, state="broken"))
        self.promises = self.uow.promises_of(self.sale.id)

    def _in_their_language(self, effect: OpenCase) -> OpenCase:
        """Quote a tapped label as the customer saw it."""
        ask = self.flow.steps.get(effect.step)
        for choice in ask.choices if isinstance(ask, Ask) else ():
            if label_of(choice.label) == effect.said:
                return replace(effect, said=render(choice.label, languages_for(self.house, self.customer), {}))
        return effect

    def _tell(self, effect: TellCase) -> None:
        case = self.case or cases.open_of(self.uow, self.sale.id)
        if case is None:
            unclear = OpenCase("unclear", "", {}, None, effect.text, effect.media)
            self.case = cases.open_or_join(self.uow, self.house, self.sale, self.conversation, unclear, self.now)
            return
        cases.tell(self.uow, self.house, case, effect.text, effect.media, self.now)
        self.case = self.uow.case(case.id)
        if effect.touchpoint is not None and self.case is not None:
            self.case = cases.reroute(self.uow, self.house, self.case, effect.touchpoint, self.now)

    def _timer(self, effect: StartTimer) -> None:
        due = max(after(self.house, effect.after, effect.since or self.now), self.now)
        if effect.window is not None:
            due = next_in(effect.window, due, self.facts.zone)
        if effect.kind == "expire" and self.conversation.expires_at is not None:
            due = self.conversation.expires_at
        plan_timer(self.uow, self.conversation, effect.kind, effect.turn, due)

    def _complete(self) -> None:
        """Complete the sale on the customer's own word; what a case still waits for comes first."""
        if self.conversation.case_id and self.case is not None:
            cases.confirm(self.uow, self.house, self.case, self.now)
        case = cases.open_of(self.uow, self.sale.id)
        if case is not None and case.status == "unconfirmed":
            # Nobody is at it any more; only the customer's word was missing, and here it is.
            cases.confirm(self.uow, self.house, case, self.now)
            case = None
        if case is not None:
            words = "👍 The customer says that they have what they wanted; this case is still to be put right."
            cases.remark(self.uow, self.house, case, words, self.now)
            note_down(self.uow, self.now, "sale.complete_waits", sale_id=self.sale.id, case_id=case.id)
            return
        if self.conversation.state.about:
            self.sale, is_all = portions.completed(self.sale, self.conversation.state.about, self.now)
            self.uow.put_sale(self.sale)
            if not is_all:
                about = list(self.conversation.state.about)
                note_down(self.uow, self.now, "sale.part_complete", sale_id=self.sale.id, items=about)
                return
        self.sale = replace(self.sale, confirmed_at=self.sale.confirmed_at or self.now)
        self.uow.put_sale(self.sale)
        note_down(self.uow, self.now, "sale.complete", sale_id=self.sale.id, customer_id=self.customer.id)

    def _forget(self, effect: TakeBack) -> None:
        """Let what a changed answer had said of factors and promises count no more; its verdict stays as history."""
        verdicts, place = self._changed_verdict(effect)
        factors = {
            name: value
            for number, each in enumerate(verdicts)
            if number != place
            for name, value in each.factors.items()
        }
        if effect.factors:
            self.sale = replace(self.sale, factors=factors)
            self.uow.put_sale(self.sale)
        judged = {1.0: "kept", 0.0: "broken"}.get(effect.factors.get(Factor.PROMISE, -1.0))
        for promise in self.promises:
            if promise.state == judged and effect.promise in (None, promise.id):
                self.uow.put_promise(replace(promise, state="open"))
        self.promises = self.uow.promises_of(self.sale.id)

    def _changed_verdict(self, effect: TakeBack) -> tuple[list[Verdict], int | None]:
        """Give the verdicts of the sale, and the place of the one that is being changed."""
        verdicts = self.uow.verdicts_of(self.sale.id)
        places = [
            place
            for place, each in enumerate(verdicts)
            if each.conversation_id == self.conversation.id and each.step == effect.step and each.choice is not None
        ]
        return verdicts, places[-1] if places else None

    def _words_since(self, effect: TakeBack) -> bool:
        """Tell whether the customer wrote anything after the answer that they are changing."""
        verdicts, place = self._changed_verdict(effect)
        return place is None or any(each.text for each in verdicts[place + 1 :])

    def _finish(self, effect: Finish) -> None:
        if self.conversation.case_id and self.case is not None and not cases.is_to_be_asked(self.uow, self.case):
            # However it ended: a case that still waits for the customer's word will not get it here.
            cases.silent(self.uow, self.house, self.uow.case(self.case.id) or self.case, self.now)
        note_down(
            self.uow, self.now, "conversation.finished", sale_id=self.sale.id,
            flow=self.flow.name, conversation=self.conversation.id, outcome=effect.outcome, reason=effect.reason,
        )  # fmt: skip


def _picture(photo: str | None) -> dict[str, str]:
    return {"photo": photo} if photo else {}


def plan_timer(
    uow: UnitOfWork, conversation: Conversation, kind: Any, turn: int, due_at: datetime, *, stood: float = 0
) -> None:
    """Plan that a conversation wakes at `due_at`; for `stood` seconds of that its clock stood still."""
    uow.plan(
        Moment(
            key=f"{conversation.id}:{kind}:{turn}:{conversation.state.visits}:{int(due_at.timestamp())}",
            kind=kind,
            due_at=due_at,
            sale_id=conversation.sale_id,
            conversation_id=conversation.id,
            data={"turn": turn, "stood": stood} if stood else {"turn": turn},
        )
    )
