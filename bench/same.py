"""Does the program behave to the lean server as to the sandbox, which checks every call as Telegram does?

A few customers are asked, tap the first button, and get what follows: before both servers the same calls must be made,
by method and number. `python -m bench same` shows it; no rate is measured here.
"""

import asyncio
import http.client
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from bench.contender import Values, run
from bench.figures import Figure, Measurement, attempt
from bench.server import FIRST_CHAT, TOKEN, ServerProcess
from bench.shop import ASKED, TAP, Looker, make_due, running_shop, shop_file
from bench.world import Builder
from bot.adapters.clock import MovableClock
from bot.adapters.sandbox.telegram import SandboxTelegram
from bot.app.program import Program

CUSTOMERS = 40
_CALLS = ("sendmessage", "editmessagetext", "editmessagereplymarkup", "answercallbackquery")
_PATIENCE_SECONDS = 60
_LOOK_EVERY = 0.02
_SENT = "SELECT count(*) FROM outbox WHERE state = 'sent'"


async def measure(builder: Builder) -> list[Measurement]:
    """Let both see the same."""
    server = await builder.server()
    sandbox, lean = Figure("before the sandbox", "ours"), Figure("before the lean server", "ours")
    for figure, lean_one in ((sandbox, False), (lean, True)):
        async with shop_file(waiting=CUSTOMERS, asked=0) as file:
            make_due(file, 0, CUSTOMERS)
            await server.ask("reset")
            await attempt(figure, _calls(file, server, lean=lean_one))
    same = sandbox.samples == lean.samples and bool(sandbox.samples)
    measured = Measurement(
        "same",
        f"The same calls before the sandbox and before the lean server ({CUSTOMERS} asked, all of them tap)",
        "sendmessage",
        [sandbox, lean],
        ("editmessagetext", "answercallbackquery"),
    )
    measured.at_least("the same (1)", float(same), 1)
    if not same:
        lean.failure = lean.failure or f"not the same: {sandbox.samples} and {lean.samples}"
    return [measured]


async def _calls(file: Path, server: ServerProcess, *, lean: bool) -> Values:
    values: Values = await run(
        "bench.same:ours", file=str(file), telegram=server.telegram if lean else None, slack=server.slack
    )
    return values


async def ours(file: str, telegram: str | None, slack: str) -> Values:
    """Run the program before one of the servers, and give the calls that it made."""
    if telegram is None:
        clock = MovableClock(ASKED)
        async with SandboxTelegram(token=TOKEN, clock=clock.now, answer_window=timedelta(minutes=5)) as sandbox:
            people = [sandbox.customer(user_id=FIRST_CHAT + each) for each in range(CUSTOMERS)]
            for each in people:
                await each.start()
            await asyncio.to_thread(_drop_updates, sandbox.base_url)
            async with _played(file, sandbox.base_url, slack) as play:
                await play.asked()
                for each in people:
                    await each.tap(each.buttons[0])
                await play.answered()
            made = Counter(call.method.lower() for call in sandbox.calls)
    else:
        server = ServerProcess(telegram, slack)
        async with _played(file, telegram, slack) as play:
            await play.asked()
            await server.ask("tap", first=0, number=CUSTOMERS, rate=0, data=TAP)
            await play.answered()
        made = Counter((await server.ask("seen"))["methods"])
    return {name: made[name] for name in _CALLS}


class _Play:
    """The program between the servers, and what is waited for."""

    def __init__(self, program: Program, clock: MovableClock, file: str) -> None:
        self._program, self._clock, self._sent = program, clock, Looker(file, _SENT)

    async def asked(self) -> None:
        """Let the time come, and wait until all are asked."""
        self._clock.move_to(ASKED)
        self._program.wake()
        await self._until(CUSTOMERS)

    async def answered(self) -> None:
        """Wait until each keyboard is replaced and each next question sent."""
        await self._until(CUSTOMERS * 3)

    async def _until(self, number: int) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while await self._sent.count() < number:  # noqa: ASYNC110 - no event of the program tells of a commit
                await asyncio.sleep(_LOOK_EVERY)


def _drop_updates(address: str) -> None:
    """Leave no update of those who pressed Start: the database has them as linked already."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.request("POST", f"/bot{TOKEN}/deleteWebhook?drop_pending_updates=true")
    connection.getresponse().read()
    connection.close()


@asynccontextmanager
async def _played(file: str, telegram: str, slack: str) -> AsyncIterator[_Play]:
    async with running_shop(f"sqlite:///{file}", telegram, slack) as (service, clock):
        yield _Play(service.program, clock, file)
