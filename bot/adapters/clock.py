"""The only reader of the wall clock and maker of ids, and a clock that can be moved."""

import secrets
from datetime import UTC, datetime, timedelta

_ALPHABET = b"0123456789abcdefghijklmnopqrstuvwxyz"
_LETTERS = bytes(_ALPHABET[each % len(_ALPHABET)] for each in range(256))
"""Which letter stands for a random byte. Four come a little more often, which matters for secrets alone."""


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """Give the time, aware, in UTC."""
        return datetime.now(UTC)

    def new_id(self) -> str:
        """Give 16 random characters of ``0-9a-z`` (82 bits). Unique, but no secret."""
        return secrets.token_bytes(16).translate(_LETTERS).decode()

    def new_token(self) -> str:
        """Give 32 random characters that a Telegram deep link may carry."""
        return secrets.token_urlsafe(24)


class MovableClock(SystemClock):
    """A clock that stands still until somebody moves it: for the sandbox, previews and tests."""

    def __init__(self, start: datetime) -> None:
        """Stand at `start` (aware)."""
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Give the time that it was moved to."""
        return self._now

    def move_to(self, at: datetime) -> None:
        """Go to `at`; going back is refused, as time does."""
        self._now = max(self._now, at.astimezone(UTC))

    def advance(self, by: timedelta) -> None:
        """Go on by `by`."""
        self.move_to(self._now + by)
