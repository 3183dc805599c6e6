"""When questions begin whose time went by while nobody could ask them: one after the other, not all at once. Pure.

The program was away, or the shop tells of a month in one go: what should have begun long ago is given turns, at a rate
that the shop can answer, in nobody's quiet hours, no customer twice in a day, the most pressing first.
"""

import heapq
import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from bot.guards import Policy, next_allowed

LATE = timedelta(hours=1)
"""From when on what is overdue waits for its turn; what is less late begins at once, as ever."""

APART = timedelta(days=1)
"""How far apart two turns of one customer are, at least."""

AT_ONCE = timedelta(minutes=15)
"""How much earlier than its share of the hour a turn may be: a handful that is late needs no plan, and goes at once."""

TAKEN = "catch_up.taken"
"""Under which note stands when turns are given away already."""

_Rank: TypeAlias = tuple[bool, datetime, datetime]


@dataclass(frozen=True, slots=True)
class Late:
    """A question that should have begun before. `is_reask`: it asks whether what was done about a case is right now.

    `customer_id` is whose it is, `zone` and `country` are theirs, `asked_at` when they were asked something last; after
    `expires_at` it is no longer asked.
    """

    id: int
    customer_id: str
    due_at: datetime
    expires_at: datetime
    is_reask: bool = False
    zone: str = "UTC"
    country: str | None = None
    asked_at: datetime | None = None


Span: TypeAlias = tuple[datetime, datetime]
"""A time from, and up to, a moment."""


@dataclass(frozen=True, slots=True)
class Turn:
    """When a late question begins, and from when on it takes its share of an hour (up to `AT_ONCE` later)."""

    late: Late
    at: datetime
    share_at: datetime


def turns(late: Iterable[Late], *, now: datetime, taken: Sequence[Span], per_hour: int, policy: Policy) -> list[Turn]:
    """Give each a turn, in the order of the turns.

    The first of many, as many as `AT_ONCE` has turns, begin at once; the others one after the other.

    First what follows a remedy, then what is nearest to its own end, then the oldest; of one customer's questions the
    oldest, as it would have been in time. Who cannot be asked at a turn (quiet hours, asked within a day) lets the next
    one have it.

    Args:
        late: what waits.
        now: no turn is earlier than that.
        taken: when turns are given away already, in order (`taken_with` tells).
        per_hour: how many turns an hour has.
        policy: the shop's quiet hours.
    """
    length = timedelta(hours=1) / per_hour
    earliest = share_at = now
    many = list(late)
    ranks = _ranks(many)
    ready = [(rank, place, many[place]) for place, rank in enumerate(ranks)]
    heapq.heapify(ready)
    later: list[tuple[datetime, int, Late]] = []
    apart = max(APART, policy.ask_every)
    asked = {each.customer_id: each.asked_at + apart for each in many if each.asked_at is not None}
    given: list[Turn] = []
    while ready or later:
        share_at = _free(share_at, length, taken)
        at = max(earliest, share_at - AT_ONCE)
        while later and later[0][0] <= at:
            _, place, each = heapq.heappop(later)
            heapq.heappush(ready, (ranks[place], place, each))
        if not ready:
            earliest = later[0][0]
            share_at = max(share_at, earliest)
            continue
        _, place, each = heapq.heappop(ready)
        allowed = max(next_allowed(at, policy, each.zone, each.country), asked.get(each.customer_id, at))
        if allowed > at:
            heapq.heappush(later, (allowed, place, each))
            continue
        given.append(Turn(each, at, share_at))
        asked[each.customer_id] = at + apart
        share_at += length
    return given


def _free(at: datetime, length: timedelta, taken: Sequence[Span]) -> datetime:
    """Give the first moment from `at` on at which a whole turn is free."""
    first = max(0, bisect_right(taken, at, key=lambda span: span[0]) - 1)
    for since, until in taken[first:]:
        if at + length <= since:
            break
        at = max(at, until)
    return at


def taken_with(taken: Sequence[Span], given: Iterable[Turn], *, now: datetime, per_hour: int) -> list[Span]:
    """Give when turns are given away, with those in `given`; what is past is forgotten, what touches is one span."""
    length = timedelta(hours=1) / per_hour
    spans: list[Span] = []
    for since, until in sorted([*taken, *((turn.share_at, turn.share_at + length) for turn in given)]):
        if until <= now:
            continue
        if spans and since <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(until, spans[-1][1]))
        else:
            spans.append((since, until))
    return spans


def spans_in(text: str | None) -> list[Span]:
    """Read what `text_of` wrote; nothing: none."""
    found = json.loads(text or "[]")
    return [(datetime.fromisoformat(since), datetime.fromisoformat(until)) for since, until in found]


def text_of(spans: Iterable[Span]) -> str:
    """Write spans of time as text, to be kept."""
    return json.dumps([[since.isoformat(), until.isoformat()] for since, until in spans])


def _ranks(many: Sequence[Late]) -> list[_Rank]:
    """Give the rank of each; a customer's oldest question gets the best of their ranks, the next one the next."""
    whose: dict[str, list[int]] = defaultdict(list)
    for place, each in enumerate(many):
        whose[each.customer_id].append(place)
    own = [_rank(each) for each in many]
    given = list(own)
    for places in whose.values():
        by_age = sorted(places, key=lambda place: (not many[place].is_reask, many[place].due_at, own[place]))
        for place, rank in zip(by_age, sorted(own[place] for place in places), strict=True):
            given[place] = rank
    return given


def _rank(late: Late) -> _Rank:
    return not late.is_reask, late.expires_at, late.due_at


def away(due_at: datetime, now: datetime) -> str:
    """Say how late something is: ``3 hours``, ``30 days``."""
    hours = int((now.astimezone(UTC) - due_at.astimezone(UTC)) / timedelta(hours=1))
    number, unit = (hours // 24, "day") if hours >= 48 else (hours, "hour")  # noqa: PLR2004 - up to two days in hours
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
