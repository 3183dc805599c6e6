"""What can happen to a conversation: frozen values, named in the past tense. Deciding what follows is the engine's."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

TimerKind: TypeAlias = Literal["remind", "silence", "wait", "expire"]


@dataclass(frozen=True, slots=True)
class Media:
    """Something that is not text: kept by the vendor's file id, never lost. `kind`: photo, voice, sticker and so on."""

    kind: str
    file_id: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """The moment of the conversation has come; it enters at `step`."""

    step: str


@dataclass(frozen=True, slots=True)
class Tapped:
    """The customer tapped the button number `choice` (from 0) below the question number `turn`."""

    turn: int
    choice: int


@dataclass(frozen=True, slots=True)
class Wrote:
    """The customer wrote words, or sent a picture, voice, sticker … (`media`), or both.

    `ambiguous`: it is not certain which question they have before their eyes, so the words are never read as a choice.
    """

    text: str
    media: tuple[Media, ...] = ()
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A moment that the conversation asked for has come; a timer of an earlier `turn` is stale."""

    kind: TimerKind
    turn: int


@dataclass(frozen=True, slots=True)
class ChangedMind:
    """The customer wants to change the answer that they gave to the question number `turn`."""

    turn: int


@dataclass(frozen=True, slots=True)
class Happened:
    """Something happened to the sale (``order.shipped`` …) that a pause of the conversation may have waited for."""

    event: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The customer said /stop, or withdrew the consent that this conversation needs."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A message was refused for good: the customer blocked the bot, or the chat is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The ground for the conversation is gone: the order was cancelled or returned, a question expired unsent."""

    reason: str


Event: TypeAlias = Begun | Tapped | ChangedMind | Wrote | TimerFired | Happened | Stopped | Unreachable | Withdrawn
