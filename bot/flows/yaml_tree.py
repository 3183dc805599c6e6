"""A YAML text as a tree of plain texts in which everything knows its place.

What lives here: reading YAML so that an error can name line and column of whatever is wrong. What must not: any
knowledge of flows or phrases. Scalars stay texts, so ``yes``, ``no`` and ``on`` are never surprised into booleans;
whoever expects a number or a truth reads it out of the text. Anchors, aliases and tags are refused: nothing in a flow
needs them, and they are how a small file becomes a very large one.
"""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from bot.errors import FlowError

TEXT_MAX_BYTES = 256 * 1024
DEPTH_MAX = 16

# The scanner is foreign code, fed with whatever an admin saved; these are the ways in which such code gives up.
_SCANNER_TROUBLE = (
    YAMLError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    NotImplementedError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands; both count from 1."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text. `is_plain` is true where it was written without quotes, so that an empty one means "nothing"."""

    place: Place
    text: str
    is_plain: bool = True

    def is_nothing(self) -> bool:
        """Tell whether the admin wrote no value at all."""
        return self.is_plain and self.text in {"", "~", "null"}


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    place: Place
    items: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping, with its own place."""

    key: Scalar
    value: "Node"


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values, in the order they were written."""

    place: Place
    entries: dict[str, Entry] = field(default_factory=dict)

    def get(self, key: str) -> "Node | None":
        """Return the value below `key`; None where it is absent or left empty."""
        entry = self.entries.get(key)
        if entry is None or (isinstance(entry.value, Scalar) and entry.value.is_nothing()):
            return None
        return entry.value


Node: TypeAlias = Scalar | Sequence | Mapping


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint for a word that is not known: the nearest one, or all there are."""
    choices = list(dict.fromkeys(known))
    near = difflib.get_close_matches(word, choices, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known here: {', '.join(choices)}" if choices else ""


def read_tree(text: str, *, file: str) -> Node:
    """Read one YAML document.

    Raises:
        FlowError: it is not YAML, too long, too deep, or uses what is refused here. Never anything else.
    """
    if len(text.encode("utf-8", "surrogatepass")) > TEXT_MAX_BYTES:
        raise FlowError(f"the file is longer than {TEXT_MAX_BYTES // 1024} KB", file=file, hint="split it")
    try:
        return _Builder(file).build(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        raise FlowError(
            f"not valid YAML: {error.problem or error.context or 'it cannot be read'}",
            file=file,
            line=mark.line + 1 if mark else 1,
            column=mark.column + 1 if mark else 1,
            hint="check indentation, quotes, and that texts with ': ' or '#' stand in quotes",
        ) from error
    except _SCANNER_TROUBLE as error:
        reason = str(error).splitlines()[0] if str(error) else "it cannot be read"
        raise FlowError(f"not valid YAML: {reason}", file=file) from error


class _Builder:
    """Turns the parser's events into a tree; one per document."""

    def __init__(self, file: str) -> None:
        self._file = file

    def build(self, events: Iterable[Any]) -> Node:
        root: Node | None = None
        stream = iter(events)
        for event in stream:
            if isinstance(event, DocumentStartEvent):
                if root is not None:
                    raise self._refuse(event, "a second document begins here", "one file holds one flow")
                root = self._node(next(stream), stream, depth=0)
        if root is None:
            raise FlowError("the file is empty", file=self._file)
        return root

    def _node(self, event: Any, stream: Iterator[Any], depth: int) -> Node:
        self._check(event, depth)
        place = _place(event)
        if isinstance(event, ScalarEvent):
            return Scalar(place, event.value, is_plain=not event.style)
        if isinstance(event, SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(event := next(stream), SequenceEndEvent):
                items.append(self._node(event, stream, depth + 1))
            return Sequence(place, items)
        entries: dict[str, Entry] = {}
        while not isinstance(event := next(stream), MappingEndEvent):
            key = self._node(event, stream, depth + 1)
            if not isinstance(key, Scalar):
                raise self._refuse(event, "a key must be a plain word", "")
            if key.text in entries:
                raise self._refuse(event, f"{key.text!r} stands here twice", "keep one of them")
            entries[key.text] = Entry(key, self._node(next(stream), stream, depth + 1))
        return Mapping(place, entries)

    def _check(self, event: Any, depth: int) -> None:
        if depth > DEPTH_MAX:
            raise self._refuse(event, f"nested more than {DEPTH_MAX} deep", "")
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._refuse(event, "anchors and aliases (& and *) are not used here", "write it out in full")
        if getattr(event, "tag", None) is not None:
            raise self._refuse(event, "tags (!) are not used here", "leave the tag out")
        if not isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent):
            raise self._refuse(event, "a value is missing here", "")

    def _refuse(self, event: Any, reason: str, hint: str) -> FlowError:
        place = _place(event)
        return FlowError(reason, file=self._file, line=place.line, column=place.column, hint=hint)


def _place(event: Any) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1)


Path: TypeAlias = tuple[str, ...]


def places(node: Node, path: Path = ()) -> dict[Path, Place]:
    """Return the place of every key (and list item, by its number) below `node`, by its path from the top."""
    found: dict[Path, Place] = {path: node.place} if not path else {}
    if isinstance(node, Mapping):
        for key, entry in node.entries.items():
            found[(*path, key)] = entry.key.place
            found |= places(entry.value, (*path, key))
    elif isinstance(node, Sequence):
        for number, item in enumerate(node.items):
            found[(*path, str(number))] = item.place
            found |= places(item, (*path, str(number)))
    return found
