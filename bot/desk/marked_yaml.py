"""YAML whose every value knows its line and column, read as plain text, so that an admin is told where to look.

Reading and complaining only; what shop.yaml may hold is `bot.desk.shop_yaml`'s. Nothing here raises for what an admin
wrote: problems are collected, so that all of them can be shown at once.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bot.errors import FlowError

Value = TypeVar("Value")

_NULL = "tag:yaml.org,2002:null"


@dataclass(slots=True)
class Complaints:
    """All that is wrong with one file."""

    file: str
    found: list[FlowError] = field(default_factory=list)

    def add(self, place: "Marked", reason: str, hint: str = "") -> None:
        """Note one problem at `place`."""
        self.found.append(FlowError(reason, file=self.file, line=place.line, column=place.column, hint=hint))


@dataclass(frozen=True, slots=True)
class Marked:
    """One value of the file and the key that it stands under."""

    node: Node | None
    complaints: Complaints
    what: str = "the file"

    @property
    def line(self) -> int:
        """Count lines from 1."""
        return self.node.start_mark.line + 1 if self.node is not None else 1

    @property
    def column(self) -> int:
        """Count columns from 1."""
        return self.node.start_mark.column + 1 if self.node is not None else 1

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing (or ``null``) is written there."""
        return self.node is None or (isinstance(self.node, ScalarNode) and self.node.tag == _NULL)

    @property
    def is_list(self) -> bool:
        """Tell whether it is a list."""
        return isinstance(self.node, SequenceNode)

    @property
    def is_mapping(self) -> bool:
        """Tell whether it has keys of its own."""
        return isinstance(self.node, MappingNode)

    def refuse(self, reason: str, hint: str = "") -> None:
        """Note that this value will not do."""
        self.complaints.add(self, reason, hint)

    def suggest(self, word: str, reason: str, known: Iterable[str]) -> None:
        """Note that `word` is not one of `known`, with the nearest of them where one is near, or else all of them."""
        options = list(known)
        near = get_close_matches(word, options, n=1) or get_close_matches(word.lower(), options, n=1)
        if near:
            self.refuse(reason, f"did you mean {near[0]!r}?")
        else:
            self.refuse(reason, f"it can be {', '.join(options)}" if 0 < len(options) <= 20 else "")  # noqa: PLR2004

    def text(self) -> str | None:
        """Read a single value as it is written; None, with a complaint, where it is a list or has keys."""
        if isinstance(self.node, ScalarNode) and not self.is_empty and str(self.node.value).strip():
            return str(self.node.value).strip()
        self.refuse(f"{self.what} needs a value", f"write it as `{self.what}: …`")
        return None

    def items(self) -> Iterator["Marked"]:
        """Go through a list; a single value counts as a list of one, and nothing as an empty one."""
        if isinstance(self.node, SequenceNode):
            yield from (Marked(item, self.complaints, self.what) for item in self.node.value)
        elif not self.is_empty:
            yield self

    def words(self) -> list[tuple["Marked", str]]:
        """Read a list of single values, each with its place."""
        return [(item, word) for item in self.items() if (word := item.text()) is not None]

    def entries(self) -> Iterator[tuple["Marked", str, "Marked"]]:
        """Go through (place of the key, key, value); a key written twice is refused and its repeat left out."""
        if not isinstance(self.node, MappingNode):
            if not self.is_empty:
                self.refuse(
                    f"{self.what} needs keys of its own", f"write `{self.what}:` and below it, indented, `key: value`"
                )
            return
        seen: set[str] = set()
        for key_node, value_node in self.node.value:
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else ""
            place = Marked(key_node, self.complaints, key)
            if not key:
                place.refuse("a key must be a single word")
            elif key in seen:
                place.refuse(f"{key!r} is written twice here", "keep one of the two")
            else:
                seen.add(key)
                yield place, key, Marked(value_node, self.complaints, key)

    def fields(self, *known: str) -> "Fields":
        """Read keys of which only the `known` ones are allowed; an empty value counts as not written."""
        found = Fields()
        for place, key, value in self.entries():
            if key not in known:
                place.suggest(key, f"{self.what} has no setting {key!r}", known)
            elif not value.is_empty:
                found[key] = value
        return found

    def read(self, convert: Callable[[str], Value], default: Value) -> Value:
        """Convert a single value; where `convert` raises ValueError, that is the complaint and `default` is given."""
        text = self.text()
        if text is None:
            return default
        try:
            return convert(text)
        except ValueError as error:
            reason, _, hint = str(error).partition("; ")
            self.refuse(f"{self.what}: {reason}", hint)
            return default


class Fields(dict[str, Marked]):
    """The keys that were written in one section of the file."""

    def value(self, key: str, convert: Callable[[str], Value], default: Value) -> Value:
        """Convert the value of `key`; `default` where it is not written, or refused."""
        return self[key].read(convert, default) if key in self else default

    def section(self, key: str, *known: str) -> "Fields":
        """Read the keys below `key`; none where it is not written."""
        return self[key].fields(*known) if key in self else Fields()


def read_marked(text: str, file: str) -> Marked:
    """Read `text`; where it is not YAML at all, the result is empty and holds the one complaint."""
    complaints = Complaints(file)
    try:
        return Marked(YAML(typ="safe", pure=True).compose(text), complaints)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        reason = f"this is not valid YAML: {error.problem or error.context or 'unreadable'}"
    except (YAMLError, RecursionError) as error:
        line, column, reason = (
            1,
            1,
            f"this is not valid YAML: {str(error).splitlines()[0] if str(error) else 'unreadable'}",
        )
    hint = "look at the indentation, the colons and the quotation marks just before this place"
    complaints.found.append(FlowError(reason, file=file, line=line, column=column, hint=hint))
    return Marked(None, complaints)
