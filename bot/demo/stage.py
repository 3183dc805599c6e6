"""Where the demo is played: the real program between a Telegram and a Slack on this machine, and a clock that is moved.

Opening, waiting until all is quiet, and finding the next moment at which something happens. Who plays, and what is
shown of it, stands elsewhere.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from bot.adapters.clock import MovableClock
from bot.adapters.sandbox.slack import Channel, SandboxSlack
from bot.adapters.sandbox.telegram import SandboxTelegram
from bot.adapters.shop_file import default_shop
from bot.app.program import Program
from bot.app.service import Service, open_service
from bot.desk.shop import Shop
from bot.errors import FollowUpError
from bot.ports.records import Incoming
from bot.ports.store import UnitOfWork
from bot.sales import make_link
from bot.settings import Settings
from storage.database import migrate

T = TypeVar("T")

_TOKEN = "1234:sandbox"  # noqa: S105 - the sandbox's own, worth nothing elsewhere
_PATIENCE_SECONDS = 15.0
_LOOK_AGAIN_SECONDS = 0.003
_PLENTY = 10_000
"""The send budget: nobody here can be annoyed by haste, and the sandbox need not be waited for."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The program, both sandboxes, and the clock."""

    service: Service
    settings: Settings
    telegram: SandboxTelegram
    slack: SandboxSlack
    clock: MovableClock
    channels: Sequence[Channel]

    @property
    def program(self) -> Program:
        """The running program."""
        return self.service.program

    @property
    def shop(self) -> Shop:
        """The shop it runs for: the shipped example."""
        return self.program.house.shop

    async def read(self, question: Callable[[UnitOfWork], T]) -> T:
        """Ask the program's database."""
        return await self.program.database.run(question)

    async def happens(self, event: Mapping[str, Any]) -> None:
        """Let the shop's system tell of an order event."""
        lane = f"sale:{event['sale']['id']}"
        await self.program.commit([Incoming("shop", event["id"], lane, dict(event), self.clock.now())])

    async def link(self, sale_id: str) -> str:
        """Make the link that stands on the receipt of a sale."""

        def make(uow: UnitOfWork) -> str:
            sale = uow.sale(sale_id)
            if sale is None:
                raise FollowUpError(f"the program did not take in sale {sale_id}")
            return make_link(uow, self.program.house, sale, self.clock.now())

        return await self.read(make)

    async def next_due(self) -> datetime | None:
        """Tell when the program does something next of its own accord."""
        times = await self.read(self.program.next_times)
        return min((at for at in times if at is not None), default=None)

    async def rest(self) -> None:
        """Wait, in real time, until neither program nor sandboxes have anything left to do at this moment of the clock.

        Raises:
            FollowUpError: they did not come to rest.
        """
        program = self.program
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                calm = 0
                while calm < 2:  # noqa: PLR2004 - what was on its way between two parts at the first look shows at the second
                    await program.fire_moments()
                    program.wake()
                    await program.dispatcher.landed()
                    is_calm = not self.telegram.pending_updates and await self.read(program.is_resting)
                    calm = calm + 1 if is_calm else 0
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        except TimeoutError:
            raise FollowUpError(f"the program did not come to rest within {_PATIENCE_SECONDS:.0f} seconds") from None


@asynccontextmanager
async def open_stage(folder: Path, start: datetime, flows_dir: Path | None) -> AsyncIterator[Stage]:
    """Open everything in `folder`, with the clock at `start`; closing leaves nothing behind but the folder.

    Raises:
        ConfigurationError, FlowError: `flows_dir` cannot be played; the text says what to do.
    """
    clock = MovableClock(start)
    shop = _with_channel_ids(replace(default_shop(), messages_per_second=_PLENTY, per_chat_per_second=_PLENTY))
    database_url = f"sqlite:///{folder / 'demo.db'}"
    await asyncio.to_thread(migrate, database_url)
    async with SandboxTelegram(token=_TOKEN, clock=clock.now) as telegram, SandboxSlack(clock=clock.now) as slack:
        ids = dict.fromkeys([*(team.channel for team in shop.teams.values()), shop.fallback_channel])
        channels = [slack.channel(each, each[1:].lower()) for each in ids]
        settings = Settings.of(
            database_url=database_url,
            telegram_bot_token=_TOKEN,
            telegram_api_base=telegram.base_url,
            slack_bot_token="xoxb-sandbox",  # noqa: S106 - as above
            slack_app_token="xapp-sandbox",  # noqa: S106
            slack_api_base=slack.base_url,
            http_port=0,
            flows_dir=flows_dir,
        )
        async with open_service(settings, clock=clock, shop=shop, slack_per_second=_PLENTY, look_every=None) as service:
            await slack.wait_connected()
            yield Stage(service, settings, telegram, slack, clock, channels)


def _with_channel_ids(shop: Shop) -> Shop:
    """Give the shop with channel ids instead of names, as `aftersale doctor` advises: the sandbox knows ids alone."""
    teams = {name: replace(team, channel=_channel_id(team.channel)) for name, team in shop.teams.items()}
    return replace(shop, teams=teams, fallback_channel=_channel_id(shop.fallback_channel))


def _channel_id(name: str) -> str:
    return f"C{name.lstrip('#').upper()}"
