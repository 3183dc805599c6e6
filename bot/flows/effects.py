"""What a conversation wants done: frozen commands. Carrying them out is the use cases' and dispatch's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bot.durations import Duration
from bot.flows.events import Media, TimerKind
from bot.flows.model import Factor


@dataclass(frozen=True, slots=True)
class SendQuestion:
    """Ask step `step` as question number `turn`.

    Its remind and silence timers start when the question is known (or may be assumed) to be sent, not before.
    """

    step: str
    turn: int


@dataclass(frozen=True, slots=True)
class SendReminder:
    """Ask question `turn` again; `nth` counts from 1."""

    step: str
    turn: int
    nth: int


@dataclass(frozen=True, slots=True)
class SendText:
    """Say step `step`. `visit` makes the message unique within the conversation."""

    step: str
    visit: int


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Thank for words that no step answers.

    ``passed_on``: a person will look at it (the text says by when); ``noted``: plainly thanked, nothing more is due.
    """

    kind: Literal["passed_on", "noted"]
    visit: int


@dataclass(frozen=True, slots=True)
class CloseQuestion:
    """Replace the keyboard of question `turn` by the choice made (None: just take the buttons away)."""

    step: str
    turn: int
    choice: int | None


@dataclass(frozen=True, slots=True)
class RecordVerdict:
    """Write down what the customer said. `choice` is None for words alone; an unanswered factor is absent."""

    step: str
    turn: int
    choice: str | None
    factors: Mapping[Factor, float]
    touchpoint: str | None
    text: str = ""
    media: tuple[Media, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenCase:
    """An unhappy reply, or one that only a person can read: open a case, or join the one that is open.

    ``unhappy``: a choice said so; ``unclear``: words that the bot must not guess about (rule 4).
    """

    reason: Literal["unhappy", "unclear"]
    step: str
    factors: Mapping[Factor, float]
    touchpoint: str | None
    said: str
    media: tuple[Media, ...] = ()


@dataclass(frozen=True, slots=True)
class TellCase:
    """Further words of a customer whose unhappy reply already stands as a case."""

    text: str
    media: tuple[Media, ...] = ()


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Wake the conversation `after` that long, for `kind`, at `turn`."""

    kind: TimerKind
    turn: int
    after: Duration


@dataclass(frozen=True, slots=True)
class StopTimers:
    """Nothing that this conversation planned before is to happen any more (None: every kind)."""

    kinds: tuple[TimerKind, ...] | None = None


@dataclass(frozen=True, slots=True)
class CompleteSale:
    """The customer said that they have what they bought it for. Only a tap of theirs can yield this (rule 1)."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The conversation is over: answered, silent, expired, stopped, unreachable, withdrawn, looped."""

    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """The event does not fit; the state is unchanged and this is why."""

    reason: str


Effect: TypeAlias = (
    SendQuestion
    | SendReminder
    | SendText
    | Acknowledge
    | CloseQuestion
    | RecordVerdict
    | OpenCase
    | TellCase
    | StartTimer
    | StopTimers
    | CompleteSale
    | Finish
    | Ignored
)
