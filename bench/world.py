"""What measurements share within one run: the server process, and one database with many customers, made once."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Sizes, tell
from bench.postgresql import postgresql_server
from bench.server import ServerProcess, running
from bench.shop import shop_file

TAP_SECONDS = 8
"""For how many seconds customers tap at an even rate."""


@dataclass(slots=True)
class World:
    """The surroundings of a run."""

    sizes: Sizes
    server: ServerProcess
    file: Path
    waiting: int
    asked: int
    _taken_waiting: int = 0
    _taken_asked: int = 0

    def take_waiting(self, number: int | None = None) -> tuple[int, int]:
        """Give the first, and the number, of customers who wait and whom no other run takes."""
        number = number or self.sizes.pool
        first, self._taken_waiting = self._taken_waiting, self._taken_waiting + number
        if self._taken_waiting > self.waiting:
            raise RuntimeError("too few customers wait for so many runs")
        return first, number

    def take_asked(self, number: int | None = None) -> tuple[int, int]:
        """The same of customers who were asked."""
        number = number or self.sizes.pool
        first = self.waiting + self._taken_asked
        self._taken_asked += number
        if self._taken_asked > self.asked:
            raise RuntimeError("too few customers were asked for so many runs")
        return first, number


@dataclass(slots=True)
class Builder:
    """Makes the world, when the first measurement asks for it."""

    sizes: Sizes
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)
    _world: World | None = None
    _server: ServerProcess | None = None
    _postgresql: str | None = None

    async def server(self) -> ServerProcess:
        """Give the server process."""
        if self._server is None:
            self._server = await self._open.enter_async_context(running())
        return self._server

    async def postgresql(self) -> str:
        """Give the URI of a PostgreSQL server."""
        if self._postgresql is None:
            self._postgresql = self._open.enter_context(postgresql_server())
        return self._postgresql

    async def world(self) -> World:
        """Give it."""
        if self._world is None:
            sizes = self.sizes
            server = await self.server()
            # Out runs twice as often as there are rounds, replies as well; the wake-ups have a share of their own.
            waiting = sizes.waiting + 2 * sizes.rounds * sizes.pool
            asked = sizes.rounds * (sizes.pool + TAP_SECONDS * sizes.taps_per_second)
            tell(f"making a database in which {waiting:,} customers wait and {asked:,} were asked …")
            file = await self._open.enter_async_context(shop_file(waiting=waiting, asked=asked))
            tell(f"  it has {file.stat().st_size / 1e6:,.0f} MB")
            self._world = World(sizes, server, file, waiting, asked)
        return self._world


@asynccontextmanager
async def building(sizes: Sizes) -> AsyncIterator[Builder]:
    """Give the builder; what it made is gone afterwards."""
    async with AsyncExitStack() as stack:
        yield Builder(sizes, stack)
