"""What is to be seen in the sandbox at one moment, as plain values; and what a newcomer might try next. Pure.

Two scenes that are equal look equal; so whoever shows one draws again only what differs.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from bot.desk.states import CaseStatus


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message in a chat; `keys` are the labels of its buttons, row by row."""

    number: int
    is_mine: bool
    text: str
    keys: tuple[tuple[str, ...], ...]
    at: datetime
    is_edited: bool = False
    media: str | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """One customer's chat with the bot. `popups`: what taps were answered with, for a moment, on their screen."""

    name: str
    has_started: bool
    has_blocked: bool
    bubbles: tuple[Bubble, ...]
    popups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Post:
    """One message in Slack; `blocks` are its blocks as JSON, so that two of them can be compared."""

    ts: str
    author: str
    is_bot: bool
    at: datetime
    text: str
    blocks: str = "[]"
    is_edited: bool = False
    files: tuple[str, ...] = ()
    replies: "tuple[Post, ...]" = ()


@dataclass(frozen=True, slots=True)
class Room:
    """One channel."""

    id: str
    name: str
    posts: tuple[Post, ...]


@dataclass(frozen=True, slots=True)
class Staff:
    """What one member of staff sees for themselves: the open modal and App Home, as JSON ("" where there is none)."""

    id: str
    name: str
    view: str = ""
    home: str = ""
    whispers: tuple[Post, ...] = ()
    errors: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """A sale as the database has it; `chat` is the place of its customer among the chats.

    `case`: how its newest case stands; `is_answered`: whether the customer has heard from a person about it.
    """

    id: str
    chat: int
    summary: str
    stage: str
    is_linked: bool
    is_complete: bool
    factors: tuple[tuple[str, float | None], ...]
    satisfaction: float | None
    case: CaseStatus | None = None
    is_answered: bool = False
    promises: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is still to come, with its one reason; `at` None: once the reason no longer holds."""

    at: datetime | None
    what: str
    why: str
    order: str
    who: str


@dataclass(frozen=True, slots=True)
class Scene:
    """All of it."""

    now: datetime
    chats: tuple[Chat, ...]
    rooms: tuple[Room, ...]
    staff: tuple[Staff, ...]
    orders: tuple[Order, ...] = ()
    steps: tuple[Step, ...] = ()
    next_at: datetime | None = None


Try: TypeAlias = Literal[
    "try_place",
    "try_scan",
    "try_answer",
    "try_deliver",
    "try_unblock",
    "try_jump",
    "try_unhappy",
    "try_write",
    "try_claim",
    "try_reply",
    "try_send",
    "try_remedy",
    "try_wait",
    "try_confirm",
    "try_again",
]
"""What a newcomer might do next, by the name of the text that says so."""


def try_next(scene: Scene, chat: int) -> Try:
    """Tell what comes next on the way from a sale to “it is complete”, for the customer of a chat."""
    order = next((each for each in reversed(scene.orders) if each.chat == chat), None)
    if order is None:
        return "try_place"
    if scene.chats[chat].has_blocked:
        return "try_unblock"
    if not order.is_linked:
        return "try_scan"
    if order.is_complete:
        return "try_again"
    last = next(reversed(scene.chats[chat].bubbles), None)
    is_asked = last is not None and not last.is_mine
    if is_asked and last is not None and not last.keys and "?" in last.text and order.case in (None, "open"):
        return "try_write"
    if order.case is not None:
        return _with_case(scene, order)
    if is_asked and last is not None and last.keys:
        return "try_answer" if order.stage == "order.placed" else "try_unhappy"
    return "try_jump" if order.stage == "order.delivered" else "try_deliver"


def _with_case(scene: Scene, order: Order) -> Try:
    if any(each.view for each in scene.staff):
        return "try_send"
    if order.case == "open":
        return "try_claim"
    if order.case == "claimed":
        return "try_remedy" if order.is_answered else "try_reply"
    last = next(reversed(scene.chats[order.chat].bubbles), None)
    return "try_confirm" if last is not None and last.keys else "try_wait"
