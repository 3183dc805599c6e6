"""Taking messages from the outbox: every guard is asked again, and what is known only now is filled in.

Nothing is sent here, and nothing waits for its turn.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta

from bot import cases, conversations, guards, holding
from bot.cards import as_json, card, task_card, task_words
from bot.desk import machine
from bot.desk.states import Case
from bot.dispatch.attempts import PUT_OFF
from bot.dispatch.crowds import NewCards, hold_up, summary
from bot.dispatch.refusals import say_in_thread
from bot.flows.events import Withdrawn
from bot.messages import House, country_of, note_down, phrase, zone_of
from bot.ports.records import Candidate, Customer, Json, Outgoing, OutgoingKind, Pause
from bot.ports.store import UnitOfWork

LEASE = timedelta(minutes=2)
"""How long a claimed message may take before its sender counts as dead."""

LIVE = timedelta(minutes=30)
"""How long what answers the customer's own words counts as such.

Later it waits for an allowed hour like anything else.
"""


def at_once(_message: Outgoing) -> timedelta:
    """Put nothing off."""
    return timedelta()


def claim(  # noqa: PLR0913 - what a claim is made of, by name
    uow: UnitOfWork,
    house: House,
    channel: str,
    now: datetime,
    limit: int,
    lease: timedelta = LEASE,
    *,
    careful: bool = True,
    of_a_lane: int = 1000,
    put_off: Callable[[Outgoing], timedelta] = at_once,
) -> tuple[list[Outgoing], int]:
    """Claim messages of a channel that may go now.

    Gives them, ready to send, and how many rows were looked at. Done `careful`, a row that spoils is set aside and
    stops no other; otherwise it raises, and all is to be done again with care: quicker where nothing spoils.

    `of_a_lane` is how many of one lane are claimed at most; `put_off` says for how long a message had better wait
    because too many are before it where it goes.
    """
    due = uow.candidates(now, limit, channel)
    pauses = uow.pauses() if due and channel == "telegram" else []
    crowd = NewCards(uow, house, now)
    if channel == "slack":
        # Customers before their cases, in one order everywhere: otherwise two would wait for one another.
        uow.read_ahead(sales={each.message.sale_id for each in due if each.message.sale_id})
        due = crowd.in_order(due)
    ready: list[Outgoing] = []
    lanes: dict[str, int] = {}
    asked: set[str] = set()
    for candidate in due:
        message = candidate.message
        if lanes.get(message.lane, 0) >= of_a_lane:
            continue
        # Whether the next question may follow so soon is known only once this one is marked.
        if message.kind == "question" and message.customer_id in asked and not message.body.get("prompted"):
            continue
        try:
            with uow.savepoint() if careful else nullcontext():
                prepared = _examine(uow, house, candidate, pauses, now)
        except Exception as error:
            if not careful or uow.is_passing(error):
                raise
            # Our own fault: the row ends visibly, the others go out.
            uow.put_outgoing(replace(message, state="failed", reason=f"{type(error).__name__}: {error}"))
            continue
        if prepared is None:
            continue
        if wait := crowd.wait(prepared):
            hold_up(uow, message, now + wait)
            continue
        if wait := put_off(prepared):
            _put_off(uow, message, prepared, now + wait)
            continue
        crowd.taken(prepared)
        ready.append(prepared)
        lanes[message.lane] = lanes.get(message.lane, 0) + 1
        if message.kind == "question" and message.customer_id:
            asked.add(message.customer_id)
    crowd.finish()
    until = now + lease
    uow.claim([each.id for each in ready if each.id is not None], until)
    return [replace(each, attempts=each.attempts + 1, lease_until=until) for each in ready], len(due)


def _put_off(uow: UnitOfWork, message: Outgoing, prepared: Outgoing, until: datetime) -> None:
    """Let it come back when its turn is near. That it may be a repeat must outlive the reason that says so."""
    if prepared.body.get("repeated"):
        message = replace(message, body={**message.body, "repeated": True})
    uow.put_outgoing(replace(message, not_before=until, reason=PUT_OFF))


def _examine(
    uow: UnitOfWork, house: House, candidate: Candidate, pauses: Sequence[Pause], now: datetime
) -> Outgoing | None:
    """Ask every guard again. Gives the message as it is to be sent, or None where it is not."""
    message = candidate.message
    decision = _step(uow, house, message, now) if "stage" in message.body else _decide(house, candidate, pauses, now)
    match decision:
        case guards.Send():
            return _prepare(uow, house, message, now)
        case guards.Defer():
            uow.put_outgoing(replace(message, not_before=decision.until, reason=decision.reason))
        case guards.Hold():
            uow.put_outgoing(replace(message, state="held", reason=decision.reason))
        case guards.Drop():
            _drop(uow, house, message, decision.reason, now)
    return None


def _decide(house: House, candidate: Candidate, pauses: Sequence[Pause], now: datetime) -> guards.Decision:
    message = candidate.message
    if message.channel == "slack" or message.kind in ("system", "edit"):
        return guards.Send()
    if not candidate.is_known:
        return guards.Drop("the customer is gone")
    fresh = now - message.created_at <= LIVE
    kind = _spoken(message.kind)
    if kind == "answer" and not fresh:
        kind = "notice"
    elif message.body.get("prompted") and fresh:
        kind = "answer"
    elif message.body.get("prompted") and candidate.case_status in cases.AT_WORK:
        # Asked for while an outage lasted; by now people are at it, and the question would come out of the blue.
        return guards.Drop("it was to follow the customer's words at once; a person is at it now")
    facts = guards.Facts(
        kind,
        message.purpose,
        message.expires_at,
        _question_open(candidate),
        about_case=candidate.about_case,
        with_case=bool(message.body.get("with_case")),
    )
    return guards.check(facts, _standing(house, candidate, pauses), house.shop.guards, now)


def _step(uow: UnitOfWork, house: House, message: Outgoing, now: datetime) -> guards.Decision:
    """Decide about a step of a case's ladder: is it still so, and is anybody there to be called upon?"""
    case = uow.case(message.case_id or "")
    if case is None:
        return guards.Drop("the case is gone")
    if case.due_at.isoformat() != message.body["due_at"]:
        return guards.Drop("the clock of the answer has been set anew since")
    ended = machine.no_longer(case, message.body["stage"], now)
    if ended is not None:
        return guards.Drop(ended)
    opens_at = cases.opens_at(house, case.team, now)
    if opens_at is None:
        return guards.Send()
    return guards.Defer(opens_at, f"team {case.team} is not at work")


def _spoken(kind: OutgoingKind) -> guards.MessageKind:
    match kind:
        case "card" | "thread" | "whisper" | "task" | "digest" | "alarm":
            msg = f"{kind} goes to Slack, not to a customer"
            raise ValueError(msg)
        case _:
            return kind


def _question_open(candidate: Candidate) -> bool:
    """Tell whether the question of a reminder still waits for an answer, and was sent at all."""
    message = candidate.message
    if message.conversation_id is None or message.turn is None:
        return True
    if candidate.talk_status != "asking" or candidate.talk_turn != message.turn:
        return False
    if message.kind != "reminder":
        return True
    return not candidate.has_spoken and candidate.question_state in ("sent", "unknown")


def _standing(house: House, candidate: Candidate, pauses: Sequence[Pause]) -> guards.Standing:
    owner = Customer("", country=candidate.country, time_zone=candidate.time_zone)
    return guards.Standing(
        zone=zone_of(house, owner),
        country=country_of(house, owner),
        linked=candidate.is_linked,
        stopped=candidate.is_stopped,
        unreachable=candidate.is_unreachable,
        consents=candidate.consents,
        case_open=candidate.case_status in cases.AT_WORK,
        other_case=candidate.other_case,
        other_question=candidate.other_question,
        paused=_paused(house, candidate, pauses),
        last_question_at=candidate.last_question_at,
        last_exchange_at=candidate.last_wrote_at,
    )


def _paused(house: House, candidate: Candidate, pauses: Sequence[Pause]) -> str:
    message = candidate.message
    found = pauses and holding.pause_of(pauses, flow=candidate.flow or "", sale_id=message.sale_id or "")
    return holding.words_for(found, house) if found else ""


def _drop(uow: UnitOfWork, house: House, message: Outgoing, reason: str, now: datetime) -> None:
    uow.put_outgoing(replace(message, state="dropped", reason=reason))
    note_down(uow, now, "message.dropped", sale_id=message.sale_id, message=message.kind, reason=reason)
    if message.kind == "question" and message.conversation_id:
        uow.read_ahead(customers=[message.customer_id] if message.customer_id else [])
        conversation = uow.conversation(message.conversation_id)
        if conversation is not None and conversation.state.turn == message.turn:
            conversations.advance(uow, house, conversation, Withdrawn(reason), now)
    if message.kind == "staff_reply":
        say_in_thread(uow, house, message, f"⚠️ Not sent to the customer: {reason}.", now)


def _prepare(uow: UnitOfWork, house: House, message: Outgoing, now: datetime) -> Outgoing | None:
    """Fill in what is known only at the time of sending.

    Where the card stands, what it shows, that it may be a repeat.
    """
    doubtful = (message.reason or "").startswith("unknown")
    if message.channel == "telegram":
        if doubtful and message.kind == "staff_reply" and not message.body.get("repeated"):
            customer = uow.customer(message.customer_id or "") or Customer("")
            text = f"{message.body['text']}\n{phrase(house, customer, 'repeated', {})}"
            return replace(message, body={**message.body, "text": text, "repeated": True})
        return message
    if doubtful:
        message = replace(message, body={**message.body, "repeated": True})
    if message.kind == "digest":
        return summary(uow, house, message, now)
    case = uow.case(message.case_id or "")
    return message if case is None else _of_case(uow, house, case, message, now)


def _of_case(uow: UnitOfWork, house: House, case: Case, message: Outgoing, now: datetime) -> Outgoing | None:
    """Fill in where the card of a case stands, and what is shown there."""
    if message.kind == "task":
        return _task(uow, house, case, message, now)
    post = uow.post_of(case.id)
    home = message.body.get("channel") or house.shop.team(message.body.get("team") or case.team).channel
    if message.kind == "card":
        stays = post is not None and "moved_to" not in message.body
        where = {"channel": post.channel if post and stays else home, "ts": post.ts if post and stays else None}
        return _with(message, {**where, "card": as_json(card(uow, house, case, now))})
    if message.kind == "whisper":
        return _with(message, {"channel": post.channel if post else home, "thread_ts": post.ts if post else None})
    if post is None:
        _stand_back(uow, message, now)
        return None
    return _with(message, {"channel": post.channel, "thread_ts": post.ts})


def _task(uow: UnitOfWork, house: House, case: Case, message: Outgoing, now: datetime) -> Outgoing | None:
    """Fill in what a second team sees of its task, and where it stands already."""
    task = next((each for each in case.tasks if each.id == message.body["task_id"]), None)
    if task is None:
        uow.put_outgoing(replace(message, state="dropped", reason="there is no such task"))
        return None
    shown = task_card(house, case, task, uow.customer(case.customer_id) or Customer(case.customer_id), now)
    channel = message.body.get("channel") or task.channel or house.shop.team(task.team).channel
    ts = None if message.body.get("channel") else task.ts
    where = {"channel": channel, "ts": ts, "text": task_words(shown), "task": as_json(shown)}
    return _with(message, where)


def _with(message: Outgoing, more: Json) -> Outgoing:
    return replace(message, body={**message.body, **more})


def _stand_back(uow: UnitOfWork, message: Outgoing, now: datetime) -> None:
    """A thread whose card is not posted yet: wait for the card, and look no sooner than it is tried again."""
    soon = now + timedelta(seconds=5)
    ours = (each for each in uow.outgoing_of(message.sale_id or "") if each.case_id == message.case_id)
    tried = [each.not_before for each in ours if each.kind == "card" and each.state == "waiting" and each.attempts]
    uow.put_outgoing(replace(message, not_before=max([soon, *tried]), reason="waits for the card"))
