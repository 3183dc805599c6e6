"""Starting with a million waiting: what the program does of its own until it is ready, and its memory at rest."""

from functools import partial

from bench.contender import Values, run
from bench.figures import Measurement, alternate
from bench.world import Builder, World


async def measure(builder: Builder) -> list[Measurement]:
    """Measure the whole program as `aftersale run` starts it."""
    world = await builder.world()
    figures = await alternate(world.sizes.rounds, [("aftersale", "ours", partial(_ours, world))])
    measured = Measurement(
        "start",
        f"Start with {world.sizes.waiting:,} waiting, until both channels are open and the first tick is done",
        "ready_ms",
        figures,
        ("imports_ms", "rss_mb", "cpu_ms"),
        note="Memory is taken three seconds after that, with nothing due. CPU is that of the start's own work.",
    )
    measured.at_most("< 1 s of own work", measured.value("aftersale", "ready_ms"), 1000, "{:,.0f} ms")
    measured.at_most("idle memory < 150 MB", measured.value("aftersale", "rss_mb"), 150, "{:,.0f} MB")
    return [measured]


async def _ours(world: World, _: int) -> Values:
    values: Values = await run(
        "bench.started:ours", file=str(world.file), telegram=world.server.telegram, slack=world.server.slack
    )
    return values
