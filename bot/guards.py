"""Whether a message may go out to a customer at this moment; asked again each time, right before it is sent.

Pure: plain facts in, one decision with one visible reason out. Nothing here knows flows, cases or the shop's file;
whoever asks translates. What is held back is never dropped silently: it is deferred to a moment, held until something
frees it, or dropped with its reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MessageKind: TypeAlias = Literal["question", "reminder", "notice", "answer", "staff_reply", "edit", "system"]
"""``question``, ``reminder`` and ``notice`` are of the bot's own accord; ``answer`` and ``system`` reply to what the
customer just did (words, commands); ``staff_reply`` is a person's; ``edit`` changes what stands in the chat already."""

_OF_OWN_ACCORD = frozenset({"question", "reminder", "notice"})


@dataclass(frozen=True, slots=True)
class Message:
    """What there is to know about a message.

    `purpose` is what the customer must have agreed to. `question_open` is, for a reminder, whether its question was
    sent and is still unanswered. `prompted_at` is when the customer's own tap or words led to it: within
    `Policy.prompt_lasts` of that it continues a talk, and neither quiet hours, gaps nor an open case keep it back.
    """

    kind: MessageKind
    purpose: str = "service"
    expires_at: datetime | None = None
    question_open: bool = True
    prompted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand with the customer and the sale.

    `case_open`: a case of theirs waits for staff (open, claimed or to be called; not: remedied). `last_question_at` is
    of any sale of theirs, `last_exchange_at` the last word of either side in a talk. `zone` is their IANA time zone,
    None or unknown: the policy's.
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
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """When the shop leaves its customers in peace. Quiet hours are on the customer's clock; equal ends mean none."""

    quiet_from: time = time(21)
    quiet_to: time = time(8, 30)
    question_gap: timedelta = timedelta(hours=20)
    quiet_after_exchange: timedelta = timedelta(hours=2)
    prompt_lasts: timedelta = timedelta(minutes=15)
    zone: str = "UTC"


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


def check(message: Message, standing: Standing, policy: Policy, now: datetime) -> Decision:
    """Decide about one message at the moment of sending. What can never go out is said before what has to wait."""
    dropped = _never(message, standing, now)
    if dropped is not None:
        return Drop(dropped)
    if message.kind not in _OF_OWN_ACCORD:
        if message.kind == "staff_reply" and not standing.linked:
            return Hold("the customer has not linked their chat")
        return Send()
    held = _not_yet(message, standing, prompted=_is_prompted(message, policy, now))
    if held is not None:
        return Hold(held)
    return Send() if _is_prompted(message, policy, now) else _in_peace(message, standing, policy, now)


def next_allowed(at: datetime, policy: Policy, zone: str | None = None) -> datetime:
    """Give `at` itself outside the quiet hours of `zone`, or else the moment when they end."""
    clock = _clock(zone, policy)
    if not _is_quiet(at, policy, clock):
        return at
    today = at.astimezone(clock).date()
    # Both readings of a wall time that the clock change repeats or skips are tried; the first one that is not quiet counts.
    ends = (
        datetime.combine(today + timedelta(days=days), policy.quiet_to.replace(fold=fold), clock).astimezone(UTC)
        for days in range(-1, 5)
        for fold in (0, 1)
    )
    return min(end for end in ends if end > at and not _is_quiet(end, policy, clock))


def _never(message: Message, standing: Standing, now: datetime) -> str | None:
    """Say why the message can never go out."""
    own_accord = message.kind in _OF_OWN_ACCORD
    if message.expires_at is not None and now >= message.expires_at:
        return f"it expired on {message.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if standing.unreachable:
        return "the customer blocked the bot, or the chat is gone"
    if standing.stopped and (own_accord or message.kind == "staff_reply"):
        return "the customer said /stop"
    if standing.sale_cancelled and own_accord:
        return "the order was cancelled or returned"
    if message.kind == "reminder" and not message.question_open:
        return "the question it reminds of is answered, or was never sent"
    if message.kind == "reminder" and standing.case_open:
        return "a case is open; nobody is reminded meanwhile"
    return None


def _not_yet(message: Message, standing: Standing, *, prompted: bool) -> str | None:
    """Say what has to happen before the message may go out."""
    if not standing.linked:
        return "the customer has not linked their chat"
    if standing.paused:
        return "paused by the shop"
    if not standing.consents.get(message.purpose, False):
        refused = message.purpose in standing.consents
        return f"the customer {'declined' if refused else 'has not agreed to'} messages about {message.purpose}"
    if standing.case_open and not prompted:
        return "a case of this customer is open"
    return None


def _in_peace(message: Message, standing: Standing, policy: Policy, now: datetime) -> Decision:
    """Let the message wait for the end of the quiet hours and of every gap; the reason is the one that lasts
    longest.
    """
    waits = [(now, "")]
    if message.kind == "question" and standing.last_question_at is not None:
        waits.append((standing.last_question_at + policy.question_gap, "the last question was only just asked"))
    if message.kind != "notice" and standing.last_exchange_at is not None:
        waits.append((standing.last_exchange_at + policy.quiet_after_exchange, "the last talk was only just now"))
    free_at, reason = max(waits)
    until = next_allowed(free_at, policy, standing.zone)
    if until <= now:
        return Send()
    return Defer(until.astimezone(UTC), reason if until == free_at else "quiet hours of the customer")


def _is_prompted(message: Message, policy: Policy, now: datetime) -> bool:
    return message.prompted_at is not None and now - message.prompted_at <= policy.prompt_lasts


def _is_quiet(at: datetime, policy: Policy, clock: ZoneInfo) -> bool:
    wall = at.astimezone(clock).time()
    if policy.quiet_from <= policy.quiet_to:
        return policy.quiet_from <= wall < policy.quiet_to
    return wall >= policy.quiet_from or wall < policy.quiet_to


def _clock(zone: str | None, policy: Policy) -> ZoneInfo:
    """Open the customer's time zone; where there is no such zone, the shop's, or else UTC."""
    for name in (zone, policy.zone):
        try:
            if name:
                return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")
