"""What one attempt to send came to. No rule about what follows from it."""

from dataclasses import dataclass
from datetime import timedelta

from bot.errors import DeliveryDelayed
from bot.ports.records import Outgoing

AT_MOST_ONCE = frozenset({"question", "reminder", "notice", "answer"})
"""What the bot itself says to a customer. Telegram has no idempotency key, so an unknown outcome is never repeated."""

PUT_OFF = "others are before it in the even pace of its channel"
"""Why a message stays in the outbox that would only wait for its turn; by this it is known when its time has come."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt to send: exactly one of `external` (sent) and `error` is set."""

    message: Outgoing
    external: str | None = None
    error: Exception | None = None


class NotYet(DeliveryDelayed):
    """It was claimed, and nothing was tried: it goes back to the outbox."""

    def __init__(self, message: str, *, wait: timedelta = timedelta()) -> None:
        """Say why, and how long it had better wait."""
        super().__init__(message, retry_after=wait)
