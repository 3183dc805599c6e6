"""`aftersale doctor`: looks at everything that must be right before the first message, and says what to do.

It changes nothing, and goes on to the next thing whatever came of the last.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.text import Text

from bot.adapters.clock import SystemClock
from bot.adapters.shop_file import read_shop_file, shop_problems
from bot.adapters.slack.doctor import check_slack
from bot.adapters.telegram import doctor as telegram
from bot.adapters.telegram.connection import connect
from bot.catch_up import TAKEN, spans_in
from bot.cli.faults import unexpected
from bot.cli.flow_files import check, sources
from bot.cli.terminal import counted, say, stdout
from bot.desk.shop import Shop
from bot.errors import FollowUpError
from bot.ports.channels import Finding
from bot.settings import Part, Settings
from storage.database import SqlDatabase, is_in_memory, open_database, parse_url

_PATIENCE = timedelta(seconds=10)
"""How long Telegram may take for one answer."""
_ALL_IN_ALL = timedelta(seconds=60)
"""How long everything about Telegram, or about Slack, may take."""
_YEARS = range(2025, 2100)
"""A clock outside these years was never set."""


def examine() -> int:
    """Look at everything, print each finding at once, and give 1 where one of them must be mended, else 0."""
    findings: list[Finding] = []
    for found in Examination().findings():
        findings.append(found)
        _print(found)
    wrong = sum(each.ok is False for each in findings)
    hints = counted(sum(each.ok is None for each in findings), "hint")
    say("")
    if wrong:
        say(f"{counted(wrong, 'thing')} to mend, {hints}.", "red")
        return 1
    say(f"All is well, {hints}. Next: aftersale run", "green")
    return 0


def _print(found: Finding) -> None:
    mark, style = {True: ("✔", "green"), False: ("✖", "red"), None: ("!", "yellow")}[found.ok]
    line = Text(f"{mark} ", style=style).append(f"{found.name}: ", style="bold").append(found.said)
    stdout().print(line, soft_wrap=True)
    if found.mend:
        say(f"    → {found.mend}", style)


class Examination:
    """One look at everything; what one part finds out (settings, shop), the next may use."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._settings: Settings | None = None
        self._shop: Shop | None = None

    def findings(self) -> Iterator[Finding]:
        """Give one finding after the other, as they are made."""
        looks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
            ("Settings", self._look_at_settings),
            ("Database", self._look_at_database),
            ("shop.yaml", self._look_at_shop),
            ("Flows", self._look_at_flows),
            ("Clock", self._look_at_clock),
            ("Telegram", self._look_at_telegram),
            ("Slack", self._look_at_slack),
        )
        for name, look in looks:
            try:
                yield from look()
            except FollowUpError as error:
                yield from _each_problem(name, error, ok=False)
            except TimeoutError:
                yield Finding(name, ok=None, said="gave no answer in time", mend="check the network, then try again")
            except Exception as error:  # noqa: BLE001 - the other things are looked at all the same
                unexpected(error)
                yield Finding(name, ok=False, said=f"could not be looked at ({type(error).__name__})")

    def _look_at_settings(self) -> Iterator[Finding]:
        self._settings = Settings.load()
        where = ".env and the environment" if Path(".env").exists() else "the environment (there is no .env here)"
        yield Finding("Settings", ok=True, said=f"read from {where}")
        yield from self._needed("intake", "Settings (POST /events stays closed)", ok=None)

    def _needed(self, part: Part, name: str, *, ok: bool | None) -> Iterator[Finding]:
        """Give a finding for each missing setting that this part of the program needs."""
        try:
            if self._settings is not None:
                self._settings.require(part)
        except FollowUpError as error:
            yield from _each_problem(name, error, ok=ok)

    def _look_at_database(self) -> Iterator[Finding]:
        if self._settings is None:
            return
        location = parse_url(self._settings.database_url)
        shown = location.render_as_string(hide_password=True)
        is_file = location.get_backend_name() == "sqlite" and not is_in_memory(location)
        if is_file and not Path(str(location.database)).exists():
            yield Finding("Database", ok=True, said=f"{shown} is not there yet; the first command makes it")
            return
        database = open_database(self._settings.database_url)
        try:
            state = database.schema_state()
            if state == "current":
                yield Finding("Database", ok=True, said=f"{shown} answers, and its tables are of this version")
                yield from _queues(database)
            elif state == "ahead":
                said = f"{shown} answers; its tables are newer than this program, which may still work on them"
                yield Finding(
                    "Database", ok=None, said=said, mend="end the upgrade: install the newer version here, too"
                )
                yield from _queues(database)
            elif state == "newer":
                yield Finding("Database", ok=False, said=f"{shown} is of a newer version", mend="install that version")
            else:
                yield Finding("Database", ok=False, said=f"{shown}: its tables are {state}", mend="aftersale migrate")
        finally:
            database.close()

    def _look_at_shop(self) -> Iterator[Finding]:
        if self._settings is None:
            return
        problems = shop_problems(self._settings.shop_file)
        for problem in problems:
            yield from _each_problem("shop.yaml", problem, ok=False)
        if not problems:
            self._shop = read_shop_file(self._settings.shop_file)
            teams = counted(len(self._shop.teams), "team")
            yield Finding("shop.yaml", ok=True, said=f"{self._shop.name}, {teams}, {', '.join(self._shop.languages)}")

    def _look_at_flows(self) -> Iterator[Finding]:
        folder = self._settings.flows_dir if self._settings else None
        checked = check(sources([], folder), self._shop)
        for each in checked.findings:
            place = f"{each.file}:{each.line}:{each.column}"
            is_hint = each.severity == "warning"
            yield Finding("Flows", ok=None if is_hint else False, said=f"{place}: {each.message}", mend=each.hint)
        if not checked.count("error"):
            where = folder or "the shipped library"
            yield Finding("Flows", ok=True, said=f"{counted(checked.files, 'file')} in {where} can be used")

    def _look_at_clock(self) -> Iterator[Finding]:
        now = SystemClock().now()
        if now.year not in _YEARS:
            yield Finding("Clock", ok=False, said=f"it shows {now:%Y-%m-%d %H:%M} UTC", mend="set it, best by NTP")
            return
        local = now.astimezone()
        said = f"{local:%Y-%m-%d %H:%M} {local.tzname()} here"
        if self._shop is not None:
            said += f", {now.astimezone(ZoneInfo(self._shop.time_zone)):%H:%M} in the shop ({self._shop.time_zone})"
        yield Finding("Clock", ok=True, said=said)

    def _look_at_telegram(self) -> Iterator[Finding]:
        settings = self._settings
        if settings is None:
            return
        yield from self._needed("telegram", "Telegram settings", ok=False)
        if settings.telegram_bot_token is None:
            return
        token = settings.telegram_bot_token.get_secret_value()
        url = f"{settings.public_url}/telegram/webhook" if settings.public_url else None

        async def look() -> list[Finding]:
            async with connect(token, settings.telegram_api_base, patience=_PATIENCE) as bot:
                return await telegram.check(bot, settings.telegram_mode, url)

        yield from _within_reason(look())

    def _look_at_slack(self) -> Iterator[Finding]:
        settings = self._settings
        if settings is None:
            return
        yield from self._needed("slack", "Slack settings", ok=False)
        if settings.slack_bot_token is None:
            return
        app_token = settings.slack_app_token if settings.slack_mode == "socket" else None
        yield from _within_reason(
            check_slack(
                token=settings.slack_bot_token.get_secret_value(),
                api_base=settings.slack_api_base,
                app_token=app_token.get_secret_value() if app_token else None,
                channels=_channels(self._shop) if self._shop else {},
                people=_people(self._shop) if self._shop else {},
            )
        )


def _each_problem(name: str, error: FollowUpError, *, ok: bool | None) -> Iterator[Finding]:
    """Give one finding for each line of an error that names several problems below its first line."""
    first, *more = str(error).splitlines()
    for line in more or [first]:
        said, _, mend = line.strip().partition(" → ")
        yield Finding(name, ok=ok, said=said, mend=mend)


def _within_reason(look: Coroutine[Any, Any, list[Finding]]) -> list[Finding]:
    async def limited() -> list[Finding]:
        async with asyncio.timeout(_ALL_IN_ALL.total_seconds()):
            return await look

    return asyncio.run(limited())


def _queues(database: SqlDatabase) -> Iterator[Finding]:
    """Point at what waits for a person, or for a turn."""
    yield from _held(database)
    reports = database.reports()
    messages, incoming = reports.numbers("outbox", ("unknown", "failed")), reports.numbers("inbox", ("failed",))
    for state, meaning in (("unknown", "may or may not have arrived"), ("failed", "could not be sent")):
        if messages[state]:
            said = f"{counted(messages[state], 'message')} {meaning}"
            yield Finding("Outbox", ok=None, said=said, mend=f"aftersale outbox list --state {state}")
    if incoming["failed"]:
        said = f"{counted(incoming['failed'], 'thing')} that came in could not be handled"
        yield Finding("Inbox", ok=None, said=said, mend="aftersale inbox list --state failed")


def _held(database: SqlDatabase) -> Iterator[Finding]:
    """Tell what is paused, and until when turns are given away already."""
    pauses, taken = database.run_now(lambda uow: (uow.pauses(), spans_in(uow.note(TAKEN))))
    for each in pauses:
        named, option = (f"{each.scope} {each.name}", f"--{each.scope} {each.name}")
        if each.scope == "all":
            named, option = "everything", "--all"
        why = f": {each.reason}" if each.reason else ""
        until = f", until {each.until:%Y-%m-%d %H:%M} UTC" if each.until else ""
        said = f"{named} is paused since {each.since:%Y-%m-%d %H:%M} UTC{until}{why}"
        yield Finding("Paused", ok=None, said=said, mend=f"aftersale resume {option}")
    last = max((until for _, until in taken), default=None)
    if last is not None and last > SystemClock().now():
        said = f"late questions are asked one after the other; the last turn given so far is {last:%Y-%m-%d %H:%M} UTC"
        yield Finding("Turns", ok=None, said=said, mend="nothing to do; guards.catch_up_per_hour says how many an hour")


def _channels(shop: Shop) -> dict[str, str]:
    """Give the shop's channels, each with whom it is for."""
    whose: dict[str, list[str]] = {}
    for team in shop.teams.values():
        whose.setdefault(team.channel, []).append(f"team {team.name}")
    whose.setdefault(shop.fallback_channel, []).append("cases that no team answers for")
    whose.setdefault(shop.alarm_channel, []).append("alarms of the program itself")
    return {channel: ", ".join(names) for channel, names in whose.items()}


def _people(shop: Shop) -> dict[str, str]:
    """Give those whom the shop names, each with all that they are."""
    known: dict[str, list[str]] = {shop.cx_owner: ["CX owner"]} if shop.cx_owner else {}
    for team in shop.teams.values():
        for user in dict.fromkeys([*([team.lead] if team.lead else []), *team.members]):
            known.setdefault(user, []).append(f"{'lead' if user == team.lead else 'member'} of team {team.name}")
    return {user: ", ".join(words) for user, words in known.items()}
