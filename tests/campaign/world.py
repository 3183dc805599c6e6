"""What the program lives in during a campaign: both sandboxes, the clock, the database, and the program's processes.

What must not live here: who does what (`load`), what goes wrong when (`faults`), and what should have come of it (`books`).
"""

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Row, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from bot.adapters.sandbox.slack import Channel, SandboxSlack, Timing
from bot.adapters.sandbox.telegram import SandboxTelegram
from storage.database import parse_url
from storage.tables import metadata
from tests.campaign.clock import SharedClock
from tests.campaign.front import Front
from tests.system.stage import CHANNELS, INTAKE_SECRET, MORNING, ROOT, channel_id

OPEN_WITHIN = 60.0
"""Seconds of real time within which a program must have opened its doors: this machine may be busy."""
LOOK_EVERY = 0.03


@dataclass
class Process:
    """One place for a program, which is filled again when its program dies."""

    name: str
    pid: int = 0
    is_wanted: bool = True
    is_running: bool = False
    address: str = ""
    deaths: int = 0
    crashes: int = 0
    ticked: int = 0
    passed: Counter[str] = field(default_factory=Counter)


class Tables:
    """The database as anybody sees it from outside: plain rows, read beside the program and never locked."""

    def __init__(self, url: str) -> None:
        """Read at `url`; every reading has a connection of its own, for the server may have been restarted."""
        self.url = url
        self.location = parse_url(url)
        self.engine: Engine = create_engine(self.location, poolclass=NullPool)
        if self.location.get_backend_name() == "sqlite":
            event.listen(self.engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only=ON"))

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a SQLite file."""
        return self.location.get_backend_name() == "sqlite"

    @property
    def server_url(self) -> str:
        """The URL for whoever speaks to PostgreSQL without SQLAlchemy."""
        return self.location.set(drivername="postgresql").render_as_string(hide_password=False)

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """Give all rows of all tables, in the order of their keys."""
        with self.engine.connect() as connection:
            return {
                name: [
                    dict(row)
                    for row in connection.execute(table.select().order_by(*table.primary_key.columns)).mappings()
                ]
                for name, table in metadata.tables.items()
            }

    def ask(self, question: str, **given: Any) -> Sequence[Row[Any]]:
        """Ask in SQL."""
        with self.engine.connect() as connection:
            return connection.execute(text(question), given).all()

    def busy_with(self, now: datetime) -> list[str]:
        """Tell what is still to be done at this moment of the clock; empty: it has come to rest."""
        outbox, moments = metadata.tables["outbox"], metadata.tables["moments"]
        with self.engine.connect() as connection:
            new = connection.execute(text("SELECT count(*) FROM inbox WHERE state = 'new'")).scalar_one()
            due = connection.execute(
                moments.select().where(moments.c.state == "planned", moments.c.due_at <= now).limit(3)
            ).all()
            rows = connection.execute(
                outbox.select().where(outbox.c.state.in_(("waiting", "sending"))).order_by(outbox.c.id)
            ).all()
        told = [f"{new} rows of the inbox are new"] if new else []
        told += [f"the moment {each.id} ({each.kind}) is due" for each in due]
        told += [f"message {each.id} ({each.kind}) is being sent" for each in rows if each.state == "sending"]
        told += [
            f"message {each.id} ({each.kind}) waits: {each.reason}"
            for each in rows
            if each.state == "waiting" and each.not_before <= now and not _stands_behind(each, rows)
        ]
        return told

    def next_at(self) -> datetime | None:
        """Give when something is due next."""
        outbox, moments = metadata.tables["outbox"], metadata.tables["moments"]
        with self.engine.connect() as connection:
            due = connection.execute(moments.select().where(moments.c.state == "planned")).all()
            rows = connection.execute(
                outbox.select().where(outbox.c.state.in_(("waiting", "sending"))).order_by(outbox.c.id)
            ).all()
        times = [each.due_at for each in due]
        times += [each.not_before for each in rows if not _stands_behind(each, rows)]
        return min(times, default=None)

    def close(self) -> None:
        """Read no more."""
        self.engine.dispose()


def _stands_behind(row: Row[Any], rows: Iterable[Row[Any]]) -> bool:
    """Tell whether a message waits for an earlier one of its lane, which has to be tried again."""
    earlier = [each for each in rows if each.lane == row.lane and each.id < row.id]
    if row.lane.startswith("case:"):
        return bool(earlier)
    return row.priority == 0 and any(each.priority == 0 and each.attempts > 0 for each in earlier)


class World:
    """Everything around the program, and its processes."""

    def __init__(
        self, database_url: str, folder: Path, clock: SharedClock, telegram: SandboxTelegram, slack: SandboxSlack
    ) -> None:
        """Keep them; no program runs before `open`."""
        self.tables = Tables(database_url)
        self.folder, self.clock, self.telegram, self.slack = folder, clock, telegram, slack
        self.channels: dict[str, Channel] = {name: slack.channel(channel_id(name), name) for name in CHANNELS}
        self.processes: dict[str, Process] = {}
        self.front: Front | None = None
        """Where Telegram and Slack call the programs; None: the programs ask Telegram, and hold sockets to Slack."""
        self.passed: Counter[str] = Counter()
        self.killed_at: Counter[str] = Counter()
        self._armed: dict[str, int] = {}
        self._forker: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._numbers = 0

    # processes

    async def open(self, names: Iterable[str]) -> None:
        """Start the forker, and a program in each place."""
        self._forker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.campaign.runner",
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONDONTWRITEBYTECODE": "",
                "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir(), "aftersale-pyc")),
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**22,
        )
        assert self._forker.stdout is not None
        async with asyncio.timeout(OPEN_WITHIN):
            assert json.loads(await self._forker.stdout.readline())["event"] == "ready"
        self._listening = asyncio.create_task(self._listen())
        for name in names:
            self.processes[name] = Process(name)
            self._start(self.processes[name])
        await self.all_run()
        await self.connected(OPEN_WITHIN)

    async def all_run(self, within: float = OPEN_WITHIN) -> None:
        """Wait until every place has a program that runs."""
        if not await self.becomes(lambda: all(each.is_running for each in self.processes.values()), within):
            dead = [each.name for each in self.processes.values() if not each.is_running]
            raise AssertionError(f"these programs do not start: {dead}; see {self.folder}")

    async def connected(self, within: float) -> None:
        """Wait until Telegram and Slack know a way to the programs."""
        if self.front is None:
            await self.slack.wait_connected(within)
            return
        async with asyncio.timeout(within):
            while not any(call.method.lower() == "setwebhook" for call in self.telegram.calls):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY)

    async def close(self) -> None:
        """End the forker, and with it every program."""
        for process in self.processes.values():
            process.is_wanted = False
        if self._forker is not None and self._forker.stdin is not None:
            self._forker.stdin.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await self._forker.wait()
            if self._forker.returncode is None:
                self._forker.kill()
                await self._forker.wait()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        self.tables.close()

    def order(self, process: Process, do: str, **more: Any) -> None:
        """Tell a program of the campaign something; one that is dead does not hear it."""
        self._send({"process": process.name, "do": do, **more})

    def kill(self, process: Process) -> bool:
        """Kill -9 a program. Gives whether there was one."""
        if not process.pid:
            return False
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
            return True
        return False

    def arm(self, seam: str, nth: int = 1) -> None:
        """Have whichever program first passes `seam` for the `nth` time kill itself there."""
        self._armed[seam] = nth
        for process in self.processes.values():  # Also one that is just starting.
            self.order(process, "kill_at", seam=seam, nth=nth)

    def disarm(self, seam: str) -> None:
        """Take that back."""
        self._armed.pop(seam, None)
        for process in self.processes.values():
            self.order(process, "kill_at", seam=seam, nth=0)

    @property
    def running(self) -> list[Process]:
        """The places whose program runs."""
        return [each for each in self.processes.values() if each.is_running]

    def _start(self, process: Process) -> None:
        environment = {
            "DATABASE_URL": self.tables.url,
            "TELEGRAM_BOT_TOKEN": "1234:sandbox",
            "TELEGRAM_API_BASE": self.telegram.base_url,
            "SLACK_BOT_TOKEN": "xoxb-sandbox",
            "SLACK_APP_TOKEN": "xapp-sandbox",
            "SLACK_API_BASE": self.slack.base_url,
            "INTAKE_SECRET": INTAKE_SECRET,
            "HTTP_PORT": "0",
        }
        if self.front is not None:
            environment |= {
                "TELEGRAM_MODE": "webhook",
                "TELEGRAM_WEBHOOK_SECRET": "only-telegram-knows",
                "PUBLIC_URL": self.front.address,
                "SLACK_MODE": "http",
                "SLACK_SIGNING_SECRET": "sandbox-secret",
            }
        log = str(self.folder / f"{process.name}.log")
        self._send(
            {
                "start": process.name,
                "environment": environment,
                "log": log,
                "clock": str(self.folder / "clock"),
                "kill_at": self._armed,
            }
        )

    def _send(self, order: dict[str, Any]) -> None:
        if self._forker is not None and self._forker.stdin is not None and not self._forker.stdin.is_closing():
            self._forker.stdin.write(json.dumps(order).encode() + b"\n")

    async def _listen(self) -> None:
        assert self._forker is not None
        assert self._forker.stdout is not None
        while line := await self._forker.stdout.readline():
            told = json.loads(line)
            process = self.processes[told["process"]]
            match told["event"]:
                case "forked":
                    process.pid = told["pid"]
                case "runs":
                    process.is_running, process.address = True, told["address"]
                case "ticked":
                    process.ticked = told["number"]
                    process.passed = Counter(told["passed"])
                case "killed":
                    process.passed = Counter(told["passed"])
                    self.killed_at[told["seam"]] += 1
                    self.disarm(told["seam"])
                case "died":
                    process.crashes += told["status"] != 0
                    self._died(process)
            async with self._changed:
                self._changed.notify_all()

    def _died(self, process: Process) -> None:
        process.is_running, process.pid = False, 0
        process.deaths += 1
        self.passed += process.passed
        process.passed = Counter()
        if process.is_wanted:
            # As a supervisor does: at once, and where it dies again at once, with a little patience.
            asyncio.get_running_loop().call_later(0.05, self._start, process)

    # time, and coming to rest

    async def becomes(self, holds: Callable[[], bool], within: float) -> bool:
        """Wait until something is so that a program tells of; False: it did not become so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within), self._changed:
                return await self._changed.wait_for(holds)
        return False

    async def tick(self, within: float = 10.0) -> None:
        """Let every running program look at the clock now, and wait until it has (or died, or is busy)."""
        self._numbers += 1
        number = self._numbers
        asked = self.running
        for process in asked:
            self.order(process, "tick", number=number)
        await self.becomes(lambda: all(each.ticked >= number or not each.is_running for each in asked), within)

    async def rest(self, within: float = 60.0) -> list[str]:
        """Wait (in real time) until nothing is to be done at this moment of the clock. Gives what still is, after that."""
        busy = ["it was not looked"]
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                calm = 0
                while calm < 2:
                    await self.tick()
                    busy = await self.busy()
                    calm = 0 if busy else calm + 1
                    await asyncio.sleep(LOOK_EVERY)
        return busy

    async def busy(self) -> list[str]:
        """Tell what is still to be done at this moment of the clock."""
        if self.telegram.pending_updates:
            return [f"{self.telegram.pending_updates} updates are not fetched yet"]
        try:
            return await asyncio.to_thread(self.tables.busy_with, self.clock.now())
        except DBAPIError as error:
            return [f"the database cannot be asked: {error.orig}"]


@asynccontextmanager
async def world(
    database_url: str, *, processes: int = 1, start: datetime = MORNING, called: random.Random | None = None
) -> AsyncIterator[World]:
    """Make a world on a fresh, migrated database, with so many programs running in it.

    `called`: the programs are called over HTTP, and these dice decide which of them is.
    """
    with tempfile.TemporaryDirectory(prefix="aftersale-campaign-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        clock = SharedClock.made(folder / "clock", start)
        # An event that was not acknowledged comes again within seconds, not minutes: time is moved in leaps anyway.
        timing = Timing(retry_after=(timedelta(0), timedelta(seconds=1), timedelta(seconds=3)))
        async with (
            SandboxTelegram(token="1234:sandbox", clock=clock.now, keep_calls=None) as telegram,
            SandboxSlack(clock=clock.now, timing=timing) as slack,
        ):
            made = World(database_url, folder, clock, telegram, slack)
            front = None if called is None else Front(lambda: [each.address for each in made.running], called)
            async with front or nullcontext():
                if front is not None:
                    made.front, slack.http_url = front, f"{front.address}/slack/events"
                try:
                    await made.open([f"program-{number + 1}" for number in range(processes)])
                    yield made
                finally:
                    await made.close()
