"""Whether a message may go out to a customer at this moment; asked again each time, right before it is sent.

Pure: plain facts in, one decision with one visible reason out. Nothing here knows flows, cases or the shop's file;
whoever asks translates. What is held back is never dropped silently: it is deferred to a moment, held until something
frees it, or dropped with its reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Literal, Protocol, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MessageKind: TypeAlias = Literal["question", "reminder", "notice", "answer", "staff_reply", "edit", "system"]
"""``question``, ``reminder`` and ``notice`` are of the bot's own accord; ``answer`` and ``system`` reply to what the
customer just did (words, commands); ``staff_reply`` is a person's; ``edit`` changes what stands in the chat already."""

_OF_OWN_ACCORD = frozenset({"question", "reminder", "notice"})
_NOT_LINKED = "the customer has not linked their chat"


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to know about a message.

    `purpose` is what the customer must have agreed to (None: nothing in particular). `question_open` is whether the
    question, or for a reminder the one it reminds of, is still the one to ask: sent where it should be, and unanswered.
    """

    kind: MessageKind
    purpose: str | None = None
    expires_at: datetime | None = None
    question_open: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand with the customer and the sale.

    `case_open`: a case of theirs waits for staff (open, claimed or to be called; not: remedied). `last_question_at` is
    of any sale of theirs, `last_exchange_at` the last word of either side in a talk. `zone` is their IANA time zone;
    one that does not exist counts as UTC.
    """

    linked: bool = True
    stopped: bool = False
    unreachable: bool = False
    consents: Mapping[str, bool] = field(default_factory=dict)
    case_open: bool = False
    paused: bool = False
    sale_cancelled: bool = False
    last_question_at: datetime | None = None
    last_exchange_at: datetime | None = None
    zone: str = "UTC"


class Policy(Protocol):
    """When the shop leaves its customers in peace."""

    @property
    def quiet_from(self) -> time:
        """When the quiet hours begin, on the customer's clock."""

    @property
    def quiet_to(self) -> time:
        """When they end; equal to their beginning: there are none."""

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


def next_allowed(at: datetime, policy: Policy, zone: str) -> datetime:
    """Give `at` itself outside the quiet hours of `zone`, or else the moment when they end."""
    clock = _clock(zone)
    if not _is_quiet(at, policy, clock):
        return at
    today = at.astimezone(clock).date()
    # A clock change repeats or skips wall times: both readings are tried, and the first that is not quiet counts.
    ends = (
        datetime.combine(today + timedelta(days=days), policy.quiet_to.replace(fold=fold), clock).astimezone(UTC)
        for days in range(-1, 5)
        for fold in (0, 1)
    )
    return min(end for end in ends if end > at and not _is_quiet(end, policy, clock))


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
        return "paused by the shop"
    if facts.purpose is not None and not standing.consents.get(facts.purpose, False):
        refused = facts.purpose in standing.consents
        return f"the customer {'declined' if refused else 'has not agreed to'} messages about {facts.purpose}"
    if standing.case_open:
        return "a case of this customer is open"
    return None


def _in_peace(facts: Facts, standing: Standing, policy: Policy, now: datetime) -> Decision:
    """Let the message wait for the end of the quiet hours and of every gap; the reason is what lasts longest."""
    waits = [(now, "")]
    if facts.kind == "question" and standing.last_question_at is not None:
        waits.append((standing.last_question_at + policy.ask_every, "the last question was only just asked"))
    if facts.kind != "notice" and standing.last_exchange_at is not None:
        waits.append((standing.last_exchange_at + policy.pause_after_talk, "the last talk was only just now"))
    free_at, reason = max(waits)
    until = next_allowed(free_at, policy, standing.zone)
    if until <= now:
        return Send()
    return Defer(until.astimezone(UTC), reason if until == free_at else "quiet hours of the customer")


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
