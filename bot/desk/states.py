"""What a case is, what can happen to it, and what it then wants done. Deciding is `bot.desk.machine`'s.

A case never closes by a staff action: staff can only note a remedy, and the customer's answer decides (rules 1 and 6).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

CaseStatus: TypeAlias = Literal["open", "claimed", "remedied", "call", "unconfirmed", "confirmed"]
"""``open``: nobody has taken it; ``claimed``: somebody is at it; ``remedied``: the customer is to be asked again;
``call``: asked often enough, a person calls; ``unconfirmed``: the customer stayed silent; ``confirmed``: the customer
said that it is
right."""


UNSETTLED: tuple[CaseStatus, ...] = ("open", "claimed", "call", "remedied")
"""The states of a case that is still to be put right, or to be asked about."""


SAID_ON_CARD = 700
"""How much of the customer's words a card shows, in UTF-16 units; of more the whole stands in its thread."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What was done about it.

    `kind` is one of the shop's remedies (refund, replacement, credit, explanation, visit, none).
    """

    kind: str
    note: str
    by: str
    at: datetime
    value: str = ""
    root_cause: str = ""


WaitsFor: TypeAlias = Literal["customer", "parcel", "supplier"]
"""What a case can be put aside for: nothing else is a reason to let a customer wait."""


@dataclass(frozen=True, slots=True)
class Snooze:
    """A case that is put aside `until` a moment, because it waits for something.

    `left` is the working time of the first answer that was left when it began; only where it waits for the customer
    does that clock stand still (None: it goes on).
    """

    waits_for: WaitsFor
    since: datetime
    until: datetime
    by: str
    reason: str = ""
    left: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """Something that a second team is to do for a case, due by that team's own calendar.

    `channel` and `ts` are where it stands in that team's channel, once it does.
    """

    id: str
    team: str
    text: str
    by: str
    opened_at: datetime
    due_at: datetime
    due_reason: str
    done_at: datetime | None = None
    done_by: str | None = None
    note: str = ""
    channel: str | None = None
    ts: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """Something of the customer's that is not words: `kind` is photo, voice …, `file_id` is the messenger's own."""

    kind: str
    file_id: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """An unhappy reply that a team must put right.

    `said` is the customer's own words (or the label that they tapped), `rung` how high on the ladder it stands (0: the
    team, 1: its lead, 2: the CX owner), `cycle` how often the customer has been asked (from 1). `due_at` is the time
    of the first answer and `due_reason` says why it is that time. `claimed_by` and `Remedy.by` are Slack user ids.
    `fell_back` names the channel that could not be used, where the card stands in the fallback channel instead.
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
    snooze: Snooze | None = None
    tasks: tuple[Task, ...] = ()
    media: tuple[Attachment, ...] = ()
    call_reason: str | None = None
    fell_back: str | None = None


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
    """A member of staff put something right. All but the value is needed, and that where the kind has one."""

    by: str
    kind: str
    note: str
    value: str = ""
    root_cause: str = ""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A member of staff gives the case to another team; the clock does not restart."""

    by: str
    team: str
    reason: str


@dataclass(frozen=True, slots=True)
class Snoozed:
    """A member of staff puts the case aside until a moment, because it waits for something."""

    by: str
    until: datetime
    waits_for: WaitsFor
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SnoozeOver:
    """The moment until which a case was put aside has come. `until` says of which time that was."""

    until: datetime


@dataclass(frozen=True, slots=True)
class CallNeeded:
    """A member of staff says that the customer is to be called."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A member of staff leaves a note for the others; the customer never sees it."""

    by: str
    text: str


@dataclass(frozen=True, slots=True)
class TaskOpened:
    """A member of staff asks a second team for something; `id` is the new task's."""

    by: str
    id: str
    team: str
    text: str


@dataclass(frozen=True, slots=True)
class TaskDone:
    """Somebody of the second team did what was asked."""

    by: str
    task_id: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class TaskDue:
    """A task's own due time has come, or one of the working days after it: `stage` counts them from 1."""

    task_id: str
    stage: int


@dataclass(frozen=True, slots=True)
class CustomerSaid:
    """Further words of the customer; photos, voice … stand beside them as `media`."""

    text: str
    media: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class CustomerEdited:
    """The customer changed an earlier message, which now says `text`."""

    text: str
    media: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class CustomerDeleted:
    """The customer deleted an earlier message; `text` is what it had said, as far as that is known."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class UnhappyAgain:
    """The customer said after a remedy that it is not right, or was unhappy once more."""

    said: str
    factor: str | None = None
    touchpoint: str | None = None
    media: tuple[Attachment, ...] = ()


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
    | Snoozed
    | SnoozeOver
    | CallNeeded
    | Noted
    | TaskOpened
    | TaskDone
    | TaskDue
    | CustomerSaid
    | CustomerEdited
    | CustomerDeleted
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
    """Say `text` (plain, already in words) in the case's thread; `mention` is a Slack user id to call upon.

    `media` is shown below it. `stage` is that of the ladder whose step this is: it is looked at again when it is sent.
    """

    text: str
    mention: str | None = None
    media: tuple[Attachment, ...] = ()
    stage: int | None = None


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
    """The remedy is done: start what begins on ``remedy.done``.

    At `at` (None: when the flow says), or where the kind counts from a delivery, a while after that, if it comes first.
    """

    at: datetime | None
    kind: str


@dataclass(frozen=True, slots=True)
class PlanLadder:
    """Wake the case at `at` with `DueWarning(stage)`."""

    stage: int
    at: datetime


@dataclass(frozen=True, slots=True)
class PlanWake:
    """Wake the case at `at` with `SnoozeOver(at)`."""

    at: datetime


@dataclass(frozen=True, slots=True)
class PlanTask:
    """Wake the case at `at` with `TaskDue(task_id, stage)`."""

    task_id: str
    stage: int
    at: datetime


@dataclass(frozen=True, slots=True)
class ShowTask:
    """Post a task in its team's channel, or bring what stands there up to date."""

    task_id: str


@dataclass(frozen=True, slots=True)
class StopLadder:
    """No more warnings are due."""


@dataclass(frozen=True, slots=True)
class CaseIgnored:
    """The event does not fit; the case is unchanged and this is why."""

    reason: str


CaseEffect: TypeAlias = (
    ShowCard
    | MoveCard
    | ShowTask
    | Thread
    | Whisper
    | ReplyToCustomer
    | PlanReask
    | PlanLadder
    | PlanWake
    | PlanTask
    | StopLadder
    | CaseIgnored
)
