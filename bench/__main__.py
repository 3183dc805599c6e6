"""`make bench`: run the measurements, print the tables, keep figures and plots. Nothing is measured here."""

import argparse
import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import days, drawing, out, planning, postgres, replies, same, start, wakeup
from bench.figures import Figure, Measurement, Sizes, as_table, machine, tell
from bench.world import Builder, building
from bot.adapters.clock import SystemClock

MEASUREMENTS: Mapping[str, Callable[[Builder], Awaitable[list[Measurement]]]] = {
    "same": same.measure,
    "out": out.measure,
    "replies": replies.measure,
    "wakeup": wakeup.measure,
    "planning": planning.measure,
    "start": start.measure,
    "postgres": postgres.measure,
    "days": days.measure,
}
"""A new measurement is one module with a `measure`, and one line here."""

HERE = Path(__file__).parent
RESULTS, RAW, PLOTS = HERE / "RESULTS.md", HERE / "results.json", HERE / "plots"
BEGIN, END = "<!-- figures: written by `python -m bench --keep` -->", "<!-- end of figures -->"


async def _run(names: list[str], sizes: Sizes, done: Callable[[str, list[Measurement]], None]) -> None:
    async with building(sizes) as builder:
        for name in names:
            tell(f"{name} …")
            done(name, await MEASUREMENTS[name](builder))


def main() -> int:
    """Run what was asked for. Gives 1 if a contender failed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(MEASUREMENTS)}; else all")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: to see that it runs")
    parser.add_argument("--rounds", type=int, help="how often each is run; the median counts (3)")
    parser.add_argument("--keep", action="store_true", help="put the tables into RESULTS.md, results.json and plots/")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw figures there")
    given = parser.parse_args()
    if unknown := set(given.names) - set(MEASUREMENTS):
        parser.error(f"there is no measurement {', '.join(sorted(unknown))}; there are {', '.join(MEASUREMENTS)}")
    sizes = Sizes.quick() if given.quick else Sizes()
    if given.rounds:
        sizes = sizes.with_rounds(given.rounds)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    begun = time.monotonic()
    failures: list[tuple[str, Figure]] = []
    all_of_it: dict[str, Any] = {}

    def done(name: str, measured: list[Measurement]) -> None:
        """Show what came out at once, and keep it: a run that is broken off has measured all the same."""
        nonlocal begun
        took, begun = time.monotonic() - begun, time.monotonic()
        taken = _taken(sizes, took, quick=given.quick)
        raw = [{"group": name, "taken": taken, "table": as_table(each, taken), **asdict(each)} for each in measured]
        print("\n".join(each["table"] for each in raw), flush=True)
        all_of_it.update({each["name"]: each for each in raw})
        failures.extend((each.name, figure) for each in measured for figure in each.figures if figure.failure)
        if given.json:
            _write(given.json, {"about": machine(), "measurements": list(all_of_it.values())})
        if given.keep:
            _keep(name, raw)

    asyncio.run(_run([name for name in MEASUREMENTS if name in (given.names or MEASUREMENTS)], sizes, done))
    print(_about(machine()))
    for name, figure in failures:
        tell(f"FAILED: {name}: {figure.contender}: {figure.failure}")
    return 1 if failures else 0


def _taken(sizes: Sizes, took: float, *, quick: bool) -> str:
    rounds = "one round" if sizes.rounds == 1 else f"median of {sizes.rounds} rounds"
    small = ", small sizes (--quick)" if quick else ""
    load = f"load of the machine {os.getloadavg()[0]:.0f}"
    return f"{SystemClock().now():%Y-%m-%d %H:%M} UTC, {rounds}{small}, {load}, {took:.0f} s"


def _about(about: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in about.items()) + "."


def _write(file: Path, raw: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _keep(name: str, fresh: list[dict[str, Any]]) -> None:
    """Put the tables between their marks in RESULTS.md in place of older ones; raw figures and plots beside it."""
    before, begin, rest = RESULTS.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{RESULTS} has no place for the tables: put {BEGIN!r} and {END!r} into it")
    older = json.loads(RAW.read_text("utf-8"))["measurements"] if RAW.exists() else []
    order = list(MEASUREMENTS)
    kept = [each for each in older if each["group"] != name and each["group"] in order] + fresh
    kept.sort(key=lambda each: order.index(each["group"]))
    about = machine()
    pictures = [f"![{each.stem}](plots/{each.name})\n" for each in drawing.draw(kept, PLOTS)]
    tables = "\n".join([_about(about), "", *pictures, *(each["table"] for each in kept)])
    RESULTS.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{after}", "utf-8")
    _write(RAW, {"about": about, "measurements": kept})


if __name__ == "__main__":
    sys.exit(main())
