"""`aftersale sale add`: a few order events into the inbox, and handled there and then.

All events of one command are one transaction: either all of them are stored, or none. For many there is
`bot.cli.importing`.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from bot import inbox
from bot.app.base import Base
from bot.cli.opening import find_sale, opened
from bot.cli.story import coming, print_coming
from bot.cli.terminal import clock, say
from bot.errors import InputRefused
from bot.messages import House
from bot.ports.json_text import read_json
from bot.ports.orders import OrderEvent, parse_order_event
from bot.ports.records import Customer, Incoming, Json
from bot.ports.store import UnitOfWork

_ALL = 1_000_000


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


# Storing ----------------------------------------------------------------------------------------------------------


def store(uow: UnitOfWork, house: House, given: Sequence[Given], now: datetime) -> list[bool]:
    """Put events into the inbox and handle just these, in this transaction. Gives for each whether it was new.

    Raises:
        InputRefused: one of them cannot be handled; the whole transaction must be undone.
    """
    news = take_in(uow, house, [_row(each, now) for each in given], now)
    places = {each.event.id: each.place for each, is_new in zip(given, news, strict=True) if is_new}
    failed = [row for row in uow.inbox(["failed"], _ALL) if row.source == "shop" and row.key in places]
    if failed:
        raise InputRefused([(f"{places[row.key]} {row.key}".strip(), row.error or "failed") for row in failed])
    return news


def take_in(
    uow: UnitOfWork, house: House, rows: Sequence[Incoming], now: datetime, *, careful: bool = True, batch: str = ""
) -> list[bool]:
    """Put order events into the inbox and handle just these, in this transaction. Gives for each whether it was new.

    What becomes of one that cannot be handled, and what `careful` and `batch` say, stands at `bot.inbox.handle`.
    """
    news = uow.receive(rows)
    # A repeat that still waits there is `aftersale run`'s to handle; so only what was new just now.
    keys = {row.key for row, is_new in zip(rows, news, strict=True) if is_new}
    inbox.handle(uow, house, _NO_CHATS, uow.new_among("shop", keys), now, careful=careful, batch=batch)
    return news


def _row(given: Given, now: datetime) -> Incoming:
    event = given.event
    return Incoming(source="shop", key=event.id, lane=f"sale:{event.sale.id}", payload=given.payload, received_at=now)


def _no_chat(_payload: Json) -> NoReturn:
    raise NotImplementedError("only order events are handled here")


_NO_CHATS = inbox.Translators(_no_chat, _no_chat)
