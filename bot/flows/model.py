"""What a flow is, once it has been read: frozen values that are already valid.

Reading YAML lives in `bot.flows.parse`; whether a valid flow is also a good one, in `bot.flows.check`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from enum import StrEnum
from typing import Literal, TypeAlias

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


ASKED_CONSENT: tuple[Purpose, ...] = (Purpose.SERVICE, Purpose.RESULT)
"""The purposes that the question for consent speaks of. A flow of another purpose reaches nobody."""


class Factor(StrEnum):
    """The four factors whose product is satisfaction."""

    PROMISE = "promise"
    SERVICE = "service"
    CLARITY = "clarity"
    QUALITY = "quality"


UNHAPPY_AT_MOST = 0.5
"""A choice with any factor at or below this is an unhappy reply, unless the flow says otherwise; a zero always is."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a variant is for: sales with an item that has this tag, or this sku, or for which the condition holds."""

    kind: Literal["tag", "sku", "if"]
    value: str


@dataclass(frozen=True, slots=True)
class Variant:
    """Other words, another picture or another length of time for some products. What it leaves out stays the same."""

    match: Match
    texts: Texts | None = None
    photo: str | None = None
    after: Duration | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a conversation begins.

    `on` is an event type (``order.delivered``, ``remedy.done`` …), `after` how long after it happened. With
    `item_field` (``first_use_after``), the longest such duration among the sale's items is used and `after` is
    the default where no item has one. `variants` are other lengths of time for some products; the item's own word
    comes first. `step` is where the conversation enters. `unless` names events of the sale (``order.cancelled``), or
    ``case.open``, that keep it from beginning; so does a `condition` that does not hold.
    """

    on: str
    after: Duration
    step: str
    unless: tuple[str, ...] = ()
    item_field: str | None = None
    variants: tuple[Variant, ...] = ()
    condition: str | None = None


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
    """A question with buttons; without `choices`, a question for words, which lead to `next`.

    `scale`: the buttons are the five steps of a rating, and stand in one row. `per_promise`: asked once for each
    promise that is open and due; an answer that leads nowhere else leads back here, and `next` is where it goes on
    once none is left. `reason_for` names the question and the choice whose reason is asked for here.
    """

    name: str
    texts: Texts
    choices: tuple[Choice, ...] = ()
    silence: Silence = field(default_factory=lambda: Silence(Duration()))
    remind: Remind | None = None
    next: str | None = None
    touchpoint: str | None = None
    photo: str | None = None
    variants: tuple[Variant, ...] = ()
    scale: Literal["faces", "stars"] | None = None
    per_promise: bool = False
    reason_for: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """A message that wants no answer."""

    name: str
    texts: Texts
    next: str | None = None
    photo: str | None = None
    variants: tuple[Variant, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of the customer's own clock, on some days of the week (0: Monday; none: every day)."""

    days: tuple[int, ...] = ()
    begins: time = time(0)
    ends: time = time(0)


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause before the next step.

    It ends `after` that long; counted from `since`, an event of the sale, where that is given and has happened. A
    `moment` is one on the customer's own clock, or an expression that gives one. Whatever it comes to, the pause ends
    within the `window`. With `events`, it ends as soon as one of them happens, and `after` is only the longest that it
    lasts: then `otherwise` is where it goes on.
    """

    name: str
    after: Duration
    next: str | None = None
    since: str | None = None
    moment: datetime | str | None = None
    window: Window | None = None
    events: tuple[str, ...] = ()
    otherwise: str | None = None
    variants: tuple[Variant, ...] = ()


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of a branch: where it leads if its condition holds."""

    condition: str
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """A parting of ways: the first arm whose condition holds, else `otherwise`."""

    name: str
    arms: tuple[Arm, ...]
    otherwise: str | None = None


@dataclass(frozen=True, slots=True)
class Set:
    """Notes of the conversation: for each name, the expression that gives its value."""

    name: str
    values: Mapping[str, str]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class OpenCaseStep:
    """Something that a person is to look at, though nobody said that they are unhappy. `about` stands on the card."""

    name: str
    about: str
    team: str | None = None
    touchpoint: str | None = None
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Complete:
    """The sale is complete; only in the very step that answers the customer's own happy choice (rule 1)."""

    name: str
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """The shop's public review link, alike for every verdict; or a `referral`, for the happy alone (rule 10)."""

    name: str
    what: Literal["review", "referral"]
    texts: Texts
    label: Texts = field(default_factory=dict)
    next: str | None = None
    photo: str | None = None
    variants: tuple[Variant, ...] = ()


@dataclass(frozen=True, slots=True)
class GoTo:
    """On with another step."""

    name: str
    next: str | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The end of the conversation: ``answered`` or ``silent``."""

    name: str
    outcome: str = "answered"


Step: TypeAlias = Ask | Say | Wait | Branch | Set | OpenCaseStep | Complete | Offer | GoTo | End
Speaking: TypeAlias = Ask | Say | Offer
"""Steps that say something to the customer."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One immutable version of a flow.

    `version` is a hash over all that the customer can see; `source` is the YAML text it was read from. `expires` counts
    from the event that started it; `once` is true where a sale has this conversation at most once, false where each
    event of its triggers begins one of its own. `change_answer`: how long an answer can be changed (zero: never), and
    so how long the card of a case that it opened waits; None: as long as the shop says. `phrases` are the bot's own
    sentences that the flow speaks with (`bot.flows.phrases.spoken_by`); none of a version that an older program kept.
    """

    name: str
    purpose: Purpose
    triggers: tuple[Trigger, ...]
    steps: Mapping[str, Step]
    expires: Duration
    version: str = ""
    source: str = ""
    once: bool = True
    change_answer: Duration | None = None
    phrases: Mapping[str, Texts] | None = None
