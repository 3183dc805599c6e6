"""What the demo looks like in a terminal: chats left and right, Slack in a colour of its own, days as rules.

Writes what it is handed and decides nothing about the play. Nothing is ever written over, so that it can be piped.
"""

import asyncio
import html
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from rich import box
from rich.align import Align
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from bot.demo.tale import ZONE, Tale

_PIPE_COLUMNS = 100
_MOST_COLUMNS = 100
"""Wider than this the two sides of a chat drift apart."""
_LEAST_COLUMNS = 60
_BUBBLE = 0.72
"""How much of the width a bubble may take."""
_LONG = 220
"""How many characters a message may have and still be shown whole each time that another customer gets it."""
_SLACK = "yellow"
_SECONDS_A_LINE = 0.02
_SECONDS_IN_ALL = 10.0
"""All pauses for reading together."""
_HURRY_AFTER_SECONDS = 16.0
"""No pauses after that: on a slow machine, too, the whole demo shall stay under half a minute."""

_NUMBERS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_FIELD = re.compile(r"\s*(?:\*(?P<name>[^*]+)\*|(?P<plain>So far):)\s+(?P<value>[^\s·].*)")
_BUTTON = re.compile(r"\[[^\[\]]+\]")
_MENTION = re.compile(r"<@(\w+)>")


class Screen:
    """The terminal, or the pipe, that the demo is shown on."""

    def __init__(self, *, speed: float, width: int | None) -> None:
        """Write to stdout; see `bot.demo.run_demo` for the arguments."""
        is_terminal = sys.stdout.isatty()
        console = Console(
            file=sys.stdout,
            highlight=False,
            markup=False,
            emoji=False,
            width=width or (None if is_terminal else _PIPE_COLUMNS),
        )
        if width is None:
            console.width = max(min(console.width, _MOST_COLUMNS), _LEAST_COLUMNS)
        self._console = console
        self._bubble = int(console.width * _BUBBLE)
        self._seconds_a_line = _SECONDS_A_LINE / speed if is_terminal and speed > 0 else 0.0
        self._seconds_left = _SECONDS_IN_ALL / speed if speed > 0 else 0.0
        self._hurry_after = _HURRY_AFTER_SECONDS / speed if speed > 0 else 0.0
        self._began: float | None = None
        self._unread = 0
        self._day: date | None = None
        self._scene: tuple[str, date] | None = None
        self._known: set[str] = set()

    # The frame

    def welcome(self) -> None:
        """Say what is going to be shown."""
        self._print(
            Panel(
                Text(
                    "Customers answer in Telegram, staff put things right in Slack. Both are played on this machine, "
                    "against the real program, with a database in a temporary folder and a clock that is moved. "
                    "No token, no network; your own settings stay untouched.\n"
                    "Not a recording: the players read what the bot really sends. Change a flow, and this changes."
                ),
                title=Text("aftersale demo – four sales, until the customer says “it is complete”", style="bold"),
                title_align="left",
                box=box.DOUBLE,
                padding=(0, 1),
            )
        )
        legend = Text(" ")
        legend.append("left", "bold").append(": the bot    ")
        legend.append("right", "bold").append(": the customer    ")
        legend.append("┃ Slack", f"bold {_SLACK}").append(": what staff see and do")
        self._print(legend)
        self._print(Text(" Opening a Telegram, a Slack and the program …", "dim"))

    def scene(self, tale: Tale, now: datetime) -> None:
        """Go to a time and a sale: a rule where the day is another, a line where the sale is."""
        local = now.astimezone(ZONE)
        if local.date() != self._day:
            later = f" – {_later((local.date() - self._day).days)}" if self._day else ""
            self._print()
            title = Text(f"{local:%a} {local.day} {local:%b %Y}{later}", "bold")
            self._print(Rule(title, align="left", characters="━", style="dim"))
            self._day = local.date()
        if self._scene != (tale.sale, local.date()):
            self._print()
            head = Text(f"{tale.sign} {tale.title}", f"bold {tale.colour}").append(f"  · sale {tale.sale}", "dim")
            self._print(head)
            self._scene = (tale.sale, local.date())

    def line(self, text: str) -> None:
        """Write one line of the demo's own."""
        self._print(Text(text))

    def tell(self, now: datetime, text: str) -> None:
        """Tell what happens in life, where no program sees it."""
        self._hanging(f"  {_clock(now)}  ", "dim", Text(text, "italic"))

    def shop_tells(self, now: datetime, kind: str) -> None:
        """Tell what the shop's system reported to the program."""
        self._hanging(f"  {_clock(now)}  ", "dim", Text(f"the shop’s system reports: {kind}", "dim"))

    def link(self, address: str) -> None:
        """Show the link behind the code on the receipt."""
        self._hanging(" " * 9, "", Text(address, "dim"))

    def complete(self, tale: Tale) -> None:
        """Show that a sale has become complete."""
        self._print(Text(f"  ✔ Sale {tale.sale} is complete, because {tale.first_name} says so.", "bold green"))

    async def breathe(self) -> None:
        """Leave the reader time for what was written since; in a pipe nobody needs it."""
        now = asyncio.get_running_loop().time()
        self._began = self._began or now
        pause = min(self._unread * self._seconds_a_line, self._seconds_left)
        self._unread = 0
        if pause > 0 and now - self._began < self._hurry_after:
            self._seconds_left -= pause
            await asyncio.sleep(pause)

    # Telegram

    def bot_says(self, tale: Tale, now: datetime, text: str, rows: Sequence[Sequence[str]]) -> None:
        """Show a message of the bot with its buttons, at the left; of a long one that is known, only its beginning."""
        words = text.strip()
        shape = words.replace(tale.first_name, "").replace(tale.summary, "")
        if shape in self._known and len(words) > _LONG:
            words = f"{words[: _LONG // 2].rpartition(' ')[0]} … (as above)"
        self._known.add(shape)
        body = Text(words)
        labels = [f"[ {label} ]" for row in rows for label in row]
        for line in _packed(labels, self._bubble - 4):
            body.append(f"\n{line}", f"bold {tale.colour}")
        self._print(Padding(self._bubble_of(body, tale, f"🤖 {_clock(now)}"), (0, 0, 0, 2), expand=False))

    def customer_taps(self, tale: Tale, now: datetime, label: str) -> None:
        """Show which button the customer chose, at the right."""
        line = Text.assemble(
            (f"{tale.first_name} {_clock(now)}  ", "dim"), ("👆 ", ""), (f"[ {label} ]", f"reverse {tale.colour}")
        )
        self._print(Align.right(line))

    def customer_says(self, tale: Tale, now: datetime, text: str) -> None:
        """Show the customer's own words, at the right."""
        self._print(Align.right(self._bubble_of(Text(text, "bold"), tale, f"{tale.first_name} {_clock(now)}")))

    def _bubble_of(self, body: Text, tale: Tale, title: str) -> Panel:
        widest = max((cell_len(line) for line in body.plain.splitlines()), default=0)
        width = min(self._bubble, max(widest, cell_len(title) + 2) + 4)
        return Panel(
            body, title=Text(title, "dim"), title_align="left", border_style=tale.colour, width=width, padding=(0, 1)
        )

    # Slack

    def card(self, channel: str, now: datetime, text: str, people: Mapping[str, str]) -> None:
        """Show a case's new card as it stands in the channel."""
        self._slack_panel(f"Slack #{channel} {_clock(now)}", text, people)

    def form(self, who: str, text: str) -> None:
        """Show a form that one member of staff sees."""
        self._slack_panel(f"Slack – only {who} sees this", text, {})

    def card_changed(self, channel: str, lines: Sequence[str], people: Mapping[str, str]) -> None:
        """Show what is new on a card that stands in the channel already."""
        self._slack_line(f"card in #{channel} now: ", " · ".join(_plain(line, people).strip() for line in lines))

    def thread(self, who: str, text: str, people: Mapping[str, str], *, remark: str = "") -> None:
        """Show a message in a card's thread; where it quotes what was to be read before, only the beginning."""
        self._slack_line(f"thread, {who}: ", _plain(text, people), remark, is_short="“" in text)

    def staff_does(self, who: str, now: datetime, what: str) -> None:
        """Show what a member of staff does."""
        self._slack_line(f"{_clock(now)} ", f"{who} {what}")

    def _slack_line(self, lead: str, text: str, remark: str = "", *, is_short: bool = False) -> None:
        line = Text.assemble((lead, "dim"), " ".join(text.split()), (remark, "dim italic"))
        if is_short:
            line.truncate(self._console.width - 8, overflow="ellipsis")
        self._hanging("      ┃ ", _SLACK, line, is_repeated=True)

    def _slack_panel(self, title: str, text: str, people: Mapping[str, str]) -> None:
        inner = Table.grid()
        fields: Table | None = None
        for line in text.splitlines():
            found = _FIELD.fullmatch(line)
            if found is None:
                fields = None
                inner.add_row(_slack_text(line, people))
                continue
            if fields is None:
                fields = Table.grid(padding=(0, 2))
                fields.add_column(no_wrap=True, style="dim")
                inner.add_row(fields)
            fields.add_row(found["name"] or found["plain"], _plain(found["value"], people))
        panel = Panel(
            inner,
            title=Text(title, f"bold {_SLACK}"),
            title_align="left",
            border_style=_SLACK,
            box=box.HEAVY,
            width=min(self._console.width - 6, 84),
            padding=(0, 1),
        )
        self._print(Padding(panel, (0, 0, 0, 6), expand=False))

    # The end

    def show(self, *parts: RenderableType) -> None:
        """Write parts that were made elsewhere."""
        for part in parts:
            self._print(part)

    def _hanging(self, lead: str, style: str, text: Text, *, is_repeated: bool = False) -> None:
        """Write text with `lead` before its first line, and before the others what is as wide, or the same again."""
        lines = text.wrap(self._console, self._console.width - cell_len(lead))
        for number, line in enumerate(lines):
            line.rstrip()
            before = lead if number == 0 or is_repeated else " " * cell_len(lead)
            self._print(Text.assemble((before, style), line))

    def _print(self, part: RenderableType = "") -> None:
        with self._console.capture() as written:
            self._console.print(part)
        lines = written.get().splitlines()
        self._unread += len(lines)
        if not self._console.is_terminal:  # Rich fills lines up with blanks, which files need not have
            lines = [line.rstrip() for line in lines]
        self._console.file.write("\n".join([*lines, ""]))
        self._console.file.flush()


def _clock(now: datetime) -> str:
    return f"{now.astimezone(ZONE):%H:%M}"


def _later(days: int) -> str:
    match days:
        case 1:
            return "the next day"
        case _ if days % 7 == 0 and days < 7 * len(_NUMBERS):
            weeks = days // 7
            return f"{_NUMBERS[weeks]} week{'s' if weeks > 1 else ''} later"
        case _ if days < len(_NUMBERS):
            return f"{_NUMBERS[days]} days later"
        case _:
            return f"{days} days later"


def _packed(labels: Sequence[str], width: int) -> list[str]:
    """Set labels beside one another as long as there is room; a button is never broken where it need not be."""
    lines: list[str] = []
    for label in labels:
        if lines and cell_len(lines[-1]) + 2 + cell_len(label) <= width:
            lines[-1] += f"  {label}"
        else:
            lines.append(label)
    return lines


def _plain(text: str, people: Mapping[str, str]) -> str:
    """Read Slack's own writing: mentions, bold, the three escaped signs."""
    named = _MENTION.sub(lambda found: f"@{people.get(found[1], found[1])}", text)
    return html.unescape(re.sub(r"\*([^*\n]+)\*", r"\1", named))


def _slack_text(line: str, people: Mapping[str, str]) -> Text:
    text = Text(_plain(line.removeprefix("# "), people))
    if _BUTTON.match(line):
        text.stylize(f"bold {_SLACK}")
    elif line.startswith(("*", "# ")) or line.isupper():
        text.stylize("bold")
    return text
