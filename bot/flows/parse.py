"""Reading a flow as an admin wrote it into frozen values that are already valid, or into errors that say where.

What lives here: the form of a flow file, its defaults, and the reasons for which one is refused. What must not: files
and folders (`bot.adapters.flow_files`), and taste (`bot.flows.check` says whether a valid flow is also a good one).
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from bot.durations import Duration
from bot.errors import FlowError
from bot.flows.model import (
    END,
    UNHAPPY_AT_MOST,
    Ask,
    Choice,
    End,
    Factor,
    Flow,
    Purpose,
    Remind,
    Say,
    Silence,
    Step,
    Trigger,
    Wait,
)
from bot.flows.yaml_tree import Entry, Mapping, Node, Scalar, did_you_mean, read_tree
from bot.flows.yaml_values import ValueReader

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
"""What a flow can start on."""

UNLESS_EVENTS = (*SALE_EVENTS, "case.open", "sale.complete")
"""What can keep a flow from starting."""

DEFAULT_EXPIRES = Duration(span=timedelta(days=45))
DEFAULT_SILENCE = Duration(span=timedelta(days=7))
MAX_REMINDER_TIMES = 2

_FLOW_KEYS = ("flow", "purpose", "start", "expires", "once", "steps")
_START_KEYS = ("on", "after", "unless", "step")
_STEP_KEYS = {
    "ask": ("ask", "choices", "remind", "silence", "next", "touchpoint"),
    "say": ("say", "next"),
    "wait": ("wait", "next"),
    "end": ("end",),
}
_CHOICE_KEYS = ("label", "factors", "touchpoint", "next", "completes", "unhappy")
_ITEM_FIELDS = ("first_use_after",)
_OUTCOMES = ("answered", "silent")


def parse_flow(text: str, *, file: str) -> Flow:
    """Read one flow.

    Args:
        text: the YAML text.
        file: its name, for the messages.

    Raises:
        FlowError: the first thing that is wrong with it. Never anything else, whatever the text.
    """
    flow, errors = read_flow(text, file)
    if flow is None:
        raise errors[0]
    return flow


def read_flow(text: str, file: str) -> tuple[Flow | None, list[FlowError]]:
    """Read one flow; where it is not valid, return None and all that is wrong with it, in the order of the text."""
    try:
        tree = read_tree(text, file=file)
    except FlowError as error:
        return None, [error]
    reader = _Reader(file)
    flow = reader.flow(tree)
    if reader.errors or flow is None:
        return None, sorted(reader.errors, key=lambda error: (error.line, error.column))
    return replace(flow, version=version_of(flow), source=text), []


def version_of(flow: Flow) -> str:
    """Return the hash of all that a flow says and does; comments, quotes and white space do not change it."""
    content = asdict(replace(flow, version="", source=""))
    canonical = json.dumps(content, sort_keys=False, default=_plain, ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _plain(value: object) -> object:
    return value.total_seconds() if isinstance(value, timedelta) else str(value)


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a `next` leads, as written; None where it is absent."""

    name: str | None


class _Reader(ValueReader):
    """Reads one flow; its steps are known by name first, so that every `next` can be looked up."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self._step_names: tuple[str, ...] = ()

    # -- the flow -------------------------------------------------------------------------------------------------

    def flow(self, tree: Node) -> Flow | None:
        top = self.mapping(tree, "a flow", _FLOW_KEYS)
        if top is None:
            return None
        name = self.word(self.required(top, "flow", "the flow", "give it a name"), "the name")
        known = tuple(purpose.value for purpose in Purpose)
        hint = f"one of {', '.join(known)}: what consent it needs"
        purpose = self.one_of(self.required(top, "purpose", "the flow", hint), "purpose", known)
        expires = self.duration(top.get("expires"), "expires") or DEFAULT_EXPIRES
        if expires.is_zero() and (node := top.get("expires")) is not None:
            self.wrong(node, "expires cannot be zero", "for example 45d")
        once = self.truth(top.get("once"), "once")
        steps = self._steps(top)
        start = self.required(top, "start", "the flow", "for example { on: order.delivered }")
        triggers = self._triggers(start) if start is not None else []
        if name is None or purpose is None or self.errors:
            return None
        return Flow(
            name=name,
            purpose=Purpose(purpose),
            triggers=tuple(triggers),
            steps=steps,
            expires=expires,
            once=True if once is None else once,
        )

    def _triggers(self, node: Node) -> list[Trigger]:
        found = [trigger for group in self.each(node, self._start) for trigger in group]
        if not found and not self.errors:
            self.wrong(node, "the flow starts on nothing", f"on: {', '.join(SALE_EVENTS)}")
        return found

    def _start(self, node: Node) -> list[Trigger]:
        start = self.mapping(node, "start", _START_KEYS)
        if start is None:
            return []
        on = self.required(start, "on", "start", "an event such as order.delivered")
        events = self.each(on, lambda one: self.one_of(one, "on", SALE_EVENTS)) if on is not None else []
        unless_node = start.get("unless")
        unless = (
            self.each(unless_node, lambda one: self.one_of(one, "unless", UNLESS_EVENTS))
            if unless_node is not None
            else []
        )
        after, item_field = self._start_after(start.get("after"))
        step = self._target(start.get("step")).name
        if step is None:
            step = self._step_names[0] if self._step_names else ""
        return [Trigger(event, after, step, tuple(unless), item_field) for event in events]

    def _start_after(self, node: Node | None) -> tuple[Duration, str | None]:
        if not isinstance(node, Mapping):
            return self.duration(node, "after") or Duration(), None
        after = self.mapping(node, "after", ("item", "default"))
        if after is None:
            return Duration(), None
        item = self.required(after, "item", "after", f"one of {', '.join(_ITEM_FIELDS)}")
        default = self.required(after, "default", "after", "for items that say nothing: 7d")
        return (
            self.duration(default, "default") or Duration(),
            self.one_of(item, "item", _ITEM_FIELDS),
        )

    # -- steps ----------------------------------------------------------------------------------------------------

    def _steps(self, top: Mapping) -> dict[str, Step]:
        node = self.required(top, "steps", "the flow", "at least one step")
        if node is None:
            return {}
        if not isinstance(node, Mapping) or not node.entries:
            self.wrong(node, "steps must be a list of 'name: step'")
            return {}
        self._step_names = tuple(node.entries)
        found = {}
        for name, entry in node.entries.items():
            self.word(entry.key, "the name of a step")
            if name == END:
                self.wrong(entry.key, "no step can be called 'end'", "choose another name")
            step = self._step(entry)
            if step is not None:
                found[name] = step
        return found

    def _step(self, entry: Entry) -> Step | None:
        name, node = entry.key.text, entry.value
        kinds = [kind for kind in _STEP_KEYS if isinstance(node, Mapping) and kind in node.entries]
        if not isinstance(node, Mapping) or len(kinds) != 1:
            self.wrong(
                entry.key,
                f"step {name!r} must have exactly one of ask, say, wait, end"
                + (f"; it has {' and '.join(kinds)}" if kinds else ""),
                'for example say: { en: "Thank you!" }',
            )
            return None
        kind = kinds[0]
        self.mapping(node, f"step {name!r} ({kind})", _STEP_KEYS[kind])
        content = self.required(node, kind, f"step {name!r}", "it cannot be empty")
        following = self._target(node.get("next")).name
        following = None if following == END else following
        match kind:
            case "ask":
                return self._ask(name, node, content, following)
            case "say":
                return Say(name, self.texts(content, "say") or {}, following)
            case "wait":
                return Wait(name, self.duration(content, "wait") or Duration(), following)
            case _:
                return End(name, self.one_of(content, "end", _OUTCOMES) or "answered")

    def _target(self, node: Node | None) -> _Target:
        """Read the name of a step that must be there, or `end`."""
        text = self.text(node, "next")
        if node is not None and text is not None and text not in {END, *self._step_names}:
            hint = did_you_mean(text, (*self._step_names, END))
            self.wrong(node, f"there is no step {text!r}", hint)
        return _Target(text)

    def _ask(self, name: str, node: Mapping, content: Node | None, following: str | None) -> Ask:
        choices_node = node.get("choices")
        choices: list[Choice] = []
        if isinstance(choices_node, Mapping):
            choices = [self._choice(entry, following) for entry in choices_node.entries.values()]
        elif choices_node is not None:
            self.wrong(choices_node, "choices must be a list of 'name: choice'")
        touchpoint = node.get("touchpoint")
        return Ask(
            name=name,
            texts=self.texts(content, "ask") or {},
            choices=tuple(choices),
            silence=self._silence(node.get("silence")),
            remind=self._remind(node.get("remind")),
            next=following,
            touchpoint=self.word(touchpoint, "touchpoint"),
        )

    def _silence(self, node: Node | None) -> Silence:
        silence = self.mapping(node, "silence", ("after", "next"))
        if silence is None:
            return Silence(DEFAULT_SILENCE)
        hint = "how long after the question, for example 7d"
        after = self.required(silence, "after", "silence", hint)
        duration = self.duration(after, "after")
        if after is not None and duration is not None and duration.is_zero():
            self.wrong(after, "silence after no time at all answers for the customer", hint)
        following = self._target(silence.get("next")).name
        return Silence(duration or DEFAULT_SILENCE, None if following == END else following)

    def _remind(self, node: Node | None) -> Remind | None:
        remind = self.mapping(node, "remind", ("after", "times", "text"))
        if remind is None:
            return None
        after = self.required(remind, "after", "remind", "for example 3d")
        duration = self.duration(after, "after")
        if after is not None and duration is not None and duration.is_zero():
            self.wrong(after, "a reminder cannot come at once", "for example 3d")
        hint = "at most two reminders, and none after a reply"
        times_node = remind.get("times")
        times = self.text(times_node, "times")
        if times_node is not None and times not in {"1", "2"}:
            self.wrong(times_node, f"times must be 1 or {MAX_REMINDER_TIMES}", hint)
        texts = self.texts(remind.get("text"), "text")
        return Remind(duration or DEFAULT_SILENCE, 2 if times == "2" else 1, texts)

    # -- choices --------------------------------------------------------------------------------------------------

    def _choice(self, entry: Entry, step_next: str | None) -> Choice:
        name, node = entry.key.text, entry.value
        self.word(entry.key, "the name of a choice")
        if isinstance(node, Scalar):
            return Choice(name, self.texts(node, "label") or {}, step_next)
        choice = self.mapping(node, f"choice {name!r}", _CHOICE_KEYS)
        if choice is None:
            return Choice(name, {})
        label = self.required(choice, "label", f"choice {name!r}", "what stands on the button")
        factors = self._factors(choice.get("factors"))
        target = self._target(choice.get("next")).name
        if target is None or (target == END and step_next is None):
            target = step_next
        completes = self.truth(choice.get("completes"), "completes") or False
        return Choice(
            name=name,
            label=self.texts(label, "label") or {},
            next=target,
            factors=factors,
            touchpoint=self.word(choice.get("touchpoint"), "touchpoint"),
            completes=completes,
            unhappy=self._unhappy(choice, factors, completes=completes),
        )

    def _factors(self, node: Node | None) -> dict[Factor, float]:
        factors = self.mapping(node, "factors", tuple(factor.value for factor in Factor))
        found: dict[Factor, float] = {}
        for name, entry in factors.entries.items() if factors is not None else ():
            text = self.text(entry.value, name)
            try:
                value = float(text or "")
            except ValueError:
                value = -1.0
            if not 0 <= value <= 1:
                self.wrong(entry.value, f"{name} must be a number from 0 to 1", "0, 0.5 or 1")
            elif name in set(Factor):
                found[Factor(name)] = value
        return found

    def _unhappy(self, choice: Mapping, factors: dict[Factor, float], *, completes: bool) -> bool:
        node = choice.get("unhappy")
        stated = self.truth(node, "unhappy")
        if stated is False and node is not None and 0 in factors.values():
            self.wrong(
                node,
                "a factor of 0 is an unhappy reply, whatever the words",
                "leave 'unhappy' out, or give the factor another value",
            )
        worst = min(factors.values(), default=1.0)
        unhappy = worst <= UNHAPPY_AT_MOST if stated is None else stated
        if unhappy and completes:
            self.wrong(
                choice,
                "an unhappy reply cannot complete the sale",
                "leave 'completes' out, or say 'unhappy: false' where no factor is 0",
            )
        return unhappy
