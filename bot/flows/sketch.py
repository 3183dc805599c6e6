"""What a picture of a flow shows of each step: a few words, and its ways out. Pure; used by every kind of picture.

What lives here: the words. What must not: lines and places (`bot.flows.picture`), Mermaid's grammar
(`bot.flows.mermaid`).
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.flows.edges import START, Way, ways_of_flow, ways_of_step
from bot.flows.model import End, Flow, Step, Texts
from bot.flows.render import pick_language, render

SAMPLE: Mapping[str, Any] = {
    "customer": {"id": "c-7", "name": "Freja Holm", "first_name": "Freja"},
    "sale": {"id": "1001", "summary": "…"},
    "shop": {"name": "…"},
    "promise": {"text": "…"},
    "case": {"said": "…"},
    "remedy": {"kind": "…"},
}
"""What stands for the names in a text."""

KINDS = {"opencasestep": "case", "goto": "go to"}
"""What steps are called where their class is called otherwise."""

TEXT_MAX_CHARS, LABEL_MAX_CHARS = 110, 34


@dataclass(frozen=True, slots=True)
class Exit:
    """One way out as a picture shows it: its words, where to (a step), or how it `ends`."""

    way: Way
    words: str
    target: str | None = None
    ends: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One step: its kind, what it says in one language, remarks, and its ways out."""

    name: str
    kind: str
    text: str = ""
    remarks: tuple[str, ...] = ()
    exits: tuple[Exit, ...] = field(default_factory=tuple)


def sketch(flow: Flow, languages: Sequence[str]) -> list[Card]:
    """Give a card for each beginning of a flow (its kind is ``start``), and then for each step but mere ends."""
    ends = {name: step.outcome for name, step in flow.steps.items() if isinstance(step, End)}
    starts = [way for way in ways_of_flow(flow) if way.kind == "start"]
    cards = [
        Card(f"{START}{number}", "start", way.name, exits=(_exit(way, way.after, ends),))
        for number, way in enumerate(starts)
    ]
    return cards + [_card(name, step, ends, languages) for name, step in flow.steps.items() if name not in ends]


def _card(name: str, step: Step, ends: Mapping[str, str], languages: Sequence[str]) -> Card:
    ways = list(ways_of_step(name, step))
    reminders = [way for way in ways if way.kind == "remind"]
    remarks: tuple[str, ...] = ()
    if reminders:
        remarks = (f"asked again after {reminders[0].after}, {len(reminders)}×",)
    touchpoint = getattr(step, "touchpoint", None)
    remarks += (f"touchpoint: {touchpoint}",) if touchpoint else ()
    exits = tuple(_exit(way, _words(way, step, languages), ends) for way in ways if way.kind != "remind")
    kind = type(step).__name__.lower()
    return Card(name, KINDS.get(kind, kind), _text(step, languages), remarks, exits)


def _exit(way: Way, words: str, ends: Mapping[str, str]) -> Exit:
    if way.target is None:
        return Exit(way, words, ends="silent" if way.kind == "silence" else "answered")
    if way.target in ends:
        return Exit(way, words, ends=ends[way.target])
    return Exit(way, words, target=way.target)


def _words(way: Way, step: object, languages: Sequence[str]) -> str:
    match way.kind:
        case "choice":
            label = render(way.label or {}, languages, SAMPLE) or way.name
            return textwrap.shorten(label, LABEL_MAX_CHARS, placeholder="…") + _what_it_does(step, way.name)
        case "silence":
            return f"no answer, {way.after}"
        case "words":
            return "their words"
        case "pause":
            return way.after
        case "event":
            return f"on {way.name}"
        case "next":
            return way.name
        case "arm":
            return way.name if way.name == "otherwise" else f"if {way.name}"
        case _:
            return ""


def _what_it_does(step: object, name: str) -> str:
    choice = next((each for each in getattr(step, "choices", ()) if each.name == name), None)
    if choice is None:
        return ""
    return (" ✔" if choice.completes else "") + (" ⚠" if choice.unhappy else "")


def _text(step: object, languages: Sequence[str]) -> str:
    texts: Texts = getattr(step, "texts", {})
    if texts:
        return _shortened(" ".join(render(texts, languages, SAMPLE).split()))
    for field_name in ("about", "values"):
        value = getattr(step, field_name, None)
        if value:
            noted = value if isinstance(value, str) else ", ".join(f"{k} = {v}" for k, v in value.items())
            return _shortened(noted)
    return ""


def _shortened(text: str) -> str:
    if len(text) <= TEXT_MAX_CHARS:
        return text
    return text[: TEXT_MAX_CHARS - 1].rsplit(" ", maxsplit=1)[0] + "…"


def languages_of(flow: Flow, wanted: str | None) -> list[str]:
    """Give the languages to try: the wanted one, else English, else whatever the flow has."""
    texts = next((step.texts for step in flow.steps.values() if hasattr(step, "texts")), {})
    return [each for each in (wanted, "en", pick_language(texts, ())) if each]
