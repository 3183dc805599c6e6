"""`aftersale import`: any number of order events from a file.

Three phases. The whole file is read and checked before anything is stored. Then it is told whom it would write to. Then
it is stored in many short transactions, so that a program that runs beside it never waits long for the database; what
is stored stays if the command is stopped, and the same command goes on from there, since repeats change nothing.
"""

import gc
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import typer

from bot.adapters.order_files.reading import read_order_file
from bot.adapters.order_files.spool import Spool, Spooled, spool
from bot.catch_up import LATE
from bot.cli.faults import in_short, write_down
from bot.cli.forecast import SOON, Draft, Forecast, Known, draft
from bot.cli.intake import take_in
from bot.cli.opening import opened
from bot.cli.progress import Told, phase
from bot.cli.terminal import counted, remark, say
from bot.desk.shop import Guards
from bot.errors import FollowUpError
from bot.messages import House
from bot.ports.records import Incoming
from bot.ports.store import UnitOfWork
from storage.database import SqlDatabase, is_passing

T = TypeVar("T")

LOOKED_AT = 1000
"""How many events are looked at in one transaction."""

BATCH_MIN, BATCH_MAX = 25, 500
"""Of how many events one transaction is, at least and at most."""

LOCK_SECONDS = 0.2
"""For about how long one transaction may keep a SQLite file to itself."""

BREATH_SECONDS = 0.05
"""How long a SQLite file is left to others between two transactions.

Whoever waits for it looks again after at most 50 ms in the first fifth of a second, and so finds it free in between.
Source: https://github.com/sqlite/sqlite/blob/master/src/main.c, sqliteDefaultBusyCallback (read 2026-11-25)
"""

HOURS_IN_DAYS = 48
"""From how many hours on a length of time is told in days."""

NAMED_MAX = 5
"""How many events are named where only some need be, to know what is spoken of."""


def import_file(path: Path, *, dry_run: bool, yes: bool) -> None:
    """Tell whom the file's events would write to, and, unless `dry_run`, store them.

    Where customers would be written to at once, that is asked for first; `yes` has answered it.

    Raises:
        InputRefused: with every bad line; nothing was stored.
        FollowUpError: nobody answered the question, and nothing was stored; or some events could not be handled, and
            stand in the inbox as failed.
    """
    with opened() as base, spool() as events, _loaded_for_good():
        now = base.house.clock.now()
        database = _Shared(base.database)
        with phase("Reading and checking", "rows") as told:
            is_utf8 = read_order_file(path, events, now, told)
        if not is_utf8:
            remark(
                "! The file is not UTF-8; it was read as Windows-1252. Check that æ, ø and å came through.", "yellow"
            )
        with phase("Looking ahead", "events") as told:
            sales, foreseen = _look_ahead(database, base.house, events, now, told)
        batch = _name(path, now) if foreseen.all > base.house.shop.guards.import_first else ""
        _tell_forecast(events, sales, foreseen, base.house.shop.guards, batch)
        if dry_run:
            say("Nothing was stored (--dry-run).")
            return
        if not events.count_new():
            say("Nothing to store.")
            return
        at_once = foreseen.at_once(base.house.shop.guards)
        if at_once and not yes:
            _ask(at_once)
        storing = _Storing(database, base.house, events, batch)
        with phase("Storing", "events") as told:
            storing.all(told)
        say(f"✔ Stored {counted(storing.stored, 'event')}.", "green")
        storing.demand_handled()


def _name(path: Path, now: datetime) -> str:
    """Call an import by its file and the day, so that one that is stopped and given again is the same."""
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', path.stem).strip('-') or 'orders'}-{now:%Y-%m-%d}"


@contextmanager
def _loaded_for_good() -> Iterator[None]:
    """Spare the garbage collector what is loaded by now: looking through it each time takes a fifth of ours."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _ask(customers: int) -> None:
    question = f"{counted(customers, 'customer')} would be written to at once. Store the events?"
    if not sys.stdin.isatty():
        raise FollowUpError(f"{question} → nothing was stored; add --yes to say so beforehand")
    typer.confirm(question, abort=True)


class _Shared:
    """A database that others use as well: our turns are short, and between two of them the others get theirs."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database
        self._next_at = 0.0
        self.took = 0.0
        """How many seconds the last turn kept it."""

    def turn(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` in one transaction."""
        begun = time.monotonic()

        def timed(uow: UnitOfWork) -> T:
            nonlocal begun
            begun = time.monotonic()
            return work(uow)

        if self._database.is_alone:
            time.sleep(max(self._next_at - begun, 0))
        try:
            return self._database.run_now(timed)
        finally:
            ended = time.monotonic()
            self.took, self._next_at = ended - begun, ended + BREATH_SECONDS


# Looking ahead ----------------------------------------------------------------------------------------------------


def _look_ahead(database: _Shared, house: House, events: Spool, now: datetime, told: Told) -> tuple[int, Forecast]:
    """Mark what is known already, and tell of how many sales all of it is, and whom the rest would write to."""
    rows, total, done = events.by_sale(), events.count(), 0
    sales, too_late = 0, 0
    sale: str | None = None
    current: Draft | None = None

    def settle() -> int:
        if current is None:
            return 0
        outlook = current.outlook(house, now)
        if outlook.due_at is not None:
            events.expect(current.customer_id, outlook.due_at, is_unlinked=current.is_unlinked)
        return outlook.too_late

    while chunk := list(islice(rows, LOOKED_AT)):
        known, standing = database.turn(partial(_standing, chunk=chunk))
        events.mark_known(each.n for each in chunk if each.id in known)
        for event in chunk:
            sales += event.sale_id != sale
            sale = event.sale_id
            if event.id in known:
                continue
            if current is None or current.sale.id != sale:
                too_late += settle()
                current = draft(sale, standing[sale])
            current.add(event)
        done += len(chunk)
        told(done, done / total)
    too_late += settle()
    return sales, Forecast(
        late=events.expected(None, now - LATE),
        now=events.expected(now - LATE, now),
        soon=events.expected(now, now + SOON),
        later=events.expected(now + SOON, None),
        too_late=too_late,
        unlinked=events.expected_unlinked(),
    )


def _standing(uow: UnitOfWork, chunk: Sequence[Spooled]) -> tuple[set[str], dict[str, Known]]:
    """Give which of these events are stored, and how the sales of the others stand."""
    known = set(uow.states_among("shop", {each.id for each in chunk}))
    customers = {each.sale_id: each.customer_id for each in chunk if each.id not in known}
    uow.read_ahead(customers=set(customers.values()), sales=customers.keys())
    return known, {sale_id: _known(uow, sale_id, customer_id) for sale_id, customer_id in customers.items()}


def _known(uow: UnitOfWork, sale_id: str, customer_id: str) -> Known:
    sale = uow.sale(sale_id)
    customer = uow.customer(customer_id)
    while customer is not None and customer.extra.get("same_as"):
        customer = uow.customer(customer.extra["same_as"])
    planned = frozenset(each.key for each in uow.moments_of(sale_id)) if sale is not None else frozenset()
    return Known(sale, customer, planned)


def _tell_forecast(events: Spool, sales: int, told: Forecast, guards: Guards, batch: str) -> None:
    total, new = events.count(), events.count_new()
    say(f"{counted(total, 'event')} of {counted(sales, 'sale')}.", "bold")
    if total != new:
        repeated = events.repeats(NAMED_MAX + 1)
        named = ", ".join(repeated[:NAMED_MAX]) + (" …" if len(repeated) > NAMED_MAX else "")
        say(f"{counted(total - new, 'event')} known already, which changes nothing: {named}")
    line = f"Would write to {counted(told.at_once(guards), 'customer')} now"
    if waiting := told.in_turn(guards):
        hours = -(-waiting // guards.catch_up_per_hour)
        lasts = f"{hours} h" if hours < HOURS_IN_DAYS else f"{-(-hours // 24)} days"
        line += f", to {waiting} one after the other ({guards.catch_up_per_hour} an hour: {lasts} and the nights)"
    line += f", {told.soon} within {SOON.days} days"
    if told.later:
        line += f", {told.later} later"
    if told.unlinked:
        some = f"{told.unlinked} of them once they link a chat"
        line += f" ({'if they link their chat' if told.unlinked == told.all else some})"
    say(line + ".")
    if batch:
        say(
            f"It is a large one: the first {guards.import_first} who are asked are watched for an hour. If too many of"
            f" them are unhappy, block the bot or may not have got it, the rest is stopped ({batch})."
        )
    if told.too_late:
        say(f"{counted(told.too_late, 'conversation')} will not begin: too long ago.")


# Storing ----------------------------------------------------------------------------------------------------------


class _Storing:
    """Stores what is new of a file."""

    def __init__(self, database: _Shared, house: House, events: Spool, batch: str) -> None:
        self._database, self._house, self._events, self._batch = database, house, events, batch
        self.stored = 0
        """How many events are stored and handled by now."""
        self._failed = 0
        self._named: list[str] = []

    def all(self, told: Told) -> None:
        """Store all of it, some hundred events in one transaction.

        Whatever stops it is told with how far it came; what is stored by then stays.
        """
        rows, total, done, size = self._events.new(), self._events.count_new(), 0, BATCH_MIN
        try:
            while batch := list(islice(rows, size)):
                self._take(batch)
                done += len(batch)
                told(done, done / total)
                size = next_size(size, self._database.took)
        except BaseException:
            remark(
                f"! Stopped. {done:,} of {total:,} events were taken in by now, and stay. Give the same command again: "
                "it goes on from there, and what it repeats changes nothing.",
                "yellow",
            )
            raise

    def demand_handled(self) -> None:
        """Make sure that no event failed.

        Raises:
            FollowUpError: some did.
        """
        if not self._failed:
            return
        named = [*self._named, f"and {self._failed - NAMED_MAX} more"] if self._failed > NAMED_MAX else self._named
        lines = "".join(f"\n  {each}" for each in named)
        raise FollowUpError(
            f"{counted(self._failed, 'event')} could not be handled, and are kept in the inbox as failed:{lines}\n"
            "  → aftersale inbox list shows them; once the cause is mended, try again with: aftersale inbox retry ID"
        )

    def _take(self, batch: Sequence[Spooled]) -> None:
        """Take in some events in one transaction; what spoils it is found with more care, and set aside."""
        now = self._house.clock.now()
        rows = [_row(each, now) for each in batch]
        try:
            news = self._database.turn(
                lambda uow: take_in(uow, self._house, rows, now, careful=False, batch=self._batch)
            )
        except Exception as error:
            if is_passing(error):
                raise
            self._take_with_care(batch, rows, now)
        else:
            self.stored += sum(news)

    def _take_with_care(self, batch: Sequence[Spooled], rows: Sequence[Incoming], now: datetime) -> None:
        """Take in each event by itself; keep one that cannot be handled as failed, where it is seen."""
        for event, row in zip(batch, rows, strict=True):
            try:
                self.stored += sum(
                    self._database.turn(
                        partial(take_in, house=self._house, rows=[row], now=now, careful=False, batch=self._batch)
                    )
                )
            except Exception as error:
                if is_passing(error):
                    raise
                reason = _reason(error)
                if self._database.turn(partial(_set_aside, row=row, reason=reason)):
                    self._failed += 1
                    self._named.append(f"line {event.line}, {event.id}: {reason}")
                    del self._named[NAMED_MAX:]


def _reason(error: Exception) -> str:
    if isinstance(error, FollowUpError):
        return str(error)
    reference, _ = write_down(error)
    return f"{in_short(error)} (reference {reference})"


def next_size(size: int, took: float) -> int:
    """Give of how many events the next transaction shall be, after one of `size` events `took` so many seconds."""
    if took > LOCK_SECONDS:
        return max(size * 2 // 3, BATCH_MIN)
    return min(size * 5 // 4, BATCH_MAX) if took < LOCK_SECONDS / 2 else size


def _row(event: Spooled, now: datetime) -> Incoming:
    return Incoming("shop", event.id, f"sale:{event.sale_id}", event.payload, now)


def _set_aside(uow: UnitOfWork, row: Incoming, reason: str) -> bool:
    (is_new,) = uow.receive([row])
    for each in uow.new_among("shop", [row.key]) if is_new else ():
        uow.settle_incoming(each.id or 0, "failed", reason)
    return is_new
