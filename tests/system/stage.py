"""A stage for whole journeys: the real program between a sandbox Telegram and a sandbox Slack, with a clock that moves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.adapters.clock import MovableClock
from bot.adapters.sandbox.slack import Channel, Member, Message, SandboxSlack
from bot.adapters.sandbox.telegram import Customer, SandboxTelegram
from bot.adapters.shop_file import default_shop
from bot.app import Service, open_service
from bot.desk.shop import Shop
from bot.ports.records import Incoming
from bot.sales import make_link
from bot.settings import Settings

MORNING = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""A Monday, ten o'clock in Copenhagen: nobody's quiet hours."""

CHANNELS = ("delivery", "accounting", "wine", "fashion", "skincare", "customers")


def shop(**changes: Any) -> Shop:
    """Give the shipped example shop without a send budget, so that tests need not wait."""
    return replace(default_shop(), **{"messages_per_second": 10_000, "per_chat_per_second": 10_000, **changes})


def order(
    kind: str,
    sale: str = "1001",
    *,
    at: datetime = MORNING,
    customer: str = "c-7",
    name: str = "Freja Holm",
    locale: str = "en",
    tags: tuple[str, ...] = ("wine",),
    first_use_after: str = "5d",
    promises: tuple[dict[str, Any], ...] = (),
    summary: str = "two bottles of Barolo",
    event: str | None = None,
) -> dict[str, Any]:
    """Give a native order event."""
    return {
        "id": event or f"evt-{sale}-{kind}",
        "type": kind,
        "occurred_at": at.isoformat(),
        "sale": {
            "id": sale,
            "summary": summary,
            "customer": {"id": customer, "name": name, "locale": locale, "country": "DK"},
            "items": [
                {"sku": "X", "name": summary, "quantity": 1, "tags": list(tags), "first_use_after": first_use_after}
            ],
            "promises": list(promises),
        },
    }


@dataclass
class Stage:
    """Everything that a journey needs: both sandboxes, the clock, and the program that runs between them."""

    service: Service
    telegram: SandboxTelegram
    slack: SandboxSlack
    clock: MovableClock
    channels: dict[str, Channel]

    @property
    def program(self) -> Any:
        return self.service.program

    async def happens(self, *events: dict[str, Any]) -> None:
        """Let the shop tell of order events, and the program take them in."""
        await self.program.commit(
            [Incoming("shop", each["id"], f"sale:{each['sale']['id']}", each, self.clock.now()) for each in events]
        )
        await self.rest()

    async def link(self, sale: str = "1001", *, consent: str | None = "both", name: str = "Freja") -> Customer:
        """Link a new chat to a sale through its deep link, and answer the question for consent."""
        link = await self.program.database.run(
            lambda uow: make_link(uow, self.program.house, uow.sale(sale), self.clock.now())
        )
        customer = self.telegram.customer(first_name=name, language_code="en")
        await customer.start(link.partition("start=")[2])
        await self.rest()
        if consent is not None:
            position = {"both": 0, "service": 1, "none": 2}[consent]
            await customer.tap(customer.buttons[position])
            await self.rest()
        return customer

    async def pass_time(self, by: timedelta | None = None, *, to: datetime | None = None) -> None:
        """Move the clock and let everything happen that becomes due on the way, each at its own time."""
        target = to or self.clock.now() + (by or timedelta())
        while True:
            times = await self.program.database.run(lambda uow: (uow.next_moment_at(), uow.next_outgoing_at()))
            ahead = [at for at in times if at is not None and self.clock.now() < at <= target]
            if not ahead:
                break
            self.clock.move_to(min(ahead))
            await self.rest()
        self.clock.move_to(target)
        await self.rest()

    async def rest(self) -> None:
        """Wait (in real time) until program and sandboxes have nothing left to do at this moment of the clock."""
        async with asyncio.timeout(20):
            calm = 0
            while calm < 2:
                await self.program.tick()
                resting = (
                    not self.telegram.pending_updates
                    and not self.program.dispatcher.flying
                    and await self.program.database.run(self.program.is_resting)
                )
                calm = calm + 1 if resting else 0
                await asyncio.sleep(0.01)

    async def read(self, question: Callable[[Any], Any]) -> Any:
        return await self.program.database.run(question)

    def card(self, channel: str, index: int = -1) -> Message:
        return self.channels[channel].messages[index]

    def story(self, card: Message) -> str:
        """Give what stands in the thread of a card."""
        return "\n".join(message.plain() for message in self.slack.thread(card))





@asynccontextmanager
async def stage(
    database_url: str,
    *,
    start: datetime = MORNING,
    flows: Path | None = None,
    the_shop: Shop | None = None,
    slack_mode: str = "socket",
    telegram_mode: str = "polling",
) -> AsyncIterator[Stage]:
    """Open a stage on a migrated database."""
    clock = MovableClock(start)
    async with (
        SandboxTelegram(token="1234:sandbox", clock=clock.now) as telegram,
        SandboxSlack(clock=clock.now) as slack,
    ):
        channels = {name: slack.channel(f"C{name.upper()}", name) for name in CHANNELS}
        settings = Settings.of(
            database_url=database_url,
            telegram_bot_token="1234:sandbox",
            telegram_api_base=telegram.base_url,
            telegram_mode=telegram_mode,
            telegram_webhook_secret="a-secret",
            slack_bot_token="xoxb-sandbox",
            slack_app_token="xapp-sandbox",
            slack_api_base=slack.base_url,
            slack_signing_secret="sandbox-secret",
            slack_mode=slack_mode,
            http_port=0,
            flows_dir=flows,
            public_url="http://127.0.0.1:1" if telegram_mode == "webhook" else None,
        )
        async with open_service(settings, clock=clock, shop=the_shop or shop()) as service:
            if slack_mode == "socket":
                await slack.wait_connected()
            yield Stage(service, telegram, slack, clock, channels)
