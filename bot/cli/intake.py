"""`aftersale sale add` and `aftersale import`: order events into the inbox, and handled there and then.

All events of one command are one transaction: either all of them are stored, or none.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.progress import Progress

from bot import inbox
from bot.adapters.order_files import is_utf8, read_order_file
from bot.app.base import Base
from bot.cli.forecast import SOON, Forecast, Known, forecast
from bot.cli.opening import find_sale, opened
from bot.cli.story import coming, print_coming
from bot.cli.terminal import clock, counted, remark, say, stderr
from bot.errors import FollowUpError, InputRefused
from bot.messages import House
from bot.ports.json_text import read_json
from bot.ports.orders import OrderEvent, parse_order_event
from bot.ports.records import Customer, Incoming, Json
from bot.ports.store import UnitOfWork

_BATCH = 500
_ALL = 1_000_000
_SHOWS_PROGRESS_FROM = 500
"""From so many events on storing takes longer than about a second."""


@dataclass(frozen=True, slots=True)
class Given:
    """One event as it was given: where it stands, as it came, and as it was read."""

    place: str
    payload: Json
    event: OrderEvent


# sale add ---------------------------------------------------------------------------------------------------------


def add_events(file: str) -> None:
    """Take in events from `file` (``-``: stdin), and tell what happens next.

    Raises:
        InputRefused: with everything that is wrong in any of them; none was stored.
    """
    payloads = _payloads(_read(file))
    with opened() as base:
        now = base.house.clock.now()
        given = _parsed(payloads, now)
        news = base.database.run_now(lambda uow: store(uow, base.house, given, now))
        for each, is_new in zip(given, news, strict=True):
            event = each.event
            if is_new:
                say(f"✔ {event.id}: {event.type} of sale {event.sale.id}", "green")
            else:
                say(f"· {event.id}: already known, nothing changed")
        for sale_id in dict.fromkeys(each.event.sale.id for each in given):
            _tell_next(base, sale_id, now)


def _tell_next(base: Base, sale_id: str, now: datetime) -> None:
    def look(uow: UnitOfWork) -> tuple[Customer, Any]:
        sale = find_sale(uow, sale_id)
        customer = uow.customer(sale.customer_id) or Customer(sale.customer_id)
        return customer, coming(uow, base.house, sale, customer, now)

    customer, steps = base.database.run_now(look)
    say("")
    who = customer.name or customer.id
    state = "linked" if customer.chat_id is not None else f"not linked yet → aftersale link {sale_id}"
    say(f"Sale {sale_id}, {who}; chat: {state}", "bold")
    print_coming(steps, clock(base.house.shop.time_zone))


def _read(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise InputRefused([(file, f"cannot be read ({error.strerror})")]) from None
    except UnicodeDecodeError:
        raise InputRefused([("stdin" if file == "-" else file, "is not UTF-8 text")]) from None


def _payloads(text: str) -> list[tuple[str, Any]]:
    """Give each event with its place: of one object, of an array, or of JSON lines."""
    if not text.strip():
        raise InputRefused([("(the whole)", "is empty; give native event JSON")])
    try:
        whole = read_json(text)
    except InputRefused:
        lines = [(f"line {number}", line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        if len(lines) == 1 or not all(line.lstrip().startswith("{") for _, line in lines):
            raise
        return _read_lines(lines)
    if isinstance(whole, list):
        return [(f"[{place}]", each) for place, each in enumerate(whole)]
    return [("", whole)]


def _read_lines(lines: Sequence[tuple[str, str]]) -> list[tuple[str, Any]]:
    found, problems = [], []
    for place, line in lines:
        try:
            found.append((place, read_json(line)))
        except InputRefused as error:
            problems += [(place, reason) for _, reason in error.problems]
    if problems:
        raise InputRefused(problems)
    return found


def _parsed(payloads: Sequence[tuple[str, Any]], now: datetime) -> list[Given]:
    given: list[Given] = []
    problems: list[tuple[str, str]] = []
    for place, payload in payloads:
        try:
            given.append(Given(place, payload, parse_order_event(payload, now=now)))
        except InputRefused as error:
            problems += [(f"{place} {field}".strip(), reason) for field, reason in error.problems]
    if problems:
        raise InputRefused(problems)
    return given


# import -----------------------------------------------------------------------------------------------------------


def import_file(path: Path, *, dry_run: bool, yes: bool) -> None:
    """Tell whom the file's events would write to, and, unless `dry_run`, store them all in one go.

    Where customers would be written to at once, that is asked for first; `yes` has answered it.

    Raises:
        InputRefused: with every bad line; nothing was stored.
    """
    with opened() as base:
        now = base.house.clock.now()
        rows = read_order_file(path)
        given = _parsed([(f"line {line},", payload) for line, payload in rows], now)
        if not is_utf8(path):
            remark(
                "! The file is not UTF-8; it was read as Windows-1252. Check that æ, ø and å came through.", "yellow"
            )
        is_new, told = base.database.run_now(lambda uow: _look_ahead(uow, base.house, given, now))
        _tell_forecast(given, is_new, told)
        if dry_run:
            say("Nothing was stored (--dry-run).")
            return
        if not any(is_new):
            say("Nothing to store.")
            return
        if told.now and not yes:
            _ask(told)
        with Progress(console=stderr(), transient=True, disable=len(given) < _SHOWS_PROGRESS_FROM) as progress:
            task = progress.add_task("Storing", total=len(given))
            news = base.database.run_now(
                lambda uow: store(uow, base.house, given, now, lambda done: progress.update(task, completed=done))
            )
        say(f"✔ Stored {counted(sum(news), 'event')}.", "green")


def _ask(told: Forecast) -> None:
    question = f"{counted(len(told.now), 'customer')} would be written to at once. Store the events?"
    if not sys.stdin.isatty():
        raise FollowUpError(f"{question} → nothing was stored; add --yes to say so beforehand")
    typer.confirm(question, abort=True)


def _look_ahead(uow: UnitOfWork, house: House, given: Sequence[Given], now: datetime) -> tuple[list[bool], Forecast]:
    is_new = _which_are_new(uow, given, now)
    events = [each.event for each, new in zip(given, is_new, strict=True) if new]
    known = {sale_id: _known(uow, sale_id) for sale_id in {event.sale.id for event in events}}
    customers = {event.sale.id: event.sale.customer.id for event in events}
    for sale_id, each in known.items():
        if each.customer is None:
            known[sale_id] = Known(each.sale, uow.customer(customers[sale_id]), each.planned)
    return is_new, forecast(house, events, known, now)


def _known(uow: UnitOfWork, sale_id: str) -> Known:
    sale = uow.sale(sale_id)
    if sale is None:
        return Known()
    return Known(sale, uow.customer(sale.customer_id), frozenset(each.key for each in uow.moments_of(sale_id)))


class _LookedOnly(Exception):
    """Undoes what was only tried."""


def _which_are_new(uow: UnitOfWork, given: Sequence[Given], now: datetime) -> list[bool]:
    """Ask the inbox which events it does not know, by putting them there and taking them back."""
    news: list[bool] = []
    try:
        with uow.savepoint():
            for batch in _batches(given):
                news += uow.receive(_row(each, now) for each in batch)
            _undo()
    except _LookedOnly:
        return news


def _undo() -> NoReturn:
    raise _LookedOnly


def _tell_forecast(given: Sequence[Given], is_new: Sequence[bool], told: Forecast) -> None:
    sales = {each.event.sale.id for each in given}
    say(f"{counted(len(given), 'event')} of {counted(len(sales), 'sale')}.", "bold")
    if len(is_new) != sum(is_new):
        repeated = [each.event.id for each, new in zip(given, is_new, strict=True) if not new]
        named = ", ".join(repeated[:5]) + (" …" if len(repeated) > 5 else "")  # noqa: PLR2004 - enough to know them by
        say(f"{counted(len(repeated), 'event')} known already, which changes nothing: {named}")
    line = f"Would write to {counted(len(told.now), 'customer')} now, {len(told.soon)} within {SOON.days} days"
    if told.later:
        line += f", {len(told.later)} later"
    reached = told.now | told.soon | told.later
    unlinked = len(told.unlinked & reached)
    if unlinked:
        whose = "if they link their chat" if unlinked == len(reached) else f"{unlinked} of them once they link a chat"
        line += f" ({whose})"
    say(line + ".")
    if told.too_late:
        say(f"{counted(told.too_late, 'conversation')} will not begin: too long ago.")


# Storing ----------------------------------------------------------------------------------------------------------


def store(
    uow: UnitOfWork,
    house: House,
    given: Sequence[Given],
    now: datetime,
    progress: Callable[[int], object] = lambda _done: None,
) -> list[bool]:
    """Put events into the inbox and handle just these, in this transaction. Gives for each whether it was new.

    Raises:
        InputRefused: one of them cannot be handled; the whole transaction must be undone.
    """
    news: list[bool] = []
    for batch in _batches(given):
        fresh = uow.receive(_row(each, now) for each in batch)
        news += fresh
        # A repeat that still waits there is `aftersale run`'s to handle; so only what was new just now.
        keys = {each.event.id for each, is_new in zip(batch, fresh, strict=True) if is_new}
        inbox.handle(uow, house, _NO_CHATS, uow.new_among("shop", keys), now)
        progress(len(news))
    _demand_handled(uow, given, news)
    return news


def _demand_handled(uow: UnitOfWork, given: Sequence[Given], news: Sequence[bool]) -> None:
    """Make sure that none of the new events ended as failed: all or nothing."""
    places = {each.event.id: each.place for each, is_new in zip(given, news, strict=True) if is_new}
    failed = [row for row in uow.inbox(["failed"], _ALL) if row.source == "shop" and row.key in places]
    if failed:
        raise InputRefused([(f"{places[row.key]} {row.key}".strip(), row.error or "failed") for row in failed])


def _row(given: Given, now: datetime) -> Incoming:
    event = given.event
    return Incoming(source="shop", key=event.id, lane=f"sale:{event.sale.id}", payload=given.payload, received_at=now)


def _batches(given: Sequence[Given]) -> Iterator[Sequence[Given]]:
    return (given[start : start + _BATCH] for start in range(0, len(given), _BATCH))


def _no_chat(_payload: Json) -> NoReturn:
    raise NotImplementedError("only order events are handled here")


_NO_CHATS = inbox.Translators(_no_chat, _no_chat)
