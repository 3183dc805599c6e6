"""Our side of a measurement: a database of customers who are due to be asked, and the program over a copy of it."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.server import FIRST_CHAT, TOKEN, ServerProcess
from bot import inbox
from bot.adapters.clock import MovableClock
from bot.adapters.flow_files import FlowFiles
from bot.adapters.shop_file import default_shop
from bot.adapters.slack import translate as slack_words
from bot.adapters.telegram import translate
from bot.app.program import Program
from bot.app.service import open_service
from bot.desk.shop import Shop
from bot.messages import House
from bot.ports.records import Incoming
from bot.settings import Settings
from storage.database import migrate, open_database

DELIVERED = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""A Monday, ten o'clock in Copenhagen."""

ASKED = DELIVERED + timedelta(days=2)
"""When the shipped flow *after delivery* asks its first question."""

BATCH = 100
_LOOK_EVERY = 0.01


def open_shop() -> Shop:
    """Give the shipped example shop with a send budget that nothing here reaches: the program is measured, not it."""
    return replace(default_shop(), messages_per_second=1_000_000, per_chat_per_second=1_000_000)


def delivered(number: int) -> dict[str, Any]:
    """Give the native event that the parcel of sale `number` has arrived."""
    return {
        "id": f"evt-{number}",
        "type": "order.delivered",
        "occurred_at": DELIVERED.isoformat(),
        "sale": {
            "id": f"s-{number}",
            "summary": "two bottles of Barolo",
            "customer": {"id": f"c-{number}", "name": "Freja Holm", "locale": "en", "country": "DK"},
            "items": [{"sku": "BAROLO-19", "name": "Barolo 2019", "quantity": 2, "tags": ["wine"]}],
            "promises": [{"id": "p1", "text": "Delivered before the weekend", "touchpoint": "site"}],
        },
    }


@contextmanager
def bare_program(file: Path) -> Iterator[tuple[Program, MovableClock]]:
    """Open the program over a new database without channels: it takes in and decides, and sends nothing."""
    url = f"sqlite:///{file}"
    migrate(url)
    clock, flows = MovableClock(DELIVERED), FlowFiles()
    flows.load()
    database = open_database(url)
    words = inbox.Translators(translate.translate, slack_words.translate)
    try:
        yield Program(House(open_shop(), flows, clock), database, {}, words), clock
    finally:
        database.close()


async def take_in_orders(program: Program, number: int) -> None:
    """Let `number` sales be delivered: received in batches, committed, handled."""
    for first in range(0, number, BATCH):
        events = [delivered(each) for each in range(first, min(first + BATCH, number))]
        await program.commit(
            [Incoming("shop", each["id"], f"sale:{each['sale']['id']}", each, DELIVERED) for each in events]
        )
        await program.handle_inbox()


@dataclass(frozen=True, slots=True)
class Template:
    """A database in which `number` customers wait for their first question; each run has a copy."""

    file: Path
    number: int


@asynccontextmanager
async def template(number: int) -> AsyncIterator[Template]:
    """Make it by the program's own means: order events come in, chats are linked, the moment comes."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "template.db"
        with bare_program(file) as (program, clock):
            await take_in_orders(program, number)

            def link(uow: Any) -> None:
                for each in range(number):
                    customer = uow.customer(f"c-{each}")
                    consents = {"service": True, "result": True}
                    uow.put_customer(
                        replace(customer, chat_id=FIRST_CHAT + each, linked_at=DELIVERED, consents=consents)
                    )

            await program.database.run(link)
            clock.move_to(ASKED)
            while await program.fire_moments():
                pass
        yield Template(file, number)


class RunningShop:
    """The whole program, as ``aftersale run`` runs it, between the sandboxes of the server process."""

    def __init__(self, program: Program, clock: MovableClock, file: Path) -> None:
        self._program, self._clock, self._file = program, clock, file

    def begin(self) -> None:
        """Let the time come at which all questions are due."""
        self._clock.move_to(ASKED)
        self._program.wake()

    async def until(self, question: str, number: int, patience: float = 120) -> None:
        """Wait until a counting query, asked through a connection of its own, gives `number`.

        Raises:
            TimeoutError: it never did; says what it gave last.
        """
        found = -1
        try:
            async with asyncio.timeout(patience):
                with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as looker:
                    while (found := looker.execute(question).fetchone()[0]) != number:  # noqa: ASYNC110
                        # No event of the program tells of a commit; a connection of our own sees it.
                        await asyncio.sleep(_LOOK_EVERY)
        except TimeoutError:
            raise TimeoutError(f"{question!r} gave {found} instead of {number}") from None


@asynccontextmanager
async def running_shop(source: Template, server: ServerProcess) -> AsyncIterator[RunningShop]:
    """Open the service over a copy of `source`, a minute before everything is due."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "aftersale.db"
        shutil.copyfile(source.file, file)
        clock = MovableClock(ASKED - timedelta(minutes=1))
        settings = Settings.of(
            database_url=f"sqlite:///{file}",
            telegram_bot_token=TOKEN,
            telegram_api_base=server.telegram,
            slack_bot_token="xoxb-sandbox",
            slack_app_token="xapp-sandbox",
            slack_api_base=server.slack,
            slack_signing_secret="sandbox-secret",
            http_port=0,
        )
        async with open_service(settings, clock=clock, shop=open_shop()) as service:
            # Both channels open by themselves; whether they have, can only be asked.
            while service.problems() or not service.program.house.bot_username:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_EVERY)
            await asyncio.sleep(0.2)
            yield RunningShop(service.program, clock, file)
