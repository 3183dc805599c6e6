"""`aftersale flows check`: every finding about flows, with its place, for their authors and their editors."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Literal, Protocol

from bot.adapters.flow_files import PHRASES_FILE, TESTS_SUFFIX
from bot.adapters.shop_file import read_shop_file
from bot.cli.terminal import counted, remark, say
from bot.desk.shop import Shop
from bot.errors import FlowError, FollowUpError, NotFound
from bot.flows.check import Finding, check_flow
from bot.flows.parse import read_flow
from bot.flows.phrases import read_phrases
from bot.settings import Settings

_SUFFIXES = (".yaml", ".yml")


class Source(Protocol):
    """What a path and a shipped file have in common."""

    @property
    def name(self) -> str:
        """Its name without folders."""

    def read_bytes(self) -> bytes:
        """Give what stands in it."""


@dataclass(slots=True)
class Checked:
    """What came of checking: how many files, and all findings in the order of files and places."""

    files: int = 0
    findings: list[Finding] = field(default_factory=list)

    def count(self, severity: Literal["error", "warning"]) -> int:
        """Tell how many findings are of this severity."""
        return sum(each.severity == severity for each in self.findings)


def check_files(given: Sequence[Path]) -> int:
    """Check flows and print every finding; gives 1 where one of them is an error, else 0.

    Args:
        given: files and folders; none: FLOWS_DIR, or else the shipped library.

    Raises:
        NotFound: one of them is not there, or there is no flow in it.
    """
    settings = Settings.load()
    try:
        shop = read_shop_file(settings.shop_file)
    except FollowUpError as error:
        remark(f"! Languages and touchpoints are not checked: {error}", "yellow")
        shop = None
    checked = check(sources(given, settings.flows_dir), shop)
    for each in checked.findings:
        say(str(each), "red" if each.severity == "error" else "yellow")
    errors, warnings = checked.count("error"), checked.count("warning")
    style = "red" if errors else "green"
    say(f"{counted(checked.files, 'file')}: {counted(errors, 'error')}, {counted(warnings, 'warning')}.", style)
    return 1 if errors else 0


def sources(given: Sequence[Path], folder: Path | None) -> list[tuple[str, Source]]:
    """Give each file with the name to show: of `given`, or else of `folder`, or else of the shipped library.

    Raises:
        NotFound: one of them is not there, or has no flow in it.
    """
    if not given and folder is None:
        shipped = (each for each in files("bot.flows").joinpath("library").iterdir())
        return sorted((each.name, each) for each in shipped if _is_flow(each.name))
    found: list[tuple[str, Source]] = []
    for path in given or [folder or Path()]:
        inside = [path]
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if _is_flow(each.name))
        if not inside or not path.exists():
            reason = "has no flow (.yaml) in it" if path.exists() else "is not there"
            raise NotFound(f"{path} {reason} → name a flow, or a folder of flows")
        found += [(str(each), each) for each in inside]
    return found


def _is_flow(name: str) -> bool:
    return name.endswith(_SUFFIXES) and not name.endswith(TESTS_SUFFIX) and not name.startswith(".")


def check(given: Iterable[tuple[str, Source]], shop: Shop | None) -> Checked:
    """Check files, each by itself, and that no two flows bear one name."""
    checked = Checked()
    first: dict[str, str] = {}
    for name, source in given:
        checked.files += 1
        checked.findings += _findings(name, source, shop, first)
    return checked


def _findings(name: str, source: Source, shop: Shop | None, first: dict[str, str]) -> Iterator[Finding]:
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield Finding("error", f"the file is not UTF-8 (byte {error.start})", name, hint="save it as UTF-8")
        return
    except OSError as error:
        yield Finding("error", f"the file cannot be read: {error.strerror or error}", name)
        return
    if source.name == PHRASES_FILE:
        yield from map(_as_finding, read_phrases(text, name)[1])
        return
    flow, errors = read_flow(text, name)
    yield from map(_as_finding, errors)
    if flow is None:
        return
    languages, touchpoints = (shop.languages, shop.touchpoints) if shop else ((), None)
    yield from check_flow(flow, languages=languages, touchpoints=touchpoints, file=name)
    if first.setdefault(flow.name, name) != name:
        hint = "give one of them another name"
        yield Finding("error", f"the flow {flow.name!r} is in {first[flow.name]} already", name, hint=hint)


def _as_finding(error: FlowError) -> Finding:
    return Finding("error", error.reason, error.file, error.line, error.column, error.hint)
