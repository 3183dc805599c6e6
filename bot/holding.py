"""Use cases: pausing is holding. Nothing is dropped by a pause, and nothing bursts out when it ends.

`pause` and `resume` are plain functions over a unit of work, for whoever wants to: the command, Slack, a page. While
something is paused, what the bot would say of its own accord waits, with that reason; what people write, what answers
a customer, cases and /stop go on. When it ends, what fell due meanwhile is given turns (`bot.catch_up`), and the clock
of a question that was open has stood still: its reminder, and the end of its patience, come as much later.

Nothing is sent here, and no conversation begins here.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from bot.catch_up import TAKEN, Late, spans_in, taken_with, text_of, turns
from bot.errors import InputRefused, NotFound
from bot.messages import House, country_of, note_down, zone_of
from bot.ports.records import PAUSED, RESUMED, Customer, Outgoing, Pause, PauseScope
from bot.ports.store import UnitOfWork

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Resumed:
    """What came of resuming: the pause that ended, what waited for that, and which other pauses go on.

    `moments` are how many fell due meanwhile, `messages` how many were ready to go; both are given turns.
    """

    pause: Pause
    moments: int
    messages: int
    others: tuple[Pause, ...] = ()


# For whoever pauses and resumes --------------------------------------------------------------------------------------


def pause(
    uow: UnitOfWork,
    house: House,
    now: datetime,
    *,
    scope: PauseScope,
    name: str = "",
    reason: str = "",
    by: str = "",
    until: datetime | None = None,
) -> Pause:
    """Hold what the bot would say of its own accord: everything, a flow, a sale, or what an import began.

    What is paused already goes on being paused, since then; the newer `reason` and `until` count.

    Args:
        uow: the transaction.
        house: the shop and its flows.
        now: the moment that it is.
        scope: ``all``, ``flow``, ``sale`` or ``import``.
        name: the flow's name, the order's id, the import's id; empty for ``all``.
        reason: why, in the words of whoever pauses; it stands at each message that waits.
        by: who pauses.
        until: when it ends by itself; None: when somebody resumes.

    Raises:
        NotFound: there is no such flow or sale.
        InputRefused: `until` is not in the future.
    """
    _demand_known(uow, house, scope, name)
    if until is not None and until <= now:
        raise InputRefused([("until", "lies in the past; name a time to come, or leave it out")])
    running = _running(uow.pauses(), scope, name)
    since = running.since if running else now
    found = Pause(
        scope, name, since, reason=" ".join(reason.split()), by=by, until=until, id=running.id if running else None
    )
    uow.put_pause(found)
    _mark_sale(uow, scope, name, paused=True)
    note_down(
        uow, now, "paused", sale_id=name if scope == "sale" else None, scope=scope, name=name, reason=found.reason,
        by=by, until=until.isoformat() if until else None,
    )  # fmt: skip
    return found


def resume(uow: UnitOfWork, house: House, now: datetime, *, scope: PauseScope, name: str = "", by: str = "") -> Resumed:
    """End a pause. What waited for that is planned anew from now on, one after the other.

    Raises:
        NotFound: that is not paused; the text says what is.
    """
    running = uow.pauses()
    found = _running(running, scope, name)
    if found is None:
        what_is = ", ".join(_named(each) for each in running) or "nothing"
        raise NotFound(f"{_named(Pause(scope, name, now))} is not paused; what is: {what_is}")
    ended = replace(found, ended_at=now)
    uow.put_pause(ended)
    _mark_sale(uow, scope, name, paused=False)
    note_down(uow, now, "resumed", sale_id=name if scope == "sale" else None, scope=scope, name=name, by=by)
    # Whatever a pause holds is let go, also of others: what they hold still, they hold again, in their own words.
    moments = uow.release_paused()
    messages = _give_turns(uow, house, uow.paused_messages(), now)
    others = tuple(each for each in running if each.id != found.id)
    return Resumed(ended, moments, messages, others)


def end_what_is_over(uow: UnitOfWork, house: House, now: datetime) -> None:
    """End the pauses whose time is over."""
    for each in uow.pauses():
        if each.until is not None and each.until <= now:
            resume(uow, house, now, scope=each.scope, name=each.name, by="its time was over")


# For whoever is held -------------------------------------------------------------------------------------------------


def pause_of(pauses: Iterable[Pause], *, flow: str, sale_id: str, batch: str = "") -> Pause | None:
    """Give the pause that holds a flow's conversation about a sale: the widest one, if there are several."""
    names = {"all": "", "flow": flow, "import": batch, "sale": sale_id}
    found = [each for each in pauses if each.ended_at is None and each.name == names[each.scope]]
    return min(found, key=lambda each: list(names).index(each.scope), default=None)


def words_for(pause: Pause, house: House) -> str:
    """Say in one line what is paused, why and until when: the one reason of whatever it holds."""
    why = f": {pause.reason}" if pause.reason else ""
    until = f", until {_clock(pause.until, house)}" if pause.until else ""
    return f"{PAUSED} ({_named(pause)}) since {_clock(pause.since, house)}{until}{why}"


def words_in(pause: Pause, reason: str) -> bool:
    """Tell whether a reason is that of this pause."""
    return reason.startswith(f"{PAUSED} ({_named(pause)}) since ")


def stood_still(
    pauses: Iterable[Pause], since: datetime, now: datetime, *, flow: str, sale_id: str, batch: str = ""
) -> timedelta:
    """Tell for how much of the time since then a conversation was paused; what overlaps counts once."""
    names = {"all": "", "flow": flow, "import": batch, "sale": sale_id}
    spans = sorted(
        (max(each.since, since), min(_end_of(each), now)) for each in pauses if each.name == names[each.scope]
    )
    total, counted_to = timedelta(), since
    for begins, ends in spans:
        if ends > max(begins, counted_to):
            total += ends - max(begins, counted_to)
            counted_to = ends
    return total


# ---------------------------------------------------------------------------------------------------------------------


def _end_of(pause: Pause) -> datetime:
    return min(pause.ended_at or _NEVER, pause.until or _NEVER)


def _running(pauses: Iterable[Pause], scope: PauseScope, name: str) -> Pause | None:
    return next((each for each in pauses if (each.scope, each.name) == (scope, name)), None)


def _named(pause: Pause) -> str:
    return "everything" if pause.scope == "all" else f"{pause.scope} {pause.name}"


def _clock(at: datetime | None, house: House) -> str:
    return f"{at.astimezone(ZoneInfo(house.shop.time_zone)):%d %b %H:%M}" if at else ""


def _demand_known(uow: UnitOfWork, house: House, scope: PauseScope, name: str) -> None:
    if scope == "flow" and name not in house.flows.flows:
        raise NotFound(f"there is no flow {name!r}; there are: {', '.join(sorted(house.flows.flows))}")
    if scope == "sale" and uow.sale(name) is None:
        raise NotFound(f"there is no sale {name!r}")


def _mark_sale(uow: UnitOfWork, scope: PauseScope, name: str, *, paused: bool) -> None:
    """Keep it at the sale as well: programs of an earlier version look there."""
    sale = uow.sale(name) if scope == "sale" else None
    if sale is not None and sale.paused != paused:
        uow.put_sale(replace(sale, paused=paused))


def _give_turns(uow: UnitOfWork, house: House, messages: list[Outgoing], now: datetime) -> int:
    """Let messages that were ready go, one customer after the other; what was to be said to one stays together."""
    guards = house.shop.guards
    whose: dict[str, list[Outgoing]] = defaultdict(list)
    for each in messages:
        whose[each.customer_id or ""].append(each)
    uow.read_ahead(customers={each for each in whose if each})
    many = list(whose.values())
    taken = spans_in(uow.hold_note(TAKEN)) if many else ()
    given = turns(
        [_late(uow, house, place, theirs[0]) for place, theirs in enumerate(many)],
        now=now,
        taken=taken,
        per_hour=guards.catch_up_per_hour,
        policy=guards,
    )
    for turn in given:
        for message in many[turn.late.id]:
            later = max(turn.at, message.not_before)
            uow.put_outgoing(replace(message, state="waiting", not_before=later, reason=RESUMED))
    if given:
        uow.put_note(TAKEN, text_of(taken_with(taken, given, now=now, per_hour=guards.catch_up_per_hour)))
    return len(messages)


def _late(uow: UnitOfWork, house: House, place: int, message: Outgoing) -> Late:
    customer = uow.customer(message.customer_id or "") or Customer(message.customer_id or "")
    return Late(
        place,
        customer.id,
        message.not_before,
        message.expires_at or _NEVER,
        is_reask=message.case_id is not None,
        zone=zone_of(house, customer),
        country=country_of(house, customer),
    )
