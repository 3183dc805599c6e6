"""Many new cases in one channel at once: their cards come at a pace, the oldest due first, after one summary of all.

Slack takes one message a second in a channel; five hundred cards in eight minutes are nothing that anybody reads. So no
more than ``cases.cards_per_minute`` new cards come into one channel in a minute. One message says how many wait, and
lists them; it is brought up to date in its place, and says at last that all are there. What becomes of cards that stand
there already, and what is said in threads, is not held up by it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from bot.cards import SHAPES, light_of
from bot.desk.shop import FALLBACK
from bot.desk.states import Case
from bot.desk.working_time import said_at
from bot.messages import URGENT, House, short_of
from bot.ports.records import Candidate, Outgoing
from bot.ports.store import UnitOfWork

CROWDED = "many new cases came at once: their cards follow at a pace, the oldest due first"
"""Why a card waits that would have been one of too many."""

MINUTE = timedelta(minutes=1)
LISTED = 30
"""How many of the waiting cases the summary names; more than that nobody reads, and Slack has its limits."""

_TAKEN = "cards:"


@dataclass
class _Channel:
    """One channel in the minute that has just passed: whose new cards were sent when, and which are still to come.

    A card that Slack refused for a moment comes once more, and has its place already.
    """

    posted: dict[str, datetime]
    told_at: datetime | None
    waiting: list[Case]
    ranks: dict[str, int] = field(default_factory=dict)
    held: int = 0


class NewCards:
    """Gives new cards of one claim their turns, within its transaction."""

    def __init__(self, uow: UnitOfWork, house: House, now: datetime) -> None:
        """Look at channels as they come up."""
        self._uow, self._house, self._now = uow, house, now
        self._channels: dict[str, _Channel] = {}

    def in_order(self, due: Sequence[Candidate]) -> list[Candidate]:
        """Give candidates in their order, but new cards among them by when the answer is due."""
        places = [place for place, each in enumerate(due) if _may_be_new(each.message)]
        if len(places) < 2:  # noqa: PLR2004 - one has no order
            return list(due)
        ordered = list(due)
        by_due = sorted((due[place] for place in places), key=self._due_of)
        for place, candidate in zip(places, by_due, strict=True):
            ordered[place] = candidate
        return ordered

    def _due_of(self, candidate: Candidate) -> tuple[datetime, int]:
        case = self._uow.case(candidate.message.case_id or "")
        return (case.due_at if case else self._now), candidate.message.id or 0

    def wait(self, message: Outgoing) -> timedelta:
        """Give for how long a card had better wait; none for whatever is no new card."""
        if not self._is_new(message):
            return timedelta()
        channel = self._channel(message)
        if message.case_id in channel.posted:
            return timedelta()
        limit = self._house.shop.cards_per_minute
        free = limit - len(channel.posted)
        rank = channel.ranks.get(message.case_id or "", 0)
        if rank < free:
            return timedelta()
        channel.held += 1
        # Those that may go now take what is free of this minute; each turn comes round a minute after its last.
        turns = sorted(channel.posted.values()) + [self._now] * free
        round_of, place = divmod(rank - max(free, 0), len(turns))
        return turns[place] + MINUTE * (round_of + 1) - self._now

    def taken(self, message: Outgoing) -> None:
        """Say that a card is on its way."""
        if self._is_new(message):
            channel = self._channel(message)
            channel.posted[message.case_id or ""] = self._now
            # Who is before the others is before them no more.
            rank = channel.ranks.pop(message.case_id or "", None)
            channel.waiting = [each for each in channel.waiting if each.id != message.case_id]
            for case_id, other in channel.ranks.items():
                if rank is not None and other > rank:
                    channel.ranks[case_id] = other - 1

    def finish(self) -> None:
        """Note down what was sent, and say or bring up to date how many wait."""
        for name, channel in self._channels.items():
            crowded = channel.held > 0
            ended = channel.told_at is not None and not channel.waiting
            is_time = channel.told_at is None or self._now - channel.told_at >= MINUTE
            if (crowded and is_time) or ended:
                self._tell(name)
                channel.told_at = None if ended else self._now
            self._uow.put_note(
                f"{_TAKEN}{name}",
                json.dumps(
                    {
                        "posted": {case_id: at.isoformat() for case_id, at in channel.posted.items()},
                        "told_at": channel.told_at.isoformat() if channel.told_at else None,
                    }
                ),
            )

    def _tell(self, name: str) -> None:
        self._uow.send(
            Outgoing(
                key=self._house.new_id(),
                channel="slack",
                lane=f"digest:{name}",
                kind="digest",
                body={"channel": name},
                not_before=self._now,
                created_at=self._now,
                priority=URGENT,
            )
        )

    def _is_new(self, message: Outgoing) -> bool:
        return _may_be_new(message) and message.body.get("ts") is None

    def _channel(self, message: Outgoing) -> _Channel:
        name = str(message.body["channel"])
        if name not in self._channels:
            kept = json.loads(self._uow.note(f"{_TAKEN}{name}") or "{}")
            times = {each: datetime.fromisoformat(at) for each, at in kept.get("posted", {}).items()}
            posted = {each: at for each, at in times.items() if self._now - at < MINUTE}
            told_at = kept.get("told_at")
            to_come = waiting_in(self._uow, self._house, name, self._now)
            waiting = [each for each in to_come if each.id not in posted]
            self._channels[name] = _Channel(
                posted=posted,
                told_at=datetime.fromisoformat(told_at) if told_at else None,
                waiting=waiting,
                ranks={each.id: place for place, each in enumerate(waiting)},
            )
        return self._channels[name]


def hold_up(uow: UnitOfWork, message: Outgoing, until: datetime) -> None:
    """Let a card come back when it has a turn."""
    uow.put_outgoing(replace(message, not_before=until, reason=CROWDED))


def waiting_in(uow: UnitOfWork, house: House, channel: str, now: datetime) -> list[Case]:
    """Give the cases whose first card is still to come into a channel, the oldest due first."""
    names = [name for name, team in house.shop.teams.items() if team.channel == channel]
    if house.shop.fallback_channel == channel:
        names.append(FALLBACK)
    return uow.cases_to_show(names, now)


def summary(uow: UnitOfWork, house: House, message: Outgoing, now: datetime) -> Outgoing:
    """Write the summary as it is at this moment, and where it stands if it does."""
    channel = str(message.body["channel"])
    waiting = waiting_in(uow, house, channel, now)
    body: dict[str, Any] = {**message.body, "text": _text(house, waiting, now)}
    if ts := uow.note(f"digest:{channel}"):
        body["ts"] = ts
    if not waiting:
        body["is_last"] = True
    return replace(message, body=body)


def summary_sent(uow: UnitOfWork, message: Outgoing) -> None:
    """Remember where the summary stands, until all cards are there: the next crowd gets one of its own."""
    ended = message.body.get("is_last")
    uow.put_note(f"digest:{message.body['channel']}", "" if ended else message.external or "")


def _text(house: House, waiting: Sequence[Case], now: datetime) -> str:
    if not waiting:
        return "☑️ Many new cases came at once. All their cards stand here now."
    many = "1 more waits" if len(waiting) == 1 else f"{len(waiting)} more wait"
    head = (
        f"📥 Many new cases came at once: {many}. Their cards follow here, {house.shop.cards_per_minute} a minute, "
        "the oldest due first. None is lost, and every clock runs."
    )
    lines = [_line(house, case, now) for case in waiting[:LISTED]]
    more = [f"… and {len(waiting) - LISTED} more"] if len(waiting) > LISTED else []
    return "\n".join([head, *lines, *more])


def _line(house: House, case: Case, now: datetime) -> str:
    light, _ = light_of(house, case, now)
    due = said_at(case.due_at, house.shop.team(case.team).calendar.zone, house.shop.staff_language)
    return f"{SHAPES[light]} {due} – order {case.sale_id}: “{short_of(case.said)}”"


def _may_be_new(message: Outgoing) -> bool:
    return message.kind == "card" and not {"moved_to", "anew"} & message.body.keys()
