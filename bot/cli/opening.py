"""Opening house and database for a command. A SQLite file that is brand new gets its tables by itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from bot.adapters.logs import set_up_logs
from bot.app.base import Base, open_base
from bot.cli.terminal import remark
from bot.settings import Settings
from storage.database import migrate, open_database, parse_url


@contextmanager
def opened() -> Iterator[Base]:
    """Open what a command needs that talks to nobody.

    Raises:
        ConfigurationError, FlowError: something that only the operator or the admin can mend.
    """
    settings = Settings.load()
    set_up_logs(settings.log_format, level=30)  # warnings: what goes well, a command says itself
    make_new_database(settings.database_url)
    with open_base(settings) as base:
        for error in base.flow_files.errors:
            remark(f"! {error}", "yellow")
        yield base


def make_new_database(url: str) -> None:
    """Make the tables of a SQLite file that has none yet, so that a newcomer's first command just works.

    A PostgreSQL database is left alone: whoever runs a server wants to decide when it changes.
    """
    location = parse_url(url)
    if location.get_backend_name() != "sqlite":
        return
    database = open_database(url)
    try:
        is_new = database.schema_state() == "empty"
    finally:
        database.close()
    if is_new:
        migrate(url)
        remark(f"Made a new database: {location.database}", "dim")
