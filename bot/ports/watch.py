"""What an operator wants to count: told by whoever does it, shown by whoever is asked for figures."""

from typing import Literal, Protocol, TypeAlias

Attempt: TypeAlias = Literal["sent", "delayed", "unknown", "refused", "failed"]
"""What came of one attempt to send."""

Wait: TypeAlias = Literal["pace", "asked"]
"""Why a message waited for its turn: our own even pace, or a 429 of the other side."""


class Watch(Protocol):
    """Is told what happens, as it happens. Called from the event loop alone, often: it must be cheap, never raise."""

    def attempted(self, channel: str, kind: str, attempt: Attempt) -> None:
        """One attempt to send a message of `kind` to `channel` came out as `attempt`."""

    def waited(self, channel: str, why: Wait, seconds: float) -> None:
        """A message for `channel` waited for its turn."""

    def received(self, source: str, number: int) -> None:
        """That many rows of `source` were committed to the inbox, repeats not counted."""

    def handled(self, number: int, seconds: float) -> None:
        """That many rows of the inbox were handled in one transaction, which took so long."""


class Nobody(Watch):
    """Counts nothing: for commands, demo and tests."""

    def attempted(self, channel: str, kind: str, attempt: Attempt) -> None:
        """Do nothing."""

    def waited(self, channel: str, why: Wait, seconds: float) -> None:
        """Do nothing."""

    def received(self, source: str, number: int) -> None:
        """Do nothing."""

    def handled(self, number: int, seconds: float) -> None:
        """Do nothing."""
