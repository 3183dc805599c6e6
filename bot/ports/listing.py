"""Sales as a list shows them: one line each, and how many at a time. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, get_args

from bot.desk.states import CaseStatus

Only: TypeAlias = Literal["all", "silent", "unlinked", "case", "complete"]
"""Which sales: all; asked and not answered; of customers without a chat; with an open case; complete."""
ONLY: tuple[Only, ...] = get_args(Only)

Place: TypeAlias = tuple[datetime, str]
"""Where in the list: the time of a sale's latest event, and its id."""


@dataclass(frozen=True, slots=True)
class SaleLine:
    """One sale in a list; `case` is how its newest case stands."""

    id: str
    summary: str
    customer: str
    stage: str
    latest_at: datetime
    is_linked: bool
    asked_at: datetime | None
    answered_at: datetime | None
    confirmed_at: datetime | None
    factors: Mapping[str, float]
    case: CaseStatus | None

    @property
    def place(self) -> Place:
        """Where it stands: what comes after it is older."""
        return self.latest_at, self.id
