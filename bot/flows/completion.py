"""What can be written at a place in a flow file: offered to whoever types. Pure; a text and a place in, words out.

Made of the same table as the reader and the JSON Schema (`bot.flows.forms`), and of the names that there are. The text
is half written, so it is not parsed: lines and their indentation tell where one is, and braces within the line.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from bot.flows.expressions import NAMES
from bot.flows.forms import FORMS, STEPS, Form, Key
from bot.flows.model import END
from bot.flows.phrases import PHRASES
from bot.flows.render import FILTERS, LISTS, VARIABLES

_KEY = re.compile(r"""^(\s*)((?:-\s+)*)["']?([\w.-]+)["']?\s*:(\s|$)""")
_BLOCK_TEXT = re.compile(r":\s*[>|][-+0-9]*\s*(#.*)?$")
_WORD = re.compile(r"[\w.-]*$")
_NAME_IN_TEXT = re.compile(r"[\w.]*$")
_STEP_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_LENGTHS = ("1h", "4h", "1d", "2d", "3d", "7d", "2w", "1bd")
_CHOSEN_FOR: Mapping[str, str] = {"touchpoint": "touchpoints", "team": "teams"}
_FACTORS = ("0", "0.5", "1")
_LANGUAGES = ("en", "da")


@dataclass(frozen=True, slots=True)
class Around:
    """Names that exist outside the text."""

    languages: Sequence[str] = _LANGUAGES
    touchpoints: Collection[str] = ()
    teams: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that can be written: the word, what is inserted, of which sort it is, and what it means."""

    label: str
    insert: str
    sort: Literal["key", "word", "name"]
    about: str = ""


@dataclass(frozen=True, slots=True)
class Offered:
    """What can be written in the place of the last `back` characters before the cursor."""

    back: int
    options: tuple[Option, ...] = ()


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is open on the line of the cursor; `key` is the one whose value is being written."""

    bracket: str
    key: str | None = None
    seen: list[str] = field(default_factory=list)


_Named: TypeAlias = tuple[Literal["named"], str]
_Place: TypeAlias = Form | Key | _Named | Literal["texts", "step", "nothing"]


def offered(before: str, after: str, around: Around, *, phrases: bool = False) -> Offered:
    """Say what can stand between `before` and `after`. `phrases`: it is a file of the bot's own sentences."""
    template = _template_open(before)
    if template is not None:
        return _in_template(template, before + after)
    line = before.rpartition("\n")[2]
    if "#" in line and re.search(r"(^|\s)#", line):
        return Offered(0)
    word = _WORD.search(line)
    back = len(word.group()) if word else 0
    path, frames, indent = _path_to(before)
    if path is None:
        return Offered(0)
    is_value = bool(frames and frames[-1].bracket == "{" and frames[-1].key is not None) or (
        bool(frames) and frames[-1].bracket == "["
    )
    if not frames:
        is_value = _KEY.match(line) is not None
    present = frames[-1].seen + _keys_until_brace(after) if frames else _siblings(before, after, indent)
    place = _phrases_at(path) if phrases else _at(path, set(present))
    options = list(_values(place, around, before + after) if is_value else _keys(place, around, present, frames))
    return Offered(back, tuple(options))


# where one is -----------------------------------------------------------------------------------------------------


def _path_to(before: str) -> tuple[list[str] | None, list[_Frame], int]:
    """Give the keys that lead to the end of a text, what is open on its last line, and how far that is indented.

    No path: it is within a text of several lines.
    """
    *above, line = before.split("\n")
    stack: list[tuple[int, str]] = []
    text_deeper_than: int | None = None
    for each in above:
        if not each.strip() or each.lstrip().startswith("#"):
            continue
        indent = len(each) - len(each.lstrip())
        if text_deeper_than is not None and indent > text_deeper_than:
            continue
        text_deeper_than = None
        found = _KEY.match(each)
        if found is None:
            continue
        at = len(found[1]) + len(found[2])
        stack = [(deep, key) for deep, key in stack if deep < at]
        stack.append((at, found[3]))
        if _BLOCK_TEXT.search(each):
            text_deeper_than = indent
    indent = len(line) - len(line.lstrip())
    if text_deeper_than is not None and (indent > text_deeper_than or not line.strip()):
        return None, [], indent
    found = _KEY.match(line)
    dash = re.match(r"(\s*)((?:-\s+)*)", line)
    at = len(dash[1]) + len(dash[2]) if dash else indent
    path = [key for deep, key in stack if deep < at]
    frames: list[_Frame] = []
    if found:
        path.append(found[3])
        frames = _frames(line[found.end() :])
    elif dash and line[dash.end() : dash.end() + 1] in ("{", "["):
        frames = _frames(line[dash.end() :])
    path.extend(frame.key for frame in frames if frame.key is not None)
    return path, frames, at


def _frames(line: str) -> list[_Frame]:
    """Give the braces and brackets that are open at the end of a part of a line."""
    frames: list[_Frame] = []
    quote, word = "", ""
    for sign in line:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'" and not word.strip():
            quote = sign
        elif sign in "{[":
            frames.append(_Frame(sign))
            word = ""
        elif sign in "}]":
            if frames:
                frames.pop()
            word = ""
        elif sign == ":" and frames and frames[-1].bracket == "{" and frames[-1].key is None:
            frames[-1].key = word.strip()
            frames[-1].seen.append(word.strip())
            word = ""
        elif sign == "," and frames:
            frames[-1].key = None
            word = ""
        else:
            word += sign
    return frames


def _keys_until_brace(after: str) -> list[str]:
    rest = after.partition("\n")[0].partition("}")[0]
    return re.findall(r"([\w-]+)\s*:", rest)


def _siblings(before: str, after: str, indent: int) -> list[str]:
    """Give the keys that stand beside the place, in the same mapping."""

    def found(lines: Sequence[str]) -> Iterator[str]:
        for each in lines:
            if not each.strip() or each.lstrip().startswith("#"):
                continue
            key = _KEY.match(each)
            at = len(key[1]) + len(key[2]) if key else len(each) - len(each.lstrip())
            if at < indent:
                return
            if key and at == indent:
                yield key[3]
                if key[2]:
                    return

    return [*found(before.split("\n")[-2::-1]), *found(after.split("\n")[1:])]


# what stands there ------------------------------------------------------------------------------------------------


def _at(path: Sequence[str], present: set[str]) -> _Place:
    place: _Place = FORMS["flow"]
    for number, key in enumerate(path):
        place = _below(place, key)
        if place == "step":
            place = _step(present if number == len(path) - 1 else {*path[number + 1 :]})
    return place


def _below(place: _Place, key: str) -> _Place:
    if isinstance(place, tuple):
        return "step" if place[1] == "step" else FORMS[place[1]]
    if not isinstance(place, Form):
        return "nothing"
    found = next((each for each in place.keys if each.name == key), None)
    if found is None:
        return "nothing"
    if found.named:
        return ("named", found.form)
    if found.form and found.or_kind is None:
        return FORMS[found.form]
    return found


def _step(keys: Collection[str]) -> Form:
    """Give the form of a step by the key that makes it one; before that is written, all that can."""
    kind = next((each for each in STEPS if each in keys), None)
    if kind is not None:
        return STEPS[kind]
    making = tuple(next(key for key in form.keys if key.name == name) for name, form in STEPS.items())
    known = {key.name for key in making}
    others = {key.name: key for form in STEPS.values() for key in form.keys if key.name not in known}
    return Form("step", "", (*making, *others.values()))


def _phrases_at(path: Sequence[str]) -> _Place:
    sentences = tuple(Key(name, "", "texts") for name in PHRASES)
    return Form("phrases", "", sentences) if not path else Key(path[0], "", "texts")


def _keys(place: _Place, around: Around, present: Sequence[str], frames: Sequence[_Frame]) -> Iterator[Option]:
    if isinstance(place, Key) and place.kind == "texts":
        yield from (Option(each, f"{each}: ", "key") for each in around.languages if each not in present)
    elif isinstance(place, Key) and place.form:
        place = FORMS[place.form]
    if isinstance(place, Form):
        is_new_step = place.name == "step"
        for key in place.keys:
            if key.name not in present and not (is_new_step and key.name not in STEPS):
                has_lines = (key.named or key.form) and not frames and key.or_kind is None and not key.many
                yield Option(key.name, f"{key.name}:{'' if has_lines else ' '}", "key", _plain(_about(key, place)))


def _about(key: Key, form: Form) -> str:
    return STEPS[key.name].doc if form.name == "step" and key.name in STEPS else key.doc


def _values(place: _Place, around: Around, text: str) -> Iterator[Option]:
    if not isinstance(place, Key):
        return
    if place.words:
        yield from (Option(each, each, "word") for each in place.words)
    elif place.name in _CHOSEN_FOR:
        yield from (Option(each, each, "name") for each in sorted(getattr(around, _CHOSEN_FOR[place.name])))
    elif place.kind == "step":
        yield from (Option(each, each, "name") for each in (*steps_in(text), END))
    elif place.kind == "truth":
        yield from (Option(each, each, "word") for each in ("true", "false"))
    elif place.kind == "number":
        yield from (Option(each, each, "word") for each in _FACTORS)
    elif "duration" in (place.kind, place.or_kind):
        yield from (Option(each, each, "word") for each in _LENGTHS)
    elif place.kind in ("condition", "value", "moment"):
        yield from (Option(each, each, "name") for each in NAMES)


def steps_in(text: str) -> dict[str, int]:
    """Give the steps in a flow's text with the lines on which they begin, however it stands otherwise."""
    lines = text.split("\n")
    try:
        start = next(number for number, line in enumerate(lines) if line.rstrip() == "steps:")
    except StopIteration:
        return {}
    found: dict[str, int] = {}
    indent: int | None = None
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        deep = len(line) - len(line.lstrip())
        if deep == 0:
            break
        key = _KEY.match(line)
        indent = deep if indent is None else indent
        if key and deep == indent and _STEP_NAME.fullmatch(key[3]):
            found[key[3]] = number
    return found


# within a text ----------------------------------------------------------------------------------------------------


def _template_open(before: str) -> str | None:
    """Give what is written so far between ``{{`` or ``{%`` and the cursor; None where neither is open."""
    opened = max(before.rfind("{{"), before.rfind("{%"))
    closed = max(before.rfind("}}"), before.rfind("%}"))
    if opened < 0 or opened < closed or before[opened:].count("\n") > 2:  # noqa: PLR2004 - it was never closed, then
        return None
    return before[opened + 2 :]


def _in_template(inside: str, text: str) -> Offered:
    written = _NAME_IN_TEXT.search(inside)
    word = written.group() if written else ""
    if re.search(r"\|\s*\w*$", inside):
        return Offered(len(word), tuple(Option(each, each, "word") for each in FILTERS))
    name, dot, rest = word.partition(".")
    if dot:
        notes = tuple(dict.fromkeys(re.findall(r"set:\s*\{\s*([A-Za-z_]\w*)", text)))
        loops = dict(re.findall(r"for\s+(\w+)\s+in\s+(items|promises)", text))
        fields = notes if name == "vars" else LISTS.get(loops.get(name, ""), VARIABLES.get(name, ()))
        return Offered(len(rest), tuple(Option(each, each, "name") for each in fields))
    return Offered(len(word), tuple(Option(each, each, "name") for each in VARIABLES))


def _plain(doc: str) -> str:
    return _LINK.sub(r"\1", doc).replace("`", "")
