"""Writing to the terminal: consoles, times in the shop's zone, JSON. What is written is the commands' own."""

import dataclasses
import json
import sys
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.app import wording

clock, short = wording.clock, wording.short

_PIPE_COLUMNS = 160
"""How wide tables are where there is no terminal to ask: in a pipe nobody wants cells of twenty characters."""


def stdout() -> Console:
    """Give the console for answers. Nothing in it is read as markup: customers write square brackets, too."""
    return _console(sys.stdout)


def stderr() -> Console:
    """Give the console for remarks, which must not end up in a pipe."""
    return _console(sys.stderr)


def _console(file: Any) -> Console:
    width = None if file.isatty() else _PIPE_COLUMNS
    return Console(file=file, width=width, highlight=False, markup=False, emoji=False)


def say(text: str, style: str = "") -> None:
    """Write one line of an answer; it wraps only where the terminal does."""
    stdout().print(Text(text, style=style), soft_wrap=True)


def remark(text: str, style: str = "") -> None:
    """Write one line that is not the answer itself, to stderr."""
    stderr().print(Text(text, style=style), soft_wrap=True)


def heading(text: str) -> None:
    """Write a heading with an empty line before it."""
    say("")
    say(text, "bold")


def grid(*columns: str, header: bool = False) -> Table:
    """Give an empty table without lines; `columns` are the headings. The last column takes what room is left."""
    table = Table(box=None, show_header=header, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for place, name in enumerate(columns):
        is_last = place == len(columns) - 1
        table.add_column(name, no_wrap=not is_last, overflow="fold", ratio=1 if is_last else None)
    return table


def show(table: Table) -> None:
    """Write a table."""
    stdout().print(table)


def write_json(value: Any) -> None:
    """Write JSON, indented; times as ISO 8601 in UTC."""
    print(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case Enum():
            return value.value
        case Mapping():
            return dict(value)
        case set() | frozenset():
            return sorted(value)
        case _ if dataclasses.is_dataclass(value):
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        case _:
            return str(value)


def counted(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun: ``1 sale``, ``2 sales``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
