"""What a shop has told us about itself: frozen values that are already valid, with every default filled in.

Reading them from the text of a shop.yaml is `bot.desk.shop_yaml`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import TypeAlias

from bot.desk.working_time import Calendar
from bot.durations import Duration
from bot.public_days import QUIET_DAYS, QuietDay

Texts: TypeAlias = Mapping[str, str]
"""Words per language code."""

FALLBACK = "fallback"
"""The team of whatever nobody answers for: the fallback channel."""

_ONE_BUSINESS_DAY = Duration(business_days=1)
_TWO_BUSINESS_DAYS = Duration(business_days=2)
_FIVE_BUSINESS_DAYS = Duration(business_days=5)

FACTORS = ("promise", "service", "clarity", "quality")

DEFAULT_TOUCHPOINTS: Mapping[str, Texts] = {
    "invoice": {"en": "Invoice", "da": "Faktura"},
    "site": {"en": "Web site", "da": "Hjemmeside"},
    "mail": {"en": "E-mail", "da": "E-mail"},
    "seller": {"en": "Seller", "da": "Sælger"},
    "material": {"en": "Printed material", "da": "Trykt materiale"},
    "reception": {"en": "Reception", "da": "Reception"},
    "packaging": {"en": "Packaging", "da": "Emballage"},
    "delivery": {"en": "Delivery", "da": "Levering"},
    "product": {"en": "Product", "da": "Vare"},
    "support": {"en": "Support", "da": "Kundeservice"},
}


@dataclass(frozen=True, slots=True)
class RemedyKind:
    """A way of putting things right, and when the customer is asked whether it is right now.

    `reask_after` counts from the click (None: as the flow says), or where the kind `counts_from_delivery`, from when
    what was sent is delivered; nobody telling of that, from `delivered_by` after the click. `has_value`: it comes with
    an amount, which is then asked for.
    """

    label: Texts
    reask_after: Duration | None = None
    has_value: bool = False
    counts_from_delivery: bool = False
    delivered_by: Duration = _FIVE_BUSINESS_DAYS


DEFAULT_REMEDIES: Mapping[str, RemedyKind] = {
    "refund": RemedyKind({"en": "Refund", "da": "Pengene retur"}, has_value=True),
    "replacement": RemedyKind({"en": "Replacement", "da": "Ombytning"}, counts_from_delivery=True),
    "credit": RemedyKind({"en": "Credit", "da": "Tilgodebevis"}, has_value=True),
    "explanation": RemedyKind({"en": "Explanation", "da": "Forklaring"}),
    "visit": RemedyKind({"en": "Visit", "da": "Besøg"}, _TWO_BUSINESS_DAYS),
    "none": RemedyKind({"en": "No remedy possible", "da": "Kan ikke udbedres"}),
}

DEFAULT_CAUSES: Mapping[str, Texts] = {
    "carrier": {"en": "Carrier", "da": "Fragtfirma"},
    "warehouse": {"en": "Stock or packing", "da": "Lager eller pakning"},
    "product": {"en": "Fault of the product", "da": "Fejl ved varen"},
    "information": {"en": "Wrong or unclear information", "da": "Forkert eller uklar information"},
    "promise": {"en": "Promised too much", "da": "Lovet for meget"},
    "handling": {"en": "Our handling", "da": "Vores ekspedition"},
    "supplier": {"en": "Supplier", "da": "Leverandør"},
    "expectation": {"en": "Expected something else", "da": "Ventede noget andet"},
}
"""Why it went wrong: what a remedy is noted with, so that the firm learns."""


@dataclass(frozen=True, slots=True)
class SavedAnswer:
    """Words that staff can begin a reply with: a name for them, and the text per language of the customer."""

    label: Texts
    text: Texts


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """Whose an unhappy reply is when all that is named here fits; what is None fits anything.

    `where` is where in shop.yaml it stands, for whoever asks why.
    """

    team: str
    touchpoint: str | None = None
    factor: str | None = None
    tag: str | None = None
    shop: str | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class Team:
    """People with a Slack channel and a working calendar, and what they answer for.

    `channel` is a channel id or ``#name``, `lead` and `members` are Slack user ids; no members: whoever is in the
    channel.
    `first_answer` is how soon an unhappy customer is to hear from a person, in the team's working time.
    """

    name: str
    channel: str
    calendar: Calendar
    first_answer: Duration = _ONE_BUSINESS_DAY
    lead: str | None = None
    members: tuple[str, ...] = ()
    touchpoints: frozenset[str] = frozenset()
    factors: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bounds:
    """Shares (0…1) of the first who are asked after an import, beyond which it is stopped until somebody looks."""

    unhappy: float = 0.3
    blocked: float = 0.1
    unknown: float = 0.1


@dataclass(frozen=True, slots=True)
class Guards:
    """When customers are left in peace.

    No message of the bot's own accord between `quiet_from` and `quiet_to` (the customer's wall clock; equal: no quiet
    hours), nor on `quiet_days` (the customer's calendar: ``sundays``, and the public ``holidays`` of their country); no
    second question within `ask_every` of the last, and none within `pause_after_talk` of the customer's last word. Of
    questions that are late because nobody could ask them, `catch_up_per_hour` begin in an hour. Of a large import
    `import_first` begin; an hour after these the others follow, unless more than the shares in `import_stops_at` of
    them were unhappy, blocked the bot, or are lost.
    """

    quiet_from: time = time(21)
    quiet_to: time = time(8, 30)
    quiet_days: tuple[QuietDay, ...] = QUIET_DAYS
    ask_every: timedelta = timedelta(days=1)
    pause_after_talk: timedelta = timedelta(hours=2)
    catch_up_per_hour: int = 60
    import_first: int = 100
    import_stops_at: Bounds = Bounds()


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The targets that the firm set for itself: mean satisfaction and coverage (0…1), and the first answer."""

    satisfaction: float = 0.9
    coverage: float = 0.6
    first_answer: Duration = _ONE_BUSINESS_DAY


@dataclass(frozen=True, slots=True)
class Shop:
    """One shop, as its shop.yaml describes it, with every default filled in.

    `languages` holds the default first. `time_zone` and `country` apply to customers whose own are not known.
    `ops_channel` is where the program tells of itself; left out: the fallback channel, for an alarm that nobody sees is
    none. `max_cycles` is how often a customer is asked about one case before a person calls. `link_expires_after` is
    the life of an unused chat link; `change_answer` is how long an answer can be changed, and the card of a case it
    opened waits (None: ten minutes, and the card does not wait). `messages_per_second` and `per_chat_per_second` are
    the send budget. `staff_language` is what cards and notices are written in. `routing` are the rules beside what the
    teams answer for. Of new cards, `cards_per_minute` at most come into one channel, after a summary of all.

    Source: one message a second per chat, thirty in all: https://core.telegram.org/bots/faq (read 2025-11).
    """

    name: str
    languages: tuple[str, ...]
    time_zone: str
    country: str
    teams: Mapping[str, Team]
    fallback_channel: str
    calendar: Calendar
    cx_owner: str | None = None
    ops_channel: str | None = None
    touchpoints: Mapping[str, Texts] = field(default_factory=lambda: DEFAULT_TOUCHPOINTS)
    remedies: Mapping[str, RemedyKind] = field(default_factory=lambda: DEFAULT_REMEDIES)
    guards: Guards = Guards()
    benchmark: Benchmark = Benchmark()
    review_link: str | None = None
    referral_link: str | None = None
    privacy_link: str | None = None
    link_expires_after: timedelta = timedelta(days=60)
    max_cycles: int = 3
    change_answer: timedelta | None = None
    messages_per_second: int = 30
    per_chat_per_second: int = 1
    staff_language: str = "en"
    routing: tuple[RoutingRule, ...] = ()
    causes: Mapping[str, Texts] = field(default_factory=lambda: DEFAULT_CAUSES)
    saved_answers: Mapping[str, SavedAnswer] = field(default_factory=dict)
    cards_per_minute: int = 20

    @property
    def alarm_channel(self) -> str:
        """Where the program tells of itself."""
        return self.ops_channel or self.fallback_channel

    def team(self, name: str) -> Team:
        """Give the team of that name; for ``fallback``, or a team that is no more, the fallback channel."""
        if name in self.teams:
            return self.teams[name]
        return Team(FALLBACK, self.fallback_channel, self.calendar, self.benchmark.first_answer, lead=self.cx_owner)

    def has_team(self, name: str) -> bool:
        """Tell whether a case can be handed to that name."""
        return name in self.teams or name == FALLBACK

    def touchpoint_label(self, key: str, language: str) -> str:
        """Name a touchpoint in a language, or else in the shop's own, or else by its key."""
        return self._in_language(self.touchpoints.get(key, {}), language, key)

    def remedy_label(self, key: str, language: str) -> str:
        """Name a remedy in a language, or else in the shop's own, or else by its key."""
        remedy = self.remedies.get(key)
        return self._in_language(remedy.label if remedy else {}, language, key)

    def cause_label(self, key: str, language: str) -> str:
        """Name a root cause in a language, or else in the shop's own, or else by its key."""
        return self._in_language(self.causes.get(key, {}), language, key)

    def answers_in(self, language: str, **known: str) -> list[tuple[str, str, str]]:
        """Give the saved answers there are in a customer's language, as (key, name, text).

        `known` fills in what a text leaves open: ``{first_name}``, ``{order}``, ``{bought}``. What is not known is left
        standing, so that whoever sends it sees that something is missing.
        """
        spoken = (language, language.partition("-")[0])
        found = []
        for key, answer in self.saved_answers.items():
            text = next((answer.text[code] for code in spoken if code in answer.text), None)
            if text is None:
                continue
            for name, value in known.items():
                text = text.replace(f"{{{name}}}", value) if value else text
            found.append((key, self._in_language(answer.label, self.staff_language, key), text))
        return found

    def _in_language(self, texts: Texts, language: str, key: str) -> str:
        wanted = (language, language.partition("-")[0], *self.languages, *texts)
        return next((texts[code] for code in wanted if code in texts), key)
