"""Use cases: what comes later than it should. After the program was away, and after a backup was restored.

What is late is given turns (`bot.catch_up`). What came due between a backup and its restoring may have been sent in a
time of which nothing is known any more: that counts as *unknown*, with its timers running, and is not sent again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot import conversations, holding, imports
from bot.catch_up import LATE, TAKEN, Late, Span, away, spans_in, taken_with, text_of, turns
from bot.dispatch import AT_MOST_ONCE, Outcome, mark
from bot.errors import DeliveryUnknown
from bot.messages import House, country_of, note_down, zone_of
from bot.ports.records import RESUMED, Moment, Outgoing, Sale
from bot.ports.store import UnitOfWork

GAPS = "restored.gaps"
"""Under which note stand the times of which nothing is known: from a backup to the moment when it was restored."""

BACKUP_TAKEN_AT = "backup.taken_at"
"""Under which note a copy made by `aftersale backup` says when it was made; the database itself never has it."""

PAGE = 1000
"""How many late moments are given turns in one transaction."""

_ALL = 1_000_000

_ASKING = frozenset({"start", "wait", "remind"})
"""Kinds of moments after which the bot may write of its own accord."""

_OF_CASES = frozenset({"ladder", "wake"})
"""Kinds of moments that say nothing to a customer."""


def fire(uow: UnitOfWork, house: House, due: Sequence[Moment], now: datetime) -> None:
    """Do what due moments ask for; what is late waits for its turn, what may have happened before is not repeated."""
    holding.end_what_is_over(uow, house, now)
    gaps = _gaps(uow)
    has_late = False
    put_off = _first_hours(uow, house, due, now)
    for moment in due:
        if moment.id in put_off:
            continue
        if moment.kind not in _OF_CASES and _within(moment, gaps):
            _fire_in_doubt(uow, house, moment, now)
        elif _is_late(moment, now):
            has_late = True
        else:
            conversations.moment_came(uow, house, moment, now)
    if has_late:
        # One alone: something spoiled a batch, and they are gone through one by one.
        after_pause = any(_has_waited(each) for each in due)
        late = uow.due_moments(now if after_pause else now - LATE, PAGE) if len(due) > 1 else due
        _give_turns(uow, house, [each for each in late if _is_late(each, now) and not _within(each, gaps)], now)


def _first_hours(uow: UnitOfWork, house: House, due: Sequence[Moment], now: datetime) -> set[int | None]:
    """Put off what a large import would begin before it is known how the first of it went; gives the ids."""
    whose: dict[str, list[Moment]] = defaultdict(list)
    for moment in due:
        is_in_time = now - moment.due_at <= LATE and moment.reason != RESUMED
        if moment.kind == "start" and moment.data.get("batch") and is_in_time:
            whose[moment.data["batch"]].append(moment)
    put_off: set[int | None] = set()
    for name, theirs in whose.items():
        ready = [each for each in theirs if _question_of(uow, house, each, now) is not None]
        put_off |= imports.hold_off(uow, house, name, ready, now) if ready else set()
    return put_off


# Catching up ------------------------------------------------------------------------------------------------------


def _is_late(moment: Moment, now: datetime) -> bool:
    return moment.kind in _ASKING and (now - moment.due_at > LATE or _has_waited(moment))


def _has_waited(moment: Moment) -> bool:
    """Tell whether it fell due before, in a pause or the first hour of an import, with many others."""
    return moment.reason == RESUMED or (moment.reason or "").startswith(imports.WAITS)


def _give_turns(uow: UnitOfWork, house: House, moments: Sequence[Moment], now: datetime) -> None:
    taken = spans_in(uow.hold_note(TAKEN))
    uow.read_ahead(
        sales={moment.sale_id for moment in moments},
        keys={moment.key for moment in moments if moment.kind == "start"},
        is_whole=True,
    )
    late: dict[int, tuple[Late, Moment]] = {}
    for moment in moments:
        if _stands_still(uow, house, moment, now):
            continue
        found = _question_of(uow, house, moment, now)
        if found is None:
            conversations.moment_came(uow, house, moment, now)
        else:
            late[found.id] = found, moment
    guards = house.shop.guards
    given = turns(
        [each for each, _ in late.values()],
        now=now,
        taken=taken,
        per_hour=guards.catch_up_per_hour,
        policy=guards,
    )
    for turn in given:
        _, moment = late[turn.late.id]
        if turn.at <= now:
            conversations.moment_came(uow, house, moment, now)
            continue
        reason = f"catching up: it was due {away(moment.due_at, now)} ago, and is given its turn"
        uow.settle(turn.late.id, "planned", reason, due_at=turn.at)
    if given:
        uow.put_note(TAKEN, text_of(taken_with(taken, given, now=now, per_hour=guards.catch_up_per_hour)))


def _stands_still(uow: UnitOfWork, house: House, moment: Moment, now: datetime) -> bool:
    """Tell whether a pause has put off a moment of a conversation: then it is not late."""
    talk = uow.conversation(moment.conversation_id) if moment.conversation_id else None
    return talk is not None and conversations.stands_still(uow, house, moment, talk, now)


def _question_of(uow: UnitOfWork, house: House, moment: Moment, now: datetime) -> Late | None:
    """Give what a late moment would ask; None if nothing is asked: it is held, dropped or done as at any time."""
    sale = uow.sale(moment.sale_id)
    customer = uow.customer(sale.customer_id) if sale else None
    if moment.id is None or sale is None or customer is None:
        return None
    expires_at = _asks_until(uow, house, moment, sale, now)
    if expires_at is None:
        return None
    return Late(
        moment.id,
        customer.id,
        moment.due_at,
        expires_at,
        is_reask=moment.case_id is not None,
        zone=zone_of(house, customer),
        country=country_of(house, customer),
        asked_at=customer.last_question_at,
    )


def _asks_until(uow: UnitOfWork, house: House, moment: Moment, sale: Sale, now: datetime) -> datetime | None:
    """Tell until when it makes sense to ask what a moment would ask; None if it would ask nothing."""
    customer = uow.customer(sale.customer_id)
    if customer is None:
        return None
    if moment.kind == "start":
        flow = house.flows.flows.get(moment.data["flow"])
        if flow is None or not conversations.asks(flow):
            return None
        if conversations.may_begin(uow, house, flow, moment, sale, customer, now):
            return None
        return datetime.fromisoformat(moment.data["expires_at"])
    conversation = uow.conversation(moment.conversation_id or "")
    if conversation is None or conversation.state.status == "finished":
        return None
    # Its way out has come as well: then nothing is asked any more, and that must not wait for a turn.
    ends = (each for each in uow.moments_of(sale.id) if each.kind in ("silence", "expire"))
    if any(each.conversation_id == conversation.id and each.due_at <= now for each in ends if each.state == "planned"):
        return None
    return conversation.expires_at or now + timedelta(days=365)


# After a restore ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restored:
    """What was settled after a restore: `in_doubt` is not sent again, `repeated` is, and says that it may be a repeat.

    `moments` is how many came due in the time of which nothing is known, and are settled when the program runs.
    """

    in_doubt: Sequence[Outgoing]
    repeated: Sequence[Outgoing]
    moments: int


def restored(uow: UnitOfWork, house: House, taken_at: datetime, now: datetime) -> Restored:
    """Take up work on a database that was restored from a backup taken at `taken_at`."""
    gaps = [*_gaps(uow), (taken_at, now)]
    uow.put_note(GAPS, text_of(gaps))
    uow.put_note(BACKUP_TAKEN_AT, "")
    # Held ones, too: what freed them may have happened in the time that is lost.
    found = [each for each in uow.outbox(("waiting", "sending", "held"), _ALL) if each.not_before <= now]
    in_doubt = [each for each in found if _at_most_once(each)]
    repeated = [each for each in found if not _at_most_once(each) and each.state != "held"]
    _doubt(uow, house, in_doubt, now)
    for message in repeated:
        # From the second attempt on a card is looked for before it is posted; `unknown` in front makes a person's
        # words say that they may come twice.
        again = replace(message, state="waiting", attempts=max(1, message.attempts), lease_until=None)
        uow.put_outgoing(replace(again, reason="unknown: may have been sent after the backup"))
    moments = sum(1 for each in uow.due_moments(now, _ALL) if each.due_at >= taken_at and each.kind not in _OF_CASES)
    note_down(uow, now, "database.restored", taken_at=taken_at.isoformat(), in_doubt=len(in_doubt))
    return Restored(in_doubt, repeated, moments)


def _at_most_once(message: Outgoing) -> bool:
    return message.channel == "telegram" and message.kind in AT_MOST_ONCE


def _fire_in_doubt(uow: UnitOfWork, house: House, moment: Moment, now: datetime) -> None:
    """Do what a moment asks for, and count what it would say to the customer as perhaps said before."""
    before = {each.id for each in uow.outgoing_of(moment.sale_id)}
    conversations.moment_came(uow, house, moment, now)
    said = (each for each in uow.outgoing_of(moment.sale_id) if each.id not in before)
    _doubt(uow, house, [each for each in said if _at_most_once(each) and each.state == "waiting"], now)


def _doubt(uow: UnitOfWork, house: House, messages: Iterable[Outgoing], now: datetime) -> None:
    for message in messages:
        mark(uow, house, Outcome(message, error=DeliveryUnknown("after the backup that was restored")), now)


def _within(moment: Moment, gaps: Sequence[Span]) -> bool:
    return any(since <= moment.due_at < until for since, until in gaps)


def _gaps(uow: UnitOfWork) -> list[Span]:
    return spans_in(uow.note(GAPS))
