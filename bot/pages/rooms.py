"""The pages and their addresses: what makes NiceGUI serve them. Imported when first somebody comes in."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import TypeAlias

import structlog
from fastapi import FastAPI
from nicegui import app as pages_app
from nicegui import ui
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.errors import FollowUpError
from bot.pages import queue_pages, sale_page, sales_page, sandbox_page, unlinked_page
from bot.pages.drawing import put
from bot.pages.frame import Visit, frame, visit_of
from bot.pages.studio import desk, overview
from bot.pages.studio import routes as studio
from bot.pages.world import WORLD, World

_log = structlog.get_logger("aftersale.pages")
Draw: TypeAlias = Callable[[Visit, Request], Awaitable[None]]

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="14" fill="#8a2846"/>'
    '<path d="M10 16.5l4 4 8-9" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round"/></svg>'
)


@asynccontextmanager
async def opened(world: World) -> AsyncIterator[ASGIApp]:
    """Serve the pages over `world`, while the context lasts."""
    outer = _outer()

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await outer({**scope, WORLD: world}, receive, send)

    async with outer.router.lifespan_context(outer):
        yield serve


@cache
def _outer() -> FastAPI:
    """Give the application around NiceGUI's, of which there is one in a process."""
    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    ui.run_with(
        outer,
        title="aftersale",
        favicon=_ICON,
        dark=None,
        binding_refresh_interval=None,
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=10.0,
    )
    pages_app.on_exception(lambda error: _log.error("page_failed", exc_info=error))
    _add_pages()
    return outer


def _add_pages() -> None:
    studio.add_files()

    @ui.page("/")
    async def start(request: Request) -> None:
        await _shown(request, _draw_start)

    @ui.page("/sales")
    async def sales(request: Request) -> None:
        await _shown(request, sales_page.draw)

    @ui.page("/sales/{sale:path}")
    async def sale(request: Request, sale: str) -> None:
        await _shown(request, lambda visit, _request: sale_page.draw(visit, sale))

    @ui.page("/flows")
    async def flows(request: Request) -> None:
        await _shown(request, lambda visit, _request: overview.draw(visit))

    @ui.page("/flows/{name}")
    async def flow(request: Request, name: str, file: str = "") -> None:
        await _shown(request, lambda visit, _request: desk.draw(visit, name, file))

    @ui.page("/unlinked")
    async def unlinked(request: Request) -> None:
        await _shown(request, unlinked_page.draw)

    @ui.page("/outbox")
    async def outbox(request: Request) -> None:
        await _shown(request, queue_pages.draw_outbox)

    @ui.page("/inbox")
    async def inbox(request: Request) -> None:
        await _shown(request, queue_pages.draw_inbox)

    @ui.page("/{elsewhere:path}")
    async def nowhere(request: Request) -> None:
        await _shown(request, _draw_nowhere)


async def _shown(request: Request, draw: Draw) -> None:
    """Draw a page; what kept it from being drawn is said in its place, in words."""
    visit = visit_of(request)
    try:
        await draw(visit, request)
    except FollowUpError as error:
        _fail(visit, str(error))
    except Exception:  # noqa: BLE001 - whatever it is (mostly the database is away), the reader gets one clear message
        reference = visit.world.program.house.new_id()
        _log.exception("page_failed", path=request.url.path, reference=reference)
        _fail(visit, visit.words("page_failed", reference=reference))


def _fail(visit: Visit, said: str) -> None:
    ui.context.client.status_code = 500
    ui.context.client.content.clear()
    with ui.context.client.content:
        _draw_apology(visit, said)


async def _draw_start(visit: Visit, request: Request) -> None:
    if visit.world.playground is not None:
        sandbox_page.draw(visit, visit.world.playground)
    else:
        await sales_page.draw(visit, request)


async def _draw_nowhere(visit: Visit, _request: Request) -> None:
    ui.context.client.status_code = 404
    _draw_apology(visit, visit.words("nowhere"))


def _draw_apology(visit: Visit, said: str) -> None:
    with frame(visit, "aftersale", ""):
        put("h1", said, "page-title")
        put("a", visit.words("home"), "button", href=f"{visit.root}/").style("align-self: start")
