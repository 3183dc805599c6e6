"""`aftersale flows play`: be the customer in the terminal, with time in your hand, and see why each message comes.

Works with a person at a terminal and with lines from a pipe alike, so that a play can be scripted.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.text import Text

from bot.app.drafts import Drafts
from bot.cli.flow_opening import open_flows
from bot.cli.terminal import say, stdout
from bot.durations import Duration
from bot.errors import ConfigurationError, FollowUpError, InputRefused
from bot.flows.model import Flow
from bot.sales import after
from bot.trials.moments import DAYS, parse_when
from bot.trials.parse import DEFAULT_SALE, DEFAULT_START, EVENTS, Known, read_trials
from bot.trials.reasons import clock, reason
from bot.trials.record import added_to, new_file, recorded
from bot.trials.simulation import Given, Simulation
from bot.trials.trail import Did, Entry, Noted, Said

HELP = """\
next               on to the next message              1, 2 … or tap NAME  tap a button
+2d · +3h          let time pass (10s 15m 4h 2d 1w 1bd)  any other words     write them to the bot (or: write …)
tomorrow 9:00      … until then; also fri 17:30, 10:00  /stop /start        commands, as in Telegram
event NAME         order.delivered, product.first_used …  photo WORDS         send a picture with words
why                why nothing is said, what comes next  link, block         open the link · block the bot
claim              staff: take the case                 reply WORDS         staff: reply to the customer
remedy KIND NOTE   staff: what was done about it        hand over TEAM      staff: give the case away
help               this                                 quit                the end (Ctrl+D)"""

LOOK_AHEAD = timedelta(days=60)
"""How far `next` goes where nothing is said."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

_WHO = {"customer": "👤", "shop": "🛒", "staff": "🧑‍🔧"}
_MOMENT = re.compile(rf"(\+|\d{{1,2}}[:.]\d\d$|\d{{4}}-\d|(today|tomorrow|{'|'.join(DAYS)})[a-z]* \d{{1,2}}[:.]\d\d$)")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options of the command say."""

    start: str = DEFAULT_START
    name: str = "Freja Holm"
    locale: str = "en"
    country: str = "DK"
    zone: str | None = None
    summary: str = "two bottles of Barolo"
    tags: Sequence[str] = ("wine",)
    first_use_after: str | None = None
    consents: str = "all"
    event: str | None = None
    others: Sequence[str] = ()
    record: Path | None = None


def play_flow(name: str, folder: Path | None, wish: Wish) -> int:
    """Play a flow until the lines end; gives 0.

    Raises:
        NotFound, ConfigurationError, InputRefused: it cannot begin; the text says why.
    """
    opened = open_flows(folder)
    flow = opened.flow(name)
    others = opened.flow_files.flows if "all" in wish.others else wish.others
    part = (name, *(opened.flow(each).name for each in others if each != name))
    simulation = Simulation(opened.shop, opened.flow_files, _given(wish, opened), taking_part=part)
    table = _Table(simulation)
    customer = simulation.given.sale["customer"]
    who = f"{customer['name']} ({customer['locale']}, {simulation.zone})"
    say(f"▶ {name}, played as {who} in the shop {opened.shop.name}.", "bold")
    say("Type help for what you can do; the clock stands still until you move it.", "dim")
    _begin(flow, simulation, wish.event)
    table.show_new()
    for line in _lines(table):
        if line in ("quit", "exit", "q"):
            break
        table.obey(line)
    if wish.record is not None:
        _write(wish.record, flow, simulation, opened)
    return 0


def _given(wish: Wish, opened: Drafts) -> Given:
    customer: dict[str, Any] = {"id": "c-7", "name": wish.name, "locale": wish.locale, "country": wish.country}
    if wish.zone:
        customer["time_zone"] = wish.zone
    usual = DEFAULT_SALE["items"][0]
    item = {**usual, "name": usual["name"] if wish.summary == DEFAULT_SALE["summary"] else wish.summary}
    item["tags"] = list(wish.tags)
    if wish.first_use_after:
        item["first_use_after"] = wish.first_use_after
    sale = {**DEFAULT_SALE, "summary": wish.summary, "customer": customer, "items": [item]}
    consents = {"all": ("service", "result"), "service": ("service",), "none": (), "unlinked": None}
    if wish.consents not in consents:
        raise InputRefused([("--consents", f"{wish.consents!r} is none of {', '.join(consents)}")])
    try:
        when = parse_when(wish.start)
        zone = ZoneInfo(wish.zone or opened.shop.time_zone)
    except (ValueError, OSError, LookupError) as error:
        raise InputRefused([("--start or --zone", str(error))]) from error
    first = parse_when(DEFAULT_START).after(_EPOCH, zone, _add)
    start = when.after(first, zone, _add)
    return Given(sale, start, consents[wish.consents])


def _add(at: datetime, length: Duration) -> datetime:
    return at + length.span


def _begin(flow: Flow, simulation: Simulation, event: str | None) -> None:
    """Let happen what the flow starts on."""
    on = event or (flow.triggers[0].on if flow.triggers else "order.placed")
    simulation.happens(on if on in EVENTS else "order.delivered")
    if on == "remedy.done":
        simulation.writes("Something is wrong with it")
        simulation.remedies(next(iter(simulation.house.shop.remedies)))


class _Table:
    """Where it is played: shows what is new, and does what is typed."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self._shown = 0
        self._day = ""

    # showing

    def show_new(self) -> None:
        """Show what was said and done since, and what the clock says."""
        new = self.simulation.entries[self._shown :]
        self._shown += len(new)
        for entry in new:
            self._show_day(entry)
            self._show(entry)
        if not any(isinstance(entry, Said) for entry in new):
            self._show_next()

    def _show_day(self, entry: Entry) -> None:
        day = clock(entry.at, self.simulation.zone)
        if day != self._day:
            self._day = day
            say(f"── {self.simulation.local(entry.at):%A %d %B %Y, %H:%M} ──", "bold cyan")

    def _show(self, entry: Entry) -> None:
        match entry:
            case Did():
                say(f"{_WHO[entry.who]} {entry.words}", "cyan" if entry.who == "customer" else "magenta")
                if entry.refused:
                    say(f"   nothing came of it: {entry.refused}", "yellow")
            case Noted():
                say(f"   ▪ {entry.words}", "magenta")
            case Said():
                for number, line in enumerate(entry.text.splitlines()):
                    say(f"{'🤖' if number == 0 else '  '} {line}")
                if entry.photo:
                    say(f"   🖼 {entry.photo}")
                if entry.buttons:
                    say("   " + "  ".join(f"{n} [{each.label}]" for n, each in enumerate(entry.buttons, 1)), "bold")
                say(f"   why: {reason(entry.why, self.simulation.zone)}", "dim")

    def _show_next(self) -> None:
        simulation = self.simulation
        waiting = simulation.waiting_for()
        now = f"It is {clock(simulation.now, simulation.zone)}."
        say(f"   {now} " + (f"Next: {waiting[0]}" if waiting else "Nothing more is planned."), "dim")

    # doing

    def obey(self, line: str) -> None:
        """Do what a line says; what cannot be done is told, and nothing else happens."""
        word, _, rest = line.partition(" ")
        try:
            if _MOMENT.match(line.lower()):
                self._go(line)
            elif word.lower() in self._commands and (rest or word.lower() not in _NEED_MORE):
                self._commands[word.lower()](rest.strip())
            elif line.isdigit():
                self._tap(line)
            else:
                self.simulation.writes(line)
        except FollowUpError as error:
            say(f"   {error}", "yellow")
            return
        self.show_new()

    @property
    def _commands(self) -> Mapping[str, Callable[[str], None]]:
        simulation = self.simulation
        return {
            "next": lambda _: self._next(),
            "tap": self._tap,
            "write": simulation.writes,
            "photo": lambda words: simulation.sends("photo", words),
            "event": self._event,
            "why": lambda _: self._why(),
            "link": lambda _: simulation.links(),
            "block": lambda _: simulation.blocks(),
            "claim": lambda _: simulation.claims(),
            "reply": simulation.replies,
            "remedy": lambda words: simulation.remedies(*_two(words)),
            "hand": lambda words: simulation.hands_over(*_two(words.removeprefix("over "))),
            "help": lambda _: say(HELP),
            "?": lambda _: say(HELP),
        }

    def _go(self, line: str) -> None:
        simulation = self.simulation
        try:
            when = parse_when(line)
        except ValueError as error:
            raise InputRefused([("the moment", str(error))]) from error
        zone = ZoneInfo(simulation.zone)
        simulation.go(when.after(simulation.now, zone, lambda at, length: after(simulation.house, length, at)))

    def _next(self) -> None:
        simulation = self.simulation
        if simulation.go_to_next_said(simulation.now + LOOK_AHEAD) is None:
            say(f"   Nothing was said in {LOOK_AHEAD.days} days.", "yellow")

    def _tap(self, wanted: str) -> None:
        shown = next((e for e in reversed(self.simulation.entries) if isinstance(e, Said) and e.buttons), None)
        if wanted.isdigit() and shown is not None and 1 <= int(wanted) <= len(shown.buttons):
            wanted = shown.buttons[int(wanted) - 1].label
        self.simulation.taps(wanted)

    def _event(self, kind: str) -> None:
        if kind not in EVENTS:
            raise InputRefused([("event", f"{kind!r} is none; there are {', '.join(EVENTS)}")])
        self.simulation.happens(kind)

    def _why(self) -> None:
        waiting = self.simulation.waiting_for()
        for each in waiting:
            say(f"   {each}")
        if not waiting:
            say("   Nothing more is planned for this sale.")


_NEED_MORE = frozenset({"tap", "write", "event", "reply", "remedy", "hand"})
"""Commands that are mere words where nothing follows them."""


def _two(words: str) -> tuple[str, str]:
    first, _, rest = words.strip().partition(" ")
    return first, rest.strip()


def _lines(table: _Table) -> Iterator[str]:
    """Give what is typed, line by line; from a pipe each line is shown as if it had been typed."""
    if sys.stdin.isatty():
        while True:
            try:
                now = clock(table.simulation.now, table.simulation.zone)
                line = stdout().input(Text(f"{now} › ", style="bold green"))
            except (EOFError, KeyboardInterrupt):
                say("")
                return
            if line.strip():
                yield line.strip()
    for line in sys.stdin:
        if line.strip() and not line.startswith("#"):
            say(f"› {line.strip()}", "bold green")
            yield line.strip()


def _write(path: Path, flow: Flow, simulation: Simulation, opened: Drafts) -> None:
    """Write what was played as a test, into a new file or behind the tests of one; only what can be read back.

    Raises:
        ConfigurationError: the file cannot be written, or could not be read afterwards.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    known = Known(opened.shop, opened.flow_files.flows, opened.flow_files.phrases)
    names = {each.name for each in read_trials(before, str(path), known)[0]} if before.strip() else set()
    number = next(number for number in range(1, len(names) + 2) if f"played_{number}" not in names)
    test = recorded(f"played_{number}", simulation)
    text = added_to(before, test) if before.strip() else new_file(flow.name, test)
    errors = read_trials(text, str(path), known)[1]
    if errors:
        problem = f"the test was not written: {errors[0]}"
        raise ConfigurationError(str(path), problem, "mend the file, or name a new one")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(str(path), f"cannot be written: {error.strerror or error}") from error
    say(f"Recorded as the test played_{number} in {path}; run it with: aftersale flows test {flow.name}", "green")
