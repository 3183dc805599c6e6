"""`aftersale run` and `aftersale migrate`: the program itself, and its tables."""

import asyncio
import contextlib
import signal
import sys

import typer

from bot import __version__
from bot.adapters.logs import set_up_logs
from bot.app.interpreter import loop_factory, settle_memory
from bot.app.service import open_service
from bot.cli.faults import unexpected
from bot.cli.opening import make_new_database
from bot.cli.terminal import remark, say
from bot.errors import FollowUpError
from bot.pages.console import open_console
from bot.settings import Settings
from storage.database import migrate, open_database, parse_url

_STATES = {
    "empty": "no tables yet",
    "old": "tables of an older version",
    "current": "tables of this version",
    "ahead": "tables of a newer version, on which this one may still work",
    "newer": "tables of a newer version",
}


def run_service() -> None:
    """Run until SIGTERM or SIGINT; then finish what is in flight.

    Raises:
        ConfigurationError: something that the operator must mend first.
    """
    settings = Settings.load(require=("telegram", "slack"))
    set_up_logs(settings.log_format)
    make_new_database(settings.database_url)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(settings))
    except FollowUpError:
        raise
    except Exception as error:  # noqa: BLE001 - a server's operator looks into its log, so the particulars go there
        raise typer.Exit(unexpected(error, log=sys.stderr)) from None


async def _serve(settings: Settings) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl+C then arrives as KeyboardInterrupt
            loop.add_signal_handler(each, asked_to_stop.set)
    async with open_service(settings, pages=open_console) as service:
        settle_memory()
        shop = service.program.house.shop.name
        for problem in service.unpublished:
            remark(f"! {problem}", "yellow")
        say(f"aftersale {__version__} runs for {shop} at {service.address} ({_ways(settings)}). Ctrl+C stops it.")
        sys.stdout.flush()
        await asked_to_stop.wait()
        say("Stopping: what is in flight is finished first …")
    say("Stopped.")


def _ways(settings: Settings) -> str:
    telegram = "polling Telegram" if settings.telegram_mode == "polling" else f"Telegram calls {settings.public_url}"
    slack = "Slack over Socket Mode" if settings.slack_mode == "socket" else "Slack over HTTP"
    return f"{telegram}; {slack}"


def migrate_database() -> None:
    """Bring the tables to what this version needs, telling each step.

    Raises:
        ConfigurationError: the database does not answer, or is newer than this program.
    """
    url = Settings.load().database_url
    database = open_database(url)
    try:
        before = database.schema_state()
    finally:
        database.close()
    say(f"{parse_url(url).render_as_string(hide_password=True)}: {_STATES[before]}")
    migrate(url, progress=say)
