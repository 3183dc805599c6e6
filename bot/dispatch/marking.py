"""Writing down what came of messages, and whatever follows from it: many plain ones in a few statements.

Deciding whether and when is not done here; nor is sending.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import get_args

from bot import conversations, retry
from bot.dispatch.attempts import AT_MOST_ONCE, NotYet, Outcome
from bot.dispatch.crowds import summary_sent
from bot.dispatch.refusals import refused, say_in_thread, try_again
from bot.durations import parse_duration
from bot.errors import DeliveryDelayed, DeliveryRefused, DeliveryUnknown
from bot.flows.state import State
from bot.messages import House, note_down
from bot.ports.records import Arrived, Conversation, DeskKind, Outgoing, OutgoingState, Post, Underway
from bot.ports.store import UnitOfWork
from bot.sales import after

PLAIN = frozenset({"question", "reminder", "notice", "answer", "system", "edit"})
"""What arrives without anybody having to be told of it."""

DESK: tuple[str, ...] = get_args(DeskKind)
"""What goes to Slack."""


def mark_all(
    uow: UnitOfWork, house: House, outcomes: Sequence[Outcome], now: datetime, *, careful: bool = False
) -> None:
    """Mark many messages, before anything else is done within the transaction.

    A message that is not ours any more (its lease was over, and others have settled it) is left as they left it, but
    where it did arrive, and they could not know.

    Done `careful`, what spoils is undone by itself; otherwise it raises, and all is to be done again with care.
    """
    standing = uow.underway([each.message for each in outcomes])
    ours: list[Outcome] = []
    late: list[Outcome] = []
    for each in outcomes:
        now_so = standing.get(each.message.id or 0)
        if now_so is not None and now_so.attempts == each.message.attempts:
            (ours if now_so.state == "sending" else late).append(each)
    plain = [] if careful else [each for each in ours if _is_plain(each)]
    _mark_plain(uow, house, plain, standing, now)
    rest = ours if careful else [each for each in ours if not _is_plain(each)]
    _read_ahead(uow, [each.message for each in rest])
    for each in rest:
        (mark_safely if careful else mark)(uow, house, each, now)
    for each in late:
        if _has_arrived(each):
            _known_late(uow, house, each, now)


def _has_arrived(outcome: Outcome) -> bool:
    error = outcome.error
    return error is None or (isinstance(error, DeliveryRefused) and error.reason == "unchanged")


def _external(outcome: Outcome) -> str:
    message = outcome.message
    return outcome.external or message.external or str(message.body.get("message_id", ""))


def _is_plain(outcome: Outcome) -> bool:
    message = outcome.message
    is_told = message.channel == "telegram" and message.kind in PLAIN and not message.body.get("repeated")
    return is_told and _has_arrived(outcome)


def _mark_plain(
    uow: UnitOfWork, house: House, outcomes: Sequence[Outcome], standing: dict[int, Underway], now: datetime
) -> None:
    """Do what `mark` does, for many at once: only what follows from a plain message that arrived."""
    arrived: list[Arrived] = []
    lengths: dict[str, datetime] = {}
    for outcome in outcomes:
        message = outcome.message
        if message.id is None:
            continue
        talk = _talk_of(message, standing[message.id], now)
        asked_of = (talk.sale_id, talk.customer_id) if talk else None
        arrived.append(Arrived(message.id, _external(outcome), asked_of))
        if talk is None:
            continue
        for kind, length in message.body.get("timers", {}).items():
            if length not in lengths:
                lengths[length] = after(house, parse_duration(length), now)
            conversations.plan_timer(uow, talk, kind, talk.state.turn, lengths[length])
    for outcome in outcomes:
        _tell(uow, outcome.message, now)
    if arrived:
        uow.arrived(arrived, now)


def _talk_of(message: Outgoing, so: Underway, now: datetime) -> Conversation | None:
    """Give as much of the conversation as timers are planned by, if a question of it still waits for its answer."""
    if message.kind not in ("question", "reminder") or message.conversation_id is None or message.turn is None:
        return None
    if so.talk_status != "asking" or so.talk_turn != message.turn or so.sale_id is None or so.customer_id is None:
        return None
    state = State("asking", turn=message.turn, visits=so.visits)
    return Conversation(message.conversation_id, "", so.sale_id, so.customer_id, "", "", state, now)


def _known_late(uow: UnitOfWork, house: House, outcome: Outcome, now: datetime) -> None:
    """It counted as lost, or as in doubt, and has arrived after all: now that is known, and it is not repeated."""
    message = replace(outcome.message, state="sent", external=_external(outcome), sent_at=now, reason=None)
    uow.put_outgoing(replace(message, lease_until=None))
    _tell(uow, message, now)
    if message.kind == "card" and message.case_id:
        uow.put_post(Post(message.case_id, message.body["channel"], message.external or ""))
    if message.kind == "staff_reply":
        say_in_thread(uow, house, message, "✅ Delivered to the customer.", now)


def _read_ahead(uow: UnitOfWork, messages: Sequence[Outgoing]) -> None:
    """Read together what the marks ask for one by one; threads and edits ask for little."""
    spoken = [each for each in messages if each.kind not in ("system", "edit", "thread", "whisper", "digest", "alarm")]
    if spoken:
        uow.read_ahead(
            customers={each.customer_id for each in spoken if each.customer_id},
            sales={each.sale_id for each in spoken if each.sale_id},
            conversations={each.conversation_id for each in spoken if each.conversation_id},
        )


def recover(
    uow: UnitOfWork, house: House, now: datetime, expired_by: datetime, own: Collection[int | None] = ()
) -> int:
    """Settle what a sender that died left behind: unknown, or once more, by kind. Gives how many.

    `own` are the messages that we ourselves still have in hand: what becomes of them is ours to say.
    """
    left = [each for each in uow.expired_leases(expired_by) if each.id not in own]
    _read_ahead(uow, left)
    for message in left:
        died = Outcome(message, error=DeliveryUnknown("the program stopped while it was being sent"))
        mark_safely(uow, house, died, now)
    return len(left)


def mark_safely(uow: UnitOfWork, house: House, outcome: Outcome, now: datetime) -> None:
    """Mark one message; should what follows from it spoil, only that is undone, and the outcome stands."""
    try:
        with uow.savepoint():
            mark(uow, house, outcome, now)
    except Exception as error:
        if uow.is_passing(error):
            raise
        # Our own fault: visible at the row, and no other message waits for it.
        state: OutgoingState = "sent" if outcome.error is None else "failed"
        reason = f"{type(error).__name__} after the attempt: {error}"
        external = outcome.external or outcome.message.external
        uow.put_outgoing(
            replace(outcome.message, state=state, external=external, reason=reason, sent_at=now, lease_until=None)
        )


def mark(uow: UnitOfWork, house: House, outcome: Outcome, now: datetime) -> None:
    """Write down what came of one attempt, and whatever follows from it."""
    message, error = outcome.message, outcome.error
    if _has_arrived(outcome):
        _sent(uow, house, replace(message, state="sent", external=_external(outcome), sent_at=now, reason=None), now)
    elif isinstance(error, DeliveryRefused):
        refused(uow, house, message, error, now)
    elif isinstance(error, NotYet):
        _give_back(uow, message, error, now)
    elif isinstance(error, DeliveryDelayed):
        try_again(uow, house, message, error, f"delayed: {error}", now)
    elif isinstance(error, DeliveryUnknown) and message.kind in AT_MOST_ONCE:
        _unknown(uow, house, message, str(error), now)
    elif isinstance(error, DeliveryUnknown):
        try_again(uow, house, message, error, f"unknown: {error}", now)
    else:
        uow.put_outgoing(replace(message, state="failed", reason=f"{type(error).__name__}: {error}", lease_until=None))
        note_down(uow, now, "message.failed", sale_id=message.sale_id, message=message.kind, error=str(error))


def _sent(uow: UnitOfWork, house: House, message: Outgoing, now: datetime) -> None:
    uow.put_outgoing(replace(message, lease_until=None))
    if message.kind == "card" and message.case_id:
        channel = message.body["channel"]
        uow.put_post(Post(message.case_id, channel, message.external or message.body.get("ts") or ""))
    if message.kind == "task":
        _task_stands(uow, message)
    if message.kind == "digest":
        summary_sent(uow, message)
    _tell(uow, message, now)
    _asked(uow, house, message, now)
    if message.kind == "staff_reply":
        say_in_thread(uow, house, message, "✅ Delivered to the customer.", now)


def _task_stands(uow: UnitOfWork, message: Outgoing) -> None:
    """Remember where a task stands in its team's channel."""
    case = uow.case(message.case_id or "")
    if case is None:
        return
    where = {"channel": message.body["channel"], "ts": message.external}
    tasks = tuple(replace(each, **where) if each.id == message.body["task_id"] else each for each in case.tasks)
    uow.put_case(replace(case, tasks=tasks))


def _tell(uow: UnitOfWork, message: Outgoing, now: datetime) -> None:
    """Note in the log what was said to a customer."""
    if message.kind not in ("edit", *DESK):
        note_down(
            uow, now, "message.sent", sale_id=message.sale_id, customer_id=message.customer_id, message=message.kind,
            text=message.body.get("text"),
        )  # fmt: skip


def _give_back(uow: UnitOfWork, message: Outgoing, error: NotYet, now: datetime) -> None:
    """It was claimed and nothing was tried: it waits on, however long that has been."""
    wait = error.retry_after or retry.FIRST_WAIT
    message = replace(message, state="waiting", not_before=now + wait, reason=f"delayed: {error}", lease_until=None)
    # Not counted, so that a later failure does not look like one of many; but never as if it were untouched: what is
    # said after it must not overtake it.
    uow.put_outgoing(replace(message, attempts=max(1, message.attempts - 1)))


def _unknown(uow: UnitOfWork, house: House, message: Outgoing, why: str, now: datetime) -> None:
    """Nobody can say whether it arrived: it is not repeated, and shown; its timers run as if it had."""
    uow.put_outgoing(replace(message, state="unknown", reason=f"may have been sent: {why}", lease_until=None))
    note_down(uow, now, "message.unknown", sale_id=message.sale_id, message=message.kind, text=message.body.get("text"))
    _asked(uow, house, message, now)


def _asked(uow: UnitOfWork, house: House, message: Outgoing, now: datetime) -> None:
    """Start the timers of a question: its reminder and its way out when nobody answers."""
    if message.kind not in ("question", "reminder") or message.conversation_id is None:
        return
    conversation = uow.conversation(message.conversation_id)
    if conversation is None or conversation.state.turn != message.turn or conversation.state.status != "asking":
        return
    for kind, length in message.body.get("timers", {}).items():
        due = after(house, parse_duration(length), now)
        conversations.plan_timer(uow, conversation, kind, conversation.state.turn, due)
    sale = uow.sale(conversation.sale_id)
    if sale is not None and sale.asked_at is None:
        uow.put_sale(replace(sale, asked_at=now))
    customer = uow.customer(conversation.customer_id)
    if customer is not None:
        uow.put_customer(replace(customer, last_question_at=now))
