"""Use cases of cases: open, join, claim, reply, remedy, hand over, climb the ladder, show.

What follows from what is `bot.desk.machine`'s to decide; here it is carried out: rows for the outbox, moments, the log.
How a case looks is `bot.cards`'.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from bot.cards import has_left, present
from bot.desk import machine
from bot.desk.permission import Person, refusal
from bot.desk.routing import Clues, Route, route
from bot.desk.shop import FALLBACK
from bot.desk.states import (
    UNSETTLED,
    Attachment,
    CallNeeded,
    Case,
    CaseEffect,
    CaseEvent,
    CaseIgnored,
    Claimed,
    CustomerConfirmed,
    CustomerDeleted,
    CustomerEdited,
    CustomerSaid,
    CustomerSilent,
    DueWarning,
    HandedOver,
    MoveCard,
    Noted,
    PlanLadder,
    PlanReask,
    PlanTask,
    PlanWake,
    RemedyDone,
    Replied,
    ReplyToCustomer,
    ShowCard,
    ShowTask,
    Snoozed,
    SnoozeOver,
    StopLadder,
    TaskDone,
    TaskDue,
    TaskOpened,
    Thread,
    UnhappyAgain,
    Whisper,
)
from bot.desk.working_time import said_length
from bot.errors import NotFound
from bot.flows.effects import OpenCase
from bot.flows.events import Media
from bot.messages import EDITED, House, context_for, languages_for, note_down, phrase, tell_desk, write_to
from bot.ports.inbound import (
    CaseCallNeeded,
    CaseClaimed,
    CaseHandedOver,
    CaseNoted,
    CaseRemedied,
    CaseReplied,
    CaseSnoozed,
    PersonLeft,
    StaffAction,
    TaskAsked,
    TaskFinished,
)
from bot.ports.records import Conversation, Customer, Moment, Promise, Sale
from bot.ports.store import UnitOfWork
from bot.sales import plan_starts, release


def open_of(uow: UnitOfWork, sale_id: str) -> Case | None:
    """Give the case of a sale that is not confirmed yet, if there is one. A sale has at most one."""
    return next((case for case in uow.cases_of(sale_id) if case.status != "confirmed"), None)


AT_WORK = frozenset({"open", "claimed", "call"})
"""The states of a case in which people are at it."""


def at_work(case: Case | None) -> bool:
    """Tell whether people are at it, so that the bot asks nothing meanwhile."""
    return case is not None and case.status in AT_WORK


def unsettled(case: Case | None) -> bool:
    """Tell whether it is still to be put right, or to be asked about: meanwhile nothing else begins to ask."""
    return case is not None and case.status in UNSETTLED


def open_or_join(
    uow: UnitOfWork,
    house: House,
    sale: Sale,
    conversation: Conversation | None,
    effect: OpenCase,
    now: datetime,
    *,
    card_at: datetime | None = None,
) -> Case:
    """Make an unhappy reply a case, or let it join the sale's open one.

    After a remedy that reopens it a rung higher. `card_at`: when a new case is to be shown, if not at once.
    """
    said = told(effect.said, effect.media)
    factor = _worst(effect)
    existing = uow.case(conversation.case_id) if conversation and conversation.case_id else open_of(uow, sale.id)
    if existing is not None and effect.reason == "flow":
        remark(uow, house, existing, f"🔎 {said}", now)
        return existing
    if existing is not None:
        event: CaseEvent = CustomerSaid(said, _attached(effect.media))
        if effect.reason == "unhappy" or existing.status == "confirmed":
            event = UnhappyAgain(said, factor, effect.touchpoint, _attached(effect.media))
        return happen(uow, house, existing, event, now)
    promises = uow.promises_of(sale.id)
    named = next((each for each in promises if each.id == effect.promise), None)
    promise = named or _promise(promises, factor, effect.touchpoint, now)
    where = _team_of_the_flow(house, effect.team) or route(
        house.shop, clues_of(sale, factor, effect.touchpoint, promise, is_named=named is not None)
    )
    case, effects = machine.open_case(
        id=house.new_id(),
        sale_id=sale.id,
        customer_id=sale.customer_id,
        conversation_id=conversation.id if conversation else "",
        route=where,
        reason="unhappy" if effect.reason == "unhappy" else "unclear",
        said=said,
        factor=factor,
        touchpoint=effect.touchpoint,
        promise_id=promise.id if promise else None,
        shop=house.shop,
        now=now,
        media=_attached(effect.media),
    )
    uow.put_case(case)
    if effect.reason == "unhappy" and sale.confirmed_at is not None:
        # Only the customer completes a sale, and only they take that back: they have just said that it is not right.
        uow.put_sale(replace(uow.sale(sale.id) or sale, confirmed_at=None))
        note_down(uow, now, "sale.reopened", sale_id=sale.id, case_id=case.id)
    note_down(
        uow, now, "case.opened", sale_id=sale.id, case_id=case.id, team=case.team, why=case.why_team, said=said,
        due_at=case.due_at.isoformat(),
    )  # fmt: skip
    if card_at is not None:
        tell_desk(uow, house, case, "card", now, not_before=card_at)
        effects = tuple(each for each in effects if not isinstance(each, ShowCard))
    _carry_out(uow, house, case, effects, now)
    return case


def clues_of(
    sale: Sale, factor: str | None, touchpoint: str | None, promise: Promise | None, *, is_named: bool = False
) -> Clues:
    """Gather what a case is routed by. A promise that was broken leads to whoever made it.

    `is_named`: the customer was asked about this one promise, so that it is the one whatever else they said.
    """
    is_broken = promise is not None and (factor == "promise" or is_named)
    return Clues(
        touchpoint=touchpoint,
        factor=factor,
        tags=tuple(str(tag) for item in sale.items for tag in item.get("tags", ())),
        shop=str(sale.extra["shop"]) if sale.extra.get("shop") else None,
        made_at=promise.touchpoint if promise is not None and is_broken else None,
    )


def _team_of_the_flow(house: House, team: str | None) -> Route | None:
    if team is None or not house.shop.has_team(team):
        return None
    return Route(team, house.shop.team(team).channel, f"the flow names {team}")


def take_back(uow: UnitOfWork, house: House, case: Case, *, opened_by_it: bool, now: datetime) -> None:
    """The customer changed the unhappy answer that stands in a case.

    Where that answer alone opened it, and nothing was said or done since, it is closed on the customer's own word, and
    a card that nobody has seen yet never comes. Otherwise people decide, and are told.
    """
    if not opened_by_it or case.status not in ("open", "claimed") or case.answered_at is not None:
        remark(uow, house, case, "✏️ The customer changed that answer: they are not unhappy after all.", now)
        return
    unseen = [
        each
        for each in uow.outgoing_of(case.sale_id)
        if each.case_id == case.id and each.channel == "slack" and each.state in ("waiting", "held")
    ]
    never_shown = uow.post_of(case.id) is None and any(each.kind == "card" for each in unseen)
    for message in unseen if never_shown else ():
        uow.drop_outgoing(message, "the customer changed the answer")
    after, effects = _decide(house, case, CustomerConfirmed(), now)
    uow.put_case(after)
    note_down(uow, now, "case.taken_back", sale_id=case.sale_id, case_id=case.id)
    if never_shown:
        effects = tuple(each for each in effects if isinstance(each, StopLadder))
    _carry_out(uow, house, after, effects, now)
    release(uow, case.customer_id, now)


def reroute(uow: UnitOfWork, house: House, case: Case, touchpoint: str, now: datetime) -> Case:
    """The customer said where it went wrong: a case that nobody has taken goes to whoever answers for that."""
    sale = uow.sale(case.sale_id) or Sale(case.sale_id, case.customer_id)
    promise = next((each for each in uow.promises_of(sale.id) if each.id == case.promise_id), None)
    where = route(house.shop, clues_of(sale, case.factor, touchpoint, promise))
    if where.team in (FALLBACK, case.team) or case.status != "open" or case.claimed_by is not None:
        return case
    moved = replace(case, team=where.team, why_team=where.why, touchpoint=touchpoint)
    uow.put_case(moved)
    note_down(uow, now, "case.rerouted", sale_id=case.sale_id, case_id=case.id, team=where.team, why=where.why)
    # A card that is still to come finds its channel by itself.
    shown: dict[str, Any] = {"moved_to": where.team} if uow.post_of(case.id) is not None else {}
    tell_desk(uow, house, moved, "card", now, **shown)
    told = machine.rerouted(case.team, moved, house.shop)
    tell_desk(uow, house, moved, "thread", now, text=told.text, mention=told.mention)
    return moved


def happen(uow: UnitOfWork, house: House, case: Case, event: CaseEvent, now: datetime) -> Case:
    """Let something happen to a case, carry out what follows, and give the case as it then is."""
    after, effects = _decide(house, case, event, now)
    if after != case:
        uow.put_case(after)
    if not any(isinstance(effect, CaseIgnored) for effect in effects):
        kind = "case." + type(event).__name__.lower()
        note_down(
            uow, now, kind, sale_id=case.sale_id, case_id=case.id,
            status=after.status, **_particulars(event),
        )  # fmt: skip
    _carry_out(uow, house, after, effects, now)
    if (at_work(case) and not at_work(after)) or (unsettled(case) and not unsettled(after)):
        release(uow, case.customer_id, now)
    return after


def _particulars(event: CaseEvent) -> dict[str, Any]:
    """Give what the log keeps of an event."""
    found = {name: value for name, value in asdict(event).items() if value not in (None, (), "")}
    return {name: each.isoformat() if isinstance(each, datetime) else each for name, each in found.items()}


def _decide(house: House, case: Case, event: CaseEvent, now: datetime) -> tuple[Case, Sequence[CaseEffect]]:
    transition = machine.decide(case, event, house.shop, now)
    return transition.case, transition.effects


def staff(uow: UnitOfWork, house: House, action: StaffAction, now: datetime) -> str | None:
    """Let a member of staff act. Gives why nothing came of it, or None.

    No action leads to ``confirmed``: only the customer's own answer does (rule 1).
    """
    case = _after_its_customer(uow, action.case_id)
    if case is None:
        return f"there is no case {action.case_id}"
    refused = may_not(house, case, action)
    if refused is not None:
        tell_desk(uow, house, case, "whisper", now, user=action.by, text=refused)
        return refused
    if isinstance(action, CaseReplied):
        note_down(uow, now, "staff.named", case_id=case.id, by=action.by, name=action.name)
        uow.put_note(f"staff:{action.by}", action.name)
    happen(uow, house, case, _event_of(house, action), now)
    return None


def _event_of(house: House, action: StaffAction) -> CaseEvent:  # noqa: PLR0911 - an arm for each action
    match action:
        case CaseClaimed():
            return Claimed(action.by)
        case CaseReplied():
            return Replied(action.by, action.text)
        case CaseRemedied():
            return RemedyDone(action.by, action.kind, action.note, action.value, action.root_cause)
        case CaseHandedOver():
            return HandedOver(action.by, action.team, action.reason)
        case CaseSnoozed():
            return Snoozed(action.by, action.until, action.waits_for, action.reason)
        case CaseCallNeeded():
            return CallNeeded(action.by, action.reason)
        case CaseNoted():
            return Noted(action.by, action.text)
        case TaskAsked():
            return TaskOpened(action.by, house.new_id(), action.team, action.text)
        case TaskFinished():
            return TaskDone(action.by, action.task_id, action.note)


def may_not(house: House, case: Case, action: StaffAction, person: Person | None = None) -> str | None:
    """Say why somebody may not do something about a case; None where they may.

    A second team may note things down, and what it was asked to do is its own. `person` is what Slack says of them;
    left out: nothing but who they are.
    """
    person = person or Person(action.by)
    teams = [case.team]
    if isinstance(action, TaskFinished):
        teams = [*(each.team for each in case.tasks if each.id == action.task_id), case.team]
    elif isinstance(action, CaseNoted):
        teams += [each.team for each in case.tasks]
    refused = [refusal(house.shop, team, person) for team in teams]
    return None if None in refused else refused[0]


def left(uow: UnitOfWork, event: PersonLeft, now: datetime) -> None:
    """A member of staff has left the workspace, or is back: whoever is called upon in their place is told why."""
    uow.put_note(f"left:{event.user}", "yes" if event.left else "no")
    note_down(uow, now, "staff.left" if event.left else "staff.back", by=event.user)


def _after_its_customer(uow: UnitOfWork, case_id: str) -> Case | None:
    """Give a case, its customer locked before it: in one order everywhere, so that no two wait for one another."""
    sale_id = uow.sale_of_case(case_id)
    uow.read_ahead(sales=[sale_id] if sale_id else [])
    return uow.case(case_id)


def tell(uow: UnitOfWork, house: House, case: Case, text: str, media: Sequence[Media], now: datetime) -> None:
    """Pass further words of the customer on to the case, or earlier ones that they changed."""
    said, attached = told(text.removeprefix(EDITED), media), _attached(media)
    is_edit = text.startswith(EDITED)
    happen(uow, house, case, CustomerEdited(said, attached) if is_edit else CustomerSaid(said, attached), now)


def deleted(uow: UnitOfWork, house: House, case: Case, text: str, now: datetime) -> None:
    """The customer took a message back: staff are told, and what it had said, as far as that is known, stays."""
    happen(uow, house, case, CustomerDeleted(text), now)


def _attached(media: Sequence[Media]) -> tuple[Attachment, ...]:
    return tuple(Attachment(each.kind, each.file_id, each.caption or "") for each in media)


def remark(uow: UnitOfWork, house: House, case: Case, text: str, now: datetime) -> None:
    """Say something in the thread of a case that changes nothing about it but what its card shows of the customer."""
    tell_desk(uow, house, case, "thread", now, text=text, mention=case.claimed_by)
    tell_desk(uow, house, case, "card", now)


def confirm(uow: UnitOfWork, house: House, case: Case, now: datetime) -> None:
    """The customer said that it is right now. Called for nothing but the customer's own tap (rule 1)."""
    happen(uow, house, case, CustomerConfirmed(), now)


def is_to_be_asked(uow: UnitOfWork, case: Case) -> bool:
    """Tell whether the question after its latest remedy is still to come: how an earlier one ends is no answer then."""
    planned = (each for each in uow.moments_of(case.sale_id) if each.case_id == case.id and each.kind == "start")
    return any(each.state in ("planned", "held") for each in planned)


def silent(uow: UnitOfWork, house: House, case: Case, now: datetime) -> None:
    """The customer did not answer after the remedy: unconfirmed, never solved."""
    happen(uow, house, case, CustomerSilent(), now)


def woken(uow: UnitOfWork, house: House, moment: Moment, now: datetime) -> str | None:
    """A moment of a case has come, and its state is looked at again. Gives why nothing came of it, or None.

    A step of the ladder, the end of a time for which it was put aside, or a task that is due.
    """
    case = _after_its_customer(uow, moment.case_id or "")
    if case is None:
        return "the case is gone"
    if moment.kind == "wake" and (opens_at := _opens(house, case, moment, now)) is not None:
        _wake(uow, house, case, f"late:{case.id}", opens_at, dict(moment.data))
        return "the team is not at work; it comes when they are"
    event: CaseEvent
    if moment.kind == "ladder":
        event = DueWarning(moment.data["stage"])
    elif "task" in moment.data:
        event = TaskDue(moment.data["task"], moment.data["stage"])
    else:
        event = SnoozeOver(datetime.fromisoformat(moment.data["until"]))
    _, effects = _decide(house, case, event, now)
    for effect in effects:
        if isinstance(effect, CaseIgnored):
            return effect.reason
    happen(uow, house, case, event, now)
    return None


STILL_THERE = timedelta(minutes=15)
"""How long after closing time a team may still be called upon: what is due at five is told at five."""


def opens_at(house: House, team: str, now: datetime) -> datetime | None:
    """Tell when a team is at work next; None: it is at work, or has only just closed."""
    calendar = house.shop.team(team).calendar
    is_there = calendar.is_open(now) or calendar.is_open(now - STILL_THERE)
    return None if is_there else calendar.next_open(now)


def _opens(house: House, case: Case, moment: Moment, now: datetime) -> datetime | None:
    """Tell when the team is at work that a moment calls upon: the case's, or the one that has the task."""
    asked = next((each.team for each in case.tasks if each.id == moment.data.get("task")), case.team)
    return opens_at(house, asked, now)


def delivered(uow: UnitOfWork, house: House, sale: Sale, at: datetime) -> None:
    """Something was delivered: a remedy that counts from that is asked about from now on."""
    case = open_of(uow, sale.id)
    if case is None:
        return
    is_awaited, asked_at = machine.reask_after_delivery(case, house.shop, at)
    if is_awaited:
        _plan_reask(uow, house, case, at, asked_at)


def told(text: str, media: Sequence[Media]) -> str:
    """Put words and things that are not words into one line for staff; what has a file is shown beside the words."""
    things = [
        f"[{each.kind}]" + (f" {each.caption}" if each.caption and each.caption != text else "")
        for each in media
        if not (each.file_id and text)
    ]
    return " ".join(part for part in (text, *things) if part)


def _worst(effect: OpenCase) -> str | None:
    return min(effect.factors, key=lambda name: effect.factors[name]).value if effect.factors else None


def _promise(promises: Sequence[Promise], factor: str | None, touchpoint: str | None, now: datetime) -> Promise | None:
    """Find the promise concerned: the one made for this touchpoint, else one that is past its time, else a lone one."""
    for each in promises:
        if touchpoint is not None and each.touchpoint == touchpoint:
            return each
    if factor != "promise":
        return None
    past = [each for each in promises if each.due_at is not None and each.due_at <= now]
    return next(iter(past or (promises if len(promises) == 1 else ())), None)


# Carrying out ------------------------------------------------------------------------------------------------------


def _carry_out(uow: UnitOfWork, house: House, case: Case, effects: Sequence[CaseEffect], now: datetime) -> None:
    for effect in effects:
        match effect:
            case ShowCard():
                tell_desk(uow, house, case, "card", now)
            case MoveCard():
                tell_desk(uow, house, case, "card", now, moved_to=effect.team)
            case ShowTask():
                _show_task(uow, house, case, effect.task_id, now)
            case Thread():
                _say(uow, house, case, effect, now)
            case Whisper():
                tell_desk(uow, house, case, "whisper", now, user=effect.to, text=effect.text)
            case ReplyToCustomer():
                _reply(uow, house, case, effect, now)
            case PlanReask():
                _plan_reask(uow, house, case, now, effect.at)
            case PlanWake():
                data: dict[str, Any] = {"until": effect.at.isoformat()}
                _wake(uow, house, case, f"wake:{case.id}:{effect.at.timestamp():.0f}", effect.at, data)
            case PlanTask():
                data = {"task": effect.task_id, "stage": effect.stage}
                _wake(uow, house, case, f"task:{effect.task_id}:{effect.stage}", effect.at, data)
            case PlanLadder():
                uow.plan(
                    Moment(
                        # Of its own: what a moment ago was stopped under the same words must not stop this one, too.
                        key=f"ladder:{case.id}:{effect.stage}:{house.new_id()}",
                        kind="ladder",
                        due_at=effect.at,
                        sale_id=case.sale_id,
                        case_id=case.id,
                        data={"stage": effect.stage},
                    )
                )
            case StopLadder():
                uow.drop_moments(case_id=case.id, kinds=("ladder",), reason="answered")
            case CaseIgnored():
                pass


def _wake(uow: UnitOfWork, house: House, case: Case, key: str, at: datetime, data: dict[str, Any]) -> None:
    key = f"{key}:{house.new_id()}"
    uow.plan(Moment(key=key, kind="wake", due_at=at, sale_id=case.sale_id, case_id=case.id, data=data))


def _plan_reask(uow: UnitOfWork, house: House, case: Case, at: datetime, due_at: datetime | None) -> None:
    """Plan what begins on a remedy, or bring it forward: one question for one remedy, whatever tells of it."""
    sale = uow.sale(case.sale_id)
    if sale is not None:
        occurrence = f"{case.id}:{case.cycle}:{len(case.remedies)}"
        plan_starts(uow, house, sale, on="remedy.done", at=at, occurrence=occurrence, case=case, due_at=due_at)


def _say(uow: UnitOfWork, house: House, case: Case, effect: Thread, now: datetime) -> None:
    """Say something in the thread. Whoever has left is not called upon, and whoever is in their place is told so."""
    text, mention = effect.text, effect.mention
    if mention is not None and has_left(uow, mention):
        text = f"{text} ({{user:{mention}}} has left; please name somebody else in shop.yaml.)"
        mention = present(uow, house, mention)
    body: dict[str, Any] = {"text": text, "mention": mention}
    if effect.media:
        body["media"] = [asdict(each) for each in effect.media]
    if effect.stage is None:
        tell_desk(uow, house, case, "thread", now, **body)
        return
    # It may have to wait for the team's opening hours: what the customer says must not wait behind it.
    body |= {"stage": effect.stage, "due_at": case.due_at.isoformat()}
    lane = f"ladder:{case.id}"
    for each in uow.outgoing_of(case.sale_id):
        if each.lane == lane and each.state == "waiting" and each.body.get("mention") == mention:
            uow.drop_outgoing(each, "a later step of the ladder calls upon the same person")
    tell_desk(uow, house, case, "thread", now, lane=lane, **body)


def _show_task(uow: UnitOfWork, house: House, case: Case, task_id: str, now: datetime) -> None:
    tell_desk(uow, house, case, "task", now, lane=f"task:{task_id}", task_id=task_id)


def _reply(uow: UnitOfWork, house: House, case: Case, effect: ReplyToCustomer, now: datetime) -> None:
    customer = uow.customer(case.customer_id)
    if customer is None or customer.chat_id is None:
        tell_desk(uow, house, case, "thread", now, text="⚠️ Not sent: the customer has not linked a chat.")
        return
    name = uow.note(f"staff:{effect.by}") or house.shop.name
    text = compose(uow, house, case.id, name, effect.text)
    write_to(
        uow, house, customer, kind="staff_reply", text=text, now=now, sale_id=case.sale_id, case_id=case.id
    )  # fmt: skip


def compose(uow: UnitOfWork, house: House, case_id: str, name: str, text: str) -> str:
    """Give a person's reply exactly as the customer gets it: signed, in the customer's language.

    Raises:
        NotFound: there is no such case.
    """
    case = _after_its_customer(uow, case_id)
    if case is None:
        raise NotFound(f"there is no case {case_id}")
    customer = uow.customer(case.customer_id) or Customer(case.customer_id)
    language = next(iter(languages_for(house, customer)), "en").partition("-")[0]
    # A length and no time of day: what the preview showed is what is sent, however late that is.
    within = said_length(house.shop.team(case.team).first_answer, language)
    staff = {"name": name, "answers_within": within}
    context = context_for(house, customer, uow.sale(case.sale_id), case=case, staff=staff, text=text)
    return phrase(house, customer, "staff_reply", context)
