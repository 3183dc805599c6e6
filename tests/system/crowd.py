"""Several processes of the program on one PostgreSQL, between one sandbox Telegram and one sandbox Slack.

What lives here: starting, killing and cutting them off, steering their common clock, customers in tens, and looking at
the database from outside. What must not: expectations; they stand in the tests.
"""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import psycopg
from sqlalchemy import make_url

from bot.adapters.sandbox.telegram import Customer
from bot.ports.records import Incoming
from storage.database import open_database
from tests.system.stage import PATIENCE_SECONDS, ROOT, Stage, becomes, order, stage

MANY_PATIENCE_SECONDS = 90
"""Several processes share two cores with whatever else the machine does."""


class Proxy:
    """A line between a process and PostgreSQL that can be cut without a word: nothing more passes, nobody is told."""

    def __init__(self, socket: str) -> None:
        """Forward to the Unix socket at `socket`."""
        self._socket = socket
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Stop listening, and close what is open."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Let nothing pass any more, in either direction; connections stay open, as far as either end can tell."""
        self._flows.clear()

    def mend(self) -> None:
        """Let everything pass again."""
        self._flows.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_unix_connection(self._socket)
        ways = [(reader, there[1]), (there[0], writer)]
        tasks = [asyncio.create_task(self._forward(*way)) for way in ways]
        self._tasks.update(tasks)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await self._flows.wait()  # while the line is cut, neither end learns that the other one closed
        finally:
            for task in tasks:
                task.cancel()
                self._tasks.discard(task)
            writer.close()
            there[1].close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()


@dataclass
class Member:
    """One process of the crowd, `name`d so that PostgreSQL can tell whose connection is whose."""

    name: str
    process: asyncio.subprocess.Process
    address: str

    async def kill(self) -> None:
        """End it by SIGKILL."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self.process.terminate()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.process.wait()


class Refused(Exception):
    """A process ended at its start, saying why."""


@dataclass
class Crowd:
    """Processes on one database; `play` is the stage without a program of its own."""

    play: Stage
    url: str
    clock_file: Path
    members: list[Member] = field(default_factory=list)

    async def start(self, name: str, *options: str, proxy: Proxy | None = None) -> Member:
        """Start one more process and wait until everything of it is open.

        Raises:
            Refused: it ended at once; with what it said.
        """
        url = make_url(self.url).update_query_dict({"application_name": name})
        if proxy is not None:
            query = {key: value for key, value in url.query.items() if key != "host"}
            url = url.set(host="127.0.0.1", port=proxy.port, query=query).update_query_dict({"sslmode": "disable"})
        before = self.play.slack.connections
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.system.crowd_runner",
            str(self.clock_file),
            *options,
            cwd=ROOT,
            env=self._environment(url.render_as_string(hide_password=False)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(MANY_PATIENCE_SECONDS):
            said = (await process.stdout.readline()).decode()
        word, _, rest = said.strip().partition(" ")
        if word != "runs":
            await process.wait()
            raise Refused(rest)
        member = Member(name, process, rest)
        self.members.append(member)
        await becomes(lambda: self.play.slack.connections > before, within=MANY_PATIENCE_SECONDS)
        return member

    def _environment(self, url: str) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir(), "aftersale-pyc")),
            "DATABASE_URL": url,
            "TELEGRAM_BOT_TOKEN": "1234:sandbox",
            "TELEGRAM_API_BASE": self.play.telegram.base_url,
            "SLACK_BOT_TOKEN": "xoxb-sandbox",
            "SLACK_APP_TOKEN": "xapp-sandbox",
            "SLACK_API_BASE": self.play.slack.base_url,
            "HTTP_PORT": "0",
        }

    # time

    def advance(self, by: timedelta) -> None:
        """Move everybody's clock."""
        self.play.clock.advance(by)
        write_time(self.clock_file, self.play.clock.now())

    @asynccontextmanager
    async def time_passing(self) -> AsyncIterator[None]:
        """Let everybody's clock go on by itself while the block lasts, as fast as real time."""

        async def go_on() -> None:
            while True:
                await asyncio.sleep(0.2)
                self.advance(timedelta(seconds=0.2))

        going = asyncio.create_task(go_on())
        try:
            yield
        finally:
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)

    # the shop

    async def happens(self, *events: dict[str, Any]) -> None:
        """Let order events come in, as the intake of any of the processes would commit them."""
        now = self.play.clock.now()
        rows = [Incoming("shop", each["id"], f"sale:{each['sale']['id']}", each, now) for each in events]
        # Open only meanwhile: whoever is connected counts as a program of this version.
        with closing(open_database(self.url, workers=1)) as database:
            await database.run(lambda uow: uow.receive(rows))

    # looking from outside

    def ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database, past the program."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement, values).fetchall()

    def holder(self, duty: str = "telegram-polling") -> str | None:
        """Give the name of the process that has a duty."""
        found = self.ask(
            "SELECT split_part(application_name, ' ', 1) FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE locktype = 'advisory' AND granted AND datname = current_database()"
            " AND ((classid::bigint << 32) | objid::bigint) = hashtextextended(%s, 3)",
            duty,
        )
        return str(found[0][0]) if found else None

    def terminate(self, member: Member) -> int:
        """Cut every connection of a process at the server; give how many."""
        return len(
            self.ask(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name LIKE %s",
                f"{member.name} %",
            )
        )

    def waiting(self) -> dict[str, int]:
        """Give how much is still to be done now."""
        now = self.play.clock.now()
        ((inbox, outbox, moments),) = self.ask(
            "SELECT (SELECT count(*) FROM inbox WHERE state = 'new'),"
            " (SELECT count(*) FROM outbox WHERE state = 'sending' OR (state = 'waiting' AND not_before <= %s)),"
            " (SELECT count(*) FROM moments WHERE state = 'planned' AND due_at <= %s)",
            now,
            now,
        )
        return {"inbox": inbox, "outbox": outbox, "moments": moments}

    async def rest(self, *, within: float = MANY_PATIENCE_SECONDS) -> None:
        """Wait until nothing is left to do at about this moment of the clock.

        Turns in the pace of a channel are given by the clock, so it goes on a little.
        """
        try:
            async with asyncio.timeout(within), self.time_passing():
                calm = 0
                while calm < 3:
                    left = await asyncio.to_thread(self.waiting)
                    busy = self.play.telegram.pending_updates or any(left.values())
                    calm = 0 if busy else calm + 1
                    await asyncio.sleep(0.1)
        except TimeoutError:
            states = self.ask("SELECT channel, kind, state, reason, count(*) FROM outbox GROUP BY 1, 2, 3, 4")
            raise AssertionError(f"it does not come to rest: {self.waiting()}, {states}") from None


def write_time(file: Path, at: datetime) -> None:
    """Set the common clock; whoever reads meanwhile sees the old time or the new one."""
    new = file.with_suffix(".new")
    new.write_text(at.isoformat(), encoding="utf-8")
    new.replace(file)


@asynccontextmanager
async def crowd(url: str, folder: Path, *, customers: int = 0) -> AsyncIterator[tuple[Crowd, list[Customer]]]:
    """Set a stage for processes on the migrated PostgreSQL at `url`, with customers who have linked and agreed.

    Customer number ``i`` has sale ``1000 + i``, which is placed. Processes that are left at the end are killed.
    """
    async with stage(url, opened=False) as play:
        people = await joined(play, customers)
        clock_file = folder / "clock"
        write_time(clock_file, play.clock.now())
        all_of_them = Crowd(play, url, clock_file)
        try:
            yield all_of_them, people
        finally:
            for member in all_of_them.members:
                await member.kill()


async def joined(play: Stage, number: int) -> list[Customer]:
    """Let customers place their orders, link their chats and agree to be asked, all side by side."""
    if not number:
        return []
    await play.open()
    sales = [str(1000 + place) for place in range(number)]
    await play.happens(*(order("order.placed", sale, customer=f"c-{sale}", name=f"Kim {sale}") for sale in sales))
    people = [play.telegram.customer(first_name=f"Kim {sale}", language_code="en") for sale in sales]
    for each, sale in zip(people, sales, strict=True):
        await each.start(await play.make_link(sale))
    await play.rest()
    for each in people:
        await each.tap(each.buttons[0])
    await play.rest()
    await play.close()
    return people


async def soon(holds: Callable[[], object], *, within: float) -> float:
    """Wait until something is so that is asked of the database; give how many seconds it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(within):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.1)
    return loop.time() - began


def delivered(sales: Iterable[str], at: datetime) -> list[dict[str, Any]]:
    """Give the events that these sales were delivered."""
    return [order("order.delivered", sale, customer=f"c-{sale}", name=f"Kim {sale}", at=at) for sale in sales]
