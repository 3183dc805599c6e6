"""How things stand with the queues at one moment: what an operator's pages and alarms are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

CaseAge: TypeAlias = Literal["under_1d", "1d_to_3d", "3d_to_7d", "over_7d"]
CASE_AGES: Mapping[CaseAge, timedelta] = {
    "under_1d": timedelta(),
    "1d_to_3d": timedelta(days=1),
    "3d_to_7d": timedelta(days=3),
    "over_7d": timedelta(days=7),
}
"""From when on a case counts as that old."""


@dataclass(frozen=True, slots=True)
class TeamCases:
    """The open cases of one team: how many of each age, and how many still wait for a first answer that is overdue."""

    by_age: Mapping[CaseAge, int]
    overdue: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stood `at` one moment. No number goes beyond `counted_up_to`: that one means so many *or more*.

    `new_inbox`, `inbox_oldest`: what waits to be handled by source, and when the oldest of it came in. `due`, `later`:
    messages that wait, by channel: may go now, or not yet; `due_oldest`: since when the first of them might have gone.
    `moment_oldest`: when the oldest moment that has not been acted on was due.
    """

    at: datetime
    counted_up_to: int
    new_inbox: Mapping[str, int] = field(default_factory=dict)
    inbox_oldest: Mapping[str, datetime] = field(default_factory=dict)
    failed_inbox: int = 0
    due: Mapping[str, int] = field(default_factory=dict)
    later: Mapping[str, int] = field(default_factory=dict)
    due_oldest: Mapping[str, datetime] = field(default_factory=dict)
    sending: int = 0
    unknown: int = 0
    failed: int = 0
    held: int = 0
    moment_oldest: datetime | None = None
    cases: Mapping[str, TeamCases] = field(default_factory=dict)
    sales: int = 0
    pauses: int = 0

    def inbox_lag(self, source: str) -> timedelta:
        """Give how long the oldest thing from a source has waited to be handled; nothing waits: no time."""
        return self._since(self.inbox_oldest.get(source))

    def outbox_lag(self, channel: str) -> timedelta:
        """Give for how long the first message of a channel might have gone; none is due: no time."""
        return self._since(self.due_oldest.get(channel))

    @property
    def moment_lag(self) -> timedelta:
        """For how long the oldest moment has been due."""
        return self._since(self.moment_oldest)

    def _since(self, oldest: datetime | None) -> timedelta:
        return max(self.at - oldest, timedelta()) if oldest else timedelta()
