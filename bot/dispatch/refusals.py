"""What follows where a message was not taken: once more, another place, a person told, a talk ended."""

from dataclasses import replace
from datetime import datetime, timedelta

from bot import conversations, retry
from bot.desk.states import Case
from bot.dispatch.attempts import AT_MOST_ONCE
from bot.errors import DeliveryDelayed, DeliveryRefused, DeliveryUnknown
from bot.messages import House, note_down, tell_desk
from bot.ports.records import Outgoing
from bot.ports.store import UnitOfWork


def try_again(
    uow: UnitOfWork, house: House, message: Outgoing, error: DeliveryDelayed | DeliveryUnknown, why: str, now: datetime
) -> None:
    """Let a message that was not taken, or may not have been, go once more; or give it up."""
    decision = retry.decide(
        attempt=message.attempts,
        now=now,
        created_at=message.created_at,
        retry_after=error.retry_after if isinstance(error, DeliveryDelayed) else None,
        forever=message.kind not in AT_MOST_ONCE,
    )
    match decision:
        case retry.RetryAt():
            uow.put_outgoing(replace(message, state="waiting", not_before=decision.at, reason=why, lease_until=None))
        case retry.GiveUp():
            uow.put_outgoing(replace(message, state="failed", reason=f"{decision.reason}; {why}", lease_until=None))
            note_down(uow, now, "message.failed", sale_id=message.sale_id, message=message.kind, error=why)
    if message.kind == "staff_reply" and why.startswith("unknown"):
        say_in_thread(uow, house, message, "❔ May have been sent; it is sent once more and says so.", now)


def refused(uow: UnitOfWork, house: House, message: Outgoing, error: DeliveryRefused, now: datetime) -> None:
    """Write down that a message will never be taken, and do what the reason asks for."""
    if message.kind == "alarm" and error.reason == "channel_gone":
        _alarm_falls_back(uow, house, message, error, now)
        return
    if message.channel == "slack" and error.reason == "channel_gone":
        _fall_back(uow, house, message, error, now)
        return
    if message.kind == "digest" and error.reason == "gone":
        _gone(uow, message, error)
        return
    if message.kind == "task" and error.reason == "gone" and message.body.get("ts"):
        _task_anew(uow, house, message, now)
        return
    if message.kind in ("card", "thread") and error.reason == "gone" and not message.body.get("anew"):
        uow.put_outgoing(replace(message, state="refused", reason="the card was deleted; it is posted anew"))
        case = uow.case(message.case_id or "")
        if case is not None and not _comes_anew(uow, case):
            tell_desk(uow, house, case, "card", now, moved_to=case.team, anew=True)
        if case is not None and message.kind == "thread":
            words, mention = message.body["text"], message.body.get("mention")
            tell_desk(uow, house, case, "thread", now, text=words, mention=mention, anew=True)
        return
    uow.put_outgoing(replace(message, state="refused", reason=f"{error.reason}: {error}", lease_until=None))
    note_down(uow, now, "message.refused", sale_id=message.sale_id, message=message.kind, reason=error.reason)
    if error.reason in ("blocked", "chat_gone"):
        _lost(uow, message, error.reason, now)
    if message.kind == "staff_reply":
        words = "the customer blocked the bot" if error.reason == "blocked" else str(error)
        say_in_thread(uow, house, message, f"⚠️ Not delivered: {words}. Please call or mail the customer.", now)
    if message.conversation_id and message.kind in AT_MOST_ONCE:
        conversations.unreachable(uow, house, message.conversation_id, error.reason, now)


def _task_anew(uow: UnitOfWork, house: House, message: Outgoing, now: datetime) -> None:
    """What stood for a task was deleted: it is posted anew."""
    uow.put_outgoing(replace(message, state="refused", reason="it was deleted; it is posted anew", lease_until=None))
    case = uow.case(message.case_id or "")
    if case is not None:
        where, what = message.body["channel"], message.body["task_id"]
        tell_desk(uow, house, case, "task", now, lane=message.lane, channel=where, task_id=what)


def _lost(uow: UnitOfWork, message: Outgoing, reason: str, now: datetime) -> None:
    customer = uow.customer(message.customer_id or "")
    if customer is not None and customer.unreachable_at is None:
        uow.put_customer(replace(customer, unreachable_at=now))
        note_down(uow, now, "customer.unreachable", sale_id=message.sale_id, customer_id=customer.id, reason=reason)


def _fall_back(uow: UnitOfWork, house: House, message: Outgoing, error: DeliveryRefused, now: datetime) -> None:
    """The channel is archived or the bot was thrown out: the case goes to the fallback channel; the clock goes on."""
    fallback = house.shop.fallback_channel
    case = uow.case(message.case_id or "")
    if message.kind == "digest":
        _gone(uow, message, error)
        return
    if message.kind == "whisper" or case is None:
        uow.put_outgoing(replace(message, state="refused", reason=str(error), lease_until=None))
        return
    if message.body.get("channel") == fallback:
        why = f"the fallback channel {fallback} cannot be used: {error}"
        try_again(uow, house, message, DeliveryDelayed(why, retry_after=timedelta(minutes=5)), why, now)
        return
    uow.put_outgoing(replace(message, state="refused", reason=f"{error}; sent to {fallback} instead", lease_until=None))
    if message.kind == "task":
        tell_desk(
            uow, house, case, "task", now, lane=message.lane, channel=fallback, task_id=message.body["task_id"]
        )  # fmt: skip
        return
    if case.fell_back is None:
        case = replace(case, fell_back=str(message.body.get("channel")))
        uow.put_case(case)
    if not _stands_in(uow, case, fallback):
        channel = message.body.get("channel")
        note_down(uow, now, "case.fell_back", sale_id=case.sale_id, case_id=case.id, channel=channel)
        tell_desk(uow, house, case, "card", now, channel=fallback, moved_to=case.team)
        words = f"⚠️ The channel of team {case.team} cannot be used ({error}); this case stands here instead."
        tell_desk(uow, house, case, "thread", now, text=words, mention=None)
    if message.kind == "thread":
        tell_desk(uow, house, case, "thread", now, text=message.body["text"], mention=message.body.get("mention"))


def _gone(uow: UnitOfWork, message: Outgoing, error: DeliveryRefused) -> None:
    """A summary has no place any more, or was deleted: the next one is posted anew, and cards find their own way."""
    uow.put_outgoing(replace(message, state="refused", reason=str(error), lease_until=None))
    uow.put_note(f"digest:{message.body.get('channel')}", "")


def _alarm_falls_back(uow: UnitOfWork, house: House, message: Outgoing, error: DeliveryRefused, now: datetime) -> None:
    """The channel for alarms cannot be used: the alarm goes to the fallback channel, or waits until that can be."""
    channel, fallback = message.body.get("channel"), house.shop.fallback_channel
    why = f"the channel {channel} for alarms cannot be used: {error}"
    if channel == fallback:
        try_again(uow, house, message, DeliveryDelayed(why, retry_after=timedelta(minutes=5)), why, now)
        return
    body = {"channel": fallback, "text": f"{message.body['text']}\n⚠️ {why}; write another into shop.yaml"}
    uow.put_outgoing(replace(message, state="waiting", body=body, not_before=now, reason=why, lease_until=None))


def _stands_in(uow: UnitOfWork, case: Case, channel: str) -> bool:
    """Tell whether the card of a case stands in a channel, or is on its way there."""
    post = uow.post_of(case.id)
    if post is not None and post.channel == channel:
        return True
    return any(
        each.case_id == case.id and each.kind == "card" and each.body.get("channel") == channel
        for each in uow.outgoing_of(case.sale_id)
        if each.state in ("waiting", "sending")
    )


def _comes_anew(uow: UnitOfWork, case: Case) -> bool:
    """Tell whether the card of a case is about to be posted anew already."""
    return any(
        each.case_id == case.id and each.kind == "card" and each.state in ("waiting", "sending") and "anew" in each.body
        for each in uow.outgoing_of(case.sale_id)
    )


def say_in_thread(uow: UnitOfWork, house: House, message: Outgoing, text: str, now: datetime) -> None:
    """Tell staff in the thread of the case that a message belongs to."""
    case = uow.case(message.case_id or "")
    if case is not None:
        tell_desk(uow, house, case, "thread", now, text=text, mention=None)
