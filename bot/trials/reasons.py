"""Why something is said when it is said, in one line of plain words. Pure."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.trials.trail import Why


def reason(why: Why, zone: str, tell: Callable[[str], str] = str) -> str:
    """Tell why: ``2d after order.delivered (Mon 23 Nov 21:30); quiet hours of the customer until Thu 26 Nov 08:30``.

    `tell` puts each sentence into another language.
    """
    words = tell(why.words)
    if why.since is not None:
        words += f" ({clock(why.since, zone)})"
    for held in why.held:
        until = f"{held.reason} until {clock(held.until, zone)}" if held.until else f"it waited: {held.reason}"
        words += f"; {tell(until)}"
    return words


def clock(at: datetime, zone: str) -> str:
    """Write a moment on the customer's clock: ``Mon 23 Nov 21:30``."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{local:%a} {local.day:>2} {local:%b %H:%M}"
