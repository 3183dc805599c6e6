"""What a flow is, once it has been read: frozen values that are already valid.

Reading YAML lives in `bot.flows.parse`; whether a valid flow is also a good one, in `bot.flows.check`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from bot.durations import Duration

Texts: TypeAlias = Mapping[str, str]
"""One message template per language code, for example ``{"en": "Hi {{ customer.first_name }}!"}``."""


END = "end"
"""As a target: the conversation ends here, answered. So no step can bear this name."""


class Purpose(StrEnum):
    """What a flow writes about, and so which consent it needs."""

    SERVICE = "service"
    RESULT = "result"
    STORY = "story"


class Factor(StrEnum):
    """The four factors whose product is satisfaction."""

    PROMISE = "promise"
    SERVICE = "service"
    CLARITY = "clarity"
    QUALITY = "quality"


UNHAPPY_AT_MOST = 0.5
"""A choice with any factor at or below this is an unhappy reply, unless the flow says otherwise; a zero always is."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a conversation begins.

    `on` is an event type (``order.delivered``, ``remedy.done`` …), `after` how long after it happened. With
    `item_field` (``first_use_after``), the longest such duration among the sale's items is used and `after` is
    the default where no item has one. `step` is where the conversation enters. `unless` names events of the sale
    (``order.cancelled``), or ``case.open``, that keep it from beginning.
    """

    on: str
    after: Duration
    step: str
    unless: tuple[str, ...] = ()
    item_field: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One button below a question, and what tapping it means.

    `completes` is the customer's own word that they have what they bought it for. `unhappy` opens a case.
    """

    name: str
    label: Texts
    next: str | None = None
    factors: Mapping[Factor, float] = field(default_factory=dict)
    touchpoint: str | None = None
    completes: bool = False
    unhappy: bool = False


@dataclass(frozen=True, slots=True)
class Remind:
    """How often, and how long after the question (or the reminder before), to ask again; at most twice."""

    after: Duration
    times: int = 1
    texts: Texts | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """The way out of a question that nobody answers: how long after it was sent, and where to go (None: end)."""

    after: Duration
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A question with buttons; without `choices`, a question for words, which lead to `next`."""

    name: str
    texts: Texts
    choices: tuple[Choice, ...] = ()
    silence: Silence = field(default_factory=lambda: Silence(Duration()))
    remind: Remind | None = None
    next: str | None = None
    touchpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """A message that wants no answer."""

    name: str
    texts: Texts
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause before the next step."""

    name: str
    after: Duration
    next: str | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The end of the conversation: ``answered`` or ``silent``."""

    name: str
    outcome: str = "answered"


Step: TypeAlias = Ask | Say | Wait | End


@dataclass(frozen=True, slots=True)
class Flow:
    """One immutable version of a flow.

    `version` is a hash over all that the customer can see; `source` is the YAML text it was read from. `expires` counts
    from the event that started it; `once` is true where a sale has this conversation at most once, false where each
    event of its triggers begins one of its own.
    """

    name: str
    purpose: Purpose
    triggers: tuple[Trigger, ...]
    steps: Mapping[str, Step]
    expires: Duration
    version: str = ""
    source: str = ""
    once: bool = True
