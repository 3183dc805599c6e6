"""What happens to a case: events in, the next case and the effects out. Pure and total: no event raises.

Theory of operation. A case waits for staff while it is ``open``, ``claimed`` or ``call``; the ladder (`DueWarning`)
watches it until somebody answers. A remedy turns the waiting round: ``remedied`` waits for the customer, whose silence
makes it ``unconfirmed``. Only the customer's own word makes it ``confirmed``, from wherever it stands (rule 1), and a
new complaint reopens it from wherever it had come to rest: one cycle and one rung further, until the cycles are used up
and a person calls. What does not fit leaves the case as it is and says why; a member of staff who acted in vain is told
so.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, assert_never

from bot.desk.routing import Route
from bot.desk.shop import RemedyKind, Shop
from bot.desk.states import (
    SAID_ON_CARD,
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
    Remedy,
    RemedyDone,
    Replied,
    ReplyToCustomer,
    ShowCard,
    ShowTask,
    Snooze,
    Snoozed,
    SnoozeOver,
    StopLadder,
    Task,
    TaskDone,
    TaskDue,
    TaskOpened,
    Thread,
    UnhappyAgain,
    Whisper,
)
from bot.desk.working_time import said_at

WAITS_FOR_STAFF = frozenset({"open", "claimed", "call"})
"""The states in which it is for staff to act; while a case is in one of them, its customer is asked nothing."""

SNOOZE_MAX = timedelta(days=60)
"""The longest time for which a case is put aside."""

SAID_MAX_CHARS = 2000
"""How much of the customer's words a case quotes; the thread has them all."""

WARN_AT = 0.75
"""The share of the working time until the due time after which the team is warned."""

_BREACH, _CX_OWNER = 1, 2
"""The stages of the ladder that follow the warning, and the rungs that they lead to."""


@dataclass(frozen=True, slots=True)
class CaseTransition:
    """The case as it is now, and what is to be done."""

    case: Case
    effects: tuple[CaseEffect, ...]


def open_case(  # noqa: PLR0913  # a case is made of all of this
    *,
    id: str,  # noqa: A002  # the field's name
    sale_id: str,
    customer_id: str,
    conversation_id: str,
    route: Route,
    reason: Literal["unhappy", "unclear"],
    said: str,
    factor: str | None,
    touchpoint: str | None,
    promise_id: str | None,
    shop: Shop,
    now: datetime,
    media: tuple[Attachment, ...] = (),
) -> tuple[Case, tuple[CaseEffect, ...]]:
    """Give a new case of the routed team, due by that team's calendar, and what its opening wants done."""
    due_at, due_reason = _due(route.team, shop, now)
    case = Case(
        id=id,
        sale_id=sale_id,
        customer_id=customer_id,
        conversation_id=conversation_id,
        status="open",
        team=route.team,
        why_team=route.why,
        reason=reason,
        said=said,
        opened_at=now,
        due_at=due_at,
        due_reason=due_reason,
        factor=factor,
        touchpoint=touchpoint,
        promise_id=promise_id,
        media=media,
    )
    is_cut = len(said.encode("utf-16-le", "surrogatepass")) // 2 > SAID_ON_CARD
    shown = (Thread(f"In full: {_quoted(said)}"),) if is_cut else ()
    sent = (Thread("The customer sent this with it:", media=media),) if media else ()
    return case, (ShowCard(), *shown, *sent, *_ladder(case, shop, now))


def decide(  # noqa: PLR0911, PLR0912, C901  # an arm for each event
    case: Case, event: CaseEvent, shop: Shop, now: datetime
) -> CaseTransition:
    """Give what `event` makes of `case`. Total: what does not fit changes nothing and yields `CaseIgnored`."""
    match event:
        case Claimed():
            return _claimed(case, event, now)
        case Replied():
            return _replied(case, event, now)
        case RemedyDone():
            return _remedy_done(case, event, shop, now)
        case HandedOver():
            return _handed_over(case, event, shop, now)
        case Snoozed():
            return _snoozed(case, event, shop, now)
        case SnoozeOver():
            return _snooze_over(case, event, shop, now)
        case CallNeeded():
            return _call_needed(case, event, shop, now)
        case Noted():
            return _noted(case, event)
        case TaskOpened():
            return _task_opened(case, event, shop, now)
        case TaskDone():
            return _task_done(case, event, now)
        case TaskDue():
            return _task_due(case, event, shop, now)
        case CustomerSaid() | CustomerEdited():
            return _said(case, event, shop, now)
        case CustomerDeleted():
            words = f", which said: {_quoted(event.text)}" if event.text.strip() else ""
            return CaseTransition(case, (Thread(f"🗑️ The customer deleted a message{words}", case.claimed_by),))
        case UnhappyAgain():
            return _unhappy_again(case, event, shop, now)
        case CustomerConfirmed():
            return _confirmed(case, now)
        case CustomerSilent():
            return _silent(case)
        case DueWarning():
            return _warned(case, event.stage, shop, now)
        case _:
            assert_never(event)


# Staff --------------------------------------------------------------------------------------------------------


def _claimed(case: Case, event: Claimed, now: datetime) -> CaseTransition:
    if case.claimed_by == event.by:
        return _ignored(case, "the same person has it already")
    if case.claimed_by is not None:
        return _in_vain(case, event.by, f"{_user(case.claimed_by)} took this {_ago(case.claimed_at, now)}.")
    if case.status not in WAITS_FOR_STAFF:
        return _in_vain(case, event.by, f"There is nothing to take: {_standing(case)}.")
    return CaseTransition(_taken(case, event.by, now), (Thread(f"{_user(event.by)} has taken this."), ShowCard()))


def _replied(case: Case, event: Replied, now: datetime) -> CaseTransition:
    if not event.text.strip():
        return _in_vain(case, event.by, "Nothing was sent to the customer: the reply was empty.")
    # What was left of the clock while it stood still is of no use any more: the customer has their answer.
    snooze = replace(case.snooze, left=None) if case.snooze else None
    answered = replace(_taken(case, event.by, now), answered_at=case.answered_at or now, snooze=snooze)
    return CaseTransition(
        answered,
        (
            StopLadder(),
            ReplyToCustomer(event.by, event.text),
            Thread(f"{_user(event.by)} replied to the customer: {_quoted(event.text)}"),
            ShowCard(),
        ),
    )


def _remedy_done(case: Case, event: RemedyDone, shop: Shop, now: datetime) -> CaseTransition:
    if case.status == "confirmed":
        return _in_vain(case, event.by, "The customer has already said that it is right; nothing was changed.")
    lacks = _lacks_of(event, shop)
    if lacks:
        return _in_vain(case, event.by, f"Nothing was noted: {lacks}.")
    remedy = Remedy(event.kind, event.note.strip(), event.by, now, event.value.strip(), event.root_cause)
    remedied = replace(
        _taken(case, event.by, now), status="remedied", remedies=(*case.remedies, remedy), snooze=None, call_reason=None
    )
    done = f"{_remedy_words(remedy, shop)} {_quoted(event.note)}"
    if case.status == "remedied":
        # The question after the first remedy is on its way: a second one would be one too many.
        told = Thread(f"{_user(event.by)} also did: {done}. The customer is being asked already.")
        return CaseTransition(remedied, (told, ShowCard()))
    kind = shop.remedies[event.kind]
    asked = "once it is delivered" if kind.counts_from_delivery else "whether it is right now"
    told = Thread(f"{_user(event.by)} did: {done}. The customer will be asked {asked}.")
    at = _reask_at(kind, case.team, shop, now)
    return CaseTransition(remedied, (StopLadder(), PlanReask(at, event.kind), told, ShowCard()))


def _lacks_of(event: RemedyDone, shop: Shop) -> str:
    """Say what a remedy lacks to be noted; "" where it is complete."""
    kind = shop.remedies.get(event.kind)
    if kind is None:
        return f"{event.kind} is not one of the shop's remedies"
    if not event.note.strip():
        return "a remedy needs a note of what exactly was done"
    if event.root_cause not in shop.causes:
        return "a remedy needs the root cause: why did it go wrong?"
    if kind.has_value and not event.value.strip():
        return f"{shop.remedy_label(event.kind, shop.staff_language)} needs a value: how much?"
    return ""


def _reask_at(kind: RemedyKind, team: str, shop: Shop, now: datetime) -> datetime | None:
    """Tell when to ask whether it is right; None: when the flow says."""
    calendar = shop.team(team).calendar
    wait = kind.delivered_by if kind.counts_from_delivery else kind.reask_after
    if wait is None:
        return None
    # A replacement travels at weekends, too: only business days ask the calendar.
    return calendar.add_business_days(now, wait.business_days) if wait.business_days else now + wait.span


def reask_after_delivery(case: Case, shop: Shop, delivered_at: datetime) -> tuple[bool, datetime | None]:
    """Tell whether a delivery at that moment is what a case waited for, and when the customer is to be asked then."""
    remedy = case.remedies[-1] if case.remedies else None
    kind = shop.remedies.get(remedy.kind) if remedy else None
    if case.status != "remedied" or remedy is None or kind is None or not kind.counts_from_delivery:
        return False, None
    if delivered_at < remedy.at:
        return False, None
    return True, _reask_at(replace(kind, counts_from_delivery=False), case.team, shop, delivered_at)


def _handed_over(case: Case, event: HandedOver, shop: Shop, now: datetime) -> CaseTransition:
    if case.status == "confirmed":
        return _in_vain(case, event.by, "The customer has already said that it is right; nothing was changed.")
    if not shop.has_team(event.team):
        return _in_vain(case, event.by, f"Nothing was changed: there is no team {event.team}.")
    if event.team == case.team:
        return _in_vain(case, event.by, f"Nothing was changed: team {event.team} has it already.")
    moved = replace(
        case,
        team=event.team,
        why_team=f"handed over by {case.team}",
        status="open" if case.status == "claimed" else case.status,
        claimed_by=None,
        claimed_at=None,
        fell_back=None,
    )
    why = f": {_quoted(event.reason)}" if event.reason.strip() else "."
    said = f"{_user(event.by)} handed this over from {case.team} to {event.team}{why}"
    watched = is_awaited(moved)
    told = Thread(f"{said} {_stays_due(moved, shop)}" if watched else said, _lead(moved, shop))
    if not watched:
        return CaseTransition(moved, (MoveCard(event.team), told))
    return CaseTransition(moved, (MoveCard(event.team), told, StopLadder(), *_ladder(moved, shop, now)))


def rerouted(before: str, case: Case, shop: Shop) -> Thread:
    """Say that a case that nobody had taken went to another team by what the customer said."""
    stays = f" {_stays_due(case, shop)}" if is_awaited(case) else ""
    return Thread(f"By what the customer said this went from {before} to {case.team} ({case.why_team}).{stays}")


def _stays_due(case: Case, shop: Shop) -> str:
    return f"Its due time stays as it was: {_due_words(case, shop)}."


def _snoozed(case: Case, event: Snoozed, shop: Shop, now: datetime) -> CaseTransition:
    lacks = None
    if case.status not in WAITS_FOR_STAFF:
        lacks = f"there is nothing to put aside: {_standing(case)}"
    elif event.waits_for not in ("customer", "parcel", "supplier"):
        lacks = "a case is put aside only while it waits for the customer, a parcel or a supplier"
    elif not event.reason.strip():
        lacks = "say in a few words what it waits for"
    elif not now < event.until <= now + SNOOZE_MAX:
        lacks = f"choose a time ahead, and not more than {SNOOZE_MAX.days} days"
    if lacks is not None:
        return _in_vain(case, event.by, f"Nothing was put aside: {lacks}.")
    calendar = shop.team(case.team).calendar
    until = calendar.next_open(event.until)
    pauses = event.waits_for == "customer" and case.answered_at is None
    left = _time_left(case, shop, now) if pauses else None
    snooze = Snooze(event.waits_for, now, until, event.by, event.reason.strip(), left)
    aside = replace(_taken(case, event.by, now), snooze=snooze)
    if pauses:
        clock = " The clock stands still until then, or until the customer writes."
    elif is_awaited(aside):
        clock = f" The customer still waits for an answer, so the clock goes on: due {_due_words(case, shop)}."
    else:
        clock = ""
    told = Thread(
        f"{_user(event.by)} put this aside until {_time(until, case, shop)}: it waits for the {event.waits_for}, "
        f"{_quoted(event.reason)}.{clock}"
    )
    ladder: tuple[CaseEffect, ...] = ()
    if case.snooze is not None and case.snooze.left is not None and not pauses:
        # It had stood still, and goes on: what was left then is left now.
        aside = _resumed(aside, case.snooze, shop, now)
        ladder = _ladder(aside, shop, now)
    return CaseTransition(aside, (*((StopLadder(),) if pauses else ladder), PlanWake(until), told, ShowCard()))


def _time_left(case: Case, shop: Shop, now: datetime) -> timedelta:
    """Tell how much working time is left until the answer is due; of a clock that stands, what was left then."""
    if case.snooze is not None and case.snooze.left is not None:
        return case.snooze.left
    return shop.team(case.team).calendar.working_between(now, case.due_at)


def _snooze_over(case: Case, event: SnoozeOver, shop: Shop, now: datetime) -> CaseTransition:
    snooze = case.snooze
    if snooze is None or snooze.until != event.until or case.status not in WAITS_FOR_STAFF:
        return _ignored(case, "it is not put aside until now")
    back, ladder = _unsnoozed(case, shop, now)
    whom = case.claimed_by or _lead(case, shop)
    told = Thread(
        f"⏰ This was put aside until now: it waited for the {snooze.waits_for}, {_quoted(snooze.reason)}.", whom
    )
    return CaseTransition(back, (*ladder, told, ShowCard()))


def _unsnoozed(case: Case, shop: Shop, now: datetime) -> tuple[Case, tuple[CaseEffect, ...]]:
    """Take a case up again; where its clock had stood still, it goes on with what was left."""
    snooze = case.snooze
    back = replace(case, snooze=None)
    if snooze is None or snooze.left is None or case.answered_at is not None:
        return back, ()
    back = _resumed(back, snooze, shop, now)
    return back, (StopLadder(), *_ladder(back, shop, now))


def _resumed(case: Case, snooze: Snooze, shop: Shop, now: datetime) -> Case:
    calendar = shop.team(case.team).calendar
    stood = f"the clock stood from {_time(snooze.since, case, shop)} to {_time(now, case, shop)}"
    if shop.staff_language == "da":
        stood = f"uret stod fra {_time(snooze.since, case, shop)} til {_time(now, case, shop)}"
        return replace(
            case,
            due_at=calendar.add_working(now, snooze.left or timedelta()),
            due_reason=f"{stood}, mens vi ventede på kunden",
        )
    return replace(
        case,
        due_at=calendar.add_working(now, snooze.left or timedelta()),
        due_reason=f"{stood}, while we waited for the customer",
    )


def _call_needed(case: Case, event: CallNeeded, shop: Shop, now: datetime) -> CaseTransition:
    if case.status == "call":
        return _in_vain(case, event.by, "It stands there already that somebody has to call the customer.")
    if case.status not in (*WAITS_FOR_STAFF, "unconfirmed"):
        return _in_vain(case, event.by, f"Nothing was changed: {_standing(case)}.")
    if not event.reason.strip():
        return _in_vain(case, event.by, "Nothing was changed: say in a few words what the call is about.")
    called = replace(_taken(case, event.by, now), status="call", call_reason=event.reason.strip())
    told = Thread(f"📞 {_user(event.by)} says that the customer is to be called: {_quoted(event.reason)}")
    if case.status != "unconfirmed":
        return CaseTransition(called, (told, ShowCard()))
    called = _due_anew(replace(called, claimed_by=event.by, claimed_at=now, answered_at=None), shop, now)
    return CaseTransition(called, (StopLadder(), *_ladder(called, shop, now), told, ShowCard()))


def _noted(case: Case, event: Noted) -> CaseTransition:
    if not event.text.strip():
        return _in_vain(case, event.by, "Nothing was noted: the note was empty.")
    # For the others to find; nobody is called upon by it.
    return CaseTransition(case, (Thread(f"📝 {_user(event.by)} notes: {_quoted(event.text)}"),))


# A second team -------------------------------------------------------------------------------------------------


def _task_opened(case: Case, event: TaskOpened, shop: Shop, now: datetime) -> CaseTransition:
    if any(task.id == event.id for task in case.tasks):
        return _ignored(case, "that task is there already")
    lacks = None
    if case.status == "confirmed":
        lacks = "the customer has already said that it is right"
    elif not shop.has_team(event.team):
        lacks = f"there is no team {event.team}"
    elif event.team == case.team:
        lacks = f"team {event.team} has the case itself"
    elif not event.text.strip():
        lacks = "say what is to be done"
    if lacks is not None:
        return _in_vain(case, event.by, f"Nobody was asked: {lacks}.")
    due_at, due_reason = _due(event.team, shop, now)
    task = Task(event.id, event.team, event.text.strip(), event.by, now, due_at, due_reason)
    told = Thread(f"{_user(event.by)} asked team {event.team}: {_quoted(event.text)}, due {_due_words(task, shop)}.")
    asked = replace(case, tasks=(*case.tasks, task))
    return CaseTransition(asked, (ShowTask(task.id), PlanTask(task.id, 1, due_at), told, ShowCard()))


def _task_done(case: Case, event: TaskDone, now: datetime) -> CaseTransition:
    task = next((each for each in case.tasks if each.id == event.task_id), None)
    if task is None:
        return _in_vain(case, event.by, "Nothing was changed: there is no such task.")
    if task.done_at is not None:
        who = "You" if task.done_by == event.by else _user(task.done_by)
        return _in_vain(case, event.by, f"{who} did this {_ago(task.done_at, now)}.")
    done = replace(task, done_at=now, done_by=event.by, note=event.note.strip())
    finished = replace(case, tasks=tuple(done if each.id == task.id else each for each in case.tasks))
    note = f" {_quoted(event.note)}" if event.note.strip() else ""
    told = Thread(
        f"☑️ {_user(event.by)} of team {task.team} did what was asked: {_quoted(task.text)}.{note}",
        case.claimed_by or task.by,
    )
    return CaseTransition(finished, (ShowTask(task.id), told, ShowCard()))


def _task_due(case: Case, event: TaskDue, shop: Shop, now: datetime) -> CaseTransition:
    task = next((each for each in case.tasks if each.id == event.task_id), None)
    if task is None or task.done_at is not None:
        return _ignored(case, "the task is done")
    team = shop.team(task.team)
    whom = team.lead or shop.cx_owner if event.stage <= 1 else shop.cx_owner or team.lead
    told = Thread(
        f"⏰ Team {task.team} has not done yet what was asked: {_quoted(task.text)}, due {_due_words(task, shop)}.",
        whom,
    )
    again = PlanTask(task.id, event.stage + 1, team.calendar.add_business_days(now, 1))
    return CaseTransition(case, (ShowTask(task.id), told, ShowCard(), again))


# The customer ---------------------------------------------------------------------------------------------------


def _said(case: Case, event: CustomerSaid | CustomerEdited, shop: Shop, now: datetime) -> CaseTransition:
    case = replace(case, media=(*case.media, *event.media))
    is_edit = isinstance(event, CustomerEdited)
    lead = "✏️ The customer changed a message, which now says" if is_edit else "The customer writes"
    if case.status in ("remedied", "unconfirmed"):
        return _spoken_again(case, event, f"{lead}, so it is open again.", shop, now)
    told = Thread(f"{lead}: {_quoted(event.text)}", case.claimed_by, event.media)
    if case.status == "confirmed":
        return CaseTransition(case, (told,))
    heard, ladder = _waits_again(_heard(case, event.text), shop, now)
    return CaseTransition(heard, (*ladder, told, ShowCard()))


def _waits_again(case: Case, shop: Shop, now: datetime) -> tuple[Case, tuple[CaseEffect, ...]]:
    """Let the clock run for a customer who has just written: it had stood still while we waited for them."""
    if case.answered_at is not None:
        waits = _due_anew(replace(case, answered_at=None, snooze=_without_customer(case.snooze)), shop, now)
        return waits, (StopLadder(), *_ladder(waits, shop, now))
    if case.snooze is not None and case.snooze.waits_for == "customer":
        return _unsnoozed(case, shop, now)
    return case, ()


def _without_customer(snooze: Snooze | None) -> Snooze | None:
    return None if snooze is not None and snooze.waits_for == "customer" else snooze


def _spoken_again(
    case: Case, event: CustomerSaid | CustomerEdited, lead: str, shop: Shop, now: datetime
) -> CaseTransition:
    """Put a case before people again: whether these words are a yes, the bot must not guess (rule 4)."""
    back = replace(case, status="open", claimed_by=None, claimed_at=None, answered_at=None)
    back = _due_anew(back, shop, now)
    before = f" {_user(case.claimed_by)} had it last." if case.claimed_by else ""
    told = Thread(
        f"{lead}{before} {_quoted(event.text)}",
        _called_upon(back, shop),
        event.media,
    )
    return CaseTransition(_heard(back, event.text), (StopLadder(), *_ladder(back, shop, now), told, ShowCard()))


def _unhappy_again(case: Case, event: UnhappyAgain, shop: Shop, now: datetime) -> CaseTransition:
    about = ", ".join(word for word in (event.factor, event.touchpoint) if word)
    about = f" ({about})" if about else ""
    if case.status in WAITS_FOR_STAFF:
        told = Thread(f"The customer is unhappy once more{about}: {_quoted(event.said)}", case.claimed_by, event.media)
        heard, ladder = _waits_again(_heard(case, event.said), shop, now)
        return CaseTransition(replace(heard, media=(*case.media, *event.media)), (*ladder, told, ShowCard()))
    must_call = case.cycle >= shop.max_cycles
    reopened = replace(
        case,
        status="call" if must_call else "open",
        cycle=case.cycle if must_call else case.cycle + 1,
        rung=_CX_OWNER if must_call else min(case.rung + 1, _CX_OWNER),
        claimed_by=None,
        claimed_at=None,
        answered_at=None,
        closed_at=None,
        call_reason=f"asked {case.cycle} times and still not right" if must_call else None,
        media=(*case.media, *event.media),
    )
    reopened = _due_anew(reopened, shop, now)
    before = f" {_user(case.claimed_by)} had it last." if case.claimed_by else ""
    outcome = (
        f"Asked {case.cycle} times and still not right: call the customer."
        if must_call
        else f"The customer says that it is not right: reopened, cycle {reopened.cycle}."
    )
    told = Thread(
        f"{outcome}{before} They said{about}: {_quoted(event.said)}\n{_story(case, shop)}",
        _called_upon(reopened, shop),
        event.media,
    )
    effects: tuple[CaseEffect, ...] = (StopLadder(), *_ladder(reopened, shop, now), told, ShowCard())
    return CaseTransition(_heard(reopened, event.said), effects)


def _story(case: Case, shop: Shop) -> str:
    """Tell the whole story of a case in a few lines, so that whoever comes to it anew need not ask the customer."""
    first = f"{_time(case.opened_at, case, shop)} – it began: {_quoted(case.said)}"
    done = [
        f"{_time(each.at, case, shop)} – {_user(each.by)} did: {_remedy_words(each, shop)} {_quoted(each.note)}"
        + (f" (root cause: {shop.cause_label(each.root_cause, shop.staff_language)})" if each.root_cause else "")
        for each in case.remedies
    ]
    return "\n".join(["The story so far:", first, *done])


def _confirmed(case: Case, now: datetime) -> CaseTransition:
    if case.status == "confirmed":
        return _ignored(case, "the customer has said so before")
    closed = replace(case, status="confirmed", closed_at=now, snooze=None)
    told = Thread("The customer says that it is right now. The case is closed.", case.claimed_by)
    return CaseTransition(closed, (StopLadder(), told, ShowCard()))


def _silent(case: Case) -> CaseTransition:
    if case.status != "remedied":
        return _ignored(case, f"nothing was asked: {_standing(case)}")
    told = Thread("The customer did not say whether it is right now. That is not a yes: it stays unconfirmed.")
    return CaseTransition(replace(case, status="unconfirmed"), (told, ShowCard()))


# The ladder -----------------------------------------------------------------------------------------------------


def no_longer(case: Case, stage: int, now: datetime) -> str | None:
    """Say why a step of the ladder has lost its ground; None where it stands. Asked when it is due, and when sent."""
    if case.status not in WAITS_FOR_STAFF:
        return f"no warning is due: {_standing(case)}"
    if case.answered_at is not None:
        return "no warning is due: the customer has been answered"
    if is_paused(case):
        return "no warning is due: the clock stands still while we wait for the customer"
    if (stage < _BREACH) == (now >= case.due_at):
        return "this warning belongs to another moment"
    if stage > _CX_OWNER and case.claimed_by is not None:
        return "it has been taken since"
    return None


def is_paused(case: Case) -> bool:
    """Tell whether the clock of the answer stands still, because we wait for the customer."""
    return case.snooze is not None and case.snooze.left is not None


def is_awaited(case: Case) -> bool:
    """Tell whether the customer waits for a person now, so that the clock runs."""
    return case.status in WAITS_FOR_STAFF and case.answered_at is None and not is_paused(case)


def _warned(case: Case, stage: int, shop: Shop, now: datetime) -> CaseTransition:
    ended = no_longer(case, stage, now)
    if ended is not None:
        return _ignored(case, ended)
    if stage < _BREACH:
        whom = case.claimed_by or _lead(case, shop)
        told = Thread(f"The customer waits for an answer, due {_due_words(case, shop)}.", whom, stage=stage)
        return CaseTransition(case, (told, ShowCard()))
    raised = replace(case, rung=max(case.rung, min(stage, _CX_OWNER)))
    who = f"{_user(case.claimed_by)} has it" if case.claimed_by else "nobody has taken it"
    told = Thread(
        f"The customer still waits for an answer, and {who}. It was due {_due_words(case, shop)}.",
        _called_upon(raised, shop),
        stage=stage,
    )
    more = () if stage >= _CX_OWNER and case.claimed_by else (_next_rung(case, stage + 1, shop, now),)
    return CaseTransition(raised, (told, ShowCard(), *more))


def _ladder(case: Case, shop: Shop, now: datetime) -> tuple[PlanLadder, ...]:
    """Plan what is still ahead: the warning and the breach, or where the due time has passed, the next rung."""
    if is_paused(case):
        return ()
    if now >= case.due_at:
        return (_next_rung(case, max(case.rung, _BREACH) + 1, shop, now),)
    calendar = shop.team(case.team).calendar
    warn_at = calendar.add_working(now, calendar.working_between(now, case.due_at) * WARN_AT)
    warning = (PlanLadder(0, warn_at),) if warn_at < case.due_at else ()
    return (*warning, PlanLadder(_BREACH, case.due_at))


def _next_rung(case: Case, stage: int, shop: Shop, now: datetime) -> PlanLadder:
    return PlanLadder(stage, shop.team(case.team).calendar.add_business_days(now, 1))


def _due(team: str, shop: Shop, now: datetime) -> tuple[datetime, str]:
    """Give the time of the first answer, and in words why it is that time."""
    answering = shop.team(team)
    due_at = answering.calendar.after(now, answering.first_answer)
    return due_at, answering.calendar.explain(now, due_at, answering.first_answer, shop.staff_language)


def _due_anew(case: Case, shop: Shop, now: datetime) -> Case:
    due_at, due_reason = _due(case.team, shop, now)
    return replace(case, due_at=due_at, due_reason=due_reason)


def _due_words(what: Case | Task, shop: Shop) -> str:
    """Say when something is due, and why, each once."""
    return f"{said_at(what.due_at, shop.team(what.team).calendar.zone, shop.staff_language)}: {what.due_reason}"


def _time(at: datetime, case: Case, shop: Shop) -> str:
    return said_at(at, shop.team(case.team).calendar.zone, shop.staff_language)


def _remedy_words(remedy: Remedy, shop: Shop) -> str:
    label = shop.remedy_label(remedy.kind, shop.staff_language)
    return f"{label} ({remedy.value})" if remedy.value else label


def _lead(case: Case, shop: Shop) -> str | None:
    return shop.team(case.team).lead or shop.cx_owner


def called_upon(case: Case, shop: Shop) -> str | None:
    """Give whoever is answerable for a case as it stands: who has it, or whoever stands on its rung."""
    return case.claimed_by or _called_upon(case, shop)


def _called_upon(case: Case, shop: Shop) -> str | None:
    """Give whoever stands on the case's rung: the lead, or on the last one the CX owner."""
    return _lead(case, shop) if case.rung < _CX_OWNER else shop.cx_owner or _lead(case, shop)


# Small change ---------------------------------------------------------------------------------------------------


def _taken(case: Case, by: str, now: datetime) -> Case:
    """Let whoever acts on a case that waits for staff, and that nobody has, have it."""
    if case.claimed_by is not None or case.status not in WAITS_FOR_STAFF:
        return case
    return replace(case, status="claimed" if case.status == "open" else case.status, claimed_by=by, claimed_at=now)


def _user(user: str | None) -> str:
    """Name a member of staff, in the form that whoever posts it makes a mention."""
    return f"{{user:{user}}}"


def _heard(case: Case, words: str) -> Case:
    """Let the card quote what the customer adds while nobody has answered yet.

    A tap alone seldom says what is wrong.
    """
    if case.answered_at is not None or case.status not in WAITS_FOR_STAFF or len(case.said) > SAID_MAX_CHARS:
        return case
    return replace(case, said=f"{case.said}\n{words.strip()}".strip()[:SAID_MAX_CHARS])


def _quoted(words: str) -> str:
    """Quote what somebody typed, so that it calls upon nobody."""
    return f"“{words.strip().replace('{user:', '{ user:').replace('<@', '< @')}”"


def _ignored(case: Case, reason: str) -> CaseTransition:
    return CaseTransition(case, (CaseIgnored(reason),))


def _in_vain(case: Case, by: str, text: str) -> CaseTransition:
    return CaseTransition(case, (CaseIgnored(text), Whisper(by, text)))


def _standing(case: Case) -> str:
    return {
        "open": "the case is open",
        "claimed": "somebody is at it",
        "remedied": "the customer is being asked whether it is right now",
        "call": "somebody has to call the customer",
        "unconfirmed": "the customer did not say whether it is right",
        "confirmed": "the customer has said that it is right",
    }[case.status]


def _ago(then: datetime | None, now: datetime) -> str:
    passed = now - then if then is not None else timedelta()
    for size, unit in ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        if (number := passed // size) > 0:
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    return "just now"
