"""`make bench`: run the measurements, print the tables, keep figures and plots. Nothing is measured here."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from bench import days, out, planning, plots, postgres, replies, same, start, wakeup
from bench.figures import LIBRARIES, Measurement, Sizes, as_json, as_table, machine, tell
from bench.world import Builder, building

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


async def _run(names: list[str], sizes: Sizes) -> list[Measurement]:
    measured: list[Measurement] = []
    async with building(sizes) as builder:
        for name in names:
            tell(f"{name} …")
            measured += await MEASUREMENTS[name](builder)
    return measured


def main() -> int:
    """Run what was asked for. Gives 1 if a contender failed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(MEASUREMENTS)}; else all")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: to see that it runs")
    parser.add_argument("--rounds", type=int, help="how often each is run; the median counts (3)")
    parser.add_argument("--keep", action="store_true", help="write the tables into RESULTS.md, results.json and plots/")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw figures there")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the plots there")
    given = parser.parse_args()
    if unknown := set(given.names) - set(MEASUREMENTS):
        parser.error(f"there is no measurement {', '.join(sorted(unknown))}; there are {', '.join(MEASUREMENTS)}")
    sizes = Sizes.quick() if given.quick else Sizes()
    if given.rounds:
        sizes = sizes.with_rounds(given.rounds)
    begun = time.monotonic()
    measured = asyncio.run(_run([name for name in MEASUREMENTS if name in (given.names or MEASUREMENTS)], sizes))
    about = {**machine(), "took": f"{time.monotonic() - begun:.0f} s", "rounds": str(sizes.rounds)}
    tables = "\n".join([_about(about), "", *(as_table(each) for each in measured)])
    print(tables)
    raw = as_json(measured, about, sizes)
    if given.json:
        _write(given.json, raw)
    if given.plots:
        plots.draw(raw["measurements"], given.plots)
    if given.keep:
        _keep(raw, tables)
    failed = [(each.name, figure) for each in measured for figure in each.figures if figure.failure]
    for name, figure in failed:
        tell(f"FAILED: {name}: {figure.contender}: {figure.failure}")
    return 1 if failed else 0


def _about(about: Mapping[str, str]) -> str:
    libraries = ", ".join(f"{name} {about[name]}" for name in LIBRARIES if name in about)
    return (
        f"{about['date']}, {about['took']}, median of {about['rounds']} rounds. {about['cores']}, {about['memory']} "
        f"(load at the end {about['load at the end']}); {about['system']}; Python {about['Python']}; "
        f"SQLite {about['SQLite']}; PostgreSQL {about['PostgreSQL']}; {libraries}."
    )


def _write(file: Path, raw: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _keep(raw: Mapping[str, Any], tables: str) -> None:
    """Put the tables between their marks in RESULTS.md, the raw figures and the plots beside it."""
    before, begin, rest = RESULTS.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{RESULTS} has no place for the tables: put {BEGIN!r} and {END!r} into it")
    RESULTS.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{after}", "utf-8")
    _write(RAW, raw)
    plots.draw(raw["measurements"], PLOTS)


if __name__ == "__main__":
    sys.exit(main())
