"""What a case is, what can happen to it, and what it then wants done. Deciding is `bot.desk.machine`'s.

A case never closes by a staff action: staff can only note a remedy, and the customer's answer decides (rules 1 and 6).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

CaseStatus: TypeAlias = Literal["open", "claimed", "remedied", "call", "unconfirmed", "confirmed"]
"""``open``: nobody has taken it; ``claimed``: somebody is at it; ``remedied``: the customer is to be asked again;
``call``: asked often enough, a person calls; ``unconfirmed``: the customer stayed silent; ``confirmed``: the customer
said that it is
right."""


UNSETTLED: tuple[CaseStatus, ...] = ("open", "claimed", "call", "remedied")
"""The states of a case that is still to be put right, or to be asked about."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What was done about it.

    `kind` is one of the shop's remedies (refund, replacement, credit, explanation, visit, none).
    """

    kind: str
    note: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """An unhappy reply that a team must put right.

    `said` is the customer's own words (or the label that they tapped), `rung` how high on the ladder it stands (0: the
    team, 1: its lead, 2: the CX owner), `cycle` how often the customer has been asked (from 1). `due_at` is the time
    of the first answer and `due_reason` says why it is that time. `claimed_by` and `Remedy.by` are Slack user ids.
    """

    id: str
    sale_id: str
    customer_id: str
    conversation_id: str
    status: CaseStatus
    team: str
    why_team: str
    reason: Literal["unhappy", "unclear"]
    said: str
    opened_at: datetime
    due_at: datetime
    due_reason: str
    factor: str | None = None
    touchpoint: str | None = None
    promise_id: str | None = None
    cycle: int = 1
    rung: int = 0
    claimed_by: str | None = None
    claimed_at: datetime | None = None
    answered_at: datetime | None = None
    remedies: tuple[Remedy, ...] = ()
    closed_at: datetime | None = None


# What happened -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claimed:
    """A member of staff (Slack user id) wants to take the case."""

    by: str


@dataclass(frozen=True, slots=True)
class Replied:
    """A member of staff sent `text` to the customer, having seen the preview."""

    by: str
    text: str


@dataclass(frozen=True, slots=True)
class RemedyDone:
    """A member of staff put something right."""

    by: str
    kind: str
    note: str


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A member of staff gives the case to another team; the clock does not restart."""

    by: str
    team: str
    reason: str


@dataclass(frozen=True, slots=True)
class CustomerSaid:
    """Further words of the customer (or a description of a photo, voice …)."""

    text: str


@dataclass(frozen=True, slots=True)
class UnhappyAgain:
    """The customer said after a remedy that it is not right, or was unhappy once more."""

    said: str
    factor: str | None = None
    touchpoint: str | None = None


@dataclass(frozen=True, slots=True)
class CustomerConfirmed:
    """The customer said that it is right now. Nothing but the customer's own answer may make this event (rule 1)."""


@dataclass(frozen=True, slots=True)
class CustomerSilent:
    """The customer did not answer the question after the remedy."""


@dataclass(frozen=True, slots=True)
class DueWarning:
    """A moment of the ladder has come.

    `stage` 0 is the warning before the due time, 1 the breach, 2… the rungs above.
    """

    stage: int


CaseEvent: TypeAlias = (
    Claimed
    | Replied
    | RemedyDone
    | HandedOver
    | CustomerSaid
    | UnhappyAgain
    | CustomerConfirmed
    | CustomerSilent
    | DueWarning
)


# What is to be done ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShowCard:
    """Post the card in the team's channel, or bring the one that stands there up to date."""


@dataclass(frozen=True, slots=True)
class MoveCard:
    """Post the card anew in another team's channel, and say so where it stood before."""

    team: str


@dataclass(frozen=True, slots=True)
class Thread:
    """Say `text` (plain, already in words) in the case's thread; `mention` is a Slack user id to call upon."""

    text: str
    mention: str | None = None


@dataclass(frozen=True, slots=True)
class Whisper:
    """Tell one member of staff, and nobody else, why what they did changed nothing."""

    to: str
    text: str


@dataclass(frozen=True, slots=True)
class ReplyToCustomer:
    """Send a person's words to the customer."""

    by: str
    text: str


@dataclass(frozen=True, slots=True)
class PlanReask:
    """The remedy is done: start what begins on ``remedy.done``."""

    at: datetime
    kind: str


@dataclass(frozen=True, slots=True)
class PlanLadder:
    """Wake the case at `at` with `DueWarning(stage)`."""

    stage: int
    at: datetime


@dataclass(frozen=True, slots=True)
class StopLadder:
    """No more warnings are due."""


@dataclass(frozen=True, slots=True)
class CaseIgnored:
    """The event does not fit; the case is unchanged and this is why."""

    reason: str


CaseEffect: TypeAlias = (
    ShowCard | MoveCard | Thread | Whisper | ReplyToCustomer | PlanReask | PlanLadder | StopLadder | CaseIgnored
)
