"""The pages and their addresses: what makes NiceGUI serve them. Imported when first somebody comes in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

import structlog
from fastapi import FastAPI
from nicegui import app as pages_app
from nicegui import ui
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.pages import queue_pages, sale_page, sales_page, sandbox_page, unlinked_page
from bot.pages.frame import visit_of
from bot.pages.world import WORLD, World

_log = structlog.get_logger("aftersale.pages")
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
    @ui.page("/")
    async def start(request: Request) -> None:
        visit = visit_of(request)
        if visit.world.playground is not None:
            sandbox_page.draw(visit, visit.world.playground)
        else:
            await sales_page.draw(visit, request)

    @ui.page("/sales")
    async def sales(request: Request) -> None:
        await sales_page.draw(visit_of(request), request)

    @ui.page("/sales/{sale:path}")
    async def sale(request: Request, sale: str) -> None:
        await sale_page.draw(visit_of(request), sale)

    @ui.page("/unlinked")
    async def unlinked(request: Request) -> None:
        await unlinked_page.draw(visit_of(request), request)

    @ui.page("/outbox")
    async def outbox(request: Request) -> None:
        await queue_pages.draw_outbox(visit_of(request), request)

    @ui.page("/inbox")
    async def inbox(request: Request) -> None:
        await queue_pages.draw_inbox(visit_of(request), request)
