"""What `flows check` finds about files of flows, each by itself and together.

What lives here: reading the files and putting the checks together. What must not: printing, and the database.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Literal, Protocol

from bot.adapters.flow_files import PHRASES_FILE, TESTS_SUFFIX
from bot.desk.shop import FALLBACK, Shop
from bot.errors import FlowError, NotFound
from bot.flows.check import Finding, check_flow
from bot.flows.model import Texts
from bot.flows.parse import read_flow
from bot.flows.phrases import read_phrases, untranslated
from bot.flows.render import pick_language
from bot.flows.words import SELLING

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
    """What came of checking: how many files, all findings in the order of files and places, and what was read."""

    files: int = 0
    findings: list[Finding] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    def count(self, severity: Literal["error", "warning"]) -> int:
        """Tell how many findings are of this severity."""
        return sum(each.severity == severity for each in self.findings)


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
    files_given = list(given)
    phrases = _phrases(files_given)
    selling = {**SELLING, **phrases.get("words_of_selling", {})}
    for name, source in files_given:
        checked.files += 1
        checked.findings += _findings(name, source, shop, first, selling, checked.texts)
    own = next((name for name, source in files_given if source.name == PHRASES_FILE), PHRASES_FILE)
    checked.findings += _untranslated(phrases, shop, own)
    return checked


def _untranslated(phrases: Mapping[str, Texts], shop: Shop | None, file: str) -> Iterator[Finding]:
    """Say which of the bot's own sentences a customer of the shop would read in another language."""
    for language in shop.languages if shop else ():
        missing = untranslated(phrases, language)
        if missing:
            shown = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")  # noqa: PLR2004 - enough to begin with
            instead = pick_language(phrases[missing[0]], [language])
            number = f"{len(missing)} sentence" + ("s" if len(missing) > 1 else "")
            message = (
                f"{number} of the bot's own ({shown}) not in {language!r}: "
                f"who reads {language!r} gets them in {instead!r}"
            )
            yield Finding("warning", message, file, hint=f"add {language}: … to a {PHRASES_FILE} in FLOWS_DIR")


def _phrases(given: Iterable[tuple[str, Source]]) -> Mapping[str, Texts]:
    """Give the bot's own sentences as they would be in use: the shipped, and what a phrases.yaml says instead."""
    found = dict(_phrases_in(files("bot.flows").joinpath("library", PHRASES_FILE)))
    for _, source in given:
        if source.name == PHRASES_FILE:
            found |= _phrases_in(source)
    return found


def _phrases_in(source: Source) -> Mapping[str, Texts]:
    try:
        return read_phrases(source.read_bytes().decode("utf-8-sig"), source.name)[0]
    except (OSError, UnicodeDecodeError):
        return {}


def _findings(
    name: str, source: Source, shop: Shop | None, first: dict[str, str], selling: Texts, texts: dict[str, str]
) -> Iterator[Finding]:
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield Finding("error", f"the file is not UTF-8 (byte {error.start})", name, hint="save it as UTF-8")
        return
    except OSError as error:
        yield Finding("error", f"the file cannot be read: {error.strerror or error}", name)
        return
    texts[name] = text
    if source.name == PHRASES_FILE:
        yield from map(_as_finding, read_phrases(text, name)[1])
        return
    flow, errors = read_flow(text, name)
    yield from map(_as_finding, errors)
    if flow is None:
        return
    if shop is None:
        yield from check_flow(flow, selling=selling, file=name)
    else:
        links = {"review": shop.review_link, "referral": shop.referral_link}
        yield from check_flow(
            flow,
            languages=shop.languages,
            touchpoints=shop.touchpoints,
            teams=(*shop.teams, FALLBACK),
            links=[each for each, link in links.items() if link],
            selling=selling,
            file=name,
        )
    if first.setdefault(flow.name, name) != name:
        hint = "give one of them another name"
        yield Finding("error", f"the flow {flow.name!r} is in {first[flow.name]} already", name, hint=hint)


def _as_finding(error: FlowError) -> Finding:
    return Finding("error", error.reason, error.file, error.line, error.column, error.hint)
