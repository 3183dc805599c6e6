"""`make bench`: run the measurements, print the table, keep the raw figures as JSON. Nothing is measured here."""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import structlog

from bench import out, planning, replies
from bench.figures import Figure, Sizes, as_json, as_table, machine

MEASUREMENTS: Mapping[str, Callable[[Sizes], Awaitable[list[Figure]]]] = {
    "out": out.measure,
    "replies": replies.measure,
    "planning": planning.measure,
}
"""A new measurement is one module with a `measure`, and one line here."""


async def _run(names: list[str], sizes: Sizes) -> list[Figure]:
    figures: list[Figure] = []
    for name in names:
        figures += await MEASUREMENTS[name](sizes)
    return figures


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(MEASUREMENTS)}; else all")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: to see that it runs")
    parser.add_argument("--rounds", type=int, help="how often each is run; the median counts (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw figures there")
    given = parser.parse_args()
    if unknown := set(given.names) - set(MEASUREMENTS):
        parser.error(f"there is no measurement {', '.join(sorted(unknown))}; there are {', '.join(MEASUREMENTS)}")
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    sizes = Sizes.quick() if given.quick else Sizes()
    if given.rounds:
        sizes = sizes.with_rounds(given.rounds)
    figures = asyncio.run(_run(given.names or list(MEASUREMENTS), sizes))
    about = machine()
    print(as_table(figures))
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    if given.json:
        given.json.write_text(json.dumps(as_json(figures, about, sizes), indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
