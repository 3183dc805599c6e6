"""Reading a flow as an admin wrote it into frozen values that are already valid, or into errors that say where.

What lives here: the form of a flow file, its defaults, and the reasons for which one is refused. What must not: files
and folders (`bot.adapters.flow_files`), and taste (`bot.flows.check` says whether a valid flow is also a good one).
"""

import hashlib
import json
from collections.abc import Mapping as Values
from dataclasses import MISSING, fields, is_dataclass, replace
from datetime import timedelta
from typing import Any

from bot.durations import Duration
from bot.errors import FlowError
from bot.flows.formats import FORMAT, lift
from bot.flows.forms import FORMS, ITEM_FIELDS, SALE_EVENTS, START_EVENTS, UNLESS_EVENTS
from bot.flows.model import END, Flow, Purpose, Step, Trigger
from bot.flows.parse_steps import StepReader
from bot.flows.yaml_tree import Mapping, Node, read_tree

__all__ = ["SALE_EVENTS", "UNLESS_EVENTS", "parse_flow", "read_flow", "version_of"]

DEFAULT_EXPIRES = Duration(span=timedelta(days=45))

_FIRST = {
    "Flow": ("name", "purpose", "triggers", "steps", "expires", "version", "source", "once"),
    "Trigger": ("on", "after", "step", "unless", "item_field"),
    "Ask": ("name", "texts", "choices", "silence", "remind", "next", "touchpoint"),
    "Say": ("name", "texts", "next"),
    "Wait": ("name", "after", "next"),
    "End": ("name", "outcome"),
    "Choice": ("name", "label", "next", "factors", "touchpoint", "completes", "unhappy"),
    "Remind": ("after", "times", "texts"),
    "Silence": ("after", "next"),
    "Duration": ("span", "business_days"),
}
"""What the language began with. Whatever came later counts in a version only where a flow makes use of it, so that a
flow keeps its version when the language grows."""


def parse_flow(text: str, *, file: str, written_in: int = FORMAT) -> Flow:
    """Read one flow.

    Args:
        text: the YAML text.
        file: its name, for the messages.
        written_in: the form of the language that the text is written in (`bot.flows.formats`).

    Raises:
        FlowError: the first thing that is wrong with it. Never anything else, whatever the text.
    """
    flow, errors = read_flow(text, file, written_in)
    if flow is None:
        raise errors[0]
    return flow


def read_flow(text: str, file: str, written_in: int = FORMAT) -> tuple[Flow | None, list[FlowError]]:
    """Read one flow; where it is not valid, return None and all that is wrong with it, in the order of the text."""
    try:
        tree = lift(read_tree(text, file=file), written_in, file=file)
    except FlowError as error:
        return None, [error]
    reader = _Reader(file)
    flow = reader.flow(tree)
    if reader.errors or flow is None:
        return None, sorted(reader.errors, key=lambda error: (error.line, error.column))
    return replace(flow, version=version_of(flow), source=text), []


def version_of(flow: Flow) -> str:
    """Return the hash of all that a flow says and does, the bot's sentences that it speaks with among it.

    Comments, quotes and white space do not change it.
    """
    content = _content(replace(flow, version="", source=""))
    canonical = json.dumps(content, sort_keys=False, default=_plain, ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _content(value: Any) -> Any:
    if is_dataclass(value):
        first = _FIRST.get(type(value).__name__, ())
        return {
            each.name: _content(given)
            for each in fields(value)
            if (given := getattr(value, each.name)) is not MISSING and (each.name in first or given != each.default)
        }
    if isinstance(value, Values):
        return {key: _content(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [_content(each) for each in value]
    return value


def _plain(value: object) -> object:
    return value.total_seconds() if isinstance(value, timedelta) else str(value)


class _Reader(StepReader):
    """Reads one flow; its steps are known by name first, so that every `next` can be looked up."""

    def flow(self, tree: Node) -> Flow | None:
        top = self.mapping(tree, "a flow", FORMS["flow"].names)
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
        change_answer = self._change_answer(top.get("change_answer"))
        if name is None or purpose is None or self.errors:
            return None
        return Flow(
            name=name,
            purpose=Purpose(purpose),
            triggers=tuple(triggers),
            steps=steps,
            expires=expires,
            once=True if once is None else once,
            change_answer=change_answer,
        )

    def _change_answer(self, node: Node | None) -> Duration | None:
        found = self.duration(node, "change_answer")
        if node is not None and found is not None and (found.business_days or found.span > timedelta(days=1)):
            self.wrong(node, "an answer can be changed for a day at the most", "for example 10m; 0s: never")
        return found

    def _triggers(self, node: Node) -> list[Trigger]:
        found = [trigger for group in self.each(node, self._start) for trigger in group]
        if not found and not self.errors:
            self.wrong(node, "the flow starts on nothing", f"on: {', '.join(START_EVENTS)}")
        return found

    def _start(self, node: Node) -> list[Trigger]:
        start = self.mapping(node, "start", FORMS["start"].names)
        if start is None:
            return []
        on = self.required(start, "on", "start", "an event such as order.delivered")
        events = self.each(on, lambda one: self.one_of(one, "on", START_EVENTS)) if on is not None else []
        unless_node = start.get("unless")
        unless = (
            self.each(unless_node, lambda one: self.one_of(one, "unless", UNLESS_EVENTS))
            if unless_node is not None
            else []
        )
        after, item_field = self._start_after(start.get("after"))
        step = self.target(start.get("step"))
        if step is None:
            step = self.step_names[0] if self.step_names else ""
        variants = self.variants(start.get("for"), "for_start", "")
        condition = self.condition(start.get("if"), "if")
        return [Trigger(event, after, step, tuple(unless), item_field, variants, condition) for event in events]

    def _start_after(self, node: Node | None) -> tuple[Duration, str | None]:
        if not isinstance(node, Mapping):
            return self.duration(node, "after") or Duration(), None
        after = self.mapping(node, "after", FORMS["item_after"].names)
        if after is None:
            return Duration(), None
        item = self.required(after, "item", "after", f"one of {', '.join(ITEM_FIELDS)}")
        default = self.required(after, "default", "after", "for items that say nothing: 7d")
        return (
            self.duration(default, "default") or Duration(),
            self.one_of(item, "item", ITEM_FIELDS),
        )

    def _steps(self, top: Mapping) -> dict[str, Step]:
        node = self.required(top, "steps", "the flow", "at least one step")
        if node is None:
            return {}
        if not isinstance(node, Mapping) or not node.entries:
            self.wrong(node, "steps must be a list of 'name: step'")
            return {}
        self.step_names = tuple(node.entries)
        found: dict[str, Step] = {}
        for name, entry in node.entries.items():
            self.word(entry.key, "the name of a step")
            if name == END:
                self.wrong(entry.key, "no step can be called 'end'", "choose another name")
            step = self.step(entry)
            if step is not None:
                found[name] = step
        return {**found, **self.reason_steps}
