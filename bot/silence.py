"""When silence is longer than normal: learnt from the shop's own weeks, hour by hour.

Pure: what was seen and `now` in, what was learnt and one decision out. A shop that sells three bottles a day is silent
every night, and one that sells three a minute never is; so nobody sets a number of minutes. For each hour of the week
it is learnt in how many of its quarters something usually comes. While nothing comes, what would usually have come adds
up: a night adds nothing, a busy hour four. When that makes `EXPECTED`, the silence is longer than normal. Were arrivals
independent of each other, chance alone would do so once in 22,000 silences (e to the tenth); a batch of thousands
counts as one quarter, so that it promises no more than that. On a holiday it may err.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

EXPECTED = 10.0
"""How many quarters of an hour in which something usually comes must have passed in silence."""

AT_LEAST = timedelta(hours=1)
"""No silence shorter than this is worth a word, however busy the shop."""

WEEKS = 2
"""In how many weeks an hour must have been seen before anything is expected in it."""

MEMORY = 8
"""How many weeks are remembered: the newest counts one part in so many."""

GAP = timedelta(minutes=10)
"""If nobody looked for longer than this, the program was off, and what was not heard meanwhile was no silence."""

_HOUR = timedelta(hours=1)
_QUARTER_MINUTES = 15


@dataclass(frozen=True, slots=True)
class Habit:
    """What is usual of one source: for each hour of the week, in how many quarters something comes; in how many weeks.

    `hour` is the hour that is being seen now, `heard` the quarters of it in which something came. `missed` is what
    would usually have come since something last did.
    """

    hour: int | None = None
    heard: frozenset[int] = frozenset()
    missed: float = 0.0
    usual: Mapping[int, tuple[float, int]] = field(default_factory=dict)

    def expected(self, hour: int) -> float:
        """Give in how many quarters of this hour of the week something usually comes; 0 where that is not known yet."""
        rate, weeks = self.usual.get(hour, (0.0, 0))
        return rate if weeks >= WEEKS else 0.0

    def hearing(self, local: datetime, elapsed: timedelta, *, is_news: bool) -> "Habit":
        """Give what is known after a look at this time of the shop's clock, `elapsed` after the look before."""
        hour = hour_of_week(local)
        habit = self if hour == self.hour else replace(self._learnt(), hour=hour, heard=frozenset())
        if is_news:
            return replace(habit, heard=habit.heard | {local.minute // _QUARTER_MINUTES}, missed=0.0)
        return replace(habit, missed=habit.missed + habit.expected(hour) * (elapsed / _HOUR))

    def forgetting(self) -> "Habit":
        """Give what is known when the present hour is not to be learnt: it was not seen whole, or was wrong."""
        return replace(self, hour=None, heard=frozenset())

    def _learnt(self) -> "Habit":
        """Give what is known once the hour that was being seen is over."""
        if self.hour is None:
            return self
        rate, weeks = self.usual.get(self.hour, (0.0, 0))
        # The first weeks count less than they might, so that a newcomer is not expected to go on as it began.
        part = 1 / min(weeks + 2, MEMORY)
        learnt = (rate + (len(self.heard) - rate) * part, weeks + 1)
        return replace(self, usual={**self.usual, self.hour: learnt})


@dataclass(frozen=True, slots=True)
class Silence:
    """How long nothing has come from a source, since when, and what would usually have come meanwhile."""

    length: timedelta
    missed: float = 0.0
    heard_at: datetime | None = None

    @property
    def is_longer_than_normal(self) -> bool:
        """Whether somebody ought to look."""
        return self.missed >= EXPECTED and self.length >= AT_LEAST


@dataclass(frozen=True, slots=True)
class Inbound:
    """What has been learnt of what comes in.

    `looked_at` is the last look, `newest` the last row of the inbox that was seen, `last` when each source was last
    heard.
    """

    looked_at: datetime
    newest: int = 0
    last: Mapping[str, datetime] = field(default_factory=dict)
    habits: Mapping[str, Habit] = field(default_factory=dict)

    def hearing(
        self, local: datetime, newest: int, heard: Mapping[str, datetime], *, alarmed: frozenset[str] = frozenset()
    ) -> "Inbound":
        """Give what is known after a look.

        Args:
            local: the time of the look, on the shop's clock.
            newest: the last row of the inbox.
            heard: when each source was last heard, of the rows since the look before.
            alarmed: sources whose silence is known to be wrong: nothing is learnt from that.
        """
        elapsed = max(local.astimezone(UTC) - self.looked_at, timedelta())
        was_off = elapsed > GAP
        last = {**self.last, **{name: max(at, self.last.get(name, at)) for name, at in heard.items()}}
        habits = {}
        for name in last:
            habit = self.habits.get(name, Habit())
            if was_off or name in alarmed:
                habit = habit.forgetting()
            habits[name] = habit.hearing(local, timedelta() if was_off else elapsed, is_news=name in heard)
        return Inbound(local.astimezone(UTC), max(newest, self.newest), last, habits)

    def silences(self) -> dict[str, Silence]:
        """Give how long each source that was ever heard has been silent."""
        return {
            name: Silence(self.looked_at - at, self.habits.get(name, Habit()).missed, at)
            for name, at in self.last.items()
        }


def hour_of_week(local: datetime) -> int:
    """Give the hour of the week on a wall clock: Monday from midnight is 0, the last of Sunday 167."""
    return local.weekday() * 24 + local.hour


def write_inbound(inbound: Inbound) -> str:
    """Give it as text, to be kept."""
    return json.dumps(
        {
            "looked_at": inbound.looked_at.isoformat(),
            "newest": inbound.newest,
            "last": {name: at.isoformat() for name, at in inbound.last.items()},
            "habits": {
                name: {
                    "hour": habit.hour,
                    "heard": sorted(habit.heard),
                    "missed": round(habit.missed, 3),
                    "usual": {str(hour): [round(rate, 2), weeks] for hour, (rate, weeks) in habit.usual.items()},
                }
                for name, habit in inbound.habits.items()
            },
        }
    )


def read_inbound(text: str | None, now: datetime) -> Inbound:
    """Read what was kept; nothing, or what no version of this program writes: nothing is known yet."""
    try:
        kept: dict[str, Any] = json.loads(text or "")
        return Inbound(
            datetime.fromisoformat(kept["looked_at"]),
            kept["newest"],
            {name: datetime.fromisoformat(at) for name, at in kept["last"].items()},
            {
                name: Habit(
                    habit["hour"],
                    frozenset(habit["heard"]),
                    habit["missed"],
                    {int(hour): (rate, weeks) for hour, (rate, weeks) in habit["usual"].items()},
                )
                for name, habit in kept["habits"].items()
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Inbound(now)
