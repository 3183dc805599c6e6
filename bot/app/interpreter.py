"""How the interpreter is set for a program that runs for months: its event loop, and how it looks for garbage."""

import asyncio
import gc
import importlib
from collections.abc import Callable

YOUNG, MIDDLE, OLD = 20_000, 20, 50
"""How many new objects, and rounds of the generation below, make a look for garbage worth while.

A batch of replies makes tens of thousands of objects that go by themselves when it is done. Python's own 700 looked at
them over and over: a fifth of what a reply cost. Source: https://docs.python.org/3/library/gc.html#gc.set_threshold
"""


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give what makes the event loop: uvloop's, which does the same for less, where there is one; else Python's own."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def settle_memory() -> None:
    """Count what was made so far as there for good, and look for garbage less often. Called once everything is open.

    To walk over all that a start makes took 0.14 s at a time, and nothing else went on meanwhile.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
