"""Playing a flow by hand: how it begins, how time is moved, and how what was played becomes a test.

What commands and pages share. What lives here must neither print nor draw, and touches no file.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.desk.shop import Shop
from bot.durations import Duration
from bot.errors import FlowError, InputRefused
from bot.flows.model import Flow
from bot.ports.channels import FlowSource
from bot.sales import after
from bot.trials.moments import parse_when
from bot.trials.parse import DEFAULT_SALE, DEFAULT_START, EVENTS, Known, read_trials
from bot.trials.record import added_to, new_file, recorded
from bot.trials.simulation import Given, Simulation

LOOK_AHEAD = timedelta(days=60)
"""How far one goes on to the next message where nothing is said."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_AT_ONCE = Duration()


def beginning(text: str, zone: str) -> datetime:
    """Give the moment at which a play begins, as people write it, on the clock of that zone.

    Raises:
        ValueError, OSError, LookupError: there is no such moment, or no such zone.
    """
    when, here = parse_when(text), ZoneInfo(zone)
    first = parse_when(DEFAULT_START).after(_EPOCH, here, _add)
    return when.after(first, here, _add)


def _add(at: datetime, length: Duration) -> datetime:
    return at + length.span


def usual(shop: Shop, locale: str) -> Given:
    """Give the usual sale, to a customer who reads `locale`."""
    customer: dict[str, Any] = {**DEFAULT_SALE["customer"], "locale": locale}
    return Given({**DEFAULT_SALE, "customer": customer}, beginning(DEFAULT_START, shop.time_zone))


def entering(flow: Flow, step: str) -> Flow:
    """Give a flow that begins at once at `step`: nothing of what leads there has happened."""
    triggers = (replace(flow.triggers[0], after=_AT_ONCE, step=step, unless=(), item_field=None, variants=()),)
    return replace(flow, triggers=tuple(replace(each, condition=None) for each in triggers))


def begin(flow: Flow, simulation: Simulation, event: str | None = None) -> None:
    """Let happen what the flow starts on."""
    on = event or (flow.triggers[0].on if flow.triggers else "order.placed")
    simulation.happens(on if on in EVENTS else "order.delivered")
    if on == "remedy.done":
        simulation.writes("Something is wrong with it")
        simulation.remedies(next(iter(simulation.house.shop.remedies)))


def go(simulation: Simulation, text: str) -> None:
    """Let time pass until a moment as people write it: ``+2d``, ``tomorrow 9:00``.

    Raises:
        InputRefused: that is none.
    """
    try:
        when = parse_when(text)
    except ValueError as error:
        raise InputRefused([("the moment", str(error))]) from error
    zone = ZoneInfo(simulation.zone)
    simulation.go(when.after(simulation.now, zone, lambda at, length: after(simulation.house, length, at)))


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of tests with one more: its text, the test's name, and what keeps it from being read (None: nothing)."""

    text: str
    name: str
    error: FlowError | None = None


def as_test(before: str, file: str, flow: Flow, simulation: Simulation, shop: Shop, flows: FlowSource) -> Kept:
    """Write what was played as a test, behind those of a file that says `before`."""
    known = Known(shop, flows.flows, flows.phrases)
    names = {each.name for each in read_trials(before, file, known)[0]} if before.strip() else set()
    number = next(number for number in range(1, len(names) + 2) if f"played_{number}" not in names)
    test = recorded(f"played_{number}", simulation)
    text = added_to(before, test) if before.strip() else new_file(flow.name, test)
    errors = read_trials(text, file, known)[1]
    return Kept(text, f"played_{number}", errors[0] if errors else None)
