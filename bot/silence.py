"""When silence is longer than normal: learnt from the shop's own weeks, hour by hour.

Pure: what was seen and `now` in, what was learnt and one decision out. A shop that sells three bottles a day is silent
every night, and one that sells three a second never is; so nobody sets a number of minutes. For each hour of the week
it is remembered how long the silence had grown at the most while that hour lasted; a present silence is longer than
normal once it is three times that. Where too little ever comes to tell, nothing is ever said.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

TIMES = 3
"""How many times the usual longest silence is longer than normal."""

AT_LEAST = timedelta(hours=1)
"""No silence shorter than this is worth a word, however busy the shop."""

WEEKS = 2
"""How many weeks an hour must have been seen before it tells anything."""

TOO_QUIET = timedelta(hours=24)
"""Where silence is usually longer than this, too little comes in to tell."""

QUIET_AT_NIGHT = timedelta(hours=2)
"""Where silence is usually longer than this, nothing is said in the shop's quiet hours: that is a shop that sleeps."""

FADES = 0.8
"""What is left of the longest silence of an hour when the same hour of the next week was busier."""

GAP = timedelta(minutes=10)
"""If nobody looked for longer than this, the program was off, and what was not heard meanwhile was no silence."""

_HOURS = 168


@dataclass(frozen=True, slots=True)
class Habit:
    """What is usual of one source: for each hour of the week the longest silence in seconds, and in how many weeks.

    `hour` is the hour that is being seen now, and `peak` how long the silence had grown in it so far, in seconds.
    """

    hour: int | None = None
    peak: float = 0.0
    longest: Mapping[int, tuple[float, int]] = field(default_factory=dict)

    def seeing(self, hour: int, silence: timedelta) -> "Habit":
        """Give what is known after a look within `hour` of the week; an hour that is over is learnt."""
        seconds = silence.total_seconds()
        if self.hour == hour:
            return replace(self, peak=max(self.peak, seconds))
        longest = dict(self.longest)
        if self.hour is not None:
            known, weeks = longest.get(self.hour, (0.0, 0))
            longest[self.hour] = (max(self.peak, known * FADES), weeks + 1)
        return Habit(hour, seconds, longest)

    def usual(self, hour: int) -> timedelta | None:
        """Give the longest silence usual at this hour of the week, the hours beside it included; None: unknown."""
        if self.longest.get(hour, (0.0, 0))[1] < WEEKS:
            return None
        near = (self.longest.get((hour + off) % _HOURS, (0.0, 0))[0] for off in (-1, 0, 1))
        return timedelta(seconds=max(near))


@dataclass(frozen=True, slots=True)
class Silence:
    """How long nothing has come from a source while it was listened for, and what is usual at this hour.

    `usual` is None where it is not known yet. `heard_at` is when something last came.
    """

    length: timedelta
    usual: timedelta | None = None
    is_night: bool = False
    heard_at: datetime | None = None

    @property
    def is_longer_than_normal(self) -> bool:
        """Whether somebody ought to look."""
        if self.usual is None or self.usual > TOO_QUIET or (self.is_night and self.usual > QUIET_AT_NIGHT):
            return False
        return self.length > max(AT_LEAST, TIMES * self.usual)


@dataclass(frozen=True, slots=True)
class Inbound:
    """What has been learnt of what comes in.

    `since` is since when it is looked without a gap, `looked_at` the last look, `newest` the last row of the inbox that
    was seen, `last` when each source was last heard.
    """

    since: datetime
    looked_at: datetime
    newest: int = 0
    last: Mapping[str, datetime] = field(default_factory=dict)
    habits: Mapping[str, Habit] = field(default_factory=dict)

    def hearing(
        self, now: datetime, newest: int, heard: Mapping[str, datetime], hour: int, *, alarmed: frozenset[str]
    ) -> "Inbound":
        """Give what is known after a look at `now`, in this hour of the shop's week.

        Args:
            now: the time of the look.
            newest: the last row of the inbox.
            heard: when each source was last heard, of the rows since the look before.
            hour: the hour of the week on the shop's clock, from 0.
            alarmed: sources whose silence is known to be wrong: nothing is learnt from that.
        """
        since = self.since if now - self.looked_at <= GAP else now
        last = {**self.last, **{name: max(at, self.last.get(name, at)) for name, at in heard.items()}}
        habits = dict(self.habits)
        for name, at in last.items():
            if name not in alarmed:
                habits[name] = habits.get(name, Habit()).seeing(hour, now - max(at, since))
        return Inbound(since, now, max(newest, self.newest), last, habits)

    def silences(self, now: datetime, hour: int, *, is_night: bool) -> dict[str, Silence]:
        """Give how long each source that was ever heard has been silent."""
        return {
            name: Silence(now - max(at, self.since), self.habits.get(name, Habit()).usual(hour), is_night, at)
            for name, at in self.last.items()
        }


def hour_of_week(local: datetime) -> int:
    """Give the hour of the week on a wall clock: Monday from midnight is 0, the last of Sunday 167."""
    return local.weekday() * 24 + local.hour


def write_inbound(inbound: Inbound) -> str:
    """Give it as text, to be kept."""
    return json.dumps(
        {
            "since": inbound.since.isoformat(),
            "looked_at": inbound.looked_at.isoformat(),
            "newest": inbound.newest,
            "last": {name: at.isoformat() for name, at in inbound.last.items()},
            "habits": {
                name: {
                    "hour": habit.hour,
                    "peak": round(habit.peak),
                    "longest": {str(hour): [round(length), weeks] for hour, (length, weeks) in habit.longest.items()},
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
            datetime.fromisoformat(kept["since"]),
            datetime.fromisoformat(kept["looked_at"]),
            kept["newest"],
            {name: datetime.fromisoformat(at) for name, at in kept["last"].items()},
            {
                name: Habit(
                    habit["hour"],
                    habit["peak"],
                    {int(hour): (length, weeks) for hour, (length, weeks) in habit["longest"].items()},
                )
                for name, habit in kept["habits"].items()
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Inbound(now, now)
