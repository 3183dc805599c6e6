"""How two versions of a flow are laid side by side in the terminal: steps, facts, words in each language."""

import difflib
import re
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from bot.cli.terminal import say, show, stdout
from bot.flows.differences import Change, Difference

_WORDS = re.compile(r"\s+|[^\s]+")


def show_difference(found: Difference) -> None:
    """Print what differs: which steps came, went or were renamed; what leads where and when; the words."""
    if not found:
        say("  Only the order in which things are written differs; no customer notices.", "dim")
        return
    for name in found.added:
        say(f"  + new step {name}", "green")
    for name in found.removed:
        say(f"  - step {name} is gone", "red")
    for old, new in (found.renamed or {}).items():
        say(f"  ~ step {old} is called {new} now", "yellow")
    # Of a step that came or went as a whole the words are what tells; its facts are told with the others.
    if found.facts:
        show(_facts([each for each in found.facts if each.place not in found.removed]))
    if found.words:
        show(_words(found.words))


def _facts(changes: Sequence[Change]) -> Table:
    table = _table("step", "what", "before", "after")
    for each in changes:
        table.add_row(each.place, each.what, Text(each.old or "–", style="red"), Text(each.new or "–", style="green"))
    return table


def _words(changes: Sequence[Change]) -> Table:
    table = _table("step", "words", "before", "after")
    for each in changes:
        old, new = _side_by_side(each.old or "", each.new or "")
        table.add_row(each.place, f"{each.what} ({each.language})", old, new)
    return table


def _table(first: str, second: str, third: str, fourth: str) -> Table:
    table = Table(box=None, show_header=True, pad_edge=False, header_style="dim", padding=(0, 2, 0, 2))
    table.add_column(first, overflow="fold", max_width=24)
    table.add_column(second, overflow="fold", max_width=30)
    table.add_column(third, overflow="fold", ratio=1)
    table.add_column(fourth, overflow="fold", ratio=1)
    table.width = stdout().width
    return table


def _side_by_side(old: str, new: str) -> tuple[Text, Text]:
    """Mark the words that went in red, those that came in green; what stayed is plain."""
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    left, right = Text("- " if old else "–", style="red"), Text("+ " if new else "–", style="green")
    left.stylize("default", 2)
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        same = kind == "equal"
        left.append("".join(before[a:b]), "default" if same else "bold red")
        right.append("".join(after[c:d]), "default" if same else "bold green")
    return left, right
