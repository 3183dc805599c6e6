"""The program's own processes: one that has everything imported, and forks a program for each order from its stdin.

A fork starts in milliseconds where a new interpreter takes seconds, so that a campaign can kill often. Orders come as
lines of JSON; what there is to tell goes to stdout the same way, in single writes, so that not even a kill tears a line.
"""

import asyncio
import contextlib
import errno
import faulthandler
import json
import os
import select
import signal
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, event

from bot.app import service
from bot.settings import Settings
from tests.campaign.clock import SharedClock
from tests.campaign.seams import Seams
from tests.system.stage import FAST, shipped_flows, shop

PATIENCE, PAUSE = timedelta(seconds=2), timedelta(seconds=0.2)
"""How long a program of the campaign waits for an answer, and until it tries again what is tried for ever."""
_PAGES_MAX = 1_073_741_823


def tell(pipe: int, **told: Any) -> None:
    """Write one line, whole."""
    os.write(pipe, json.dumps(told).encode() + b"\n")


# One program ----------------------------------------------------------------------------------------------------------


class Disk:
    """A disk that can be full: SQLite's own limit of pages, set on every transaction's connection.

    What then comes is SQLite's real error, at whatever statement needs a new page.
    Source: https://www.sqlite.org/pragma.html#pragma_max_page_count (read 2026-11-25).
    """

    def __init__(self) -> None:
        self.is_full = False
        self._was_full = False

    def watch(self) -> None:
        """See to it that every transaction of this process feels the limit."""

        @event.listens_for(Engine, "begin")
        def _begin(connection: Connection) -> None:
            if connection.dialect.name == "sqlite" and (self.is_full or self._was_full):
                # Fewer pages than there are means: no more than there are.
                connection.exec_driver_sql(f"PRAGMA max_page_count = {1 if self.is_full else _PAGES_MAX}")
                self._was_full = True


async def run(name: str, clock_file: Path, kill_at: dict[str, int], orders: int, pipe: int) -> None:
    """Run one program until it is told to stop, or killed; every order is a line on `orders`."""
    clock, disk = SharedClock(clock_file), Disk()
    seams = Seams(partial(tell, pipe, process=name))
    for seam, nth in kill_at.items():
        seams.kill_at(seam, nth)
    seams.lay()
    disk.watch()
    hurry()
    opening = service.open_service(
        Settings.load(env_file=None), clock=clock, shop=shop(), flow_files=shipped_flows(), slack_per_second=FAST
    )
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(orders, "rb", buffering=0))
    async with opening as opened:
        tell(pipe, process=name, event="runs", address=opened.address)
        while line := await reader.readline():
            order = json.loads(line)
            match order["do"]:
                case "tick":
                    with contextlib.suppress(Exception):  # A database that is away: the next tick comes by itself.
                        await opened.program.tick()
                    tell(pipe, process=name, event="ticked", number=order["number"], passed=dict(seams.passed))
                case "kill_at":
                    seams.kill_at(order["seam"], order["nth"])
                case "disk":
                    disk.is_full = order["full"]
                case "skew":
                    clock.skew = timedelta(seconds=order["seconds"])
                case "stacks":
                    faulthandler.dump_traceback(sys.stderr)
                    for task in asyncio.all_tasks():
                        task.print_stack(file=sys.stderr)
                    sys.stderr.flush()
                case "stop":
                    break


def hurry() -> None:
    """Give the doors less patience than in life, by their own parameters, so that a time-out costs a campaign less."""
    service.connect = partial(service.connect, patience=PATIENCE)  # type: ignore[assignment]
    service.SlackPoster = partial(service.SlackPoster, patience=PATIENCE)  # type: ignore[assignment,misc]
    service.TelegramPoller = partial(service.TelegramPoller, first_pause=PAUSE)  # type: ignore[assignment,misc]
    service.LOOK_FOR_DUTY = PAUSE.total_seconds()
    service.SlackSocket = partial(service.SlackSocket, retry_after=PAUSE)  # type: ignore[assignment,misc]


def quiet_logs() -> None:
    """Write logs as plain lines: to paint the stack of an error that was asked for takes longer than the error."""
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "event"]),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


# The process that forks them ------------------------------------------------------------------------------------------


class Forker:
    """Forks programs, hands orders on, and tells who died."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._children: dict[int, str] = {}
        self._orders: dict[str, int] = {}

    def serve(self) -> None:
        """Do what stdin says, until it ends; then nobody is left alive."""
        wake, woken = os.pipe()
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        rest = b""
        tell(self._pipe, event="ready")
        while True:
            ready, _, _ = select.select([0, wake], [], [])
            if wake in ready:
                os.read(wake, 4096)
                self._bury()
            if 0 not in ready:
                continue
            read = os.read(0, 65536)
            if not read:
                break
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                self._obey(json.loads(line))
        for pid in list(self._children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _bury(self) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            name = self._children.pop(pid, "")
            os.close(self._orders.pop(name))
            tell(self._pipe, process=name, event="died", status=os.waitstatus_to_exitcode(status))

    def _obey(self, order: dict[str, Any]) -> None:
        if "start" in order:
            self._fork(order)
        elif order["process"] in self._orders:
            try:
                os.write(self._orders[order["process"]], json.dumps(order).encode() + b"\n")
            except OSError as error:
                if error.errno != errno.EPIPE:
                    raise

    def _fork(self, order: dict[str, Any]) -> None:
        name: str = order["start"]
        theirs, ours = os.pipe()
        pid = os.fork()
        if pid:
            os.close(theirs)
            self._children[pid], self._orders[name] = name, ours
            tell(self._pipe, process=name, event="forked", pid=pid)
            return
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in (ours, *self._orders.values()):
                os.close(other)
            log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            for standard in (1, 2):
                os.dup2(log, standard)
            os.environ.update(order["environment"])
            os.environ["COLUMNS"] = "200"
            quiet_logs()
            asyncio.run(run(name, Path(order["clock"]), order["kill_at"], theirs, self._pipe))
            status = 0
        except BaseException:  # noqa: BLE001 - whatever ends it, it must end here and not go on as the forker
            import traceback  # noqa: PLC0415 - only a program that fails needs it

            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)


if __name__ == "__main__":
    shipped_flows()
    Forker(os.dup(1)).serve()
