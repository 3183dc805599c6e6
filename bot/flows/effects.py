"""What a conversation wants done: frozen commands. Carrying them out is the use cases' and dispatch's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from bot.durations import Duration
from bot.flows.events import Media, TimerKind
from bot.flows.model import Factor, Window


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
class SendOffer:
    """Say step `step` and offer its link. `visit` makes the message unique within the conversation."""

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
    """Write down what the customer said. `choice` is None for words alone; an unanswered factor is absent.

    `promise`: the promise that they spoke of.
    """

    step: str
    turn: int
    choice: str | None
    factors: Mapping[Factor, float]
    touchpoint: str | None
    text: str = ""
    media: tuple[Media, ...] = ()
    promise: str | None = None


@dataclass(frozen=True, slots=True)
class OpenCase:
    """An unhappy reply, or one that only a person can read: open a case, or join the one that is open.

    ``unhappy``: a choice said so; ``unclear``: words that the bot must not guess about (rule 4); ``flow``: nobody
    complained, but the flow wants a person to look at it, and names the `team` or leaves it to the touchpoint.
    """

    reason: Literal["unhappy", "unclear", "flow"]
    step: str
    factors: Mapping[Factor, float]
    touchpoint: str | None
    said: str
    media: tuple[Media, ...] = ()
    promise: str | None = None
    team: str | None = None


@dataclass(frozen=True, slots=True)
class TellCase:
    """Further words of a customer whose unhappy reply already stands as a case.

    `touchpoint`: where a reason that they chose says that it went wrong.
    """

    text: str
    media: tuple[Media, ...] = ()
    touchpoint: str | None = None


@dataclass(frozen=True, slots=True)
class TakeBack:
    """The customer changed the answer that they gave to question `turn` at the time `at`; another follows at once.

    `factors` and `promise` are what it had said, and of which promise. `case`: it was unhappy and the new one is not,
    so the case that it opened has lost its ground. `completion`: it had completed the sale.
    """

    step: str
    turn: int
    at: str | None
    case: bool
    completion: bool
    factors: Mapping[Factor, float]
    promise: str | None = None


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Wake the conversation `after` that long, for `kind`, at `turn`.

    It counts from `since` (None: from now), and the moment is then put off into the `window` of the customer's clock.
    """

    kind: TimerKind
    turn: int
    after: Duration
    since: datetime | None = None
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class StopTimers:
    """Nothing that this conversation planned before is to happen any more (None: every kind)."""

    kinds: tuple[TimerKind, ...] | None = None


@dataclass(frozen=True, slots=True)
class CompleteSale:
    """The customer said that they have what they bought it for. Only a choice of theirs can yield this (rule 1)."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The conversation is over: answered, silent, expired, stopped, unreachable, withdrawn, looped."""

    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NoteTrouble:
    """Something in step `step` could not be done as the flow says; it went on without, and this is why."""

    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """The event does not fit; the state is unchanged and this is why."""

    reason: str


Effect: TypeAlias = (
    SendQuestion
    | SendReminder
    | SendText
    | SendOffer
    | Acknowledge
    | CloseQuestion
    | RecordVerdict
    | OpenCase
    | TellCase
    | TakeBack
    | StartTimer
    | StopTimers
    | CompleteSale
    | Finish
    | NoteTrouble
    | Ignored
)
