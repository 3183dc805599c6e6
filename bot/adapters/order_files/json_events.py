"""Events from JSON: one per line, or the values of one array; each with the line on which it begins."""

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from bot.adapters.order_files.problems import Problems
from bot.adapters.order_files.text import EVENT_MAX_CHARS, OrderText
from bot.errors import InputRefused
from bot.ports.json_text import read_json

Event: TypeAlias = dict[str, Any]
_NO_EVENT = "is not an event ({…})"
_BLANKS = re.compile(r"\s*")
_SEPARATOR = re.compile(r"[\s,]*")


def read_lines(text: OrderText, problems: Problems) -> Iterator[tuple[int, Event]]:
    """Give the event of each line that is not blank."""
    for number, line in enumerate(text.lines(), start=1):
        if not line.strip():
            continue
        try:
            event = read_json(line.rstrip("\r\n"))
        except InputRefused as error:
            for _, reason in error.problems:
                problems.add(f"line {number}", f"{reason} (one event per line)")
            continue
        if isinstance(event, dict):
            yield number, event
        else:
            problems.add(f"line {number}", _NO_EVENT)


def read_array(text: OrderText, problems: Problems) -> Iterator[tuple[int, Event]]:
    """Give each value of the array. Reading ends at the first that is not JSON: beyond it nothing can be found."""
    walk = _Walk(text)
    while not walk.is_at_end():
        try:
            event = read_json(walk.take())
        except json.JSONDecodeError as error:
            problems.add(f"line {walk.line + error.lineno - 1}", f"is not JSON: {error.msg}")
            return
        except (InputRefused, ValueError, RecursionError) as error:
            problems.add(f"line {walk.line}", str(error))
            return
        if isinstance(event, dict):
            yield walk.line, event
        else:
            problems.add(f"line {walk.line}", _NO_EVENT)
    if walk.has_more():
        problems.add(f"line {walk.line}", "there is more after the end of the array")


class _Walk:
    """Walks an array one value at a time, with never more than a few parts of the text at hand.

    Python's JSON reader reads only whole texts and does not tell where in them a value began.
    """

    def __init__(self, text: OrderText) -> None:
        """Stand behind the opening bracket."""
        self.line = 1
        """On which line the value begins that was taken last, or comes next."""
        self._parts = text.parts()
        self._ahead, self._place = "", 0
        self._taken = 0
        """How many lines the value has that was taken last."""
        self._decoder = json.JSONDecoder()
        self._skip(_BLANKS)
        self._place += 1

    def is_at_end(self) -> bool:
        """Go to the next value; tell whether the closing bracket stands there instead."""
        self.line += self._taken
        self._taken = 0
        self._skip(_SEPARATOR)
        self._need()
        return self._ahead[self._place : self._place + 1] == "]"

    def has_more(self) -> bool:
        """Tell whether anything but blanks follows the closing bracket."""
        return bool(self._ahead[self._place + 1 :].strip()) or any(part.strip() for part in self._parts)

    def take(self) -> str:
        """Give the text of the value that stands here.

        Raises:
            json.JSONDecodeError: there is none; its line is counted from where the value begins.
            ValueError: it is too long to be an event.
        """
        begin = self._place
        try:
            _, self._place = self._decoder.raw_decode(self._ahead, begin)
        except json.JSONDecodeError as error:
            if error.pos - begin >= EVENT_MAX_CHARS:
                raise ValueError(f"the event is longer than {EVENT_MAX_CHARS} characters") from None
            raise json.JSONDecodeError(error.msg, self._ahead[begin:], error.pos - begin) from None
        self._taken = self._ahead.count("\n", begin, self._place)
        return self._ahead[begin : self._place]

    def _skip(self, what: re.Pattern[str]) -> None:
        while True:
            end = what.match(self._ahead, self._place).end()  # type: ignore[union-attr]  # it matches nothing, too
            self.line += self._ahead.count("\n", self._place, end)
            self._place = end
            if end < len(self._ahead) or not self._read_on():
                return

    def _need(self) -> None:
        """Have the whole value at hand, unless it is longer than an event may be."""
        while len(self._ahead) - self._place <= EVENT_MAX_CHARS and self._read_on():
            pass

    def _read_on(self) -> bool:
        part = next(self._parts, "")
        self._ahead = self._ahead[self._place :] + part
        self._place = 0
        return bool(part)
