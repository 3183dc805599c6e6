"""The form of a flow file, as one table: every key, what can stand there, what it means, and an example.

What lives here: the table. The reader (`bot.flows.parse`) takes its keys from here, the JSON Schema
(`bot.flows.schema`) and the reference of the language are made of it, and the tests run its examples. What must not:
reading anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bot.flows.facts import WEEKDAYS
from bot.flows.model import Factor, Purpose

SALE_EVENTS = (
    "order.placed",
    "order.shipped",
    "order.delayed",
    "order.delivered",
    "product.first_used",
    "order.cancelled",
    "order.returned",
    "remedy.done",
)
"""What a flow can start on, beside the customer's answers, and what a pause can wait for."""

START_EVENTS = (*SALE_EVENTS, "customer.answered")
"""What a flow can start on."""

UNLESS_EVENTS = (*SALE_EVENTS, "case.open", "sale.complete")
"""What can keep a flow from starting."""

SINCE_EVENTS = (*SALE_EVENTS, "customer.answered")
"""What a pause can count from."""

ITEM_FIELDS = ("first_use_after",)
OUTCOMES = ("answered", "silent")
SCALES = ("faces", "stars")
OFFERS = ("review", "referral")
REMINDERS_MAX = 2

Kind: TypeAlias = Literal[
    "texts",
    "text",
    "word",
    "step",
    "duration",
    "truth",
    "condition",
    "value",
    "number",
    "link",
    "hours",
    "moment",
    "map",
]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a form.

    `kind` is how its value is written; with `words` it is one of them (``many``: or a list of them); with `form` it is
    a mapping of that form (``many``: a list of them, or one; ``named``: one for each name). `doc` says what it means.
    """

    name: str
    doc: str
    kind: Kind = "text"
    required: bool = False
    words: tuple[str, ...] = ()
    form: str = ""
    many: bool = False
    named: bool = False
    or_kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of mapping in a flow file. `example` is such a mapping, in full; for a step with its name."""

    name: str
    doc: str
    keys: tuple[Key, ...]
    example: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The keys that are known here."""
        return tuple(each.name for each in self.keys)


_NEXT = Key("next", "where it goes on: a step, or `end`; left out: the conversation ends here", "step")
_PHOTO = Key(
    "photo",
    "a picture: an address (`https://…`) or the id of a file that Telegram has; the text stands below it",
    "link",
)
_TOUCHPOINT = Key("touchpoint", "where it went well or wrong: a key of [shop.yaml](shop-file.md)", "word")
_IF = Key("if", "a [condition](#conditions)", "condition")
_SILENCE = Key("silence", "the way out when nobody answers; left out: `{ after: 7d, next: end }`", form="silence")
_REMIND = Key("remind", "ask again; never after an answer, `/stop` or while a case is open", form="remind")


def _for(form: str) -> Key:
    return Key(
        "for",
        "other words, pictures or times for some products: see [For some products](#for-some-products)",
        form=form,
        many=True,
    )


_MATCH = (
    Key("tag", "sales with an item that has this tag", "text"),
    Key("sku", "sales with this item", "text"),
    Key("if", "sales for which this [condition](#conditions) holds", "condition"),
)

STEPS: Mapping[str, Form] = {
    "say": Form(
        "say",
        "A message that wants no answer.",
        (Key("say", "what is said", "texts", required=True), _PHOTO, _for("for_say"), _NEXT),
        'care:\n  say: { en: "Keep it lying down.", da: "Opbevar den liggende." }\n  photo: https://example.com/rack.jpg\n  next: thanks\n',
    ),
    "ask": Form(
        "ask",
        "A question. With `choices` it has buttons; without, it asks for words, which a person reads.",
        (
            Key("ask", "the question", "texts", required=True),
            Key("choices", "the buttons, by name", form="choice", named=True),
            Key(
                "each",
                "`promise`: asked once for each promise that is open and due; `next` follows once none is left",
                words=("promise",),
            ),
            _PHOTO,
            _for("for_ask"),
            _REMIND,
            _SILENCE,
            Key("touchpoint", "what the answer is about, where the choice does not say", "word"),
            Key("next", "where answers lead that say nothing else: a step, or `end`", "step"),
        ),
        'arrived:\n  ask: { en: "Was everything as we promised?", da: "Var alt, som vi lovede?" }\n  choices:\n'
        '    yes: { label: { en: "👍 Yes", da: "👍 Ja" }, factors: { promise: 1 }, next: thanks }\n'
        '    missing: { label: { en: "📦 Not here yet", da: "📦 Ikke kommet endnu" }, factors: { promise: 0 }, touchpoint: delivery, next: sorry }\n'
        "  remind: { after: 3d, times: 1 }\n  silence: { after: 7d, next: quiet }\n",
    ),
    "rate": Form(
        "rate",
        "A factor from 0 to 1 behind five faces or stars: 0, 0.25, 0.5, 0.75 and 1. The lowest three are unhappy replies.",
        (
            Key("rate", "the question", "texts", required=True),
            Key("factor", "what is rated", required=True, words=tuple(factor.value for factor in Factor)),
            Key("scale", "`faces` (as a rule) or `stars`", words=SCALES),
            Key("low", "where an unhappy rating leads; left out: as the others", "step"),
            _PHOTO,
            _for("for_rate"),
            _REMIND,
            _SILENCE,
            _TOUCHPOINT,
            _NEXT,
        ),
        'taste:\n  rate: { en: "How was the wine?", da: "Hvordan var vinen?" }\n  factor: quality\n  scale: stars\n'
        "  touchpoint: product\n  low: sorry\n  next: thanks\n  silence: { after: 7d, next: quiet }\n",
    ),
    "wait": Form(
        "wait",
        "A pause. A length of time alone (`wait: 5d`), or what it waits for:",
        (
            Key("wait", "how long; or what it waits for", required=True, form="wait", or_kind="duration"),
            Key(
                "otherwise", "where it goes on if what it waits for has not happened by then (or is not known)", "step"
            ),
            _for("for_wait"),
            _NEXT,
        ),
        "pause: { wait: 5d, next: thanks }\n",
    ),
    "branch": Form(
        "branch",
        "A parting of ways: the first whose condition holds.",
        (
            Key("branch", "the ways, in order", required=True, form="arm", many=True),
            Key("otherwise", "where it goes on if none holds; left out: the conversation ends", "step"),
        ),
        "which:\n  branch:\n    - { if: \"'wine' in tags and sale.total > 500\", next: care }\n    - { if: unhappy, next: sorry }\n  otherwise: thanks\n",
    ),
    "set": Form(
        "set",
        "Notes of this conversation, by name; conditions and texts find them as `vars.NAME`.",
        (Key("set", "a [value](#conditions) for each name", "map", required=True), _NEXT),
        'count: { set: { rounds: "(vars.rounds | default(0)) + 1" }, next: thanks }\n',
    ),
    "case": Form(
        "case",
        "Something that a person is to look at, though nobody complained. It comes as a case to a team.",
        (
            Key("case", "what stands on the card, for staff", "text", required=True),
            Key(
                "team",
                "whose it is: a team of [shop.yaml](shop-file.md); left out: whoever answers for the touchpoint",
                "word",
            ),
            _TOUCHPOINT,
            _NEXT,
        ),
        "advice: { case: Would like advice on storing wine, touchpoint: product, next: thanks }\n",
    ),
    "complete": Form(
        "complete",
        "The sale is complete. Only ways that begin with the customer's own happy choice may lead here, with nothing but"
        " messages, branches and notes between.",
        (Key("complete", "`sale`", required=True, words=("sale",)), _NEXT),
        "done: { complete: sale, next: thanks }\n",
    ),
    "offer": Form(
        "offer",
        "A link of the shop's ([shop.yaml](shop-file.md), `links`). `review`: the public review link; every answer must be"
        " able to lead to it, or none (asking the happy alone is review gating). `referral`: only ways of happy choices may"
        " lead to it, and it is left out for whoever was unhappy.",
        (
            Key("offer", "`review` or `referral`", required=True, words=OFFERS),
            Key("text", "what is said", "texts", required=True),
            Key("label", "what stands on the button", "texts", required=True),
            _PHOTO,
            _for("for_offer"),
            _NEXT,
        ),
        'review:\n  offer: review\n  text: { en: "You can tell others about it here.", da: "Du kan fortælle andre om det her." }\n'
        '  label: { en: "Write a review", da: "Skriv en anmeldelse" }\n  next: thanks\n',
    ),
    "go_to": Form(
        "go_to",
        "On with another step.",
        (Key("go_to", "the step, or `end`", "step", required=True),),
        "again: { go_to: thanks }\n",
    ),
    "end": Form(
        "end",
        "The end.",
        (Key("end", "`answered`, or `silent` where nobody did", required=True, words=OUTCOMES),),
        "quiet: { end: silent }\n",
    ),
}
"""Every kind of step, by the key that makes it one."""

FORMS: Mapping[str, Form] = {
    "flow": Form(
        "flow",
        "The whole file.",
        (
            Key("flow", "its name", "word", required=True),
            Key(
                "purpose",
                "which consent it needs: `service` (the order and what goes wrong), `result` (how it turned out), `story`",
                required=True,
                words=tuple(purpose.value for purpose in Purpose),
            ),
            Key("start", "when it begins: one start, or a list of them", required=True, form="start", many=True),
            Key("expires", "how long after the event it is pointless to go on; `45d` where left out", "duration"),
            Key(
                "once",
                "`false`: each event begins a conversation of its own; otherwise a sale has each flow once",
                "truth",
            ),
            Key(
                "change_answer",
                "how long an answer can be changed; `0s`: never. Written out, the card of a case waits as long. Left out:"
                " as [shop.yaml](shop-file.md) says, or 10 minutes, with the card at once",
                "duration",
            ),
            Key("steps", "the steps, by name; names are plain words", required=True, form="step", named=True),
        ),
    ),
    "start": Form(
        "start",
        "When a conversation begins.",
        (
            Key(
                "on",
                "an [order event](events.md), `remedy.done` or `customer.answered`; or a list of them",
                required=True,
                words=START_EVENTS,
                many=True,
            ),
            Key(
                "after",
                "how long after it; or `{ item: first_use_after, default: 7d }`: the longest that an item of the order asks for",
                form="item_after",
                or_kind="duration",
            ),
            _for("for_start"),
            Key("step", "where it enters; the first step where left out", "step"),
            Key(
                "unless",
                "what keeps it from beginning: order events, `remedy.done`, `case.open`, `sale.complete`",
                words=UNLESS_EVENTS,
                many=True,
            ),
            Key("if", "it begins only where this [condition](#conditions) holds", "condition"),
        ),
        "on: order.delivered\nafter: 2d\nfor: { tag: wine, after: 4d }\nunless: [case.open, order.cancelled]\n",
    ),
    "item_after": Form(
        "item_after",
        "A length of time that the items themselves tell.",
        (
            Key("item", "the field of the items", required=True, words=ITEM_FIELDS),
            Key("default", "for orders whose items say nothing", "duration", required=True),
        ),
        "item: first_use_after\ndefault: 7d\n",
    ),
    "wait": Form(
        "wait",
        "What a pause waits for.",
        (
            Key("after", "how long; counted from now, or from `since` or `until`", "duration"),
            Key("since", "count from this event; where it has not happened, from now", words=SINCE_EVENTS),
            Key(
                "until",
                "until this moment: `2026-12-24 18:00` on the customer's clock, or a [value](#conditions) such as `promise.due_at`",
                "moment",
            ),
            Key("days", "and then until one of these days", words=WEEKDAYS, many=True),
            Key("between", "and then until these hours, on the customer's clock", "hours"),
            Key("event", "until one of these events happens (at once where one has)", words=SALE_EVENTS, many=True),
            Key("at_most", "with `event`: how long at most; then `otherwise`", "duration"),
        ),
        "after: 3d\ndays: [sat, sun]\nbetween: 10:00-18:00\n",
    ),
    "arm": Form(
        "arm",
        "One way of a branch.",
        (
            Key("if", "the [condition](#conditions)", "condition", required=True),
            Key("next", "where it leads: a step, or `end`", "step", required=True),
        ),
        "if: \"answers.arrived == 'yes'\"\nnext: thanks\n",
    ),
    "choice": Form(
        "choice",
        "One button, and what tapping it means. A text alone is its label.",
        (
            Key("label", "what stands on the button", "texts", required=True),
            Key(
                "factors",
                "what it says of `promise`, `service`, `clarity`, `quality`: 0 to 1. What nobody answered is unknown, not 0",
                form="factors",
            ),
            _TOUCHPOINT,
            Key(
                "unhappy",
                "whether it opens a case. Left out: any factor of 0.5 or less does. A factor of 0 always does",
                "truth",
            ),
            Key("completes", "`true`: with this the customer says that they have what they bought it for", "truth"),
            Key("reasons", "a question for the reason, asked before `next`, with buttons of its own", form="reasons"),
            Key("next", "where it leads: a step, or `end`; left out: as the question's own `next`", "step"),
        ),
        'label: { en: "🙁 No", da: "🙁 Nej" }\nfactors: { quality: 0 }\ntouchpoint: product\nnext: sorry\n',
    ),
    "factors": Form(
        "factors",
        "What a choice says of each factor, from 0 to 1.",
        tuple(Key(factor.value, "0 to 1", "number") for factor in Factor),
        "quality: 0.5\n",
    ),
    "reasons": Form(
        "reasons",
        "Reasons that depend on the choice. Whatever is chosen goes on with the choice's `next`, and to the case.",
        (
            Key("ask", "the question", "texts", required=True),
            Key("choices", "the reasons, by name", form="reason", named=True, required=True),
            _SILENCE,
        ),
        'ask: { en: "What was it?", da: "Hvad var det?" }\nchoices:\n  late: { label: { en: "Too late", da: "For sent" }, touchpoint: delivery }\n'
        '  torn: { label: { en: "Torn", da: "I stykker" }, touchpoint: packaging }\n',
    ),
    "reason": Form(
        "reason",
        "One reason. A text alone is its label.",
        (
            Key("label", "what stands on the button", "texts", required=True),
            _TOUCHPOINT,
            Key("next", "where it leads; left out: as the choice", "step"),
        ),
        'label: { en: "Too late", da: "For sent" }\ntouchpoint: delivery\n',
    ),
    "remind": Form(
        "remind",
        "A reminder.",
        (
            Key("after", "how long after the question, or the reminder before", "duration", required=True),
            Key("times", f"1 or {REMINDERS_MAX}", words=("1", "2")),
            Key("text", "other words than the question's", "texts"),
        ),
        "after: 3d\ntimes: 2\n",
    ),
    "silence": Form(
        "silence",
        "The way out of a question that nobody answers.",
        (
            Key("after", "how long after the question", "duration", required=True),
            Key("next", "a step, or `end`", "step"),
        ),
        "after: 7d\nnext: quiet\n",
    ),
    "for_say": Form(
        "for_say",
        "",
        (*_MATCH, Key("say", "what is said", "texts"), _PHOTO),
        'tag: wine\nsay: { en: "Let it rest.", da: "Lad den hvile." }\n',
    ),
    "for_ask": Form(
        "for_ask",
        "",
        (*_MATCH, Key("ask", "the question", "texts"), _PHOTO),
        'tag: wine\nask: { en: "Opened yet?", da: "Åbnet endnu?" }\n',
    ),
    "for_rate": Form(
        "for_rate",
        "",
        (*_MATCH, Key("rate", "the question", "texts"), _PHOTO),
        'sku: B-19\nrate: { en: "How was it?", da: "Hvordan var den?" }\n',
    ),
    "for_offer": Form(
        "for_offer",
        "",
        (*_MATCH, Key("text", "what is said", "texts"), _PHOTO),
        'if: sale.total > 500\ntext: { en: "Tell others.", da: "Fortæl andre." }\n',
    ),
    "for_wait": Form(
        "for_wait", "", (*_MATCH, Key("after", "how long", "duration", required=True)), "tag: skincare\nafter: 3w\n"
    ),
    "for_start": Form(
        "for_start",
        "",
        (*_MATCH, Key("after", "how long after the event", "duration", required=True)),
        "tag: wine\nafter: 4d\n",
    ),
}
"""Every other mapping of a flow file, by name."""

STEP_KINDS = tuple(STEPS)
MATCH_KEYS = tuple(each.name for each in _MATCH)
