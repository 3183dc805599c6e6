"""Flows from files: the shipped library, or a folder of the shop's own, looked at again when it changes.

What lives here: reading, and keeping the last good version of each flow in use when its file becomes invalid. What a
flow is, and what is wrong with one, is the core's (`bot.flows`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from bot.errors import ConfigurationError, FlowError
from bot.flows.check import check_flow
from bot.flows.model import Flow, Texts
from bot.flows.parse import read_flow, version_of
from bot.flows.phrases import read_phrases, spoken_by

AFTER_REMEDY_FILE = "after_remedy.yaml"
PHRASES_FILE = "phrases.yaml"
TESTS_SUFFIX = ".tests.yaml"
"""The tests of NAME.yaml stand beside it in NAME.tests.yaml; they are no flows."""

_SUFFIXES = (".yaml", ".yml")


class _Readable(Protocol):
    """What `Path` and a packaged resource have in common."""

    @property
    def name(self) -> str: ...

    def read_bytes(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Typed:
    """A file as somebody has it in their editor: not saved, and yet to be looked at as if it were."""

    name: str
    text: str

    def read_bytes(self) -> bytes:
        """Give what would stand in it."""
        return self.text.encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one file gave: `flow` is the last good version, even when `errors` says that the present text is not."""

    stamp: object
    flow: Flow | None
    errors: tuple[FlowError, ...]


class FlowFiles:
    """The flows in use, by name, from `folder`; from the shipped library where that is None.

    Nothing is read before `load`. What it shows (`flows`, `phrases`, `errors`) is replaced whole, never changed in
    place, so that another thread may go on reading what it has.
    """

    def __init__(self, folder: Path | None = None, instead: Mapping[str, str] = MappingProxyType({})) -> None:
        """Remember where the flows are. `instead`: texts to be taken in the place of what files say, by file name."""
        self._folder = folder
        self.instead = instead
        self._seen: dict[str, _Seen] = {}
        self._stand_ins: dict[str, Flow] = {}
        self._stamps: Mapping[str, object] = {}
        self._shipped_phrases: Mapping[str, Texts] = {}
        self._as_read: Mapping[str, Flow] = {}
        self._shipped_question: Mapping[str, Flow] = {}
        self.asking_after_a_remedy: Mapping[str, Flow] = MappingProxyType({})
        """The shipped flow that stands in where no other begins on a remedy."""
        self.names: Mapping[str, str] = MappingProxyType({})
        """The file of each flow that has one here."""
        self.flows: Mapping[str, Flow] = MappingProxyType({})
        self.phrases: Mapping[str, Texts] = MappingProxyType({})
        self.errors: list[FlowError] = []

    def stand_in(self, flows: Mapping[str, Flow]) -> None:
        """Let versions that were good before the last start serve for files that cannot be read now."""
        self._stand_ins = dict(flows)
        self._read()

    @property
    def folder(self) -> Path | None:
        """Where they are; None: the shipped ones."""
        return self._folder

    def text_of(self, name: str) -> str | None:
        """Give what stands in the file of a flow at this moment; None where it has none, or it cannot be read."""
        if self._folder is None:
            return None
        return _text_of(self._file_of(self._folder, name))[0]

    def _file_of(self, folder: Path, name: str) -> Path:
        """Give the file of a flow; of one that has none, or none that can be read, the one that it would have."""
        return folder / self.names.get(name, f"{name}.yaml")

    def write(self, name: str, text: str) -> Path | None:
        """Let the file of a flow say `text`, whole or not at all; a flow without one gets one. Gives the file.

        None: the flows in use are the shipped ones, which are nobody's to write.

        Raises:
            ConfigurationError: it cannot be written.
        """
        if self._folder is None:
            return None
        file = self._file_of(self._folder, name)
        write_whole(file, text.encode("utf-8"))
        return file

    def load(self) -> None:
        """Read everything. What is wrong with a file stands in `errors`; the other files serve nevertheless.

        Raises:
            ConfigurationError: the folder is not there.
        """
        if self._folder is not None and not self._folder.is_dir():
            raise ConfigurationError(
                "FLOWS_DIR",
                f"there is no folder {str(self._folder)!r}",
                "create it, or leave FLOWS_DIR empty for the shipped flows",
            )
        self._read()

    def reload_if_changed(self) -> list[FlowError]:
        """Look at the folder again; where anything in it changed, read it, and return the errors that now stand.

        Nothing changed gives an empty list; `errors` keeps those that still stand. A folder that has vanished changes
        nothing but `errors`: the last good versions stay in use.
        """
        if self._folder is None:
            return []
        try:
            stamps = _stamps(self._folder)
        except OSError as error:
            gone = FlowError(
                f"the folder cannot be read ({error.strerror or 'gone'}); the last good flows stay in use",
                file=str(self._folder),
            )
            is_new = str(gone) not in map(str, self.errors)
            self.errors = [gone]
            self._stamps = {}
            return [gone] if is_new else []
        if stamps == self._stamps:
            return []
        self._read()
        return list(self.errors)

    def _read(self) -> None:
        shipped = [one for one in files("bot.flows").joinpath("library").iterdir() if _is_ours(one)]
        if not self._shipped_phrases:
            own = next(one for one in shipped if one.name == PHRASES_FILE)
            self._shipped_phrases, wrong = read_phrases(own.read_text("utf-8"), own.name)
            if wrong:
                raise wrong[0]
            self._shipped_question = dict(_asking_after_a_remedy(shipped))
        sources: list[_Readable] = list(shipped)
        if self._folder is not None:
            self._stamps = _stamps(self._folder)
            sources = [self._folder / name for name in self._stamps]
        typed: list[_Readable] = [
            Typed(name, text) for name, text in self.instead.items() if _is_ours(Typed(name, text))
        ]
        sources = [each for each in sources if each.name not in self.instead] + typed
        errors: list[FlowError] = []
        seen: dict[str, _Seen] = {}
        phrases = dict(self._shipped_phrases)
        for source in sorted(sources, key=lambda one: one.name):
            if source.name == PHRASES_FILE:
                own_phrases, wrong = self._phrases_of(source)
                phrases |= own_phrases
                errors += wrong
            else:
                seen[source.name] = self._look_at(source)
                errors += seen[source.name].errors
        self._seen = seen
        found, doubles = self._by_name(seen)
        self._as_read = {name: flow for name, (_, flow) in found.items()}
        self.names = MappingProxyType({name: file for name, (file, _) in found.items()})
        flows = {name: _speaking(flow, phrases) for name, flow in self._as_read.items()}
        if errors:
            flows = {**self._stand_ins, **flows}
        self.asking_after_a_remedy = {name: _speaking(flow, phrases) for name, flow in self._shipped_question.items()}
        if not any(trigger.on == "remedy.done" for flow in flows.values() for trigger in flow.triggers):
            flows = {**self.asking_after_a_remedy, **flows}
        self.flows, self.phrases = MappingProxyType(flows), MappingProxyType(phrases)
        self.errors = [*errors, *doubles]

    def _look_at(self, source: _Readable) -> _Seen:
        before = self._seen.get(source.name)
        stamp = self._stamps.get(source.name)
        if before is not None and stamp is not None and before.stamp == stamp:
            return before
        last_good = before.flow if before is not None else None
        flow, errors = _read_one(source)
        return _Seen(stamp, flow or last_good, tuple(errors))

    def _by_name(self, seen: Mapping[str, _Seen]) -> tuple[dict[str, tuple[str, Flow]], list[FlowError]]:
        """Give each name to one file. Whichever had the name before keeps it; a newcomer is the error."""
        found: dict[str, tuple[str, Flow]] = {}
        errors = []
        newcomers_last = sorted(seen, key=lambda name: (not self._is_in_use(seen[name].flow), name))
        for file in newcomers_last:
            flow = seen[file].flow
            if flow is None:
                continue
            if flow.name in found:
                first = found[flow.name][0]
                reason = f"the flow {flow.name!r} is in {first} already"
                errors.append(FlowError(reason, file=file, hint="give one of them another name"))
            else:
                found[flow.name] = (file, flow)
        return dict(sorted(found.items())), errors

    def _is_in_use(self, flow: Flow | None) -> bool:
        return flow is not None and self._as_read.get(flow.name) is flow

    def _phrases_of(self, source: _Readable) -> tuple[Mapping[str, Texts], list[FlowError]]:
        if self._folder is None and source.name not in self.instead:
            return self._shipped_phrases, []
        text, error = _text_of(source)
        if text is None:
            return {}, [error] if error else []
        own, errors = read_phrases(text, source.name)
        # A sentence that has just become invalid keeps its last good wording.
        kept = {} if not errors else {name: self.phrases[name] for name in self.phrases}
        return {**kept, **own}, errors


def write_whole(file: Path, data: bytes) -> None:
    """Let a file hold `data`, whole or not at all.

    Raises:
        ConfigurationError: it cannot be written.
    """
    file = file.resolve()
    beside = file.with_name(f".{file.name}.new")
    try:
        beside.write_bytes(data)
        if file.exists():
            beside.chmod(file.stat().st_mode)
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        problem = f"the file cannot be written: {error.strerror or error}"
        raise ConfigurationError(str(file), problem, "look at the permissions of file and folder") from error


def _speaking(flow: Flow, phrases: Mapping[str, Texts]) -> Flow:
    """Give a flow with the bot's sentences that it speaks with: they are part of what the customer sees of it."""
    told = replace(flow, phrases=spoken_by(flow, phrases))
    return replace(told, version=version_of(told))


def _asking_after_a_remedy(shipped: Iterable[_Readable]) -> Iterator[tuple[str, Flow]]:
    """Give the shipped flow that asks again after a remedy: without one, no case could ever end (rule 6)."""
    for source in shipped:
        flow = _read_one(source)[0] if source.name == AFTER_REMEDY_FILE else None
        if flow is not None:
            yield flow.name, flow


def _is_ours(one: _Readable) -> bool:
    return one.name.endswith(_SUFFIXES) and not one.name.endswith(TESTS_SUFFIX) and not one.name.startswith(".")


def _stamps(folder: Path) -> dict[str, object]:
    """Return what changes whenever a file of `folder` does."""
    found: dict[str, object] = {}
    for path in sorted(folder.iterdir()):
        if _is_ours(path) and path.is_file():
            stat = path.stat()
            found[path.name] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found


def _text_of(source: _Readable) -> tuple[str | None, FlowError | None]:
    try:
        return source.read_bytes().decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        reason = f"the file is not UTF-8 (byte {error.start})"
        return None, FlowError(reason, file=source.name, hint="save it as UTF-8")
    except OSError as error:
        reason = f"the file cannot be read: {error.strerror or error}"
        return None, FlowError(reason, file=source.name, hint="check its permissions")


def _read_one(source: _Readable) -> tuple[Flow | None, list[FlowError]]:
    text, error = _text_of(source)
    if text is None:
        return None, [error] if error else []
    flow, errors = read_flow(text, source.name)
    if flow is None:
        return None, errors
    wrong = [finding.as_error() for finding in check_flow(flow, file=source.name) if finding.severity == "error"]
    return (None, wrong) if wrong else (flow, [])
