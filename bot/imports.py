"""Use cases: the first hour of a large import. A few are asked; the others follow if these took it well.

Whoever brings the orders of a year may have the wrong file, the wrong flow, or customers who never wanted this. So the
first of them are asked, and an hour after the first question went out it is looked at what came of it: where too many
were unhappy, blocked the bot, or cannot be known to have got it, the rest is paused, and the operator is told.

What makes an import a large one, and what an import is called, is the command's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot import holding
from bot.desk.shop import Bounds
from bot.messages import House, note_down, tell_operator
from bot.ports.records import Moment
from bot.ports.store import UnitOfWork

FIRST_HOUR = timedelta(hours=1)
"""How long the first of an import are watched, from the first question that went out."""

_A_WHILE = timedelta(minutes=5)
"""When it is looked again whether enough were asked, where the hour is over and too few were."""

ENOUGH = 10
"""How many must have been asked before shares of them say anything."""

WAITS = "the first of this import are asked first"
"""How the reason of what waits for the first hour begins."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is known of an import: the sales of those who were asked first, since when, and whether it was looked at."""

    begun_at: datetime
    first: tuple[str, ...] = ()
    looked: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the first questions of an import: how many were asked, and to how many of these what happened."""

    asked: int = 0
    unhappy: int = 0
    blocked: int = 0
    unknown: int = 0
    first_at: datetime | None = None


def beyond(outcome: Outcome, bounds: Bounds) -> list[str]:
    """Say which shares are out of bounds; none where all is well, or too few were asked to tell."""
    if outcome.asked < ENOUGH:
        return []
    told = (
        ("were unhappy", outcome.unhappy, bounds.unhappy),
        ("blocked the bot", outcome.blocked, bounds.blocked),
        ("may not have got it", outcome.unknown, bounds.unknown),
    )
    return [
        f"{number} of {outcome.asked} {what} ({number / outcome.asked:.0%}; the bound is {bound:.0%})"
        for what, number, bound in told
        if number / outcome.asked > bound
    ]


def hold_off(uow: UnitOfWork, house: House, name: str, due: Sequence[Moment], now: datetime) -> set[int]:
    """Let the first conversations of an import begin, and put the others off until it is known how these went.

    Args:
        uow: the transaction.
        house: the shop.
        name: the import's.
        due: those of its starts that would begin now.
        now: the moment that it is.

    Returns:
        The ids of those that were put off.
    """
    batch = _read(uow.hold_note(_key(name)), now)
    guards = house.shop.guards
    if batch.looked:
        return set()
    outcome = _outcome(uow, batch)
    over_at = outcome.first_at + FIRST_HOUR if outcome.first_at is not None else now + FIRST_HOUR
    if over_at <= now and outcome.asked >= min(ENOUGH, guards.import_first):
        _judge(uow, house, name, outcome, now)
        uow.put_note(_key(name), _text(replace(batch, looked=True)))
        return set()
    room = max(guards.import_first - len(batch.first), 0)
    begin, wait = due[:room], due[room:]
    uow.put_note(_key(name), _text(replace(batch, first=(*batch.first, *(each.sale_id for each in begin)))))
    reason = f"{WAITS} ({guards.import_first}); the others an hour after these were asked, if all is well"
    for moment in wait:
        uow.settle(moment.id or 0, "planned", reason, due_at=max(over_at, now + _A_WHILE))
    return {moment.id or 0 for moment in wait}


def _judge(uow: UnitOfWork, house: House, name: str, outcome: Outcome, now: datetime) -> None:
    wrong = beyond(outcome, house.shop.guards.import_stops_at)
    note_down(uow, now, "import.looked_at", name=name, asked=outcome.asked, wrong=wrong)
    if not wrong:
        return
    why = "; ".join(wrong)
    holding.pause(uow, house, now, scope="import", name=name, reason=why, by="the first hour")
    text = (
        f"🚨 The import {name} is stopped: of the first who were asked {why}.\n"
        "→ Look at what they were asked and answered (aftersale sale show, the cases). "
        f"aftersale resume --import {name} lets the rest be asked, one after the other."
    )
    tell_operator(uow, house, f"import:{name}:stopped", text, now)


def _outcome(uow: UnitOfWork, batch: _Batch) -> Outcome:
    """Look at what came of the first questions."""
    if not batch.first:
        return Outcome()
    uow.read_ahead(sales=set(batch.first))
    found = Outcome()
    for sale_id in dict.fromkeys(batch.first):
        said = [each for each in uow.asks_of(sale_id) if each.created_at >= batch.begun_at and each.kind == "question"]
        tried = [each for each in said if each.state in ("sent", "unknown", "refused", "dropped")]
        sale = uow.sale(sale_id)
        customer = uow.customer(sale.customer_id) if sale else None
        is_blocked = bool(customer and customer.unreachable_at and customer.unreachable_at >= batch.begun_at)
        sent_at = min(
            (each.sent_at or each.not_before for each in tried if each.state in ("sent", "unknown")), default=None
        )
        if sent_at is None and not (tried and is_blocked):
            continue
        is_unhappy = any(
            case.opened_at >= batch.begun_at and case.reason == "unhappy" for case in uow.cases_of(sale_id)
        )
        found = Outcome(
            asked=found.asked + 1,
            unhappy=found.unhappy + is_unhappy,
            blocked=found.blocked + is_blocked,
            unknown=found.unknown + any(each.state == "unknown" for each in tried),
            first_at=min((at for at in (found.first_at, sent_at) if at is not None), default=None),
        )
    return found


# Keeping it ----------------------------------------------------------------------------------------------------------


def _key(name: str) -> str:
    return f"import:{name}"


def _read(text: str | None, now: datetime) -> _Batch:
    kept: Mapping[str, object] = json.loads(text) if text else {}
    if not kept:
        return _Batch(now)
    first = kept["first"]
    return _Batch(
        datetime.fromisoformat(str(kept["begun_at"])),
        tuple(str(each) for each in first) if isinstance(first, list) else (),
        looked=bool(kept["looked"]),
    )


def _text(batch: _Batch) -> str:
    return json.dumps({"begun_at": batch.begun_at.isoformat(), "first": batch.first, "looked": batch.looked})
