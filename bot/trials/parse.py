"""Reading flow tests from YAML into frozen values that are already valid, or into errors that say where.

What lives here: the form of a ``NAME.tests.yaml``, and the reasons for which one is refused. What must not: files and
folders, and whether a test passes (`bot.trials.trial`).
"""

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_args

from bot.desk.shop import FACTORS, FALLBACK, Shop
from bot.desk.shop_values import fixed_length, quiet_hours
from bot.errors import FlowError, InputRefused
from bot.flows.edges import choices_of
from bot.flows.model import Flow, Texts
from bot.flows.yaml_tree import Entry, Node, Path, Place, Scalar, places, read_tree
from bot.flows.yaml_tree import Mapping as Tree
from bot.flows.yaml_tree import Sequence as List
from bot.flows.yaml_values import ValueReader
from bot.ports.orders import CustomerForm, EventType, ItemForm, PromiseForm, SaleForm, parse_order_event
from bot.public_days import QUIET_DAYS, QuietDay
from bot.trials.labels import letters
from bot.trials.model import Act, CaseStands, Ends, Line, SaleStands, Says, Setting, StaffTold, Step, Trial
from bot.trials.moments import EXAMPLES, When, parse_when

T = TypeVar("T")


EVENTS: tuple[str, ...] = get_args(EventType)
PURPOSES = ("service", "result", "story")
MEDIA = ("photo", "voice", "video", "sticker", "document", "location", "contact")
STATUSES = ("open", "claimed", "remedied", "call", "unconfirmed", "confirmed")
OUTCOMES = ("answered", "silent", "expired", "stopped", "unreachable", "withdrawn", "looped")

DEFAULT_START = "2026-11-23 10:00"
DEFAULT_SALE: Mapping[str, Any] = {
    "id": "1001",
    "summary": "two bottles of Barolo",
    "customer": {"id": "c-7", "name": "Freja Holm", "locale": "en", "country": "DK"},
    "items": [{"sku": "BAROLO-19", "name": "Barolo 2019", "quantity": 2, "tags": ["wine"]}],
}

_FILE_KEYS = ("flow", "given", "tests")
_TEST_KEYS = ("about", "given", "story")
_GIVEN_KEYS = ("start", "sale", "customer", "consents", "linked", "guards", "flows")
_GUARDS = ("quiet_hours", "quiet_days", "ask_every", "pause_after_talk")
_CASE = ("team", "factor", "touchpoint", "status", "cycle")

_LINE_KEYS: Mapping[str, tuple[str, ...]] = {
    # what happens
    "event": ("event", "at", "occurred", "sale"),
    "tap": ("tap", "at"),
    "write": ("write", "at"),
    "send": ("send", "at", "caption"),
    "link": ("link", "at"),
    "block": ("block", "at"),
    "claim": ("claim", "at"),
    "reply": ("reply", "at"),
    "remedy": ("remedy", "at", "note"),
    "hand_over": ("hand_over", "at", "reason"),
    "silence": ("silence",),
    # what is then to be seen
    "says": ("says", "at", "buttons"),
    "says_exactly": ("says_exactly", "at", "buttons"),
    "case": ("case",),
    "staff_told": ("staff_told",),
    "sale": ("sale",),
    "ends": ("ends",),
}
_SHORT = "for example - tap: 'Yes' or - says: 'Was everything as we promised?'"


@dataclass(frozen=True, slots=True)
class Known:
    """What a test may name: the shop's teams, touchpoints and remedies, the flows with their steps, the bot's words."""

    shop: Shop
    flows: Mapping[str, Flow]
    phrases: Mapping[str, Texts]


def read_trials(text: str, file: str, known: Known) -> tuple[list[Trial], list[FlowError]]:
    """Read the tests of one file: those that are good, and all that is wrong. Never raises, whatever the text."""
    try:
        tree = read_tree(text, file=file)
    except FlowError as error:
        return [], [error]
    reader = _Reader(file, known)
    trials = reader.file(tree)
    return trials, sorted(reader.errors, key=lambda error: (error.line, error.column))


class _Reader(ValueReader):
    def __init__(self, file: str, known: Known) -> None:
        super().__init__(file)
        self._known = known

    # the file

    def file(self, tree: Node) -> list[Trial]:
        top = self.mapping(tree, "a file of tests", _FILE_KEYS)
        if top is None:
            return []
        flow_node = self.required(top, "flow", "the file", "the name of the flow that is tested")
        flow = self.one_of(flow_node, "flow", tuple(self._known.flows))
        shared = self._given(top.get("given"), None)
        tests = self.required(top, "tests", "the file", "at least one 'name: { story: … }'")
        if not isinstance(tests, Tree) or not tests.entries:
            if tests is not None:
                self.wrong(tests, "tests must be a list of 'name: test'", "for example happy: { story: [ … ] }")
            return []
        if flow is None:
            return []
        found = [self._test(entry, flow, shared) for entry in tests.entries.values()]
        return [each for each in found if each is not None]

    def _test(self, entry: Entry, flow: str, shared: Setting) -> Trial | None:
        name = self.word(entry.key, "the name of a test")
        errors = len(self.errors)
        test = self.mapping(entry.value, f"test {entry.key.text!r}", _TEST_KEYS)
        if test is None or name is None:
            return None
        setting = self._given(test.get("given"), shared)
        about = self.text(test.get("about"), "about") or ""
        node = self.required(test, "story", f"test {name!r}", _SHORT)
        if node is not None and not isinstance(node, List):
            self.wrong(node, "a story is a list: one line below the other, each with - in front", _SHORT)
            return None
        taking_part = [self._known.flows[each] for each in (flow, *setting.flows) if each in self._known.flows]
        story = [self._line(item, taking_part) for item in node.items] if isinstance(node, List) else []
        if len(self.errors) > errors:
            return None
        return Trial(name, flow, setting, tuple(each for each in story if each is not None), self._file, about)

    # what is given

    def _given(self, node: Node | None, shared: Setting | None) -> Setting:
        base = shared or Setting(parse_when(DEFAULT_START), DEFAULT_SALE)
        given = self.mapping(node, "given", _GIVEN_KEYS)
        if given is None:
            return base
        setting = replace(
            base,
            start=self._start(given.get("start")) or base.start,
            sale=self._sale(given, base.sale),
            consents=self._consents(given, base),
            guards=self._guards(given.get("guards"), base),
        )
        flows = given.get("flows")
        if flows is None:
            return setting
        names = self.each(flows, lambda one: self.one_of(one, "flows", tuple(self._known.flows)))
        return replace(setting, flows=tuple(names))

    def _start(self, node: Node | None) -> When | None:
        start = self._when(node, "start")
        if node is not None and start is not None and (start.clock is None or start.day is None):
            self.wrong(node, "start needs a date", "for example 2026-11-23 10:00")
            return None
        return start

    def _sale(self, given: Tree, base: Mapping[str, Any]) -> Mapping[str, Any]:
        sale_node, customer_node = given.get("sale"), given.get("customer")
        for node, what in ((sale_node, "sale"), (customer_node, "customer")):
            if node is not None and not isinstance(node, Tree):
                self.wrong(node, f"{what} must be a list of 'key: value'", "the fields of a native event")
                return base
        told = _plain(sale_node) if sale_node is not None else {}
        own = told.get("customer", {})
        customer = {**base["customer"], **(own if isinstance(own, dict) else {})}
        if customer_node is not None:
            customer |= _plain(customer_node)
        sale = {**base, **told, "customer": customer}
        self._fits(sale, given, sale_node, customer_node)
        return sale

    def _fits(self, sale: Mapping[str, Any], given: Tree, sale_node: Node | None, customer_node: Node | None) -> None:
        """Let the native event's own form judge the sale; what it refuses is shown where it stands in the file."""
        event = {"id": "e", "type": "order.placed", "occurred_at": "2026-11-23T10:00:00+01:00", "sale": sale}
        try:
            parse_order_event(event)
        except InputRefused as error:
            for field, reason in error.problems:
                path: Path = tuple(field.split("."))[1:]
                in_customer = customer_node is not None and path[:1] == ("customer",)
                root, rest = (customer_node, path[1:]) if in_customer else (sale_node, path)
                place = _nearest(root, rest) or given.place
                self.errors.append(
                    FlowError(f"{'.'.join(path) or 'sale'}: {reason}", file=self._file, line=place.line,
                              column=place.column, hint="see docs/reference/events.md")
                )  # fmt: skip

    def _consents(self, given: Tree, base: Setting) -> tuple[str, ...] | None:
        linked = self.truth(given.get("linked"), "linked")
        node = given.get("consents")
        if linked is False:
            if node is not None:
                self.wrong(node, "who has not linked their chat has agreed to nothing", "leave 'consents' out")
            return None
        if node is None:
            return base.consents if base.consents is not None or linked is None else ()
        if isinstance(node, Scalar) and node.text == "none":
            return ()
        return tuple(self.each(node, lambda one: self.one_of(one, "consents", (*PURPOSES, "none"))))

    def _guards(self, node: Node | None, base: Setting) -> Any:
        guards = self.mapping(node, "guards", _GUARDS)
        if guards is None:
            return base.guards
        default = base.guards or self._known.shop.guards
        quiet = self._value(guards.get("quiet_hours"), "quiet_hours", quiet_hours)
        start, end = quiet or (default.quiet_from, default.quiet_to)
        every = self._value(guards.get("ask_every"), "ask_every", fixed_length)
        pause = self._value(guards.get("pause_after_talk"), "pause_after_talk", fixed_length)
        return replace(
            default,
            quiet_from=start,
            quiet_to=end,
            quiet_days=self._quiet_days(guards.get("quiet_days"), default.quiet_days),
            ask_every=default.ask_every if every is None else every,
            pause_after_talk=default.pause_after_talk if pause is None else pause,
        )

    def _quiet_days(self, node: Node | None, default: tuple[QuietDay, ...]) -> tuple[QuietDay, ...]:
        if node is None:
            return default
        if isinstance(node, Scalar) and node.text == "none":
            return ()
        named = tuple(self.each(node, lambda one: self.one_of(one, "quiet_days", QUIET_DAYS)))
        return tuple(day for day in QUIET_DAYS if day in named)

    def _value(self, node: Node | None, what: str, read: Callable[[str], T]) -> T | None:
        text = self.text(node, what)
        if node is None or text is None:
            return None
        try:
            return read(text)
        except ValueError as error:
            self.wrong(node, f"{what}: {error}")
            return None

    def _when(self, node: Node | None, what: str) -> When | None:
        text = self.text(node, what)
        if node is None or text is None:
            return None
        try:
            return parse_when(text)
        except ValueError:
            self.wrong(node, f"{what} cannot be {text!r}", EXAMPLES)
            return None

    # the story

    def _line(self, node: Node, flows: Sequence[Flow]) -> Step | None:
        if not isinstance(node, Tree):
            self.wrong(node, "a line of the story is 'what: …'", _SHORT)
            return None
        kinds = [key for key in node.entries if key in _LINE_KEYS]
        if set(kinds) == {"event", "sale"}:  # an event may tell fields of the sale, which by itself is a line as well
            kinds = ["event"]
        kind = kinds[0] if len(kinds) == 1 else None
        if kind is None:
            if not kinds and node.entries:
                first = next(iter(node.entries.values())).key
                hint = _did_you_mean(first.text, _LINE_KEYS)
                self.wrong(first, f"a line of the story cannot begin with {first.text!r}", hint)
            else:
                self.wrong(node, f"this line says {' and '.join(kinds) or 'nothing'}", "one thing to a line")
            return None
        torn = next((each.key for each in node.entries.values() if _is_torn(each, kind)), None)
        if torn is not None:
            self.wrong(torn, f"the text ends at the comma before {torn.text!r}", "put the whole text in quotes")
            return None
        line = self.mapping(node, f"a line with {kind!r}", _LINE_KEYS[kind])
        if line is None:
            return None
        at = self._when(line.get("at"), "at")
        found = self._what(kind, line, flows)
        return Step(found, node.place, at) if found is not None else None

    def _what(self, kind: str, line: Tree, flows: Sequence[Flow]) -> Line | None:
        entry = line.entries[kind]
        value = line.get(kind)
        if value is None and kind not in ("link", "block", "claim"):
            self.wrong(entry.key, f"{kind} says nothing", _SHORT)
            return None
        match kind:
            case "says" | "says_exactly":
                return self._says(kind, line, value)
            case "case":
                return self._case(value)
            case "staff_told":
                return StaffTold(self.text(value, kind) or "")
            case "sale":
                word = self.one_of(value, "sale", ("complete", "not complete"))
                return SaleStands(word == "complete")
            case "ends":
                return Ends(self.one_of(value, "ends", OUTCOMES) or "")
            case _:
                return self._act(kind, line, value, flows)

    def _act(self, kind: str, line: Tree, value: Node | None, flows: Sequence[Flow]) -> Act | None:
        shop = self._known.shop
        more: dict[str, Any] = {}
        match kind:
            case "event":
                text = self.one_of(value, "event", EVENTS)
                occurred, sale = line.get("occurred"), line.get("sale")
                more = {"occurred": self._when(occurred, "occurred"), "sale": _plain(sale) if sale else {}}
            case "tap":
                text = self._button(value, flows)
            case "send":
                text = self.one_of(value, "send", MEDIA)
                more = {"caption": self.text(line.get("caption"), "caption") or ""}
            case "remedy":
                text = self.one_of(value, "remedy", tuple(shop.remedies))
                more = {"note": self.text(line.get("note"), "note") or ""}
            case "hand_over":
                text = self.one_of(value, "hand_over", (*shop.teams, FALLBACK))
                more = {"reason": self.text(line.get("reason"), "reason") or ""}
            case "silence":
                until = self._when(value, "silence")
                text, more = until.text if until else None, {"until": until}
            case "link" | "block" | "claim":
                text = self.one_of(value, kind, ("true",)) if value is not None else "true"
            case _:
                text = self.text(value, kind)
        return Act(kind, text, more) if text is not None else None

    def _button(self, node: Node | None, flows: Sequence[Flow]) -> str | None:
        """Read the label or the name of a choice, of any step of the flows that take part."""
        text = self.text(node, "tap")
        if node is None or text is None:
            return None
        choices = {choice for flow in flows for step in flow.steps.values() for choice in _labels_and_names(step)}
        others = {label for texts in self._known.phrases.values() for label in texts.values()}
        others |= {"all", "service", "none", "change", *self._known.shop.languages}
        wanted = letters(text)
        fits = any(letters(each) == wanted for each in choices | others) or any("{" in each for each in choices)
        if not fits:
            self.wrong(node, f"no step has a button {text!r}", _did_you_mean(text, sorted(choices)))
        return text

    def _says(self, kind: str, line: Tree, value: Node | None) -> Says:
        texts = self.each(value, lambda one: self.text(one, kind)) if value is not None else []
        buttons_node = line.get("buttons")
        buttons: tuple[str, ...] | None = None
        if isinstance(buttons_node, Scalar) and buttons_node.text == "none":
            buttons = ()
        elif buttons_node is not None:
            buttons = tuple(self.each(buttons_node, lambda one: self.text(one, "buttons")))
        return Says(tuple(texts), kind == "says_exactly", buttons)

    def _case(self, value: Node | None) -> CaseStands:
        shop = self._known.shop
        teams = (*shop.teams, FALLBACK)
        if isinstance(value, Scalar):
            return CaseStands(self.one_of(value, "case", (*teams, "none")))
        case = self.mapping(value, "case", _CASE)
        if case is None:
            return CaseStands()
        cycle = self.one_of(case.get("cycle"), "cycle", tuple(str(number) for number in range(1, 10)))
        return CaseStands(
            team=self.one_of(case.get("team"), "team", teams),
            factor=self.one_of(case.get("factor"), "factor", (*FACTORS, "none")),
            touchpoint=self.one_of(case.get("touchpoint"), "touchpoint", (*shop.touchpoints, "none")),
            status=self.one_of(case.get("status"), "status", STATUSES),
            cycle=int(cycle) if cycle else None,
        )


def _is_torn(entry: Entry, kind: str) -> bool:
    """Tell whether a "key" is the rest of a text with a comma in it, written without quotes between { and }."""
    value = entry.value
    return entry.key.text not in _LINE_KEYS[kind] and isinstance(value, Scalar) and value.is_nothing()


def _labels_and_names(step: object) -> list[str]:
    return [text for name, choice in choices_of(step).items() for text in (name, *choice.label.values())]


def _did_you_mean(word: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    shown = list(known)[:12]
    return f"known here: {', '.join(shown)}" + (" …" if len(known) > len(shown) else "") if shown else ""


_KNOWN_FIELDS = frozenset(
    name for form in (SaleForm, CustomerForm, ItemForm, PromiseForm) for name in form.model_fields
)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def _plain(node: Node, key: str = "") -> Any:
    """Give what JSON would hold. The event's form reads its own fields; of others, numbers and truths are such."""
    match node:
        case Tree():
            return {name: _plain(entry.value, name) for name, entry in node.entries.items()}
        case List():
            return [_plain(item, key) for item in node.items]
        case Scalar() if node.is_nothing():
            return None
        case Scalar() if not node.is_plain or key in _KNOWN_FIELDS:
            return node.text
        case Scalar() if _NUMBER.fullmatch(node.text):
            return float(node.text) if "." in node.text else int(node.text)
        case Scalar():
            return {"true": True, "false": False}.get(node.text, node.text)


def _nearest(root: Node | None, path: Path) -> Place | None:
    """Give the place of the longest part of `path` that is written below `root`."""
    if root is None:
        return None
    known = places(root)
    for length in range(len(path), 0, -1):
        if path[:length] in known:
            return known[path[:length]]
    return root.place
