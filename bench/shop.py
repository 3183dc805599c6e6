"""Our side of a measurement: a database with many customers, and the program over it.

One customer is made by the program's own means, up to the state that is wanted; the others are copies of their rows
with other numbers, made by the database itself (a million in a minute). So whatever a guard asks of any of them, it
finds.
Customer ``n`` has chat ``FIRST_CHAT + n``, sale ``s-n`` and a conversation named by ``n``.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Column, Engine, create_engine, text

from bench.server import FIRST_CHAT, TOKEN
from bot import inbox
from bot.adapters.clock import MovableClock
from bot.adapters.flow_files import FlowFiles
from bot.adapters.shop_file import default_shop
from bot.adapters.slack import translate as slack_words
from bot.adapters.telegram import translate
from bot.app.interpreter import settle_memory
from bot.app.program import Program
from bot.app.service import Service, open_service
from bot.desk.shop import Shop
from bot.messages import House
from bot.ports.channels import Channel
from bot.ports.records import Incoming, Outgoing
from bot.settings import Settings
from storage.database import is_in_memory, migrate, open_database, parse_url
from storage.tables import metadata

DELIVERED = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""A Monday, ten o'clock in Copenhagen."""

ASKED = DELIVERED + timedelta(days=2)
"""When the shipped flow *after delivery* asks its first question."""

FAR = ASKED + timedelta(days=30)
"""When whatever only waits would be due: no measurement gets there."""

TAP = "a:{n:016d}:1:0"
"""What the first button of the first question to customer ``n`` says."""

PER_SECOND = 30
"""How many messages a second Telegram takes from a bot for nothing."""

_PEOPLE = ("customers", "sales", "promises", "conversations", "outbox")
_WITH_TIMERS = (*_PEOPLE, "moments")
_LOOK_EVERY = 0.01

# What stands for the number in the rows of the one that is copied. None of them occurs by chance.
_NAME, _CHAT, _MESSAGE = "SEEDSALE", 4_999_111_222, 6_999_111_222
FIRST_MESSAGE = 7_000_000_000


def open_shop(**changes: Any) -> Shop:
    """Give the shipped example shop with a send budget that nothing here reaches: the program is measured, not it."""
    return replace(default_shop(), **{"messages_per_second": 1_000_000, "per_chat_per_second": 1_000_000, **changes})


def order_event(number: int | str, kind: str = "order.delivered", at: datetime = DELIVERED) -> dict[str, Any]:
    """Give the native event that something happened to sale `number`; by default that its parcel has arrived."""
    return {
        "id": f"evt-{number}-{kind}",
        "type": kind,
        "occurred_at": at.isoformat(),
        "sale": {
            "id": f"s-{number}",
            "summary": "two bottles of Barolo",
            "customer": {"id": f"c-{number}", "name": "Freja Holm", "locale": "en", "country": "DK"},
            "items": [{"sku": "BAROLO-19", "name": "Barolo 2019", "quantity": 2, "tags": ["wine"]}],
            "promises": [{"id": "p1", "text": "Delivered before the weekend", "touchpoint": "site"}],
        },
    }


class Recorder(Channel):
    """A channel that takes everything and keeps it; with `external` as the id of each message, or rising ones."""

    def __init__(self, external: int | None = None) -> None:
        self.external = external
        self.taken: list[Outgoing] = []

    async def deliver(self, message: Outgoing) -> str:
        """Take it."""
        self.taken.append(message)
        return str(self.external or len(self.taken))


@contextmanager
def bare_program(
    url: str, channels: Mapping[str, Channel] | None = None, shop: Shop | None = None
) -> Iterator[tuple[Program, MovableClock]]:
    """Open the program over a new database with these channels; with none it decides, and sends nothing."""
    if not is_in_memory(parse_url(url)):
        migrate(url)
    clock, flows = MovableClock(DELIVERED), FlowFiles()
    flows.load()
    database = open_database(url)
    words = inbox.Translators(translate.translate, slack_words.translate)
    try:
        house = House(shop or open_shop(), flows, clock, "bench_bot")
        yield Program(house, database, channels or {}, words, slack_per_second=1_000_000), clock
    finally:
        database.close()


async def link(program: Program, customer_id: str, chat_id: int) -> None:
    """Let a customer have linked their chat and agreed to everything."""
    consents = {"service": True, "result": True}

    def work(uow: Any) -> None:
        customer = uow.customer(customer_id)
        uow.put_customer(replace(customer, chat_id=chat_id, linked_at=DELIVERED, consents=consents))

    await program.database.run(work)


async def take_in(program: Program, events: Sequence[Mapping[str, Any]]) -> None:
    """Let order events come in, be committed and handled."""
    now = program.house.clock.now()
    await program.commit([Incoming("shop", each["id"], f"sale:{each['sale']['id']}", each, now) for each in events])
    while await program.handle_inbox():
        pass


# A database with many customers ------------------------------------------------------------------------------------


async def populate(url: str, *, waiting: int, asked: int) -> None:
    """Make a database: customers below `waiting` wait for their first question until `FAR`; the next `asked` have it.

    Who waits has the rows that sending needs; who was asked also has the timers that a reply ends.
    """
    await _seed(url, f"{_NAME}A", send=True)
    await _seed(url, f"{_NAME}W", send=False)
    engine = _bulk_engine(url)
    try:
        _clone(engine, f"{_NAME}W", _PEOPLE, 0, waiting)
        _clone(engine, f"{_NAME}A", _WITH_TIMERS, waiting, asked)
        _forget_seed(engine)
    finally:
        engine.dispose()


async def _seed(url: str, name: str, *, send: bool) -> None:
    """Let one customer get as far as wanted by the program's own means."""
    with bare_program(url, {"telegram": Recorder(_MESSAGE), "slack": Recorder()}) as (program, clock):
        chat = _CHAT + (1 if send else 0)
        await take_in(program, [order_event(name)])
        await link(program, f"c-{name}", chat)
        clock.move_to(ASKED)
        if send:
            await program.settle()
        else:
            while await program.fire_moments():
                pass


def _bulk_engine(url: str) -> Engine:
    engine = create_engine(parse_url(url))
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            # Nothing has to outlive a crash while this is made; the program opens it with its own settings.
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000", "temp_store=MEMORY"):
                connection.exec_driver_sql(f"PRAGMA {pragma}")
            connection.commit()
    return engine


def _clone(engine: Engine, name: str, tables: Sequence[str], first: int, number: int) -> None:
    """Copy the rows of the seed called `name` for customers from `first` on."""
    if not number:
        return
    sqlite = engine.dialect.name == "sqlite"
    numbers = (
        "WITH RECURSIVE numbers(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :last) "
        if sqlite
        else "WITH numbers(n) AS (SELECT generate_series(CAST(:first AS bigint), CAST(:last AS bigint) - 1)) "
    )
    with engine.connect() as connection:
        if sqlite:
            for pragma in ("synchronous=OFF", "foreign_keys=OFF", "cache_size=-400000"):
                connection.exec_driver_sql(f"PRAGMA {pragma}")
        sale = f"s-{name}"
        conversation = connection.execute(
            text("SELECT id FROM conversations WHERE sale_id = :sale"), {"sale": sale}
        ).scalar_one()
        chat = connection.execute(
            text("SELECT chat_id FROM customers WHERE id = :id"), {"id": f"c-{name}"}
        ).scalar_one()
        sixteen = "printf('%016d', n)" if sqlite else "lpad(n::text, 16, '0')"
        changes = (
            (name, "printf('%07d', n)" if sqlite else "lpad(n::text, 7, '0')"),
            (conversation, sixteen),
            (str(chat), f"CAST({FIRST_CHAT} + n AS text)"),
            (str(_MESSAGE), f"CAST({FIRST_MESSAGE} + n AS text)"),
        )
        whose = {"customers": "seed.id = :customer", "sales": "seed.id = :sale"}
        for each in tables:
            table = metadata.tables[each]
            columns = {
                column.name: expression
                for column in table.c
                if (expression := _copied(column, column.type.compile(engine.dialect), changes, sqlite=sqlite))
                is not None
            }
            connection.execute(
                text(
                    f"{numbers} INSERT INTO {each} ({', '.join(columns)}) SELECT {', '.join(columns.values())} "  # noqa: S608
                    f"FROM numbers CROSS JOIN {each} AS seed WHERE {whose.get(each, 'seed.sale_id = :sale')}"
                ),
                {"first": first, "last": first + number, "sale": sale, "customer": f"c-{name}"},
            )
        connection.commit()


def _copied(column: Column[Any], kind: str, changes: Sequence[tuple[str, str]], *, sqlite: bool) -> str | None:
    """Give the expression for a column of a copied row; None where the database numbers the rows itself."""
    name, is_json = column.name, "JSON" in kind
    if column.primary_key and "INT" in kind:
        return None
    if name == "chat_id":
        return f"{FIRST_CHAT} + n"
    if not is_json and "CHAR" not in kind and "TEXT" not in kind:
        return f"seed.{name}"
    expression = f"seed.{name}::text" if is_json and not sqlite else f"seed.{name}"
    for old, new in changes:
        expression = f"replace({expression}, '{old}', {new})"
    if is_json and not sqlite:
        return f"({expression})::json"
    if name == "key":
        # A key without any of the names in it was drawn by lot; it must not be the same twice.
        return f"CASE WHEN {expression} = seed.{name} THEN seed.{name} || '-' || n ELSE {expression} END"
    return expression


def _forget_seed(engine: Engine) -> None:
    """Let the customers who were copied never be due, and all who wait only when nobody measures any more."""
    with engine.begin() as connection:
        far = _stored(FAR) if engine.dialect.name == "sqlite" else FAR
        connection.execute(text("UPDATE outbox SET not_before = :far WHERE state = 'waiting'"), {"far": far})


# Who is due, and what a run left behind -----------------------------------------------------------------------------


def sale_id(number: int) -> str:
    """Give the id of the sale of customer `number`."""
    return f"s-{number:07d}"


def _stored(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.000000")


def make_due(file: Path, first: int, number: int, at: datetime = ASKED, every: int = 0) -> None:
    """Let the first question to customers from `first` on be due at `at`; with `every`, so many each minute."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        step = every or number
        for done in range(0, number, step):
            due = at + timedelta(minutes=done // step)
            db.execute(
                "UPDATE outbox SET not_before = ? WHERE sale_id >= ? AND sale_id < ? AND state = 'waiting'",
                (_stored(due), sale_id(first + done), sale_id(first + min(done + step, number))),
            )
        db.execute("COMMIT")


def tidy(file: Path) -> None:
    """Take away what a run left half done, so that the next finds a database in which nothing is due."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("DELETE FROM inbox WHERE state = 'new'")
        db.execute("UPDATE outbox SET state = 'dropped' WHERE state = 'sending'")
        db.execute(
            "UPDATE outbox SET state = 'dropped' WHERE state = 'waiting' AND not_before < ?",
            (_stored(FAR),),
        )
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def ask(file: Path, question: str, *values: Any) -> int:
    """Ask a counting question through a connection of its own."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as looker:
        return int(looker.execute(question, values).fetchone()[0])


class Looker:
    """Counts what is done, beside the program and not in its event loop."""

    def __init__(self, file: str, question: str) -> None:
        self._db = sqlite3.connect(f"file:{file}?mode=ro", uri=True, check_same_thread=False)
        self._question = question

    async def count(self) -> int:
        """Give the number."""
        return await asyncio.to_thread(lambda: int(self._db.execute(self._question).fetchone()[0] or 0))


# The program --------------------------------------------------------------------------------------------------------


def settings_for(url: str, telegram: str, slack: str) -> Settings:
    """Give the settings of a program between the servers of a measurement."""
    return Settings.of(
        database_url=url,
        telegram_bot_token=TOKEN,
        telegram_api_base=telegram,
        slack_bot_token="xoxb-sandbox",
        slack_app_token="xapp-sandbox",
        slack_api_base=slack,
        slack_signing_secret="sandbox-secret",
        http_port=0,
    )


@asynccontextmanager
async def running_shop(
    url: str, telegram: str, slack: str, begin: datetime = ASKED - timedelta(minutes=1), shop: Shop | None = None
) -> AsyncIterator[tuple[Service, MovableClock]]:
    """Run the whole program, as `aftersale run` does, between these servers; its clock stands at `begin`."""
    clock = MovableClock(begin)
    async with open_service(settings_for(url, telegram, slack), clock=clock, shop=shop or open_shop()) as service:
        await ready(service)
        settle_memory()
        await asyncio.sleep(0.2)
        yield service, clock


async def ready(service: Service) -> None:
    """Wait until both channels are open; they open by themselves, so that can only be asked."""
    while service.problems() or not service.program.house.bot_username:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_EVERY)


@asynccontextmanager
async def shop_file(*, waiting: int, asked: int) -> AsyncIterator[Path]:
    """Give a SQLite file with so many customers (see `populate`); it is gone afterwards."""
    with TemporaryDirectory(prefix="aftersale-bench-") as folder:
        file = Path(folder) / "aftersale.db"
        await populate(f"sqlite:///{file}", waiting=waiting, asked=asked)
        yield file
