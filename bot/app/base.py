"""House and database from settings: what every command needs. No adapter to Telegram or Slack is even imported."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from bot.adapters.clock import SystemClock
from bot.adapters.flow_files import FlowFiles
from bot.adapters.shop_file import read_shop_file
from bot.app.published import PublishedFlows
from bot.desk.shop import Shop
from bot.errors import ConfigurationError
from bot.messages import House
from bot.overdue import BACKUP_TAKEN_AT
from bot.ports.channels import Clock
from bot.settings import Settings
from storage.database import SqlDatabase, open_database

_log = structlog.get_logger("aftersale.app")

USERNAME = "telegram.username"
"""Under which note the bot's user name is kept, so that links can be made while Telegram is down."""


@dataclass(frozen=True, slots=True)
class Base:
    """What every command needs: the house and its database, no adapters."""

    house: House
    database: SqlDatabase
    flows: PublishedFlows
    flow_files: FlowFiles


@contextlib.contextmanager
def open_base(
    settings: Settings, *, clock: Clock | None = None, shop: Shop | None = None, flow_files: FlowFiles | None = None
) -> Iterator[Base]:
    """Open house and database, for commands that talk to nobody. `flow_files` may be loaded already.

    Raises:
        ConfigurationError, FlowError: a setting, shop.yaml or the database cannot be used; the text says what to do.
    """
    files = flow_files or FlowFiles(settings.flows_dir)
    if flow_files is None:
        files.load()
    flows = PublishedFlows(files)
    house = House(shop or read_shop_file(settings.shop_file), flows, clock or SystemClock())
    database = open_database(settings.database_url)
    try:
        demand_current(database)
        house.bot_username = database.run_now(lambda uow: uow.note(USERNAME)) or ""
        database.run_now(flows.look)
        yield Base(house, database, flows, files)
    finally:
        database.close()


def demand_current(database: SqlDatabase) -> None:
    """Make sure that the tables fit the program.

    Raises:
        ConfigurationError: they do not; the text says what to do.
    """
    state = database.schema_state()
    if state in ("empty", "old"):
        raise ConfigurationError("DATABASE_URL", f"the database's tables are {state}", "run: aftersale migrate")
    if state == "ahead":
        _log.warning("schema_ahead", said="the database is newer than this program: end the upgrade soon")
    if state == "newer":
        mend = "install the newest aftersale, or restore the backup made before the upgrade"
        raise ConfigurationError("DATABASE_URL", "the database was made by a newer aftersale", mend)


def demand_taken_up(database: SqlDatabase) -> None:
    """Make sure that a database which is a restored copy was taken up again before messages go out from it.

    Raises:
        ConfigurationError: it was not; the text says what to do.
    """
    taken_at = database.run_now(lambda uow: uow.note(BACKUP_TAKEN_AT))
    if taken_at:
        problem = f"this is a copy made by aftersale backup at {taken_at}; what was sent since would be sent again"
        raise ConfigurationError("DATABASE_URL", problem, "run: aftersale restored")
