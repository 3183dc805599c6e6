"""The sandbox page, opened: a stage of its own, and a door that stands open to this machine alone.

It never runs beside real tokens: no setting of the operator's is read, everything goes to the sandbox's own addresses,
and that is made sure of when the stage is set (see `bot.pages.playground.demand_sandbox`).
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp

from bot.adapters.clock import SystemClock
from bot.adapters.web import serve
from bot.pages.console import open_pages
from bot.pages.door import OpenDoor
from bot.pages.playground import open_playground
from bot.pages.world import World

HOST = "127.0.0.1"


@asynccontextmanager
async def open_sandbox_page(flows_dir: Path | None = None, *, port: int = 0) -> AsyncIterator[str]:
    """Serve the sandbox page at 127.0.0.1, and give its address.

    Raises:
        ConfigurationError, FlowError: it cannot be opened; the text says what to do.
    """
    async with AsyncExitStack() as stack:
        playground = await stack.enter_async_context(open_playground(flows_dir))
        world = World(None, playground=playground)

        async def inside() -> ASGIApp:
            return await open_pages(stack, world)

        web = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        web.mount("/", OpenDoor(inside, SystemClock()))
        address = await stack.enter_async_context(serve(web, HOST, port))
        yield f"{address}/"
