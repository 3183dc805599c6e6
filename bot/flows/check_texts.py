"""Whether the texts of a flow are good: there in every language, readable, short enough, and free of selling.

What lives here: findings about texts, pictures and conditions. What must not: the ways between steps.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from bot.flows.expressions import expression_faults
from bot.flows.findings import Findings, Surroundings
from bot.flows.model import Ask, Branch, Flow, Offer, Purpose, Say, Set, Texts, Variant, Wait
from bot.flows.render import TEMPLATE_MAX_CHARS, TEXT_MAX_CHARS, faults, full_length, pick_language
from bot.flows.ways import Path, place_of

LABEL_MAX_CHARS = 64
"""Longer labels are cut off on a telephone."""

CAPTION_MAX_UNITS = 1024
"""The longest text below a picture. Source: https://core.telegram.org/bots/api#sendphoto (read 2026-11-25)"""

REMINDER_UNITS = 60
"""What a reminder adds to a question that it repeats."""

_LATE = datetime(2026, 9, 30, 22, 59, tzinfo=UTC)
_LONG_ITEM = {"sku": "S" * 30, "name": "N" * 60, "quantity": 12}
_LONG_PROMISE = {"text": "P" * 200, "due_at": _LATE}

LONGEST: Mapping[str, object] = MappingProxyType(
    {
        "customer": {"id": "c" * 36, "name": "N" * 60, "first_name": "N" * 30},
        "sale": {"id": "s" * 36, "summary": "S" * 200, "total": 1234567.89, "currency": "DKK"},
        "items": [_LONG_ITEM] * 10,
        "promise": _LONG_PROMISE,
        "promises": [_LONG_PROMISE] * 5,
        "expected": {"at": _LATE},
        "shop": {"name": "S" * 60, "privacy": "p" * 120},
        "case": {"due_at": _LATE, "answer_by": _LATE, "said": "w" * 400, "team": "t" * 40},
        "remedy": {"kind": "k" * 60, "note": "n" * 300},
    }
)
"""The longest values that texts meet in life; with these they must still fit."""


@dataclass(frozen=True, slots=True)
class _Said:
    """One text of a flow: where it is written, how long it may become, and whether languages make a difference."""

    path: Path
    texts: Texts
    limit: int = TEXT_MAX_CHARS
    is_label: bool = False
    needs_no_words: bool = False


def check_texts(flow: Flow, around: Surroundings, notes: Findings) -> None:
    """Note what is wrong with the texts of a flow."""
    said = [each for name in flow.steps for each in _said_in(flow, name)]
    languages = list(around.languages) or _spoken(said)
    values = {**LONGEST, "vars": dict.fromkeys(notes_of(flow), "v" * 60)}
    for each in said:
        _check(each, flow, languages, around, values, notes)
    for name, step in flow.steps.items():
        if isinstance(step, Ask):
            _labels_differ(name, step, notes)


def _spoken(said: list[_Said]) -> list[str]:
    """Return the languages that most texts of the flow are in, where no shop says which there should be."""
    written = [each for each in said if not each.needs_no_words]
    known = dict.fromkeys(language for each in written for language in each.texts)
    return [language for language in known if sum(language in each.texts for each in written) * 2 > len(written)]


def _said_in(flow: Flow, name: str) -> Iterator[_Said]:
    step, path = flow.steps[name], place_of(name)
    match step:
        case Ask():
            key = "rate" if step.scale else "ask"
            yield from _spoken_by(path, key, step.texts, step.photo, step.variants)
            if step.remind is not None:
                own = step.remind.texts
                if own is not None:
                    yield _Said((*path, "remind", "text"), own)
            for choice in step.choices:
                here = (*path, "choices", choice.name)
                # The faces of a rating need no words.
                yield _Said(
                    (*here, "label"),
                    choice.label,
                    LABEL_MAX_CHARS,
                    is_label=True,
                    needs_no_words=step.scale is not None,
                )
        case Say():
            yield from _spoken_by(path, "say", step.texts, step.photo, step.variants)
        case Offer():
            yield from _spoken_by(path, "text", step.texts, step.photo, step.variants)
            yield _Said((*path, "label"), step.label, LABEL_MAX_CHARS, is_label=True)
        case _:
            pass


def _spoken_by(path: Path, key: str, texts: Texts, photo: str | None, variants: tuple[Variant, ...]) -> Iterator[_Said]:
    yield _Said((*path, key), texts, CAPTION_MAX_UNITS if photo else TEXT_MAX_CHARS)
    for number, variant in enumerate(variants):
        if variant.texts is not None:
            limit = CAPTION_MAX_UNITS if variant.photo or photo else TEXT_MAX_CHARS
            # One variant may stand by itself, without a list around it.
            yield _Said((*path, "for", str(number), key), variant.texts, limit)


def _check(
    said: _Said,
    flow: Flow,
    languages: list[str],
    around: Surroundings,
    values: Mapping[str, object],
    notes: Findings,
) -> None:
    if not said.texts:
        notes.error(said.path, "there is no text")
        return
    for language in () if said.needs_no_words else languages:
        if pick_language(dict.fromkeys(said.texts, ""), [language]) in {language, language.split("-")[0]}:
            continue
        instead = pick_language(said.texts, [language, *languages])
        message = f"there is no text in {language!r}; who reads {language!r} gets it in {instead!r}"
        notes.warning(said.path, message, f"add {language}: …")
    for language, text in said.texts.items():
        where = (*said.path, language)
        wrong = faults(text, more={"vars": tuple(notes_of(flow))}, language=language)
        for fault in wrong:
            notes.error(where, fault)
        if not wrong:
            _length(said, where, language, text, values, notes)
        _selling(flow, where, language, text, around, notes)


def _length(said: _Said, where: Path, language: str, text: str, values: Mapping[str, object], notes: Findings) -> None:
    if said.is_label and len(text) > said.limit and "{" not in text:
        notes.error(where, f"the label is longer than {said.limit} characters", "a telephone cuts it off")
        return
    if len(text) > TEMPLATE_MAX_CHARS:
        return
    units = full_length(text, language, values)
    if units <= said.limit:
        return
    if said.is_label:
        notes.warning(where, f"the label can become longer than {said.limit} characters", "a telephone cuts it off")
    elif said.limit == CAPTION_MAX_UNITS:
        message = f"with long names and words this text becomes {units} characters; below a picture {said.limit} fit"
        notes.warning(where, message, "it then follows the picture as a message of its own; shorten it")
    else:
        message = f"with long names and words this text becomes {units} characters; Telegram takes {said.limit}"
        notes.warning(where, message, "its end would be cut off; shorten it, or list less")


def _selling(flow: Flow, where: Path, language: str, text: str, around: Surroundings, notes: Findings) -> None:
    if flow.purpose is not Purpose.SERVICE:
        return
    listed = around.selling.get(language) or around.selling.get(language.split("-", maxsplit=1)[0], "")
    for word in (each.strip() for each in listed.split(",")):
        if word and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE):
            message = f"{word!r} sells; a message about service must not"
            notes.warning(where, message, "leave it out: nobody agreed to advertising here")


def _labels_differ(name: str, ask: Ask, notes: Findings) -> None:
    labels: dict[tuple[str, str], str] = {}
    for choice in ask.choices:
        for language, label in choice.label.items():
            other = labels.setdefault((language, label), choice.name)
            if other != choice.name:
                here = (*place_of(name), "choices", choice.name)
                notes.error(here, f"the same label as choice {other!r}", "give it other words")


# -- conditions --------------------------------------------------------------------------------------------------------


def notes_of(flow: Flow) -> list[str]:
    """Return the names of all notes that a flow ever sets."""
    return list(dict.fromkeys(name for step in flow.steps.values() if isinstance(step, Set) for name in step.values))


def check_conditions(flow: Flow, notes: Findings) -> None:
    """Note what is wrong with the conditions and values of a flow."""
    known = notes_of(flow)
    answers = {
        name: [choice.name for choice in step.choices]
        for name, step in flow.steps.items()
        if isinstance(step, Ask) and step.choices and "." not in name
    }
    for path, source in _conditions(flow):
        for fault in expression_faults(source, notes=known, answers=answers):
            notes.error(path, fault)


def _conditions(flow: Flow) -> Iterator[tuple[Path, str]]:
    for number, trigger in enumerate(flow.triggers):
        if trigger.condition is not None:
            yield _either(("start", str(number), "if"), flow, ("start", "if")), trigger.condition
        yield from _of_variants(("start",), trigger.variants)
    for name, step in flow.steps.items():
        path = place_of(name)
        match step:
            case Branch():
                for number, arm in enumerate(step.arms):
                    yield (*path, "branch", str(number), "if"), arm.condition
            case Set():
                for note, source in step.values.items():
                    yield (*path, "set", note), source
            case Wait():
                if isinstance(step.moment, str):
                    yield (*path, "wait", "until"), step.moment
                yield from _of_variants(path, step.variants)
            case Ask() | Say() | Offer():
                yield from _of_variants(path, step.variants)
            case _:
                pass


def _either(listed: Path, flow: Flow, alone: Path) -> Path:
    return listed if len(flow.triggers) > 1 else alone


def _of_variants(path: Path, variants: tuple[Variant, ...]) -> Iterator[tuple[Path, str]]:
    for number, each in enumerate(variants):
        if each.match.kind == "if":
            yield (*path, "for", str(number), "if"), each.match.value
