"""Reading an order file whole: every event checked, rows of one event put together, all of it in a spool.

An event without an id gets one made of its content, so that importing the same file twice changes nothing.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from bot.adapters.order_files.csv_rows import apart, as_in_file, differences, read_rows
from bot.adapters.order_files.json_events import read_array, read_lines
from bot.adapters.order_files.problems import Problems
from bot.adapters.order_files.spool import PutBy, Spool
from bot.adapters.order_files.text import EVENT_MAX_CHARS, OrderText, opened
from bot.errors import InputRefused
from bot.ports.orders import OrderEvent, parse_order_event

Event: TypeAlias = dict[str, Any]
Progress: TypeAlias = Callable[[int, float], object]

_TELLS_EVERY = 500


def read_order_file(path: Path, events: Spool, now: datetime, progress: Progress = lambda _rows, _part: None) -> bool:
    """Put the events of a file into an empty spool. Tells whether it is UTF-8, or else was read as Windows-1252.

    Args:
        path: a file, or a pipe.
        events: where to.
        now: no event may lie far ahead of it.
        progress: is told how many rows were read, and which part of the file that is.

    Raises:
        InputRefused: with every bad line as ``("line 7, occurred_at", reason)``; or the file cannot be read.
    """
    with opened(path) as text:
        _Reading(text, events, now, progress).whole()
        return text.is_utf8


class _Reading:
    """One file being read."""

    def __init__(self, text: OrderText, events: Spool, now: datetime, progress: Progress) -> None:
        self._text, self._spool, self._now, self._progress = text, events, now, progress
        self._problems = Problems()
        self._is_csv = not text.head.startswith(("{", "["))

    def whole(self) -> None:
        """Read all of it.

        Raises:
            InputRefused: with every problem.
        """
        try:
            for number, (line, event) in enumerate(self._events(), start=1):
                if self._is_csv:
                    self._take_row(line, event)
                else:
                    self._take_event(line, event)
                if number % _TELLS_EVERY == 0:
                    self._progress(number, self._text.part_read)
        except InputRefused as error:
            for place, reason in error.problems:
                self._problems.add(place, reason)
        for line in self._spool.overlong(EVENT_MAX_CHARS):
            reason = f"has more than {EVENT_MAX_CHARS} characters of items and promises in all its rows"
            self._problems.add(f"line {line}, id", reason)
        self._problems.refuse_if_any()
        self._join()
        self._spool.close_intake()

    def _events(self) -> Iterator[tuple[int, Event]]:
        if self._is_csv:
            return read_rows(self._text, self._problems)
        read = read_array if self._text.head.startswith("[") else read_lines
        return read(self._text, self._problems)

    # JSON

    def _take_event(self, line: int, event: Event) -> None:
        if not event.get("id"):
            event["id"] = _id_of(event)
        read = self._checked(line, event)
        if read is None:
            return
        first = self._spool.find(read.id)
        if first is None:
            self._spool.add(read.id, line, event, read)
        elif first.payload == event:
            self._spool.repeated(first.n)
        else:
            # One of them would be lost without a word.
            reason = f"{read.id!r} already stands on line {first.line} with other content"
            self._problems.add(f"line {line}, id", reason)

    # CSV

    def _take_row(self, line: int, row: Event) -> None:
        key = _same_event(row)
        first = self._spool.find(key)
        if first is not None:
            self._merge(first, row, line)
            return
        if "id" not in row:
            row["id"] = _id_of(row)
        self._spool.add(key, line, row, self._checked(line, row))

    def _merge(self, first: PutBy, row: Event, line: int) -> None:
        """Add the row's item and promise to the event that began earlier; whatever else it says must be the same."""
        later, items, promises = apart(row)
        whole, _, _ = apart(first.payload)
        differing = differences(whole, later)
        for name in differing:
            self._problems.add(f"line {line}, {name}", f"differs from line {first.line}, which is the same event")
        if differing or not first.is_sound:
            return
        whole["sale"].update(items=items, promises=promises)
        if self._checked(line, whole) is not None:
            self._spool.add_parts(first.n, "items", items)
            self._spool.add_parts(first.n, "promises", promises)

    def _join(self) -> None:
        """Put items and promises from later rows into their event."""
        for first, parts in self._spool.parts():
            event, items, promises = apart(first.payload)
            promises += map(json.loads, parts.get("promises", ()))
            told = {json.dumps(each, sort_keys=True): each for each in promises}
            event["sale"]["items"] = [*items, *map(json.loads, parts.get("items", ()))]
            event["sale"]["promises"] = list(told.values())
            if first.key != _same_event(event):
                # It has an id that was made of its first row alone.
                event["id"] = _id_of(event)
            self._spool.replace(first.n, event)

    def _checked(self, line: int, event: Event) -> OrderEvent | None:
        try:
            return parse_order_event(event, now=self._now)
        except InputRefused as error:
            for field, reason in error.problems:
                self._problems.add(f"line {line}, {as_in_file(field) if self._is_csv else field}", reason)
            return None


def _same_event(row: Event) -> str:
    # Rows without an id belong together where the same thing happened to the same order at the same time.
    if "id" in row:
        return f"={row['id']}"
    return "?" + json.dumps([row.get("type"), row.get("occurred_at"), row["sale"].get("id")])


def _id_of(event: Event) -> str:
    content = {name: value for name, value in event.items() if name != "id"}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return "file-" + hashlib.sha256(text.encode()).hexdigest()[:24]
