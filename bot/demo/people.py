"""How the people of the demo decide: from what they see and what they wish, never from what a flow is called.

The customer's rule. Buttons: the first one that carries the dearest wish; where none carries any wish, whoever has
something on their mind writes it, and whoever has not takes the first button. No buttons, but a question: they write
what is on their mind, once. Silence stays silent. Staff's rule: whoever sees a button does what it is for.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bot.adapters.sandbox.telegram import ChatMessage
from bot.demo.tale import Mood


@dataclass(frozen=True, slots=True)
class Tap:
    """The button to be tapped."""

    label: str


@dataclass(frozen=True, slots=True)
class Write:
    """The words to be written."""

    words: str


def answer(mood: Mood, message: ChatMessage, *, has_spoken: bool) -> Tap | Write | None:
    """Tell what a customer in this mood answers to a message of the bot; None: nothing.

    Args:
        mood: what they wish, and what is on their mind.
        message: what the bot wrote.
        has_spoken: whether they have said already what is on their mind.
    """
    if mood.is_silent:
        return None
    labels = [label for row in message.buttons for label in row]
    has_words = bool(mood.words) and not has_spoken
    if not labels:
        return Write(mood.words) if has_words and "?" in message.text else None
    wished = next((label for wish in mood.wishes if (label := carrying(wish, labels))), None)
    if wished is None and has_words:
        return Write(mood.words)
    return Tap(wished or labels[0])


def carrying(wish: Sequence[str], labels: Sequence[str]) -> str | None:
    """Give the label that comes nearest to a wish: its dearest word decides; None where none carries any of them."""
    for word in wish:
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
        for label in labels:
            if whole.search(label):
                return label
    return None
