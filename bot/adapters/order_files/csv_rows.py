"""Events from CSV: a row is one event with at most one item and one promise.

Several rows with the same event id are several items or promises of that one event; they are put together in `reading`.
Columns bear the short names below, or the native event's own dotted names (``sale.customer.id``); what is not known is
kept in the event under its own name.
"""

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from bot.adapters.order_files.problems import Problems
from bot.adapters.order_files.text import OrderText
from bot.errors import InputRefused

Event: TypeAlias = dict[str, Any]
_Column: TypeAlias = tuple[str, ...]

_COLUMNS: Mapping[str, str] = {
    "id": "id",
    "type": "type",
    "occurred_at": "occurred_at",
    "sale_id": "sale.id",
    "summary": "sale.summary",
    "customer_id": "sale.customer.id",
    "customer_name": "sale.customer.name",
    "locale": "sale.customer.locale",
    "country": "sale.customer.country",
    "time_zone": "sale.customer.time_zone",
    "sku": "item.sku",
    "item_name": "item.name",
    "quantity": "item.quantity",
    "tags": "item.tags",
    "first_use_after": "item.first_use_after",
    "promise_id": "promise.id",
    "promise_text": "promise.text",
    "promise_touchpoint": "promise.touchpoint",
    "promise_made_by": "promise.made_by",
    "promise_due_at": "promise.due_at",
}
_NEEDED = ("type", "occurred_at", "sale.id", "sale.customer.id")
_SHORT_NAMES = {native: short for short, native in _COLUMNS.items()}


def read_rows(text: OrderText, problems: Problems) -> Iterator[tuple[int, Event]]:
    """Give each row as an event, with the line it begins on.

    Raises:
        InputRefused: the header is not one.
    """
    rows = csv.reader(text.lines(), delimiter=_delimiter(text.head), strict=True)
    columns: list[_Column] = []
    begins = 1
    try:
        for row in rows:
            line, begins = begins, rows.line_num + 1
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if not columns:
                columns = _read_header(cells, line)
            elif any(cells[len(columns) :]):
                problems.add(f"line {line}", "has more cells than the header has names: a quote is missing?")
            else:
                yield line, _event(columns, cells, line, problems)
    except csv.Error as error:
        problems.add(f"line {rows.line_num}", f"is not CSV: {error}")


def as_in_file(field: str) -> str:
    """Give the short name of a native event's field."""
    native = re.sub(r"^sale\.(item|promise)s\.\d+\.", r"\1.", field)
    return _SHORT_NAMES.get(native, native)


def apart(event: Event) -> tuple[Event, list[Event], list[Event]]:
    """Give what a row says of its event as a whole, its items, and its promises."""
    sale = {**event["sale"]}
    items, promises = sale.pop("items", []), sale.pop("promises", [])
    return {**event, "sale": sale}, items, promises


def differences(first: Event, later: Event) -> list[str]:
    """Name the columns in which a later row says something else about the same event than its first row.

    A cell left empty in the later row says the same as before.
    """
    mine = dict(_leaves(first))
    return [_SHORT_NAMES.get(name, name) for name, value in _leaves(later) if mine.get(name) != value]


def _delimiter(header: str) -> str:
    # The header decides: its names hold none of the candidates, while texts further down may hold them all.
    return max(",;\t", key=header.count)


def _read_header(cells: list[str], line: int) -> list[_Column]:
    names = [_COLUMNS.get(cell.lower(), cell) for cell in cells]
    problems: list[tuple[str, str]] = []
    missing = [_SHORT_NAMES[each] for each in _NEEDED if each not in names]
    if missing:
        problems.append((f"line {line}", f"the header lacks {', '.join(missing)}"))
    doubled = sorted({each for each in names if each and names.count(each) > 1})
    if doubled:
        problems.append((f"line {line}", f"the header has {', '.join(doubled)} twice"))
    split = sorted({each for each in names if each and any(other.startswith(f"{each}.") for other in names)})
    if split:
        problems.append((f"line {line}", f"the header has {', '.join(split)} both as a whole and in parts"))
    if problems:
        # Without the right header every row would be reported for the same one mistake.
        raise InputRefused(problems)
    return [tuple(name.split(".")) for name in names]


def _event(columns: list[_Column], cells: list[str], line: int, problems: Problems) -> Event:
    event: Event = {"sale": {"customer": {}}}
    item: Event = {}
    promise: Event = {}
    for column, cell in zip(columns, cells, strict=False):
        if not cell:
            continue
        match column:
            case ("item", name):
                item[name] = _item_value(name, cell, line, problems)
            case ("promise", name):
                promise[name] = cell
            case ("",):
                problems.add(f"line {line}", f"{cell[:40]!r} stands below no column name")
            case _:
                place = event
                for folder in column[:-1]:
                    place = place.setdefault(folder, {})
                place[column[-1]] = cell
    if item:
        event["sale"]["items"] = [item]
    if promise:
        # A promise told again must be the same promise: its id comes from its words.
        promise.setdefault("id", "p-" + hashlib.sha256(promise.get("text", "").encode()).hexdigest()[:24])
        event["sale"]["promises"] = [promise]
    return event


def _item_value(name: str, cell: str, line: int, problems: Problems) -> Any:
    if name == "tags":
        return [tag.strip() for tag in cell.split("|") if tag.strip()]
    if name == "quantity":
        # A decimal comma is how half of Europe's spreadsheets write it.
        if not re.fullmatch(r"\d{1,9}([.,]\d{1,6})?", cell):
            problems.add(f"line {line}, quantity", f"{cell!r} is not a number")
            return 1
        number = float(cell.replace(",", "."))
        return int(number) if number.is_integer() else number
    return cell


def _leaves(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, each in value.items():
        if isinstance(each, dict):
            yield from _leaves(each, f"{path}{name}.")
        else:
            yield path + name, each
