"""How far a long command is: for each of its phases a bar in the terminal, or now and then a line in a log.

A phase that is over within a second shows nothing.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from bot.cli.terminal import stderr

Told: TypeAlias = Callable[[int, float], None]
"""Takes how many are done, and which part of the whole that is (from 0 to 1)."""

QUIET_SECONDS = 1.0
LINE_EVERY_SECONDS = 30.0
"""How often a line is written where there is no terminal to draw a bar in."""


@contextmanager
def phase(
    label: str, noun: str, *, console: Console | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Told]:
    """Show how far a phase is, while the block lasts.

    Args:
        label: what is being done, like ``Storing``.
        noun: what is counted, like ``events``.
        console: where; None: stderr.
        clock: seconds that only go forward.
    """
    to = console or stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    bar = Progress(*columns, console=to, transient=True, refresh_per_second=4)
    task = bar.add_task(label, total=1.0, told="")
    begun = clock()
    next_line = begun + LINE_EVERY_SECONDS

    def tell(done: int, part: float) -> None:
        nonlocal next_line
        now = clock()
        told = how_far(done, part, now - begun, noun)
        if to.is_terminal:
            bar.update(task, completed=part, told=told)
            if now - begun > QUIET_SECONDS:
                bar.start()
        elif now >= next_line:
            to.print(f"{label}: {told}", soft_wrap=True)
            next_line = now + LINE_EVERY_SECONDS

    try:
        yield tell
    finally:
        if bar.live.is_started:
            bar.stop()


def how_far(done: int, part: float, seconds: float, noun: str) -> str:
    """Say how many are done, how many a second, and how long it will take yet."""
    told = f"{done:,} {noun}, {part:.0%}"
    if done and part > 0 and seconds > 0:
        left = round(seconds * (1 - part) / part)
        told += f", {done / seconds:,.0f}/s, {left // 60}:{left % 60:02} left"
    return told
