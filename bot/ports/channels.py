"""The doors to people: Telegram and Slack, the clock and the source of flows.

A body as the use cases write it, and the adapters read it:

- ``telegram``: ``{"chat_id": 1, "text": "…", "buttons": [[{"label": "👍 Yes", "data": "a:…"}]]}``; a button has
  ``data`` or a ``url``; ``"photo"`` is an address or a file that Telegram has, and the text its caption where it fits;
  an edit adds ``"message_id"`` (text None: only the keyboard goes), and ``"captioned"`` where it edits a caption.
- ``slack`` card: ``{"channel": "C1", "ts": None | "…", "card": {...Card as JSON}}``; thread: ``{"channel",
  "thread_ts", "text"}``;
  whisper: ``{"channel", "user", "text", "thread_ts"}``; alarm and digest: ``{"channel", "text"}``, a digest also with
  ``ts`` where it stands already; task: ``{"channel", "ts": None | "…", "text", "task": {...TaskCard as JSON}}``.
  A thread may have ``"media"``: ``[{"kind", "file_id", "caption"}]``, which belongs below its text. `text` is plain:
  the adapter escapes it; a mention is ``{user:U1}``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from bot.flows.model import Flow, Texts
from bot.ports.records import Json, Outgoing

CAPTION_MAX_UNITS = 1024
"""The longest caption, in UTF-16 code units. Source: https://core.telegram.org/bots/api#sendphoto (read 2026-11-25)"""


def is_caption(body: Json) -> bool:
    """Tell whether a text goes out as the caption of its picture; a longer one follows the picture by itself."""
    text = str(body.get("text") or "")
    return bool(body.get("photo")) and len(text.encode("utf-16-le", "surrogatepass")) // 2 <= CAPTION_MAX_UNITS


class Channel(Protocol):
    """Delivers one message to Telegram or Slack."""

    async def deliver(self, message: Outgoing) -> str:
        """Send it and give its external id (Telegram message id, Slack ts; "" where there is none).

        A message with ``attempts > 1`` may have arrived before: adapters that can (a card, by its metadata) look first.

        Raises:
            DeliveryDelayed: surely not taken; later again.
            DeliveryUnknown: it may have arrived.
            DeliveryRefused: never again as it is; see its reason.
        """


class Clock(Protocol):
    """The only reader of the wall clock and maker of ids."""

    def now(self) -> datetime:
        """Give the time, aware, in UTC."""

    def new_id(self) -> str:
        """Give a new opaque id: 16 characters of ``0-9a-z``, never repeated."""

    def new_token(self) -> str:
        """Give an unguessable token: at most 64 characters of ``A-Za-z0-9_-`` (what a deep link may carry)."""


class FlowSource(Protocol):
    """Where published flows come from."""

    @property
    def flows(self) -> Mapping[str, Flow]:
        """The last good version of each flow, by name."""

    @property
    def phrases(self) -> Mapping[str, Texts]:
        """The bot's own sentences, by name."""


Light: TypeAlias = Literal["red", "amber", "green", "grey"]
"""How pressing a case or a task is: late, soon due (or to be called), in good time, nothing to do."""


@dataclass(frozen=True, slots=True)
class TaskCard:
    """What a team sees of something it is asked to do for another team's case. Times are written for that team.

    `light` is the colour, `light_word` says the same in a word, and `light_shape` in a form that nobody mistakes.
    """

    id: str
    case_id: str
    team: str
    for_team: str
    text: str
    asked_by: str
    due: str
    due_reason: str
    is_done: bool
    done_by: str | None
    note: str
    light: Light
    light_word: str
    light_shape: str
    customer: str
    sale_id: str


@dataclass(frozen=True, slots=True)
class Card:
    """What a case card shows, in plain words (nothing is escaped yet). Times are already written for the team.

    `due` is the time of the answer and `due_reason` why, each said once. `light` is the colour of the case, and
    `light_word` and `light_shape` say the same to whoever does not tell red from green. `snoozed`, `clock` and
    `fell_back` are whole sentences, None where there is nothing to say: until when and for what the case is put aside;
    that the clock stands, since when and why; that the team's own channel could not be used. `media` are kinds
    (``photo``, ``voice`` …) of what the customer sent beside words. `rung` is how high it stands (0: the team, 1: the
    lead, 2: the CX owner). `called_upon` is the user id of whoever is answerable on that rung.
    """

    case_id: str
    status: str
    team: str
    why_team: str
    customer: str
    language: str
    sale_id: str
    bought: str
    promise: str | None
    said: str
    factor: str | None
    touchpoint: str | None
    cycle: int
    due: str
    due_reason: str
    overdue: bool
    claimed_by: str | None
    remedy: str | None
    reachable: bool
    history: str
    promised_by: str | None = None
    media: Sequence[str] = ()
    opened: str = ""
    max_cycles: int = 3
    rung: int = 0
    called_upon: str | None = None
    light: Light = "green"
    light_word: str = ""
    light_shape: str = ""
    snoozed: str | None = None
    clock: str | None = None
    call_reason: str | None = None
    fell_back: str | None = None
    tasks: Sequence[TaskCard] = ()
    staff_language: str = "en"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `aftersale doctor` looked at.

    `ok` is None where it is only a hint, or could not be looked at. `said` is what was seen, in plain words; `mend`
    what to do about it, empty where there is nothing to do.
    """

    name: str
    ok: bool | None
    said: str
    mend: str = ""
