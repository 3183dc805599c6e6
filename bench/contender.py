"""Each contender runs in a process and an event loop of its own, so that none is helped or hurt by another's.

`run` and `Contender` are the side of the measurement; ``python -m bench.contender MODULE:FUNCTION JSON`` is the other:
it awaits that coroutine function with the arguments in JSON and writes what it gives as the last line of standard
output. Between them goes one line at a time: `say` and `told`, within the contender.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import structlog

from bot.app.interpreter import loop_factory

Values = dict[str, float]
"""What one run of one contender gave, by name; the names and how they are shown stand in `bench.figures.COLUMNS`."""

_ROOT = Path(__file__).parents[1]
_PATIENCE_SECONDS = 900

SETTINGS = frozenset(
    {"DATABASE_URL", "TELEGRAM_BOT_TOKEN", "TELEGRAM_API_BASE", "SHOP_FILE", "FLOWS_DIR", "LOG_FORMAT"}
)
"""Variables of whoever measures that must not become those of what is measured."""


class ContenderFailed(Exception):
    """A contender ended without a result; what it said of that is above, on standard error."""


class Contender:
    """A contender that is told when to begin and when to end."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process, self._name = process, name

    @classmethod
    async def start(cls, function: str, **given: Any) -> "Contender":
        """Start ``module:function`` with these arguments."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.contender", function, json.dumps(given),
            cwd=_ROOT, stdin=pipe, stdout=pipe, limit=2**20,
            env={name: value for name, value in os.environ.items() if name not in SETTINGS},
        )  # fmt: skip
        return cls(process, function)

    async def heard(self) -> Any:
        """Give what it says next.

        Raises:
            ContenderFailed: it ended instead.
        """
        if self._process.stdout is None:
            raise ContenderFailed(f"{self._name} has no standard output")
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while line := await self._process.stdout.readline():
                with contextlib.suppress(ValueError):
                    return json.loads(line)
        raise ContenderFailed(f"{self._name} ended with {await self._process.wait()}")

    async def tell(self, what: Any) -> None:
        """Tell it something."""
        if self._process.stdin is not None:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            await self._process.stdin.drain()

    async def end(self) -> None:
        """End it, if it has not ended by itself."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(60):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def run(function: str, **given: Any) -> Any:
    """Run a contender from beginning to end and give its result.

    Raises:
        ContenderFailed: it has none.
    """
    contender = await Contender.start(function, **given)
    try:
        return await contender.heard()
    finally:
        await contender.end()


# The other side ----------------------------------------------------------------------------------------------------


def say(what: Any) -> None:
    """Tell the measurement something."""
    print(json.dumps(what), flush=True)


async def told() -> Any:
    """Wait until the measurement tells us something; None when it has ended."""
    line = await asyncio.to_thread(sys.stdin.readline)
    return json.loads(line) if line else None


def _main() -> None:
    module, _, function = sys.argv[1].partition(":")
    logging.basicConfig(level=logging.ERROR)
    # What a contender leaves undone when its time is over is no news.
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # Ours has the event loop of `aftersale run`; peers run as they come, on Python's own.
    with asyncio.Runner(loop_factory=loop_factory() if function == "ours" else None) as runner:
        say(runner.run(getattr(import_module(module), function)(**json.loads(sys.argv[2]))))


if __name__ == "__main__":
    _main()
