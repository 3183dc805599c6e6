"""The console of a running program: its door, and the pages behind it, loaded when first somebody comes in."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module

from starlette.types import ASGIApp

from bot.adapters.slack.openid import SlackSignIn
from bot.app.program import Program
from bot.pages.door import Door, Keeper
from bot.pages.world import World
from bot.settings import Settings

_PAGES = "bot.pages.rooms"
"""By name, so that nothing of it is imported before somebody comes in."""


@asynccontextmanager
async def open_console(program: Program, settings: Settings) -> AsyncIterator[ASGIApp]:
    """Give the console of `program` as an application to be served; what it opened is closed at the end."""
    async with AsyncExitStack() as stack:
        world = World(program, public_url=settings.public_url)

        async def inside() -> ASGIApp:
            return await open_pages(stack, world)

        admins = frozenset(re.findall(r"\w+", settings.console_admins or ""))
        keeper = Keeper(program.database, program.house.clock, admins)
        yield Door(inside, keeper, public_url=settings.public_url, slack=_slack(settings, program))


async def open_pages(stack: AsyncExitStack, world: World) -> ASGIApp:
    """Load the pages and open them over `world`, until `stack` is closed."""
    pages = await asyncio.to_thread(import_module, _PAGES)
    opened: ASGIApp = await stack.enter_async_context(pages.opened(world))
    return opened


def _slack(settings: Settings, program: Program) -> SlackSignIn | None:
    if settings.slack_client_id is None or settings.slack_client_secret is None or settings.slack_bot_token is None:
        return None
    return SlackSignIn(
        client_id=settings.slack_client_id,
        client_secret=settings.slack_client_secret.get_secret_value(),
        bot_token=settings.slack_bot_token.get_secret_value(),
        api_base=settings.slack_api_base,
        clock=program.house.clock,
        shop=program.house.shop,
    )
