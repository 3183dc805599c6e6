"""The doors to people: Telegram and Slack, the clock and the source of flows.

A body as the use cases write it, and the adapters read it:

- ``telegram``: ``{"chat_id": 1, "text": "…", "buttons": [[{"label": "👍 Yes", "data": "a:…"}]]}``; a button has
  ``data`` or a ``url``; ``"photo"`` is an address or a file that Telegram has, and the text its caption where it fits;
  an edit adds ``"message_id"`` (text None: only the keyboard goes), and ``"captioned"`` where it edits a caption.
- ``slack`` card: ``{"channel": "C1", "ts": None | "…", "card": {...Card as JSON}}``; thread: ``{"channel",
  "thread_ts", "text"}``;
  whisper: ``{"channel", "user", "text", "thread_ts"}``; alarm: ``{"channel", "text"}``. `text` is plain: the adapter
  escapes it; a mention is
  ``{user:U1}``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

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


@dataclass(frozen=True, slots=True)
class Card:
    """What a case card shows, in plain words (nothing is escaped yet). Times are already written for the team."""

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
