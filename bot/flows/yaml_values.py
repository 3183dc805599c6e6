"""Reading single values out of a YAML tree, noting every error and going on.

What lives here: texts, words, numbers and lengths of time, each with the error that names its place. What must not:
what a flow consists of (`bot.flows.parse`).
"""

import re
from collections.abc import Callable, Collection
from typing import TypeVar

from bot.durations import Duration, parse_duration
from bot.errors import FlowError
from bot.flows.model import Texts
from bot.flows.yaml_tree import Mapping, Node, Place, Scalar, Sequence, did_you_mean

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")

T = TypeVar("T")


class ValueReader:
    """Reads values of one file. What is absent gives None; what is wrong gives None and stands in `errors`.

    Whatever is returned beside an error is for going on with, not for use.
    """

    def __init__(self, file: str) -> None:
        """Read for the file of this name."""
        self._file = file
        self.errors: list[FlowError] = []
        self._misspelt: set[tuple[Place, str]] = set()

    def wrong(self, node: Node, reason: str, hint: str = "") -> None:
        """Note that `node` is wrong, at its place."""
        place = node.place
        self.errors.append(FlowError(reason, file=self._file, line=place.line, column=place.column, hint=hint))

    def mapping(self, node: Node | None, what: str, keys: Collection[str]) -> Mapping | None:
        """Return `node` if it is a mapping, refusing keys that are not known there."""
        if not isinstance(node, Mapping):
            if node is not None:
                self.wrong(node, f"{what} must be a list of 'key: value'", f"keys: {', '.join(keys)}")
            return None
        for entry in node.entries.values():
            if entry.key.text not in keys:
                hint = did_you_mean(entry.key.text, keys)
                self._misspelt |= {(node.place, key) for key in keys if repr(key) in hint}
                self.wrong(entry.key, f"{what} knows no key {entry.key.text!r}", hint)
        return node

    def required(self, mapping: Mapping, key: str, what: str, hint: str) -> Node | None:
        """Return what stands below `key`, noting its absence."""
        found = mapping.get(key)
        if found is None and (mapping.place, key) not in self._misspelt:
            self.wrong(mapping, f"{what} lacks {key!r}", hint)
        return found

    def text(self, node: Node | None, what: str) -> str | None:
        """Read a text that is not empty."""
        if node is None:
            return None
        if not isinstance(node, Scalar) or not node.text.strip():
            self.wrong(node, f"{what} must be a text")
            return None
        return node.text.strip()

    def one_of(self, node: Node | None, what: str, known: Collection[str]) -> str | None:
        """Read one of the `known` words."""
        text = self.text(node, what)
        if node is not None and text is not None and text not in known:
            self.wrong(node, f"{what} cannot be {text!r}", did_you_mean(text, known))
            return None
        return text

    def truth(self, node: Node | None, what: str) -> bool | None:
        """Read `true` or `false`."""
        text = self.one_of(node, what, ("true", "false"))
        return None if text is None else text == "true"

    def duration(self, node: Node | None, what: str) -> Duration | None:
        """Read a length of time."""
        text = self.text(node, what)
        if node is None or text is None:
            return None
        try:
            return parse_duration(text)
        except ValueError as error:
            self.wrong(node, f"{what}: {error}", "for example 2d")
            return None

    def word(self, node: Node | None, what: str) -> str | None:
        """Read a name made of letters, digits, _ and -."""
        text = self.text(node, what)
        if node is not None and text is not None and not _WORD.fullmatch(text):
            self.wrong(
                node,
                f"{what} {text!r} is not a plain word",
                "letters, digits, _ and -; it begins with a letter, at most 64 characters",
            )
            return None
        return text

    def texts(self, node: Node | None, what: str) -> Texts | None:
        """Read a text per language; a plain text is English."""
        if node is None or isinstance(node, Scalar):
            text = self.text(node, what)
            return None if text is None else {"en": text}
        if not isinstance(node, Mapping) or not node.entries:
            self.wrong(node, f"{what} must be a text per language", 'for example { en: "Yes" }')
            return None
        found = {}
        for entry in node.entries.values():
            if not _LANGUAGE.fullmatch(entry.key.text):
                hint = "use codes such as en, da, pt-BR"
                self.wrong(entry.key, f"{entry.key.text!r} is not a language code", hint)
            text = self.text(entry.value, f"{what} in {entry.key.text!r}")
            if text is not None:
                found[entry.key.text] = text
        return found

    def each(self, node: Node, read: Callable[[Node], T | None]) -> list[T]:
        """Read every element of a list, or the one value that stands in its place; what is wrong is left out."""
        nodes = node.items if isinstance(node, Sequence) else [node]
        return [found for one in nodes if (found := read(one)) is not None]
