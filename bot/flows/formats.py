"""Forms of the flow language, and how a text of an earlier one is read today.

What a conversation began on is kept as it was written, in the form of the language of that day. When the language
grows so that an old text would mean something else, or nothing, `FORMAT` is counted up and a pure function lifts the
tree of a text by one; a text of form 1 goes through all of them. So none of these ever has to be written again.

What lives here: the numbers, and those functions. What must not: the language itself (`bot.flows.forms`).

| form | what it brought |
| --- | --- |
| 1 | say, ask, wait, end |
| 2 | conditions, branches, ratings, reasons, offers …; whatever form 1 could say, it says in the same words |
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from bot.errors import FlowError
from bot.flows.yaml_tree import Node

Lift: TypeAlias = Callable[[Node], Node]
"""Gives the tree of a text of one form in the words of the next."""

FORMAT = 2
"""The form of today's language."""


def _as_it_stands(tree: Node) -> Node:
    """Form 2 only added keys to form 1, and gave none another meaning or default."""
    return tree


LIFTS: Mapping[int, Lift] = {1: _as_it_stands}


def lift(tree: Node, written_in: int, *, file: str, lifts: Mapping[int, Lift] = LIFTS) -> Node:
    """Return the tree of a text in the words of the newest form that `lifts` leads to.

    Raises:
        FlowError: it is written in a form that this program does not know, as when an older program meets a newer text.
    """
    newest = max(lifts) + 1
    if not min(lifts) <= written_in <= newest:
        reason = f"it is written in form {written_in} of the flow language, and this program knows {newest} at most"
        raise FlowError(reason, file=file, hint="install the newer aftersale again")
    for form in range(written_in, newest):
        tree = lifts[form](tree)
    return tree
