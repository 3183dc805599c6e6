"""The taxonomy of errors: whose fault it is, and who can act.

Nothing else lives here. Every class inherits from `FollowUpError`, which is never raised itself. A docstring's first
line is the default message; what a handler needs to act stands in fields, never only in the text.
"""

from datetime import timedelta


class FollowUpError(Exception):
    """Something in aftersale went wrong."""

    http_status = 500
    exit_code = 1

    def __init__(self, message: str = "") -> None:
        """Keep `message`, or the class's own first docstring line where none is given."""
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class ConfigurationError(FollowUpError):
    """A setting is missing or wrong; the operator must mend it before the program starts."""

    exit_code = 2

    def __init__(self, variable: str, problem: str, mend: str = "") -> None:
        """Name the `variable` (or file), the `problem`, and what to do about it."""
        super().__init__(f"{variable}: {problem}" + (f" → {mend}" if mend else ""))
        self.variable = variable


class InputRefused(FollowUpError):
    """What came in is not acceptable; the sender must mend it. Nothing of it was stored."""

    http_status = 422

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        """Carry every problem at once, as pairs of (field, reason)."""
        super().__init__("; ".join(f"{field}: {reason}" for field, reason in problems))
        self.problems = problems


class SignatureRefused(FollowUpError):
    """The signature does not fit; nobody but a shop that knows the secret may send events."""

    http_status = 401


class FlowError(FollowUpError):
    """A flow (or shop.yaml) is not valid; the admin must mend the file. The last good version stays in use."""

    http_status = 422

    def __init__(self, reason: str, *, file: str, line: int = 1, column: int = 1, hint: str = "") -> None:
        """Say what is wrong, where (`line` and `column` count from 1), and what to do."""
        place = f"{file}:{line}:{column}"
        super().__init__(f"{place}: {reason}" + (f" → {hint}" if hint else ""))
        self.file, self.line, self.column = file, line, column
        self.reason, self.hint = reason, hint


class DeliveryDelayed(FollowUpError):
    """The message was surely not taken; it may be sent again later."""

    http_status = 503

    def __init__(self, message: str = "", *, retry_after: timedelta | None = None, everyone: bool = False) -> None:
        """Carry how long to wait; `everyone` is true where the limit binds the whole bot."""
        super().__init__(message)
        self.retry_after, self.everyone = retry_after, everyone


class DeliveryUnknown(FollowUpError):
    """Nobody can say whether the message arrived (time-out, connection lost after sending)."""

    http_status = 503


class DeliveryRefused(FollowUpError):
    """The message will never be taken as it is; do not repeat it.

    `reason` is one of: ``blocked`` (the customer blocked the bot), ``chat_gone``, ``channel_gone`` (archived, deleted
    or the bot was thrown out), ``gone`` (the thing to edit is no more), ``unchanged`` (an edit that changes nothing: a
    success), ``invalid``.
    """

    http_status = 422

    def __init__(self, reason: str, message: str = "") -> None:
        """Carry the `reason` and the vendor's own words."""
        super().__init__(message or reason)
        self.reason = reason


class NotFound(FollowUpError):
    """There is no such thing."""

    http_status = 404


class Forbidden(FollowUpError):
    """You may not do this."""

    http_status = 403


class Conflict(FollowUpError):
    """Somebody else was quicker; look again and decide anew."""

    http_status = 409
