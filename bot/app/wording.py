"""Times and texts as people read them, in the terminal and in pages."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo


def clock(zone: str) -> Callable[[datetime | None], str]:
    """Give a writer of times on the wall clock of `zone`: ``Sat 21 Nov 2026 10:00``; a dash for None."""
    wall = ZoneInfo(zone)

    def write(at: datetime | None) -> str:
        if at is None:
            return "–"
        local = at.astimezone(wall)
        return f"{local:%a} {local.day:>2} {local:%b %Y %H:%M}"

    return write


def short(text: object, length: int = 70) -> str:
    """Give `text` on one line, cut at `length` characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= length else line[: length - 1] + "…"
