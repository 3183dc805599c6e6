"""Both sandboxes in a process of their own, so that they share no event loop and no interpreter with what is measured.

`ServerProcess` is the side of the measurement; ``python -m bench.server`` the side of the sandboxes. Between them goes
one JSON object a line: a command to standard input, its answer from standard output.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from bot.adapters.sandbox.slack import SandboxSlack
from bot.adapters.sandbox.telegram import Customer, SandboxTelegram

TOKEN = "1234:bench"
FIRST_CHAT = 5_200_000_001
CHANNELS = ("delivery", "accounting", "wine", "fashion", "skincare", "customers")


class ServerProcess:
    """The sandboxes, seen from outside."""

    def __init__(self, process: asyncio.subprocess.Process, telegram: str, slack: str) -> None:
        """`telegram` and `slack` are the addresses to hand to the adapters."""
        self._process, self.telegram, self.slack = process, telegram, slack

    async def ask(self, do: str, **more: Any) -> Any:
        """Have a command carried out and give its answer."""
        writer, reader = self._process.stdin, self._process.stdout
        if writer is None or reader is None:
            raise RuntimeError("the server process has no pipes")
        writer.write(json.dumps({"do": do, **more}).encode() + b"\n")
        await writer.drain()
        line = await reader.readline()
        if not line:
            raise RuntimeError("the server process ended; its error stands above")
        return json.loads(line)

    async def latency(self, milliseconds: float) -> None:
        """Let each call take that long before anything happens."""
        await self.ask("latency", milliseconds=milliseconds)

    async def customers(self, number: int) -> None:
        """Let `number` people have pressed Start, with chat ids from `FIRST_CHAT` on, and leave no update."""
        await self.ask("customers", number=number)
        url = f"{self.telegram}/bot{TOKEN}/deleteWebhook?drop_pending_updates=true"
        async with aiohttp.ClientSession() as session, session.post(url) as answer:
            answer.raise_for_status()

    async def tap(self, number: int) -> None:
        """Let the first `number` people tap the first button that they see, all at once."""
        await self.ask("tap", number=number)

    async def pending(self) -> int:
        """Give how many updates the bot has not confirmed."""
        return int(await self.ask("pending"))


@asynccontextmanager
async def running() -> AsyncIterator[ServerProcess]:
    """Start the sandboxes; they end with the context."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.server", stdin=pipe, stdout=pipe)
    try:
        if process.stdout is None:
            raise RuntimeError("the server process has no standard output")
        hello = json.loads(await process.stdout.readline())
        yield ServerProcess(process, hello["telegram"], hello["slack"])
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


# The other side ----------------------------------------------------------------------------------------------------


async def _serve() -> None:
    def clock() -> datetime:
        return datetime(2026, 11, 25, 9, 0, tzinfo=UTC)

    async with (
        SandboxTelegram(
            token=TOKEN, clock=clock, record=False, keep_calls=0, answer_window=timedelta(minutes=5)
        ) as telegram,
        SandboxSlack(clock=clock) as slack,
    ):
        for name in CHANNELS:
            slack.channel(f"C{name.upper()}", name)
        people: list[Customer] = []
        _say({"telegram": telegram.base_url, "slack": slack.base_url})
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            command = json.loads(line)
            match command["do"]:
                case "latency":
                    telegram.latency = timedelta(milliseconds=command["milliseconds"])
                    _say(None)
                case "customers":
                    for number in range(len(people), command["number"]):
                        people.append(telegram.customer(user_id=FIRST_CHAT + number))
                        await people[-1].start()
                    _say(None)
                case "tap":
                    for each in people[: command["number"]]:
                        await each.tap(each.buttons[0])
                    _say(None)
                case "pending":
                    _say(telegram.pending_updates)
                case unknown:
                    raise ValueError(f"the server process knows no command {unknown!r}")


def _say(answer: object) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
