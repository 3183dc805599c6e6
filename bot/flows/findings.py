"""What is found about a flow: one finding, and the list that the checks write into.

What lives here: findings and their places. What must not: what is right and wrong (`bot.flows.check` and its parts).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from bot.errors import FlowError
from bot.flows.model import Flow, Texts
from bot.flows.yaml_tree import Path, Place, places, read_tree

Severity: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a flow. An ``error`` keeps it from being used; a ``warning`` is for its author to weigh."""

    severity: Severity
    message: str
    file: str
    line: int = 1
    column: int = 1
    hint: str = ""

    def __str__(self) -> str:
        """Write it on one line, the place first, so that editors can jump there."""
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: {self.severity}: {self.message}" + (f" → {self.hint}" if self.hint else "")

    def as_error(self) -> FlowError:
        """Return it as the error with which the flow is refused."""
        return FlowError(self.message, file=self.file, line=self.line, column=self.column, hint=self.hint)

    def within(self, text: str) -> list[str]:
        """Return the line of `text` that it is about, and a mark below its place; nothing where there is none."""
        lines = text.splitlines()
        if not 1 <= self.line <= len(lines):
            return []
        shown = "".join(" " if each == "\t" else each for each in lines[self.line - 1])
        return [f"{self.line:>6} │ {shown}", f"{'':>6} │ {' ' * (self.column - 1)}^"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known beside the flow: of the shop (None: not known, and so not checked), and which words sell."""

    languages: Sequence[str] = ()
    touchpoints: Collection[str] | None = None
    teams: Collection[str] | None = None
    links: Collection[str] | None = None
    selling: Texts = field(default_factory=dict)


class Findings:
    """Gathers findings, each at the place of what it is about."""

    def __init__(self, flow: Flow, file: str) -> None:
        """Look up the places in the text of the flow; one made by hand has none."""
        self._file = file
        self.found: list[Finding] = []
        self.places: Mapping[Path, Place] = {}
        if flow.source:
            try:
                self.places = places(read_tree(flow.source, file=file))
            except FlowError:
                self.places = {}

    def note(self, severity: Severity, path: Path, message: str, hint: str = "") -> None:
        """Note a finding at `path`, or at the nearest thing above it that has a place."""
        while path and path not in self.places:
            path = path[:-1]
        place = self.places.get(path, Place())
        self.found.append(Finding(severity, message, self._file, place.line, place.column, hint))

    def error(self, path: Path, message: str, hint: str = "") -> None:
        """Note what keeps the flow from being used."""
        self.note("error", path, message, hint)

    def warning(self, path: Path, message: str, hint: str = "") -> None:
        """Note what its author should weigh."""
        self.note("warning", path, message, hint)

    def in_order(self) -> list[Finding]:
        """Return them in the order of the text."""
        return sorted(self.found, key=lambda one: (one.line, one.column))
