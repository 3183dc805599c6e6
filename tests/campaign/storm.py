"""The course of a campaign: people begin, things go wrong for a while, all comes to rest, the books are balanced."""

import asyncio
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from bot.adapters.slack.blocks import EVENT_TYPE
from tests.campaign.books import PERHAPS_TWICE, Book, CardSeen, Line, balance
from tests.campaign.dice import dice
from tests.campaign.faults import LEASE_OVER, Faults, Played, blows_for, weather_of
from tests.campaign.load import Load
from tests.campaign.seams import seams_of
from tests.campaign.world import World, world
from tests.system.stage import shipped_flows

ROUNDS_MAX = 400
"""Leaps of time after the storm; every flow has ended long before."""
STEP = timedelta(hours=30)
REST_WITHIN = 90.0
"""Seconds of real time for coming to rest after a storm: connections may take their time to come back."""


@dataclass
class Report:
    """What came of a campaign. `problems` is empty where the books balance."""

    seed: str
    seams: Sequence[str] = ()
    problems: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)
    figures: dict[str, int] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Give the report for people to read."""
        told = [f"seed {self.seed}", "", f"{'times':>6}  what went wrong"]
        told += [f"{times:>6}  {name}" for name, times in sorted(self.faults.items())]
        told += [f"{0:>6}  {name}" for name in self.missing]
        told += ["", f"{'times':>6}  seam passed"]
        told += [f"{self.passed[seam]:>6}  {seam}" for seam in self.seams]
        told += ["", *(f"{number:>6}  {name}" for name, number in self.figures.items()), ""]
        told += [f"NOT BALANCED: {each}" for each in self.problems] or ["The books balance."]
        return told


async def campaign(
    database_url: str,
    seed: str,
    *,
    seconds: float = 0.0,
    processes: int = 1,
    called: bool = False,
    buyers: int = 10,
    calm: bool = False,
    part: tuple[int, int] = (0, 1),
    note: Callable[[str], None] = lambda _: None,
    keep: Path | None = None,
) -> Report:
    """Play one campaign on a fresh, migrated database.

    Args:
        database_url: of the database.
        seed: decides who does what and what goes wrong, and in which order.
        seconds: of real time that the storm lasts at least; it always lasts until everything has happened once.
        processes: programs on the database; more than one needs PostgreSQL.
        called: Telegram and Slack call the programs over HTTP; otherwise the programs poll, and hold sockets.
        buyers: customers at the beginning; more come while it lasts.
        calm: let nothing go wrong (and nothing may then be in doubt).
        part: (which, of how many): a share of the faults alone, for a campaign that must be short.
        note: is told of each fault as it is played.
        keep: a folder to which logs and books go where they do not balance.
    """
    settling = dice(seed, "settling")
    async with world(database_url, processes=processes, called=dice(seed, "front") if called else None) as made:
        load = Load(made, seed, buyers=buyers)
        try:
            await load.begin()
            weather = Faults(made, weather_of(made), dice(seed, "weather"), part=part, note=note)
            blows = Faults(made, blows_for(made), dice(seed, "blows"), part=part, note=note, stir=load.stirs)
            time = asyncio.create_task(_time_goes_on(made, load, dice(seed, "time"), buyers, blows.played, calm=calm))
            if calm:
                await asyncio.sleep(seconds)
            else:
                await asyncio.gather(weather.draw(seconds), blows.draw(seconds))
            time.cancel()
            await asyncio.gather(time, return_exceptions=True)
            if (early := load.failed()) or not time.cancelled():
                raise AssertionError(f"the campaign itself failed: {early or time.exception()!r}")
            await load.end()
            await weather.calm()
            report = Report(seed, seams=seams_of(called=called), faults=weather.counted + blows.counted)
            if not calm:
                report.missing = [each for each in [*weather.wanted, *blows.wanted] if not report.faults[each]]
            await asyncio.sleep(1)  # Whoever was told to die at the last moment has died by now.
            before = sum(each.crashes for each in made.processes.values())
            report.problems += await _settle(made, load, settling)
            if died := sum(each.crashes for each in made.processes.values()) - before:
                report.problems.append(f"at_rest: programs died {died} times, and nobody had killed them")
            book = await asyncio.to_thread(_gathered, made, load, [*weather.played, *blows.played])
            report.problems += balance(book)
            report.passed = sum((each.passed for each in made.processes.values()), made.passed)
            report.figures = _figures(made, book)
            if report.problems and keep is not None:
                _keep(made, book, report, keep)
            return report
        finally:
            await load.close()


async def _time_goes_on(
    made: World, load: Load, throw: random.Random, buyers: int, played: list[Played], *, calm: bool
) -> None:
    """Let days pass in seconds, in spans of minutes and hours; and let new customers come.

    As in life, where a message takes less than a span: nothing is on its way meanwhile, if that can be had; else the
    leap is itself a fault, for a program cannot tell it from having slept.
    """
    number = buyers
    while True:
        await asyncio.sleep(throw.uniform(0.15, 0.5))
        before = made.clock.now()
        is_busy = bool(await made.rest(3 if calm else throw.uniform(0.1, 0.5)))
        luck = throw.random()
        if luck < 0.5:
            made.clock.advance(timedelta(minutes=throw.uniform(5, 60)))
        elif luck < 0.85:
            made.clock.advance(timedelta(hours=throw.uniform(1, 8)))
        else:
            made.clock.advance(timedelta(hours=throw.uniform(8, 40)))
        if is_busy:
            played.append(Played("Clock: leaps while messages are on their way", before, made.clock.now()))
        await made.tick(2)
        if throw.random() < 0.15:
            await load.joins(number)
            number += 1


async def _stuck(made: World, busy: list[str]) -> list[str]:
    """Have every program write down where it stands, for whoever looks into its log, and say what is still to be done."""
    for process in made.running:
        made.order(process, "stacks")
    await asyncio.sleep(1)
    return [f"at_rest: it does not come to rest: {each}" for each in busy]


async def _settle(made: World, load: Load, throw: random.Random) -> list[str]:
    """Let all come to rest: staff remedy what is open, customers answer, and every flow runs out of time."""
    await made.all_run()
    await made.connected(REST_WITHIN)
    # What the dead left behind is taken up once their leases are over.
    made.clock.advance(LEASE_OVER)
    for _ in range(ROUNDS_MAX):
        busy = await made.rest(REST_WITHIN)
        if busy:
            return await _stuck(made, busy)
        acted = await load.clerks[0].settles()
        for buyer in load.buyers:
            acted |= await buyer.settles()
        if acted:
            continue
        due = await asyncio.to_thread(made.tables.next_at)
        if due is None:
            return []
        made.clock.move_to(due + STEP * throw.random())
    return [f"at_rest: after {ROUNDS_MAX} leaps of time something is still planned"]


def _gathered(made: World, load: Load, played: list[Played]) -> Book:
    cards = [
        CardSeen(
            channel=channel.id,
            ts=message.ts,
            case_id=message.metadata["event_payload"]["case_id"],
            post=message.metadata["event_payload"].get("post", ""),
            text=message.plain(),
            lines=tuple(Line(reply.ts, reply.text, reply.bot_id is not None) for reply in message.replies),
        )
        for channel in made.channels.values()
        for message in channel.messages
        if message.metadata and message.metadata.get("event_type") == EVENT_TYPE
    ]
    return Book(
        now=made.clock.now(),
        tables=made.tables.everything(),
        arrivals=list(made.telegram.arrivals),
        handed=list(made.telegram.handed),
        cards=cards,
        ledger=load.ledger,
        faults=played,
        flows=shipped_flows().flows,
    )


def _keep(made: World, book: Book, report: Report, folder: Path) -> None:
    """Put into a folder what is needed to find out why the books do not balance."""
    folder.mkdir(parents=True, exist_ok=True)
    for log in made.folder.glob("*.log"):
        shutil.copy(log, folder)
    (folder / "report.txt").write_text("\n".join(report.lines()), encoding="utf-8")
    (folder / "book.json").write_text(
        json.dumps(asdict(replace(book, flows={})), default=str, indent=1), encoding="utf-8"
    )


def _figures(made: World, book: Book) -> dict[str, int]:
    return {
        "sales": len(book.tables["sales"]),
        "sales complete": sum(row["confirmed_at"] is not None for row in book.tables["sales"]),
        "messages that arrived in chats": len(book.arrivals),
        "of them repeats": sum(each.text.endswith(PERHAPS_TWICE) for each in book.arrivals),
        "messages in doubt": len(book.rows("outbox", state="unknown")),
        "updates taken in": len(book.handed),
        "cases": len(book.tables["cases"]),
        "cases confirmed": len(book.rows("cases", status="confirmed")),
        "replies of staff": len(book.ledger.replies),
        "remedies": len(book.ledger.remedies),
        "deaths of programs": sum(each.deaths for each in made.processes.values()),
        "days that passed": (book.now - min(row["at"] for row in book.tables["log"])).days,
    }
