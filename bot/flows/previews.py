"""What a customer sees of a flow: each of its messages in one language, with values for the names. Pure.

What lives here: which messages there are, and what stands in them. What must not: how a phone looks, and who is told
what when (the engine decides that; playing shows it).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.flows.check_texts import CAPTION_MAX_UNITS, LONGEST, notes_of
from bot.flows.model import Ask, Flow, Offer, Say, Speaking, Step, Texts
from bot.flows.render import TEXT_MAX_CHARS, full_length, pick_language, render

_DUE = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)
_PROMISE = {"text": "Delivered before the weekend", "due_at": _DUE}

USUAL: Mapping[str, Any] = {
    "customer": {"id": "c-7", "name": "Freja Holm", "first_name": "Freja"},
    "sale": {"id": "1001", "summary": "two bottles of Barolo", "total": 598, "currency": "DKK"},
    "items": [{"sku": "BAROLO-19", "name": "Barolo 2019", "quantity": 2}],
    "promise": _PROMISE,
    "promises": [_PROMISE],
    "expected": {"at": _DUE},
    "case": {"due_at": _DUE, "answer_by": _DUE, "said": "One bottle was broken", "team": "wine"},
    "remedy": {"kind": "Replacement", "note": "A new bottle is on its way"},
}
"""Values as they are on most days. The shop's own stand beside them."""


@dataclass(frozen=True, slots=True)
class Preview:
    """One message as it would be seen: its words, its rows of buttons, its picture.

    `sort` is ``ask``, ``say``, ``offer`` or ``remind``; `only_for` says for which products, empty for all. `instead`:
    the language in which it is told because it is not there in the wanted one. `units` of `limit` characters are used.
    """

    step: str
    sort: str
    text: str
    buttons: tuple[tuple[str, ...], ...] = ()
    photo: str = ""
    only_for: str = ""
    instead: str = ""
    units: int = 0
    limit: int = TEXT_MAX_CHARS

    @property
    def is_too_long(self) -> bool:
        """Whether its end would be cut off, or come as a message of its own below the picture."""
        return self.units > self.limit


def values_for(flow: Flow, values: Mapping[str, Any], shop: Mapping[str, Any]) -> dict[str, Any]:
    """Give `values` with those of the shop, and something for each note that the flow sets."""
    return {"vars": dict.fromkeys(notes_of(flow), "…"), "shop": shop, **values}


def longest_for(flow: Flow) -> dict[str, Any]:
    """Give the longest values that texts meet in life."""
    return {**LONGEST, "vars": dict.fromkeys(notes_of(flow), "v" * 60)}


def languages_in(flow: Flow, shops: Sequence[str]) -> list[str]:
    """Give the shop's languages, and whatever others the flow speaks."""
    spoken = (language for step in flow.steps.values() for language in (getattr(step, "texts", None) or {}))
    return list(dict.fromkeys([*shops, *spoken]))


def previews(flow: Flow, language: str, values: Mapping[str, Any], zone: str) -> list[Preview]:
    """Give every message of a flow in the order of its steps; what some products get stands behind what all get."""
    return [each for step in flow.steps.values() for each in _of_step(flow, step, language, values, zone)]


def _of_step(flow: Flow, step: Step, language: str, values: Mapping[str, Any], zone: str) -> Iterator[Preview]:
    def told(texts: Texts, more: Mapping[str, Any]) -> str:
        return render(texts, [language], {**values, **more}, zone=zone)

    def message(sort: str, texts: Texts, photo: str | None, only_for: str = "", **more: Any) -> Preview:
        chosen = pick_language(texts, [language])
        instead = "" if chosen in {language, language.partition("-")[0]} else chosen
        units = full_length(texts.get(chosen, ""), chosen, {**values, **more})
        limit = CAPTION_MAX_UNITS if photo else TEXT_MAX_CHARS
        return Preview(step.name, sort, told(texts, more), buttons, photo or "", only_for, instead, units, limit)

    if not isinstance(step, Ask | Say | Offer):
        return
    sort, buttons = type(step).__name__.lower(), _buttons(step, lambda texts: told(texts, {}))
    yield message(sort, step.texts, step.photo)
    for each in step.variants:
        yield message(sort, each.texts or step.texts, each.photo or step.photo, f"{each.match.kind} {each.match.value}")
    if isinstance(step, Ask) and step.remind is not None:
        if step.remind.texts:
            yield message("remind", step.remind.texts, None)
        elif flow.phrases and "reminder" in flow.phrases:
            yield message("remind", flow.phrases["reminder"], None, text=told(step.texts, {}))


def _buttons(step: Speaking, told: Callable[[Texts], str]) -> tuple[tuple[str, ...], ...]:
    """Give the rows of buttons, as conversations lay them out: below each other, the steps of a rating in one row."""
    match step:
        case Ask():
            labels = [told(choice.label) for choice in step.choices]
            return (tuple(labels),) if step.scale else tuple((each,) for each in labels)
        case Offer():
            return ((told(step.label),),)
        case _:
            return ()
