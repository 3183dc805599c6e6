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
from bot.desk.shop import Shop
from bot.desk.states import (
    Case,
    CaseEffect,
    CaseEvent,
    CaseIgnored,
    Claimed,
    CustomerConfirmed,
    CustomerSaid,
    CustomerSilent,
    DueWarning,
    HandedOver,
    MoveCard,
    PlanLadder,
    PlanReask,
    Remedy,
    RemedyDone,
    Replied,
    ReplyToCustomer,
    ShowCard,
    StopLadder,
    Thread,
    UnhappyAgain,
    Whisper,
)

WAITS_FOR_STAFF = frozenset({"open", "claimed", "call"})
"""The states in which it is for staff to act; while a case is in one of them, its customer is asked nothing."""

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
    )
    return case, (ShowCard(), *_ladder(case, shop, now))


def decide(case: Case, event: CaseEvent, shop: Shop, now: datetime) -> CaseTransition:  # noqa: PLR0911  # an arm each
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
        case CustomerSaid():
            told = Thread(f"The customer writes: {_quoted(event.text)}", case.claimed_by)
            if case.status in ("remedied", "unconfirmed"):
                return _spoken_again(case, event, shop, now)
            case = _heard(case, event.text)
            return CaseTransition(case, (told,) if case.status == "confirmed" else (told, ShowCard()))
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
    answered = replace(_taken(case, event.by, now), answered_at=case.answered_at or now)
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
    if event.kind not in shop.remedies:
        return _in_vain(case, event.by, f"Nothing was noted: {event.kind} is not one of the shop's remedies.")
    remedy = Remedy(event.kind, event.note, event.by, now)
    remedied = replace(_taken(case, event.by, now), status="remedied", remedies=(*case.remedies, remedy))
    label = shop.remedy_label(event.kind, "en")
    note = f" {_quoted(event.note)}" if event.note.strip() else ""
    if case.status == "remedied":
        # The question after the first remedy is on its way: a second one would be one too many.
        told = Thread(f"{_user(event.by)} also did: {label}{note}. The customer is being asked already.")
        return CaseTransition(remedied, (told, ShowCard()))
    wait = shop.remedies[event.kind].reask_after
    # A replacement travels at weekends, too: only business days ask the calendar.
    days = wait.business_days
    reask_at = shop.team(case.team).calendar.add_business_days(now, days) if days else now + wait.span
    told = Thread(f"{_user(event.by)} did: {label}{note}. The customer will be asked whether it is right now.")
    return CaseTransition(remedied, (StopLadder(), PlanReask(reask_at, event.kind), told, ShowCard()))


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
    )
    why = f": {_quoted(event.reason)}" if event.reason.strip() else "."
    said = f"{_user(event.by)} handed this over from {case.team} to {event.team}{why}"
    told = Thread(said, _lead(moved, shop))
    watched = moved.status in WAITS_FOR_STAFF and moved.answered_at is None
    if not watched:
        return CaseTransition(moved, (MoveCard(event.team), told))
    return CaseTransition(moved, (MoveCard(event.team), told, StopLadder(), *_ladder(moved, shop, now)))


# The customer ---------------------------------------------------------------------------------------------------


def _spoken_again(case: Case, event: CustomerSaid, shop: Shop, now: datetime) -> CaseTransition:
    """Put a case before people again: whether these words are a yes, the bot must not guess (rule 4)."""
    due_at, due_reason = _due(case.team, shop, now)
    back = replace(
        case,
        status="open",
        claimed_by=None,
        claimed_at=None,
        answered_at=None,
        due_at=due_at,
        due_reason=due_reason,
    )
    before = f" {_user(case.claimed_by)} had it last." if case.claimed_by else ""
    told = Thread(f"The customer writes, so it is open again.{before} {_quoted(event.text)}", _called_upon(back, shop))
    return CaseTransition(_heard(back, event.text), (StopLadder(), *_ladder(back, shop, now), told, ShowCard()))


def _unhappy_again(case: Case, event: UnhappyAgain, shop: Shop, now: datetime) -> CaseTransition:
    about = ", ".join(word for word in (event.factor, event.touchpoint) if word)
    about = f" ({about})" if about else ""
    if case.status in WAITS_FOR_STAFF:
        told = Thread(f"The customer is unhappy once more{about}: {_quoted(event.said)}", case.claimed_by)
        return CaseTransition(_heard(case, event.said), (told, ShowCard()))
    due_at, due_reason = _due(case.team, shop, now)
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
        due_at=due_at,
        due_reason=due_reason,
    )
    before = f" {_user(case.claimed_by)} had it last." if case.claimed_by else ""
    outcome = (
        f"Asked {case.cycle} times and still not right: call the customer."
        if must_call
        else f"The customer says that it is not right: reopened, cycle {reopened.cycle}."
    )
    told = Thread(f"{outcome}{before} They said{about}: {_quoted(event.said)}", _called_upon(reopened, shop))
    effects: tuple[CaseEffect, ...] = (StopLadder(), *_ladder(reopened, shop, now), told, ShowCard())
    return CaseTransition(_heard(reopened, event.said), effects)


def _confirmed(case: Case, now: datetime) -> CaseTransition:
    if case.status == "confirmed":
        return _ignored(case, "the customer has said so before")
    closed = replace(case, status="confirmed", closed_at=now)
    told = Thread("The customer says that it is right now. The case is closed.", case.claimed_by)
    return CaseTransition(closed, (StopLadder(), told, ShowCard()))


def _silent(case: Case) -> CaseTransition:
    if case.status != "remedied":
        return _ignored(case, f"nothing was asked: {_standing(case)}")
    told = Thread("The customer did not say whether it is right now. That is not a yes: it stays unconfirmed.")
    return CaseTransition(replace(case, status="unconfirmed"), (told, ShowCard()))


# The ladder -----------------------------------------------------------------------------------------------------


def _warned(case: Case, stage: int, shop: Shop, now: datetime) -> CaseTransition:
    if case.status not in WAITS_FOR_STAFF:
        return _ignored(case, f"no warning is due: {_standing(case)}")
    if case.answered_at is not None:
        return _ignored(case, "no warning is due: the customer has been answered")
    if (stage < _BREACH) == (now >= case.due_at):
        return _ignored(case, "this warning belongs to another moment")
    if stage < _BREACH:
        whom = case.claimed_by or _lead(case, shop)
        told = Thread(f"The customer waits for an answer, due {case.due_reason}.", whom)
        return CaseTransition(case, (told,))
    if stage > _CX_OWNER and case.claimed_by is not None:
        return _ignored(case, "it has been taken since")
    raised = replace(case, rung=max(case.rung, min(stage, _CX_OWNER)))
    who = f"{_user(case.claimed_by)} has it" if case.claimed_by else "nobody has taken it"
    told = Thread(
        f"The customer still waits for an answer, and {who}. It was due {case.due_reason}.", _called_upon(raised, shop)
    )
    more = () if stage >= _CX_OWNER and case.claimed_by else (_next_rung(case, stage + 1, shop, now),)
    return CaseTransition(raised, (told, ShowCard(), *more))


def _ladder(case: Case, shop: Shop, now: datetime) -> tuple[PlanLadder, ...]:
    """Plan what is still ahead: the warning and the breach, or where the due time has passed, the next rung."""
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
    return due_at, answering.calendar.explain(now, due_at)


def _lead(case: Case, shop: Shop) -> str | None:
    return shop.team(case.team).lead or shop.cx_owner


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
