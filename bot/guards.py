"""Whether a message may go out to a customer at this moment; asked again each time, right before it is sent.

Pure: plain facts in, one decision with one visible reason out. Nothing here knows flows, cases or the shop's file;
whoever asks translates. What is held back is never dropped silently: it is deferred to a moment, held until something
frees it, or dropped with its reason.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Literal, Protocol, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.public_days import QuietDay, public_holiday

MessageKind: TypeAlias = Literal["question", "reminder", "notice", "answer", "staff_reply", "edit", "system"]
"""``question``, ``reminder`` and ``notice`` are of the bot's own accord; ``answer`` and ``system`` reply to what the
customer just did (words, commands); ``staff_reply`` is a person's; ``edit`` changes what stands in the chat already."""

_OF_OWN_ACCORD = frozenset({"question", "reminder", "notice"})
_NOT_LINKED = "the customer has not linked their chat"
_SUNDAY = 6
_LOOK_AHEAD_DAYS = 40
"""How many days on end may be quiet: beyond that a calendar is no calendar, and the night alone counts."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to know about a message.

    `purpose` is what the customer must have agreed to (None: nothing in particular). `question_open` is whether the
    question, or for a reminder the one it reminds of, is still the one to ask: sent where it should be, and unanswered.
    `about_case`: it asks whether what was done about a case is right now, which staff wants to know, and so does the
    customer. `with_case`: it was said in the same breath as a case was opened.
    """

    kind: MessageKind
    purpose: str | None = None
    expires_at: datetime | None = None
    question_open: bool = True
    about_case: bool = False
    with_case: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand with the customer and the sale.

    `case_open`: a case of this sale waits for staff (open, claimed or to be called; not: remedied). `other_case`: a
    case of theirs, of any sale, is not settled yet. `other_question`: a question of another conversation with them is
    open. `paused`: why the shop holds everything back; empty: it does not. `last_question_at` is that of any other
    talk with them, `last_exchange_at` their own last word. `zone` is their IANA time zone; one that does not exist
    counts as UTC. `country` is the one whose holidays they keep.
    """

    linked: bool = True
    stopped: bool = False
    unreachable: bool = False
    consents: Mapping[str, bool] = field(default_factory=dict)
    case_open: bool = False
    other_case: bool = False
    other_question: bool = False
    paused: str = ""
    sale_cancelled: bool = False
    last_question_at: datetime | None = None
    last_exchange_at: datetime | None = None
    zone: str = "UTC"
    country: str | None = None


class Policy(Protocol):
    """When the shop leaves its customers in peace."""

    @property
    def quiet_from(self) -> time:
        """When the quiet hours begin, on the customer's clock."""

    @property
    def quiet_to(self) -> time:
        """When they end; equal to their beginning: there are none."""

    @property
    def quiet_days(self) -> Collection[QuietDay]:
        """Which whole days are quiet, on the customer's calendar."""

    @property
    def ask_every(self) -> timedelta:
        """How long after one question the next may be asked."""

    @property
    def pause_after_talk(self) -> timedelta:
        """How long after the last word of a talk the next question may be asked."""


@dataclass(frozen=True, slots=True)
class Send:
    """It may go out now."""


@dataclass(frozen=True, slots=True)
class Defer:
    """It may go out at `until` if nothing changes; ask again then."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """It waits until something happens: a link, a consent, the end of a case or pause."""

    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """It will never go out."""

    reason: str


WAITS_ITS_TURN = "waits its turn: another question to this customer is open"
"""The reason of whatever would be a second open question."""

Decision: TypeAlias = Send | Defer | Hold | Drop


def check(facts: Facts, standing: Standing, policy: Policy, now: datetime) -> Decision:
    """Decide about one message at the moment of sending. What can never go out is said before what has to wait."""
    dropped = _never(facts, standing, now)
    if dropped is not None:
        return Drop(dropped)
    if facts.kind not in _OF_OWN_ACCORD:
        if facts.kind == "staff_reply" and not standing.linked:
            return Hold(_NOT_LINKED)
        return Send()
    held = _not_yet(facts, standing)
    return Hold(held) if held is not None else _in_peace(facts, standing, policy, now)


def next_allowed(at: datetime, policy: Policy, zone: str, country: str | None = None) -> datetime:
    """Give `at` itself outside the quiet hours of `zone` and the quiet days there, or else the moment when they end."""
    clock = _clock(zone)
    if not _why_quiet(at, policy, clock, country):
        return at
    for end in _ends(at, policy, clock):
        if not _why_quiet(end, policy, clock, country):
            return end
    # Every day is quiet: nobody meant that, so the hours alone count.
    return next(end for end in (at, *_ends(at, policy, clock)) if not _is_quiet(end, policy, clock))


def _ends(at: datetime, policy: Policy, clock: ZoneInfo) -> Iterator[datetime]:
    """Give the moments after `at` at which a quiet time may end, in order: a night's, and the midnight of a day."""
    today = at.astimezone(clock).date()
    for days in range(-1, _LOOK_AHEAD_DAYS):
        # A clock change repeats or skips wall times: both readings are tried, and the first that is not quiet counts.
        walls = ((time(), 0), (time(), 1), (policy.quiet_to, 0), (policy.quiet_to, 1))
        day = today + timedelta(days=days)
        ends = {datetime.combine(day, wall.replace(fold=fold), clock).astimezone(UTC) for wall, fold in walls}
        yield from sorted(end for end in ends if end > at)


def _never(facts: Facts, standing: Standing, now: datetime) -> str | None:
    """Say why the message can never go out."""
    own_accord = facts.kind in _OF_OWN_ACCORD
    reminder = facts.kind == "reminder"
    if facts.expires_at is not None and now >= facts.expires_at:
        return f"it expired on {facts.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if standing.unreachable:
        return "the customer blocked the bot, or the chat is gone"
    # Commands still answer, /stop itself confirms; all else, a person's words included, stays away (rule 7).
    if standing.stopped and facts.kind not in {"system", "edit"}:
        return "the customer said /stop"
    if standing.sale_cancelled and own_accord:
        return "the order was cancelled or returned"
    if facts.kind in {"question", "reminder"} and not facts.question_open:
        return "the question it reminds of is answered, or was never sent" if reminder else "the conversation went on"
    if reminder and standing.case_open:
        return "a case is open; nobody is reminded meanwhile"
    return None


def _not_yet(facts: Facts, standing: Standing) -> str | None:
    """Say what has to happen before the message may go out."""
    if not standing.linked:
        return _NOT_LINKED
    if standing.paused:
        return standing.paused
    if facts.purpose is not None and not standing.consents.get(facts.purpose, False):
        refused = facts.purpose in standing.consents
        return f"the customer {'declined' if refused else 'has not agreed to'} messages about {facts.purpose}"
    if facts.with_case:
        return None
    is_question = facts.kind == "question"
    if standing.case_open or (is_question and standing.other_case and not facts.about_case):
        return "a case of this customer is open"
    if is_question and standing.other_question:
        return WAITS_ITS_TURN
    return None


def _in_peace(facts: Facts, standing: Standing, policy: Policy, now: datetime) -> Decision:
    """Let the message wait for the end of the quiet hours and of every gap; the reason is what lasts longest."""
    waits = [(now, "")]
    if not facts.about_case:
        if facts.kind == "question" and standing.last_question_at is not None:
            waits.append((standing.last_question_at + policy.ask_every, "the last question was only just asked"))
        if facts.kind != "notice" and standing.last_exchange_at is not None:
            waits.append((standing.last_exchange_at + policy.pause_after_talk, "the last talk was only just now"))
    free_at, reason = max(waits)
    until = next_allowed(free_at, policy, standing.zone, standing.country)
    if until <= now:
        return Send()
    if until > free_at:
        reason = _why_quiet(free_at, policy, _clock(standing.zone), standing.country)
    return Defer(until.astimezone(UTC), reason)


def _why_quiet(at: datetime, policy: Policy, clock: ZoneInfo, country: str | None) -> str:
    """Say why nothing of the bot's own accord goes out then; empty: it may."""
    day = at.astimezone(clock).date()
    if "holidays" in policy.quiet_days and country and (name := public_holiday(country, day)):
        return f"a public holiday of the customer: {name}"
    if "sundays" in policy.quiet_days and day.weekday() == _SUNDAY:
        return "a Sunday of the customer"
    return "quiet hours of the customer" if _is_quiet(at, policy, clock) else ""


def _is_quiet(at: datetime, policy: Policy, clock: ZoneInfo) -> bool:
    wall = at.astimezone(clock).time()
    if policy.quiet_from <= policy.quiet_to:
        return policy.quiet_from <= wall < policy.quiet_to
    return wall >= policy.quiet_from or wall < policy.quiet_to


def _clock(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
