"""What is different between two versions of a flow, in the words of who writes flows. Pure.

What lives here: which steps came, went or were given another name, which words changed in which language, and which
facts about a step (where it leads, its times, what an answer means). Everything that counts in a version is walked, so
that two versions which differ never look alike. What must not: how it is shown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from bot.durations import Duration
from bot.flows.model import End, Flow, Match, Step, Trigger, Variant, Window

FLOW = "the flow"
SENTENCES = "the bot's own sentences"
"""Places of what belongs to no step."""

_NAMES: Mapping[str, str] = {
    "texts": "",
    "label": "button",
    "next": "leads to",
    "otherwise": "otherwise leads to",
    "step": "begins at",
    "condition": "if",
    "match": "for",
    "item_field": "after, as the item says",
    "once": "once per sale",
    "change_answer": "answers can be changed for",
    "completes": "completes the sale",
    "unhappy": "opens a case",
    "per_promise": "asked for each promise",
    "moment": "until",
    "since": "counted from",
    "events": "waits for",
    "expires": "ends after",
    "photo": "picture",
    "remind": "reminder",
    "what": "offers",
    "about": "case",
    "scale": "shown as",
}
_LEADS = frozenset({"next", "otherwise", "step"})
_LEFT_OUT = frozenset({"name", "version", "source", "steps", "phrases", "reason_for"})
_KINDS = {"OpenCaseStep": "case", "GoTo": "go to"}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs at `place` (a step, or one of the places above); None: it is not there on that side.

    `language` is that of words; empty where it is a fact: a time, where a step leads, what an answer means.
    """

    place: str
    what: str
    old: str | None
    new: str | None
    language: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs between two versions. `renamed` maps old names of steps to new ones."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    renamed: Mapping[str, str] | None = None
    words: tuple[Change, ...] = ()
    facts: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything differs."""
        return bool(self.added or self.removed or self.renamed or self.words or self.facts)


_Fact = tuple[str, str, str]
"""Place, what it is, language."""


def difference(old: Flow, new: Flow) -> Difference:
    """Return what is different in `new`."""
    renamed = _renamed(old, new)
    gone = [name for name in old.steps if name not in new.steps and name not in renamed]
    come = [name for name in new.steps if name not in old.steps and name not in renamed.values()]
    before, after = dict(_facts(old, renamed)), dict(_facts(new, {}))
    stays = [renamed.get(name, name) for name in old.steps if name not in gone]
    if stays != (now_so := [name for name in new.steps if name not in come]):
        before[FLOW, "order of steps", ""], after[FLOW, "order of steps", ""] = ", ".join(stays), ", ".join(now_so)
    changes = [
        Change(place, what, before.get((place, what, language)), after.get((place, what, language)), language)
        for place, what, language in dict.fromkeys([*after, *before])
        if before.get((place, what, language)) != after.get((place, what, language))
    ]
    order = {place: at for at, place in enumerate([FLOW, *new.steps, *old.steps, SENTENCES][::-1])}
    changes.sort(key=lambda each: -order.get(each.place, 0))
    return Difference(
        tuple(come),
        tuple(gone),
        renamed,
        tuple(each for each in changes if each.language),
        tuple(each for each in changes if not each.language),
    )


def kind_of(step: Step) -> str:
    """Return what the kind of a step is called in a flow file."""
    return _KINDS.get(type(step).__name__, type(step).__name__.lower())


def _renamed(old: Flow, new: Flow) -> dict[str, str]:
    """Return which steps are there under another name: of one kind, and alike in all that they say."""
    come = [name for name in new.steps if name not in old.steps]
    found: dict[str, str] = {}
    for name, step in old.steps.items():
        if name in new.steps:
            continue
        twin = next((each for each in come if each not in found.values() and _alike(step, new.steps[each])), None)
        if twin is not None:
            found[name] = twin
    return found


def _alike(one: Step, other: Step) -> bool:
    if type(one) is not type(other):
        return False
    words = [{key: text for key, text in _walk(step, "", {}) if key[2]} for step in (one, other)]
    if any(words):
        return words[0] == words[1]
    facts = [dict(_walk(step, "", {})) for step in (one, other)]
    return not isinstance(one, End) and facts[0] == facts[1]


# Facts -----------------------------------------------------------------------------------------------------------


def _facts(flow: Flow, renamed: Mapping[str, str]) -> Iterator[tuple[_Fact, str]]:
    """Give everything that counts in a version, each thing with its place; names of steps as they are called later."""
    for each in fields(flow):
        if each.name not in _LEFT_OUT and each.name != "triggers":
            yield from _walk_field(each.name, getattr(flow, each.name), FLOW, "", renamed)
    seen: dict[str, int] = {}
    for trigger in flow.triggers:
        seen[trigger.on] = seen.get(trigger.on, 0) + 1
        nth = f" ({seen[trigger.on]})" if seen[trigger.on] > 1 else ""
        for (_, what, language), text in _walk(trigger, FLOW, renamed):
            yield (FLOW, f"start on {trigger.on}{nth}" + (f": {what}" if what else ""), language), text
    yield (FLOW, "starts", ""), ", ".join(trigger.on for trigger in flow.triggers)
    for name, step in flow.steps.items():
        called = renamed.get(name, name)
        yield (called, "kind", ""), kind_of(step)
        yield from _walk(step, called, renamed)
    for name, texts in (flow.phrases or {}).items():
        for language, text in texts.items():
            yield (SENTENCES, name, language), text


def _walk(value: Any, place: str, renamed: Mapping[str, str], within: str = "") -> Iterator[tuple[_Fact, str]]:
    for each in fields(value):
        if each.name not in _LEFT_OUT and not (isinstance(value, Trigger) and each.name == "on"):
            yield from _walk_field(each.name, getattr(value, each.name), place, within, renamed)


def _walk_field(
    name: str, value: Any, place: str, within: str, renamed: Mapping[str, str]
) -> Iterator[tuple[_Fact, str]]:
    what = " ".join(part for part in (within, _NAMES.get(name, name.replace("_", " "))) if part)
    if name in {"texts", "label"}:
        for language, text in (value or {}).items():
            yield (place, what or "text", language), text
    elif name == "choices":
        if value:
            yield (place, "buttons, in this order", ""), ", ".join(choice.name for choice in value)
        for choice in value:
            yield from _walk(choice, place, renamed, f"“{choice.name}”")
    elif name in {"variants", "arms"}:
        yield from _walk_list(name, value, place, within, renamed)
    elif isinstance(value, Mapping):
        if value or name == "values":
            yield (place, what, ""), ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    elif is_dataclass(value) and not isinstance(value, Duration | Window | Match):
        yield from _walk(value, place, renamed, what)
    elif name in _LEADS:
        yield (place, what, ""), renamed.get(value, value) if value else "the end"
    elif value not in (None, (), False):
        yield (place, what, ""), _plain(value)


def _walk_list(
    name: str, values: Any, place: str, within: str, renamed: Mapping[str, str]
) -> Iterator[tuple[_Fact, str]]:
    for number, each in enumerate(values, 1):
        title = f"for {_plain(each.match)}" if isinstance(each, Variant) else f"way {number}"
        if name == "variants" and [_plain(one.match) for one in values].count(_plain(each.match)) > 1:
            title = f"{title} ({number})"
        yield from _walk(each, place, renamed, " ".join(part for part in (within, title) if part))
    if name == "variants" and len(values) > 1:
        yield (
            (place, f"{within} products, in this order".strip(), ""),
            ", ".join(_plain(each.match) for each in values),
        )


def _plain(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case StrEnum():
            return value.value
        case Match():
            return f"{value.kind} {value.value}"
        case Window():
            days = " ".join(_DAYS[day] for day in value.days)
            hours = f"{value.begins:%H:%M}-{value.ends:%H:%M}" if value.begins != value.ends else ""
            return " ".join(each for each in (days, hours) if each)
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case tuple():
            return ", ".join(_plain(each) for each in value)
        case _:
            return str(value)
