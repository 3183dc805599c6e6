"""What is known when something happens to a conversation: plain values, handed to the engine by whoever holds them.

What lives here: the facts, and how they look to a flow's conditions. What must not: where they come from (a database,
a test, an author at play), and any decision.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from bot.flows.expressions import holds
from bot.flows.model import Match, Variant

Known: TypeAlias = Mapping[str, Any]

NOTHING: Known = MappingProxyType({})

ANSWERED = "customer.answered"
"""The event that the customer answered: they tapped a choice."""

SINCE: Mapping[str, str] = MappingProxyType(
    {
        "placed": "order.placed",
        "shipped": "order.shipped",
        "delayed": "order.delayed",
        "delivered": "order.delivered",
        "first_used": "product.first_used",
        "answered": ANSWERED,
        "remedy": "remedy.done",
    }
)
"""The events that times count from: the name in a condition (``days_since.delivered``), and the event."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

CHANGE_ANSWER = timedelta(minutes=10)
"""How long an answer can be changed where neither flow nor shop say anything."""


@dataclass(frozen=True, slots=True)
class PromiseFact:
    """A promise of the sale, and whether the customer said that it was kept."""

    id: str
    text: str = ""
    touchpoint: str | None = None
    due_at: datetime | None = None
    state: Literal["open", "kept", "broken"] = "open"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a conversation can know of the world.

    `sale` has id, summary, stage, total, currency and extra; `customer` id, name, first_name, language and country;
    `verdicts` what the customer chose before, by flow and step; `factors` the sale's latest; `happened` the first time
    of each event, the last of answers and remedies; `case` open, status and team. `links` are the shop's, by what is
    offered. `change_answer` is how long an answer can be changed; `thanks` the shop's words of thanks.
    """

    sale: Known = field(default_factory=lambda: NOTHING)
    customer: Known = field(default_factory=lambda: NOTHING)
    items: tuple[Known, ...] = ()
    promises: tuple[PromiseFact, ...] = ()
    verdicts: Mapping[str, Mapping[str, str | None]] = field(default_factory=lambda: NOTHING)
    factors: Mapping[str, float] = field(default_factory=lambda: NOTHING)
    happened: Mapping[str, datetime] = field(default_factory=lambda: NOTHING)
    case: Known = field(default_factory=lambda: NOTHING)
    links: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    zone: str = "UTC"
    change_answer: timedelta = CHANGE_ANSWER
    thanks: tuple[str, ...] = ()


NO_FACTS = Facts()


def tags_of(facts: Facts) -> list[str]:
    """Return the tags of all that was bought, each once."""
    return list(dict.fromkeys(str(tag) for item in facts.items for tag in item.get("tags") or ()))


def skus_of(facts: Facts) -> list[str]:
    """Return the article numbers of all that was bought."""
    return list(dict.fromkeys(str(item.get("sku")) for item in facts.items if item.get("sku")))


def due_promises(facts: Facts, now: datetime) -> list[PromiseFact]:
    """Return the promises that can be judged: open, and past their time where they have one."""
    return [each for each in facts.promises if each.state == "open" and (each.due_at is None or each.due_at <= now)]


def local_time(zone: str, now: datetime) -> datetime:
    """Return `now` on the customer's own clock; UTC where their zone is unknown."""
    try:
        return now.astimezone(ZoneInfo(zone))
    except (LookupError, ValueError, OSError):
        return now.astimezone(UTC)


def values_of(facts: Facts, now: datetime, own: Known = NOTHING) -> dict[str, Any]:
    """Return what stands behind the names of `bot.flows.expressions.NAMES`.

    `own` is what the conversation itself knows: answers, notes, the promise in question.
    """
    local = local_time(facts.zone, now)
    states = [each.state for each in facts.promises]
    days = {name: _days(now - facts.happened[event]) for name, event in SINCE.items() if event in facts.happened}
    return {
        "customer": facts.customer,
        "sale": facts.sale,
        "items": [dict(item) for item in facts.items],
        "tags": tags_of(facts),
        "skus": skus_of(facts),
        "promised": {
            "count": len(states),
            "open": states.count("open"),
            "due": len(due_promises(facts, now)),
            "kept": states.count("kept"),
            "broken": states.count("broken"),
        },
        "verdicts": facts.verdicts,
        "factors": facts.factors,
        "case": {"open": False, **facts.case},
        "happened": list(facts.happened),
        "days_since": days,
        "local": {"weekday": WEEKDAYS[local.weekday()], "hour": local.hour, "date": f"{local:%Y-%m-%d}"},
        **own,
    }


def _days(span: timedelta) -> float:
    return round(span.total_seconds() / 86400, 2)


def fits(match: Match, facts: Facts, now: datetime, own: Known = NOTHING) -> bool:
    """Tell whether something for some products is for what was bought here."""
    match match.kind:
        case "tag":
            return match.value in tags_of(facts)
        case "sku":
            return match.value in skus_of(facts)
        case "if":
            return bool(holds(match.value, values_of(facts, now, own)).value)


def variant_for(variants: tuple[Variant, ...], facts: Facts, now: datetime, own: Known = NOTHING) -> Variant | None:
    """Return the first variant that is for what was bought; None where the step's own words apply."""
    return next((each for each in variants if fits(each.match, facts, now, own)), None)
