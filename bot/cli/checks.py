"""`aftersale doctor`: looks at everything that must be right before the first message, and says what to do. Changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.text import Text

from bot.adapters.clock import SystemClock
from bot.adapters.shop_file import load_shop, shop_problems
from bot.adapters.slack.doctor import check_slack
from bot.adapters.telegram import doctor as telegram
from bot.adapters.telegram.connection import connect
from bot.cli.faults import unexpected
from bot.cli.flow_files import check, sources
from bot.cli.terminal import counted, say, stdout
from bot.desk.shop import Shop
from bot.errors import FollowUpError
from bot.ports.channels import Finding
from bot.settings import Part, Settings
from storage.database import SqlDatabase, is_in_memory, open_database, parse_url

_PATIENCE = timedelta(seconds=10)
_YEARS = range(2025, 2100)
"""A clock outside these years was never set."""

_PARTS: tuple[tuple[Part, str, bool | None], ...] = (
    ("telegram", "Telegram settings", False),
    ("slack", "Slack settings", False),
    ("intake", "Shop settings", None),
)
"""Part, its name, and what it means where something is missing: without INTAKE_SECRET there is still `sale add`."""


def examine() -> int:
    """Look at everything, print each finding at once, and give 1 where one of them must be mended, else 0."""
    findings: list[Finding] = []

    def tell(found: Finding) -> None:
        findings.append(found)
        _print(found)

    settings = _settings(tell)
    for look in _looks(settings):
        try:
            for found in look():
                tell(found)
        except FollowUpError as error:
            tell(Finding(look.__name__.strip("_").replace("_", " "), ok=False, said=str(error)))
        except Exception as error:  # noqa: BLE001 - the doctor goes on with the next patient, whatever came of this one
            unexpected(error)
            tell(Finding(look.__name__.strip("_").replace("_", " "), ok=False, said="could not be looked at"))
    wrong = sum(each.ok is False for each in findings)
    hints = sum(each.ok is None for each in findings)
    say("")
    if wrong:
        say(f"{counted(wrong, 'thing')} to mend, {counted(hints, 'hint')}.", "red")
        return 1
    say(f"All is well, {counted(hints, 'hint')}. Next: aftersale run", "green")
    return 0


def _print(found: Finding) -> None:
    mark, style = {True: ("✔", "green"), False: ("✖", "red"), None: ("!", "yellow")}[found.ok]
    said, _, mend = found.said.partition(" → ") if not found.mend else (found.said, "", found.mend)
    line = Text(f"{mark} ", style=style).append(f"{found.name}: ", style="bold").append(said, style="default")
    stdout().print(line, soft_wrap=True)
    if mend:
        say(f"    → {mend}", style)


def _settings(tell: Callable[[Finding], None]) -> Settings | None:
    try:
        settings = Settings.load()
    except FollowUpError as error:
        tell(Finding("Settings", ok=False, said=str(error)))
        return None
    where = "the environment and .env" if Path(".env").exists() else "the environment; there is no .env here"
    tell(Finding("Settings", ok=True, said=f"read from {where}"))
    return settings


def _looks(settings: Settings | None) -> Iterator[Callable[[], Iterator[Finding]]]:
    """Give one look after the other; where the settings are wrong, only those that need none."""
    shop: list[Shop] = []

    def Shop_file() -> Iterator[Finding]:  # noqa: N802 - its name is shown
        if settings is not None:
            yield from _shop_file(settings.shop_file, shop)

    def Flows() -> Iterator[Finding]:  # noqa: N802
        yield from _flows(settings.flows_dir if settings else None, shop[0] if shop else None)

    def Database() -> Iterator[Finding]:  # noqa: N802
        if settings is not None:
            yield from _database(settings.database_url)

    def Clock() -> Iterator[Finding]:  # noqa: N802
        yield _clock(shop[0] if shop else None)

    def Parts() -> Iterator[Finding]:  # noqa: N802
        if settings is not None:
            yield from _parts(settings)

    def Telegram() -> Iterator[Finding]:  # noqa: N802
        if settings is not None:
            yield from _telegram(settings)

    def Slack() -> Iterator[Finding]:  # noqa: N802
        if settings is not None:
            yield from _slack(settings, shop[0] if shop else None)

    yield from (Database, Shop_file, Flows, Clock, Parts, Telegram, Slack)
