"""`aftersale sale show` and `aftersale why`: the story of a sale in the terminal, and why each message goes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.app.story import Next, Story, gather, number
from bot.cli.opening import opened
from bot.cli.terminal import clock, grid, heading, say, short, show, write_json
from bot.messages import House
from bot.ports.records import Customer
from bot.satisfaction import FACTORS


def show_sale(sale_id: str, *, as_json: bool) -> None:
    """Print the story of a sale.

    Raises:
        NotFound: there is no such sale.
    """
    with opened() as base:
        told = base.database.run_now(lambda uow: gather(uow, base.house, sale_id, base.house.clock.now()))
        if as_json:
            write_json(told)
        else:
            _print(told, base.house)


def show_why(sale_id: str, *, as_json: bool) -> None:
    """Print for each message of a sale why it was sent or not, and the next moment.

    Raises:
        NotFound: there is no such sale.
    """
    with opened() as base:
        told = base.database.run_now(lambda uow: gather(uow, base.house, sale_id, base.house.clock.now()))
        at = clock(base.house.shop.time_zone)
    if as_json:
        write_json(told.why)
        return
    if not told.why:
        say(f"No message of sale {sale_id} was sent or is planned: no flow begins on what happened to it.")
        return
    table = grid("message", "state", "next", "reason", header=True)
    for each in told.why:
        table.add_row(each.what, each.state, at(each.next_at), each.reason + (f"  “{each.text}”" if each.text else ""))
    show(table)


def _print(told: Story, house: House) -> None:
    at = clock(house.shop.time_zone)
    say(f"Sale {told.sale.id}: {told.sale.summary or 'no summary'}", "bold")
    _print_header(told, at)
    if told.promises:
        heading("Promises")
        table = grid("state", "promise", "by whom")
        marks = {"kept": "✔ kept", "broken": "✖ broken", "open": "· open"}
        for promise in told.promises:
            due = f", by {at(promise.due_at)}" if promise.due_at else ""
            made = " / ".join(part for part in (promise.touchpoint, promise.made_by) if part)
            table.add_row(marks[promise.state], f"{promise.text}{due}", made)
        show(table)
    heading("What happened")
    table = grid("when", "who", "what")
    for line in told.story:
        table.add_row(at(line.at), line.who, line.what)
    show(table)
    print_coming(told.next, at)


def _print_header(told: Story, at: Callable[[datetime | None], str]) -> None:
    customer, sale = told.customer, told.sale
    table = grid("name", "value")
    table.add_row("customer", f"{customer.name or 'no name'} ({customer.id})")
    if sale.items:
        table.add_row("bought", ", ".join(_item(item) for item in sale.items))
    table.add_row("stage", f"{sale.stage}, {at(sale.happened.get(sale.stage))}" + (", paused" if sale.paused else ""))
    table.add_row("chat", _chat(customer, at))
    said = ", ".join(f"{purpose}: {'yes' if allowed else 'no'}" for purpose, allowed in customer.consents.items())
    table.add_row("agreed to", said or "– (not asked yet)")
    factors = " × ".join(f"{name} {number(sale.factors.get(name))}" for name in FACTORS)
    table.add_row("satisfaction", f"{number(told.satisfaction)} = {factors}")
    complete = f"yes, the customer said so on {at(sale.confirmed_at)}" if sale.confirmed_at else "not yet"
    table.add_row("complete", complete)
    show(table)


def print_coming(steps: Sequence[Next], at: Callable[[datetime | None], str]) -> None:
    """Print what happens next and when, each with its one reason."""
    heading("What happens next")
    if not steps:
        say("Nothing is planned.")
        return
    table = grid("when", "what", "why")
    for step in steps:
        when = at(step.at) if step.at else "held"
        if step.at and step.state == "held":
            when = f"held, at most till {when}"
        table.add_row(when, short(step.what, 60), step.reason)
    show(table)


def _item(item: Mapping[str, Any]) -> str:
    quantity = item.get("quantity", 1)
    times = "" if quantity == 1 else f"{quantity:g} × "
    return times + str(item.get("name") or item.get("sku") or "something")


def _chat(customer: Customer, at: Callable[[datetime | None], str]) -> str:
    if customer.chat_id is None:
        return f"not linked → aftersale link SALE makes a link for {customer.name or 'the customer'}"
    if customer.stopped_at:
        return f"linked; the customer said /stop on {at(customer.stopped_at)}"
    if customer.unreachable_at:
        return f"linked; not reachable since {at(customer.unreachable_at)}"
    return f"linked on {at(customer.linked_at)}"
