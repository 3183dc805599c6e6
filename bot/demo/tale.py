"""The four sales of the demo, as data: what was bought, what happens in life, what people want and would say.

Nothing here names a flow, a step or a message of the bot: people wish for an answer (“not quite”, “later”), and
`bot.demo.people` finds the button that comes nearest. So a changed flow changes the play.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Copenhagen")

# What people wish to answer: words or signs of a button, the dearest first; each must be found whole.
YES = ("👍", "yes", "ja")
NO = ("no", "nej", "🙁")
NOT_QUITE = ("🤔", "not quite", "ikke helt", "partly", "delvist")
LATER = ("not yet", "ikke endnu", "later", "senere", "⏳")
TOO_EARLY = ("too early", "for tidligt", "early", "tidligt")
UNCLEAR = ("🧾", "hard to understand", "svært at forstå", "unclear", "uklart")


def at(day: int, clock: str, month: int = 11) -> datetime:
    """Give a time of the tale, on the wall clock of Copenhagen."""
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, month, day, hour, minute, tzinfo=ZONE)


START = at(23, "09:00")
END = at(31, "12:00", month=12)


@dataclass(frozen=True, slots=True)
class Mood:
    """What a customer wishes to answer now, and what is on their mind.

    `wishes`: the answers, the dearest first. `words`: what they say when asked to explain, or where no button says it.
    `is_silent`: they answer nothing.
    """

    wishes: tuple[tuple[str, ...], ...] = ()
    words: str = ""
    is_silent: bool = False


CURIOUS = Mood()
"""Before anything has arrived: whatever the bot proposes first."""
CONTENT = Mood((YES,))


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that happens in the customer's life: told in one line, and it changes their mood."""

    at: datetime
    told: str
    mood: Mood


@dataclass(frozen=True, slots=True)
class Help:
    """How staff put it right: what they reply, which remedy, what exactly, why; and what comes of it for the customer.

    `aside` is typed in the thread, which no customer sees. `after` is how long after the remedy its `told` comes true.
    """

    reply: str
    remedy: str
    note: str
    told: str = ""
    after: timedelta = timedelta(hours=18)
    mood: Mood = CONTENT
    aside: str = ""
    value: str = ""
    cause: str = "handling"


@dataclass(frozen=True, slots=True)
class Tale:
    """One sale and its people."""

    sale: str
    sign: str
    colour: str
    name: str
    locale: str
    summary: str
    title: str
    tags: tuple[str, ...]
    first_use_after: str
    promise: Mapping[str, Any]
    placed: datetime
    shipped: datetime
    delivered: datetime
    turns: tuple[Turn, ...]
    help: Help
    told: str

    @property
    def first_name(self) -> str:
        """What the customer is called in Telegram."""
        return self.name.partition(" ")[0]

    def events(self) -> list[tuple[datetime, dict[str, Any]]]:
        """Give what the shop's system tells of this sale, each at its time, as native order events."""
        times = (("order.placed", self.placed), ("order.shipped", self.shipped), ("order.delivered", self.delivered))
        return [(when, self._event(kind, when)) for kind, when in times]

    def delivered_again(self, when: datetime) -> dict[str, Any]:
        """Give what the shop's system tells when what was sent in place of the first has come."""
        return self._event("order.delivered", when) | {"id": f"evt-{self.sale}-again-{when:%Y%m%d%H%M}"}

    def _event(self, kind: str, when: datetime) -> dict[str, Any]:
        customer = {"id": f"c-{self.sale}", "name": self.name, "locale": self.locale, "country": "DK"}
        item = {
            "sku": f"SKU-{self.sale}",
            "name": self.summary,
            "quantity": 1,
            "tags": list(self.tags),
            "first_use_after": self.first_use_after,
        }
        return {
            "id": f"evt-{self.sale}-{kind}",
            "type": kind,
            "occurred_at": when.isoformat(),
            "sale": {
                "id": self.sale,
                "summary": self.summary,
                "customer": customer,
                "items": [item],
                "promises": [dict(self.promise)],
            },
        }


WINE = Tale(
    sale="1001",
    sign="🍷",
    colour="red",
    name="Freja Holm",
    locale="en",
    summary="two bottles of Barolo",
    title="Wine for the sofa",
    told="Freja buys two bottles of Barolo on the web site. On the page: “Delivered before the weekend.”",
    tags=("wine",),
    first_use_after="5d",
    promise={
        "id": "p1",
        "text": "Delivered before the weekend",
        "touchpoint": "site",
        "made_by": "checkout",
        "due_at": at(27, "22:00").isoformat(),
    },
    placed=at(23, "10:00"),
    shipped=at(24, "09:30"),
    delivered=at(25, "12:30"),
    turns=(
        Turn(at(25, "12:30"), "The box stands at Freja’s door.", CONTENT),
        Turn(at(28, "20:30"), "Saturday evening, on the sofa: Freja pours the first glass.", CONTENT),
    ),
    help=Help(
        reply="Thank you for telling us, Freja. I look into it and write to you again today.",
        remedy="replacement",
        cause="product",
        note="Another bottle is on its way to you.",
        told="Another bottle stands at Freja’s door.",
    ),
)

DRESS = Tale(
    sale="1002",
    sign="👗",
    colour="magenta",
    name="Sofie Lind",
    locale="en",
    summary="a dress for Saturday",
    title="A dress that must fit on Saturday",
    told="Sofie buys a dress for a party on Saturday. The seller: “It fits, or we find you one that does.”",
    tags=("fashion", "dress"),
    first_use_after="6d",
    promise={
        "id": "p1",
        "text": "It fits, or we find one that does",
        "touchpoint": "seller",
        "made_by": "Jonas",
        "due_at": at(28, "18:00").isoformat(),
    },
    placed=at(23, "11:00"),
    shipped=at(23, "15:30"),
    delivered=at(24, "10:00"),
    turns=(
        Turn(
            at(24, "18:00"),
            "Sofie tries the dress on. It is a size too small.",
            Mood(
                (NOT_QUITE, NO, YES),
                "The dress is beautiful, but it is a size too small, and the party is on Saturday!",
            ),
        ),
    ),
    help=Help(
        reply="Hi Sofie, that was our measuring, not you. Size 40 leaves by courier today; keep the other until then.",
        remedy="replacement",
        note="Size 40 by courier; the courier takes the small one back.",
        told="The courier rings. Size 40 fits, and it is still only Friday.",
        after=timedelta(hours=22),
        aside="Does Odense have a 40? If not I drive to Vejle myself.",
    ),
)

SKINCARE = Tale(
    sale="1003",
    sign="🧴",
    colour="cyan",
    name="Amira Haddad",
    locale="en",
    summary="a skincare course",
    title="Skincare with no effect yet",
    told="Amira buys a skincare course. On the box: “Calmer skin in six weeks.”",
    tags=("skincare",),
    first_use_after="7d",
    promise={"id": "p1", "text": "Calmer skin in six weeks", "touchpoint": "packaging", "made_by": "the box"},
    placed=at(23, "13:00"),
    shipped=at(24, "13:00"),
    delivered=at(25, "14:00"),
    turns=(
        Turn(at(25, "14:00"), "The course has arrived; it goes on a shelf for now.", Mood((LATER, YES))),
        Turn(at(5, "21:00", 12), "Amira begins the course.", Mood((TOO_EARLY, YES))),
        Turn(
            at(19, "21:00", 12),
            "Two weeks of it, and the mirror shows no difference.",
            Mood((NO, NOT_QUITE, YES), "My skin looks just the same as before. Am I doing something wrong?"),
        ),
    ),
    help=Help(
        reply="Hi Amira, you do nothing wrong. Leave out the morning peeling: with it the cream cannot work. "
        "The effect shows after week four.",
        remedy="explanation",
        cause="information",
        note="Evenings only, no peeling in the morning; the effect shows after week four.",
        told="Amira changes her routine. Whether it helps, she cannot say yet, and says nothing.",
        after=timedelta(hours=4),
        mood=Mood(is_silent=True),
    ),
)

INVOICE = Tale(
    sale="1004",
    sign="🧾",
    colour="green",
    name="Mads Krogh",
    locale="da",
    summary="et spisebord",
    title="An invoice that nobody understands (in Danish)",
    told="Mads, who reads Danish, orders a dining table. By mail: “The price is the price, delivery included.”",
    tags=("furniture",),
    first_use_after="10d",
    promise={
        "id": "p1",
        "text": "Prisen er prisen, levering inklusive",
        "touchpoint": "mail",
        "made_by": "kundeservice",
    },
    placed=at(23, "14:30"),
    shipped=at(24, "15:00"),
    delivered=at(24, "15:30"),
    turns=(
        Turn(
            at(25, "08:45"),
            "The table stands in the dining room. Mads opens the invoice, and reads it three times.",
            Mood(
                (UNCLEAR, YES),
                "Regningen. Hvad er »miljøtillæg 3B«, og hvorfor står fragten der to gange?",
            ),
        ),
    ),
    help=Help(
        reply="Hej Mads, det kan jeg godt forstå. Fragten står der to gange ved en fejl, og 3B er emballagen. "
        "Du får 249 kr. tilbage i dag og en ny regning på almindeligt dansk.",
        remedy="credit",
        value="249 kr.",
        cause="information",
        note="249 kr. ført tilbage, og regningen skrevet om.",
        told="249 kroner are back on Mads’ account, with an invoice that he understands at first reading.",
    ),
)

TALES = (WINE, DRESS, SKINCARE, INVOICE)

STAFF: Mapping[str, str] = {
    "wine": "Mette Juhl",
    "fashion": "Jonas Berg",
    "accounting": "Line Friis",
    "skincare": "Kim Dahl",
    "delivery": "Bo Lund",
    "customers": "Ida Holst",
}
"""Who answers in which channel."""
SOMEBODY = "Ida Holst"
"""Who answers in a channel that the tale does not know."""
