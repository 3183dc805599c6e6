"""What a figure is, how contenders take turns, and how figures are shown. No measurement of its own."""

import gc
import os
import platform
import sqlite3
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

LIBRARIES = (
    "python-telegram-bot", "httpx", "httpx-aiohttp", "aiohttp", "APScheduler", "SQLAlchemy", "sqlmodel", "slack-bolt",
)  # fmt: skip

Role = Literal["ours", "peer", "limit"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much each measurement does, so that all together stay below four minutes (`quick`: 40 seconds)."""

    rounds: int = 3
    messages: int = 1000
    naive_messages: int = 200
    slow_naive_messages: int = 20
    replies: int = 500
    naive_replies: int = 100
    commits: int = 1000
    plans: int = 10_000
    naive_plans: int = 1000
    orders: int = 1000

    @classmethod
    def quick(cls) -> Self:
        """Give sizes that show that everything runs; the figures are rough."""
        return cls(1, 400, 100, 10, 300, 50, 200, 2000, 300, 400)

    def with_rounds(self, rounds: int) -> Self:
        """Give the same sizes, run `rounds` times."""
        return replace(self, rounds=rounds)


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one contender: how many, in how many seconds, with how many seconds of CPU of its own process."""

    count: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """How many a second."""
        return self.count / self.seconds


class Stopwatch:
    """Measures wall and CPU time from its making on; the CPU of other processes (the server) is not in it."""

    def __init__(self) -> None:
        gc.collect()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def sample(self, count: int) -> Sample:
        """Give what `count` things took so far."""
        return Sample(count, time.perf_counter() - self._wall, time.process_time() - self._cpu)


@dataclass(slots=True)
class Figure:
    """All runs of one contender in one measurement."""

    measurement: str
    contender: str
    role: Role
    samples: list[Sample] = field(default_factory=list)

    @property
    def median(self) -> float:
        """How many a second, in the median of the runs."""
        return statistics.median(each.rate for each in self.samples)

    @property
    def cpu_milliseconds(self) -> float:
        """CPU of one, in the median of the runs."""
        return statistics.median(each.cpu_seconds / each.count for each in self.samples) * 1000


Runner = Callable[[], Awaitable[Sample]]


async def alternate(measurement: str, rounds: int, contenders: Sequence[tuple[str, Role, Runner]]) -> list[Figure]:
    """Let the contenders take turns, so that what disturbs the machine disturbs all of them alike."""
    figures = [Figure(measurement, name, role) for name, role, _ in contenders]
    for _ in range(rounds):
        for figure, (_, _, run) in zip(figures, contenders, strict=True):
            figure.samples.append(await run())
            tell(figure)
    return figures


def tell(figure: Figure) -> None:
    """Show that something came out, for whoever waits."""
    print(f"  {figure.measurement}: {figure.contender}: {figure.samples[-1].rate:,.0f}/s", file=sys.stderr, flush=True)


def as_table(figures: Sequence[Figure]) -> str:
    """Give the figures as a Markdown table for each measurement; the ratio is ours divided by theirs."""
    lines: list[str] = []
    for measurement in dict.fromkeys(each.measurement for each in figures):
        these = [each for each in figures if each.measurement == measurement]
        ours = next((each for each in these if each.role == "ours"), None)
        lines += ["", f"### {measurement}", "", "| | per second | least – most | ours ÷ this | CPU of one |"]
        lines += ["| --- | ---: | ---: | ---: | ---: |"]
        for each in these:
            rates = sorted(sample.rate for sample in each.samples)
            ratio = f"{ours.median / each.median:.2f} ×" if ours and each is not ours else ""
            name = {"ours": f"**{each.contender}**", "peer": each.contender, "limit": f"limit: {each.contender}"}
            lines.append(
                f"| {name[each.role]} | {each.median:,.0f} | {rates[0]:,.0f} – {rates[-1]:,.0f} "
                f"| {ratio} | {each.cpu_milliseconds:.2f} ms |"
            )
    return "\n".join([*lines, ""])


def as_json(figures: Sequence[Figure], about: dict[str, str], sizes: Sizes) -> dict[str, Any]:
    """Give everything that was measured, raw."""
    return {
        "about": about,
        "sizes": asdict(sizes),
        "figures": [
            {**asdict(each), "median_per_second": each.median, "cpu_ms": each.cpu_milliseconds} for each in figures
        ],
    }


def machine() -> dict[str, str]:
    """Give what the figures depend on: processor, memory, versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": f"{os.cpu_count()} × {_processor()}",
        "memory": f"{memory:.0f} GiB",
        "load before the end": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "SQLite": f"{sqlite3.sqlite_version}, WAL, synchronous FULL",
        **{name: version(name) for name in LIBRARIES},
    }


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        for line in listed.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
