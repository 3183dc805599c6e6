"""Orders from a file: CSV, JSON lines or a JSON array become native events, each with the line it stands on.

A file is taken whole or refused whole, with every bad line named. Storing is the use case's.

In a CSV file a row is one event with at most one item and one promise; several rows with the same event id are several
items or promises of that one event. Columns bear the short names below, or the native event's own dotted names
(``sale.customer.id``); what is not known is kept in the event under its own name.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from bot.errors import InputRefused
from bot.ports.json_text import read_json
from bot.ports.orders import parse_order_event

Event: TypeAlias = dict[str, Any]
Problem: TypeAlias = tuple[str, str]
_Column: TypeAlias = tuple[str, ...]

PROBLEMS_MAX = 200
"""How many problems are told at once; a file with more has one cause."""

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


def read_order_file(path: Path) -> list[tuple[int, Event]]:
    """Give each event of the file with the line it begins on (counted from 1), in the order of the file.

    An event without an id gets one made of its content, so that importing the same file twice changes nothing.

    Raises:
        InputRefused: with every bad line as ``("line 7, occurred_at", reason)``; or the file cannot be read.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputRefused([(str(path), f"cannot be read ({error.strerror})")]) from None
    text = _decode(raw)
    if not text.strip():
        raise InputRefused([(path.name, "is empty")])
    if "\x00" in text:
        raise InputRefused([(path.name, "is not a text file; save it as CSV or JSON lines in UTF-8")])
    problems: list[Problem] = []
    reader: Callable[[str, list[Problem]], Iterator[tuple[int, Event]]] = _read_csv
    if text.lstrip().startswith(("{", "[")):
        reader = _read_array if text.lstrip().startswith("[") else _read_lines
    events: list[tuple[int, Event]] = []
    for line, event in reader(text, problems):
        if not event.get("id"):
            event["id"] = _id_of(event)
        try:
            parse_order_event(event)
        except InputRefused as error:
            problems += [(f"line {line}, {_as_in_file(field, reader)}", reason) for field, reason in error.problems]
        events.append((line, event))
    problems += _clashes(events) if not problems else []
    if problems:
        raise InputRefused(_shortened(problems))
    return events


def _decode(raw: bytes) -> str:
    # Spreadsheets on Western European Windows write cp1252 and say so nowhere. Every æ, ø, å in it breaks UTF-8, so
    # UTF-8 that reads without error is UTF-8.
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError:
        raise InputRefused([("the file", "is neither UTF-8 nor Windows-1252 text; save it as UTF-8")]) from None


def is_utf8(path: Path) -> bool:
    """Tell whether the file is UTF-8; if not, it was read as Windows-1252, and whoever imports it should hear that."""
    try:
        path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return True


def _read_array(text: str, problems: list[Problem]) -> Iterator[tuple[int, Event]]:
    # Python's JSON reader does not tell where a value began, so the array is walked one value at a time.
    decoder = json.JSONDecoder()
    separator = re.compile(r"[\s,]*")
    place = text.index("[") + 1
    line, counted = 1, 0
    while True:
        begin = separator.match(text, place).end()  # type: ignore[union-attr]  # it matches the empty text too
        line += text.count("\n", counted, begin)
        counted = begin
        if text[begin : begin + 1] == "]":
            if text[begin + 1 :].strip():
                problems.append((f"line {line}", "there is more after the end of the array"))
            return
        try:
            _, place = decoder.raw_decode(text, begin)
            event = read_json(text[begin:place])
        except json.JSONDecodeError as error:
            problems.append((f"line {error.lineno}", f"is not JSON: {error.msg}"))
            return
        except (InputRefused, ValueError, RecursionError) as error:
            problems.append((f"line {line}", str(error)))
            return
        if isinstance(event, dict):
            yield line, event
        else:
            problems.append((f"line {line}", "is not an event ({…})"))


def _read_lines(text: str, problems: list[Problem]) -> Iterator[tuple[int, Event]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            event = read_json(line)
        except InputRefused as error:
            problems += [(f"line {number}", f"{reason} (one event per line)") for _, reason in error.problems]
            continue
        if isinstance(event, dict):
            yield number, event
        else:
            problems.append((f"line {number}", "is not an event ({…})"))


def _read_csv(text: str, problems: list[Problem]) -> Iterator[tuple[int, Event]]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    events: dict[tuple[Any, ...], tuple[int, Event]] = {}
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
                continue
            if any(cells[len(columns) :]):
                problems.append((f"line {line}", "has more cells than the header has names: a quote is missing?"))
                continue
            event = _event(columns, cells, line, problems)
            known = events.setdefault(_same_event(event), (line, event))
            if known[1] is not event:
                problems += _merge(known, event, line)
    except csv.Error as error:
        problems.append((f"line {rows.line_num}", f"is not CSV: {error}"))
    yield from events.values()


def _same_event(event: Event) -> tuple[Any, ...]:
    # Rows without an id belong together where the same thing happened to the same order at the same time.
    if "id" in event:
        return (event["id"],)
    return event.get("type"), event.get("occurred_at"), event["sale"].get("id")


def _delimiter(text: str) -> str:
    # The header decides: its names hold none of the candidates, while texts further down may hold them all.
    header = next(line for line in text.splitlines() if line.strip())
    return max(",;\t", key=header.count)


def _read_header(cells: list[str], line: int) -> list[_Column]:
    names = [_COLUMNS.get(cell.lower(), cell) for cell in cells]
    problems: list[Problem] = []
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


def _event(columns: list[_Column], cells: list[str], line: int, problems: list[Problem]) -> Event:
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
                problems.append((f"line {line}", f"{cell[:40]!r} stands below no column name"))
            case _:
                place = event
                for folder in column[:-1]:
                    place = place.setdefault(folder, {})
                place[column[-1]] = cell
    if item:
        event["sale"]["items"] = [item]
    if promise:
        # A promise told again must be the same promise: its id comes from its words.
        promise.setdefault("id", "p-" + _short_hash(promise.get("text", "")))
        event["sale"]["promises"] = [promise]
    return event


def _item_value(name: str, cell: str, line: int, problems: list[Problem]) -> Any:
    if name == "tags":
        return [tag.strip() for tag in cell.split("|") if tag.strip()]
    if name == "quantity":
        # A decimal comma is how half of Europe's spreadsheets write it.
        if not re.fullmatch(r"\d{1,9}([.,]\d{1,6})?", cell):
            problems.append((f"line {line}, quantity", f"{cell!r} is not a number"))
            return 1
        number = float(cell.replace(",", "."))
        return int(number) if number.is_integer() else number
    return cell


def _merge(known: tuple[int, Event], event: Event, line: int) -> list[Problem]:
    """Add the row's item and promise to the event that began earlier; whatever else it says must be the same."""
    first_line, first = known
    sale = event["sale"]
    items, promises = sale.pop("items", []), sale.pop("promises", [])
    ours = {**first, "sale": {**first["sale"]}}
    ours["sale"].pop("items", None)
    ours["sale"].pop("promises", None)
    theirs, mine = dict(_leaves(event)), dict(_leaves(ours))
    # A cell left empty in a later row says the same as before.
    problems = [
        (f"line {line}, {_SHORT_NAMES.get(name, name)}", f"differs from line {first_line}, which is the same event")
        for name, value in theirs.items()
        if mine.get(name) != value
    ]
    if not problems:
        into = first["sale"]
        into.setdefault("items", []).extend(items)
        told = into.setdefault("promises", [])
        told.extend(each for each in promises if each not in told)
    return problems


def _leaves(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, each in value.items():
        if isinstance(each, dict):
            yield from _leaves(each, f"{path}{name}.")
        else:
            yield path + name, each


def _clashes(events: list[tuple[int, Event]]) -> list[Problem]:
    """Name events of one file with the same id but different content: one of them would be lost without a word."""
    seen: dict[str, tuple[int, Event]] = {}
    problems: list[Problem] = []
    for line, event in events:
        first_line, first = seen.setdefault(event["id"], (line, event))
        if first != event:
            reason = f"{event['id']!r} already stands on line {first_line} with other content"
            problems.append((f"line {line}, id", reason))
    return problems


def _id_of(event: Event) -> str:
    content = {name: value for name, value in event.items() if name != "id"}
    return "file-" + _short_hash(json.dumps(content, sort_keys=True, ensure_ascii=False))


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _as_in_file(field: str, reader: object) -> str:
    if reader is not _read_csv:
        return field
    native = re.sub(r"^sale\.(item|promise)s\.\d+\.", r"\1.", field)
    return _SHORT_NAMES.get(native, native)


def _shortened(problems: list[Problem]) -> list[Problem]:
    if len(problems) <= PROBLEMS_MAX:
        return problems
    return [*problems[:PROBLEMS_MAX], ("the file", f"has {len(problems) - PROBLEMS_MAX} more problems like these")]
