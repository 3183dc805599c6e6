"""A stage for whole journeys: the real program between a sandbox Telegram and a sandbox Slack, with a clock that moves.

What lives here: opening and closing it, playing customers and staff, and waiting until all has come to rest. What must
not: expectations; they stand in the tests.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from bot.adapters.clock import MovableClock
from bot.adapters.flow_files import FlowFiles
from bot.adapters.sandbox.slack import Channel, Member, Message, SandboxSlack
from bot.adapters.sandbox.telegram import Customer, SandboxTelegram
from bot.adapters.shop_file import default_shop
from bot.app.program import Program
from bot.app.service import Service, open_service
from bot.desk.shop import Shop
from bot.desk.states import Case
from bot.pages.console import open_console
from bot.ports.records import Incoming, Moment, Outgoing, Sale
from bot.ports.store import UnitOfWork
from bot.sales import make_link
from bot.settings import Settings

MORNING = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""A Monday, ten o'clock in Copenhagen: nobody's quiet hours."""

CHANNELS = ("delivery", "accounting", "wine", "fashion", "skincare", "customers")
INTAKE_SECRET = "whsec_c3RhZ2Utc2VjcmV0LW9mLXRoZS10ZXN0cw=="
WEBHOOK_SECRET = "a-secret"
FAST = 10_000.0
"""Messages a second where a test need not wait for anybody's limits."""

PATIENCE_SECONDS = 40
LOOK_EVERY_SECONDS = 0.004
ROOT = Path(__file__).parents[2]


def shop(**changes: Any) -> Shop:
    """Give the shipped example shop without a send budget, so that tests need not wait, and with ids of channels."""
    example = default_shop()
    teams = {name: replace(team, channel=channel_id(team.channel)) for name, team in example.teams.items()}
    given = {
        "teams": teams,
        "fallback_channel": channel_id(example.fallback_channel),
        "messages_per_second": FAST,
        "per_chat_per_second": FAST,
    }
    return replace(example, **{**given, **changes})


def channel_id(name: str) -> str:
    """Give the id that a channel of the example shop has on the stage: the sandbox knows channels by their ids alone."""
    return f"C{name.removeprefix('#').upper()}"


@cache
def shipped_flows() -> FlowFiles:
    """Give the shipped flows, read once for all tests: they never change while the program runs."""
    flows = FlowFiles()
    flows.load()
    return flows


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

    settings: Settings
    telegram: SandboxTelegram
    slack: SandboxSlack
    clock: MovableClock
    channels: dict[str, Channel]
    the_shop: Shop
    flow_files: FlowFiles | None = None
    log: list[Any] = field(default_factory=list)
    _service: Service | None = None
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    # the program

    @property
    def service(self) -> Service:
        """The program with its doors, while it runs."""
        assert self._service is not None, "the program is stopped"
        return self._service

    @property
    def program(self) -> Program:
        """The program, while it runs."""
        return self.service.program

    async def open(self, *, connected: bool = True) -> None:
        """Start the program on the database as it is."""
        self._service = await self._open.enter_async_context(
            open_service(
                self.settings,
                clock=self.clock,
                shop=self.the_shop,
                flow_files=self.flow_files,
                slack_per_second=FAST,
                pages=open_console,
                look_every=None,  # a test that wants it looks by itself: the clock stands still meanwhile
            )
        )
        if self.settings.slack_mode == "socket" and connected:
            await self.slack.wait_connected()

    async def close(self) -> None:
        """Stop the program; sandboxes and database stay."""
        self._service = None
        await self._open.aclose()

    @asynccontextmanager
    async def process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the program as a process of its own, at the stage's present time; it is killed at the end, if not before."""
        assert self._service is None, "one program at a time: close the stage's own first"
        # Compiled once and kept apart: each of these processes imports all that the first one has compiled.
        bytecode = {
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir(), "aftersale-pyc")),
        }
        environment = {
            **os.environ,
            **bytecode,
            "DATABASE_URL": self.settings.database_url,
            "TELEGRAM_BOT_TOKEN": "1234:sandbox",
            "TELEGRAM_API_BASE": self.telegram.base_url,
            "SLACK_BOT_TOKEN": "xoxb-sandbox",
            "SLACK_APP_TOKEN": "xapp-sandbox",
            "SLACK_API_BASE": self.slack.base_url,
            "HTTP_PORT": "0",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.system.runner",
            self.clock.now().isoformat(),
            cwd=ROOT,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await process.stdout.readline() == b"runs\n"
                await self.slack.wait_connected(PATIENCE_SECONDS)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    # the shop

    async def happens(self, *events: dict[str, Any]) -> None:
        """Let the shop tell of order events, and the program take them in."""
        now = self.clock.now()
        await self.program.commit(
            [Incoming("shop", each["id"], f"sale:{each['sale']['id']}", each, now) for each in events]
        )
        await self.rest()

    async def make_link(self, sale: str = "1001") -> str:
        """Give the token of a new deep link of a sale."""
        house, now = self.program.house, self.clock.now()

        def work(uow: UnitOfWork) -> str:
            found = uow.sale(sale)
            assert found is not None
            return make_link(uow, house, found, now)

        link: str = await self.read(work)
        return link.partition("start=")[2]

    # customers

    async def link(
        self, sale: str = "1001", *, consent: str | None = "both", name: str = "Freja", language: str = "en"
    ) -> Customer:
        """Link a new chat to a sale through its deep link, and answer the question for consent."""
        customer = self.telegram.customer(first_name=name, language_code=language)
        await customer.start(await self.make_link(sale))
        await self.rest()
        if consent is not None:
            await self.tap(customer, customer.buttons[{"both": 0, "service": 1, "none": 2}[consent]])
        return customer

    async def tap(self, customer: Customer, *labels: str) -> None:
        """Tap one button after the other, each once the program has answered the one before."""
        for label in labels:
            await customer.tap(label)
            await self.rest()

    async def write(self, customer: Customer, text: str) -> None:
        """Write words, and let the program take them in."""
        await customer.send(text)
        await self.rest()

    # staff

    def card(self, channel: str, index: int = -1) -> Message:
        """Give a card as it stands in a channel now."""
        return self.channels[channel].messages[index]

    def story(self, card: Message) -> str:
        """Give what stands in the thread of a card."""
        return "\n".join(message.plain() for message in self.slack.thread(card))

    async def claim(self, member: Member, card: Message) -> None:
        """Press *Claim*."""
        assert (await member.click(card, "Claim")).acked
        await self.rest()

    async def reply(self, member: Member, card: Message, text: str) -> str:
        """Write to the customer of a case, look at the preview, and send it. Gives the preview."""
        await member.click(card, "Reply to customer")
        assert (await member.submit({"text": text})).action == "push"
        assert member.view is not None
        shown = "\n".join(block["text"]["text"] for block in member.view["blocks"] if block["type"] == "section")
        assert (await member.submit()).acked
        await self.rest()
        return shown

    async def remedy(self, member: Member, card: Message, kind: str, note: str) -> None:
        """Note what was done about a case."""
        answers = {"kind": kind, "note": note, "cause": "handling", "value": "100 kr."}
        await self._form(member, card, "Remedy done", answers)

    async def redelivered(self, **about: Any) -> None:
        """Let the shop tell that something was delivered once more: what was sent in place of the first."""
        now = self.clock.now()
        await self.happens(order("order.delivered", at=now, event=f"evt-again-{now.timestamp():.0f}", **about))

    async def hand_over(self, member: Member, card: Message, team: str, reason: str) -> None:
        """Give a case to another team."""
        await self._form(member, card, "Hand over", {"team": team, "reason": reason})

    async def _form(self, member: Member, card: Message, button: str, answers: Mapping[str, str]) -> None:
        await member.click(card, button)
        assert (await member.submit(answers)).action == "close"
        await self.rest()

    # time

    async def pass_time(self, by: timedelta | None = None, *, to: datetime | None = None) -> None:
        """Move the clock and let everything happen that becomes due on the way, each at its own time."""
        target = to or self.clock.now() + (by or timedelta())
        while True:
            times = await self.read(self.program.next_times)
            ahead = [at for at in times if at is not None and self.clock.now() < at <= target]
            if not ahead:
                break
            self.clock.move_to(min(ahead))
            await self.rest()
        self.clock.move_to(target)
        await self.rest()

    async def rest(self) -> None:
        """Wait (in real time) until program and sandboxes have nothing left to do at this moment of the clock."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.program.tick()
                calm = 0
                while calm < 2:
                    if await self._is_calm():
                        calm += 1
                    else:
                        calm = 0
                        await self.program.tick()
                    await asyncio.sleep(LOOK_EVERY_SECONDS)
        except TimeoutError:
            rows = await self.read(lambda uow: (uow.inbox(("new",), 5), uow.outbox(("waiting", "sending"), 5)))
            raise AssertionError(f"it does not come to rest: {rows}") from None

    async def _is_calm(self) -> bool:
        # Work wanders from the inbox to the outbox and back while it is looked at: asked twice, so that none slips past.
        return (
            not self.telegram.pending_updates
            and await self.read(self.program.is_resting)
            and not self.program.dispatcher.flying
            and await self.read(self.program.is_resting)
        )

    # what is stored

    async def read(self, question: Callable[[UnitOfWork], Any]) -> Any:
        """Ask the database."""
        return await self.program.database.run(question)

    async def sale(self, sale: str = "1001") -> Sale:
        """Give a sale as it is stored."""
        found = await self.read(lambda uow: uow.sale(sale))
        assert isinstance(found, Sale)
        return found

    async def case(self, sale: str = "1001") -> Case:
        """Give the only case of a sale."""
        (found,) = await self.read(lambda uow: uow.cases_of(sale))
        assert isinstance(found, Case)
        return found

    async def moments(self, sale: str = "1001", state: str = "held") -> list[Moment]:
        """Give the moments of a sale that stand in `state`."""
        found: list[Moment] = await self.read(lambda uow: uow.moments_of(sale))
        return [each for each in found if each.state == state]

    async def sent(self, *states: str) -> list[Outgoing]:
        """Give the outbox's messages in any of `states`."""
        found: list[Outgoing] = await self.read(lambda uow: uow.outbox(states, 1000))
        return found

    async def told(self, sale: str = "1001") -> list[str]:
        """Give the kinds of what the log tells of a sale, in order."""
        return [entry.kind for entry in await self.read(lambda uow: uow.story_of(sale))]


@asynccontextmanager
async def stage(
    database_url: str,
    *,
    start: datetime = MORNING,
    flows: Path | None = None,
    the_shop: Shop | None = None,
    opened: bool = True,
    **settings: Any,
) -> AsyncIterator[Stage]:
    """Set a stage on a migrated database; the program runs already where it is `opened`.

    Args:
        database_url: of a fresh, migrated database.
        start: what the clock shows.
        flows: a folder of flows instead of the shipped ones.
        the_shop: another shop than the shipped example.
        opened: whether the program runs from the start.
        settings: further settings, by the names of `Settings`.
    """
    clock = MovableClock(start)
    # Caught, and not printed: to paint the stack of an error that a test asked for takes longer than the test.
    with capture_logs() as log:
        async with _set(database_url, clock, flows, the_shop or shop(), settings) as play:
            play.log = log
            try:
                if opened:
                    await play.open()
                yield play
            finally:
                await play.close()


@asynccontextmanager
async def _set(
    database_url: str, clock: MovableClock, flows: Path | None, the_shop: Shop, settings: Mapping[str, Any]
) -> AsyncIterator[Stage]:
    async with (
        SandboxTelegram(token="1234:sandbox", clock=clock.now) as telegram,
        SandboxSlack(clock=clock.now) as slack,
    ):
        given = {
            "telegram_bot_token": "1234:sandbox",
            "telegram_api_base": telegram.base_url,
            "telegram_webhook_secret": WEBHOOK_SECRET,
            "slack_bot_token": "xoxb-sandbox",
            "slack_app_token": "xapp-sandbox",
            "slack_api_base": slack.base_url,
            "slack_signing_secret": "sandbox-secret",
            "intake_secret": INTAKE_SECRET,
            "http_port": 0,
            "flows_dir": flows,
        }
        yield Stage(
            Settings.of(database_url=database_url, **{**given, **settings}),
            telegram,
            slack,
            clock,
            {name: slack.channel(channel_id(name), name) for name in CHANNELS},
            the_shop,
            None if flows else shipped_flows(),
        )


async def becomes(holds: Callable[[], bool], *, within: float = PATIENCE_SECONDS) -> None:
    """Wait (in real time) until something is so that neither sandbox tells of."""
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.01)


def said_to(customer: Customer) -> list[str]:
    """Give what the bot wrote to a customer, oldest first, as it stands in the chat now."""
    return [message.text for message in customer.chat if message.from_bot]


def questions_to(customer: Customer, words: str) -> list[str]:
    """Give those of the bot's messages that contain `words`."""
    return [text for text in said_to(customer) if words in text]
