"""What came in, translated into this product's words: the adapters make these, the use cases take them."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from bot.desk.states import WaitsFor
from bot.flows.events import Media

# From Telegram ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChatStarted:
    """``/start`` or ``/start TOKEN`` in a private chat. `language` is Telegram's hint, an IETF tag, or None."""

    chat_id: int
    token: str | None
    first_name: str
    language: str | None


@dataclass(frozen=True, slots=True)
class CommandGiven:
    """Any other command, without slash and bot name, lower case, such as ``stop`` or ``help``."""

    chat_id: int
    command: str
    text: str
    language: str | None


@dataclass(frozen=True, slots=True)
class ButtonTapped:
    """A button below a message. `chat_id` is the id of the user who tapped (in a private chat both are the same).

    `message_id` is None where Telegram no longer shows the message; `text` is what the message said, "" if unknown.
    """

    chat_id: int
    data: str
    message_id: int | None
    language: str | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class MessageWritten:
    """Words, or a photo, voice, sticker … (`media`); a caption stands in `text`."""

    chat_id: int
    message_id: int
    text: str
    media: tuple[Media, ...]
    language: str | None


@dataclass(frozen=True, slots=True)
class MessageEdited:
    """The customer changed an earlier message."""

    chat_id: int
    message_id: int
    text: str
    media: tuple[Media, ...]


@dataclass(frozen=True, slots=True)
class MessageDeleted:
    """The customer took a message back. Telegram tells a bot of that in business chats alone."""

    chat_id: int
    message_id: int


@dataclass(frozen=True, slots=True)
class ChatBlocked:
    """The customer blocked the bot, or (`blocked` false) took that back."""

    chat_id: int
    blocked: bool


@dataclass(frozen=True, slots=True)
class Reacted:
    """The customer put `emoji` ("" where they took it back) below a message."""

    chat_id: int
    message_id: int
    emoji: str


# From Slack ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CaseClaimed:
    """Somebody pressed *Claim*. `by` is a Slack user id, `channel` where they pressed it."""

    case_id: str
    by: str
    channel: str


@dataclass(frozen=True, slots=True)
class CaseReplied:
    """Somebody sent the preview of a reply. `name` is how the customer will see them."""

    case_id: str
    by: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class CaseRemedied:
    """Somebody noted a remedy: `kind` is a key of the shop's remedies, `root_cause` one of its root causes."""

    case_id: str
    by: str
    kind: str
    note: str
    value: str = ""
    root_cause: str = ""


@dataclass(frozen=True, slots=True)
class CaseHandedOver:
    """Somebody gives the case to another team (a key of the shop's teams)."""

    case_id: str
    by: str
    team: str
    reason: str


@dataclass(frozen=True, slots=True)
class CaseSnoozed:
    """Somebody puts the case aside until a moment, because it waits for the customer, a parcel or a supplier."""

    case_id: str
    by: str
    until: datetime
    waits_for: WaitsFor
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CaseCallNeeded:
    """Somebody says that the customer is to be called."""

    case_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class CaseNoted:
    """Somebody left a note for the others (a form, or words in the thread); it never reaches the customer."""

    case_id: str
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class TaskAsked:
    """Somebody asks a second team (a key of the shop's teams) for something."""

    case_id: str
    by: str
    team: str
    text: str


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """Somebody of the second team did what was asked."""

    case_id: str
    by: str
    task_id: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class PersonLeft:
    """A member of staff has left the workspace (or, `left` false, is back): nobody calls upon them meanwhile."""

    user: str
    left: bool = True


@dataclass(frozen=True, slots=True)
class NotForUs:
    """Something that this product does nothing with; `reason` says why, and the inbox keeps it as ignored."""

    reason: str


ChatEvent: TypeAlias = (
    ChatStarted
    | CommandGiven
    | ButtonTapped
    | MessageWritten
    | MessageEdited
    | MessageDeleted
    | ChatBlocked
    | Reacted
    | NotForUs
)
StaffAction: TypeAlias = (
    CaseClaimed
    | CaseReplied
    | CaseRemedied
    | CaseHandedOver
    | CaseSnoozed
    | CaseCallNeeded
    | CaseNoted
    | TaskAsked
    | TaskFinished
)
"""What a member of staff does about a case."""
DeskEvent: TypeAlias = StaffAction | PersonLeft | NotForUs
