"""Files of flows under somebody's hands: opened, looked at as they are typed, and saved without overwriting anybody.

What is saved is the file that everything else reads. Whoever saves says what they had opened; where the file says
something else by now, theirs is refused, and both texts are still there. What lives here: that, and which files there
are. What must not: the rules of flows, and anything of a page.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bot.adapters.flow_files import PHRASES_FILE, TESTS_SUFFIX, FlowFiles, Typed, write_whole
from bot.adapters.shop_file import default_shop
from bot.app.drafts import Drafts
from bot.app.flow_checks import Source, as_finding, check
from bot.desk.shop import Shop
from bot.errors import ConfigurationError, Conflict, Forbidden, NotFound
from bot.flows.findings import Finding
from bot.flows.model import Flow
from bot.flows.parse import read_flow
from bot.trials.parse import Known, read_trials

LIBRARY = str(files("bot.flows").joinpath("library"))
"""Where the shipped flows are, for whoever wants a copy."""
NOT_THERE = ""
"""The stamp of a file that is not there."""

_BOM = b"\xef\xbb\xbf"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,80}\.ya?ml")


class ChangedMeanwhile(Conflict):
    """The file says something else than what was opened: somebody else saved it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file as it was read: its text with plain line ends, and the `stamp` by which it is known again."""

    name: str
    text: str
    stamp: str


class Workshop:
    """The files of flows of one folder (None: the shipped ones, which are nobody's to write), and the shop."""

    def __init__(self, folder: Path | None, shop: Shop) -> None:
        """Work in `folder`. The shipped flows are tried in the shipped example of a shop, as everywhere."""
        self.folder = folder
        self.shop = shop if folder is not None else default_shop()

    # looking

    def names(self) -> list[str]:
        """Give the files of flows, of tests and of the bot's own sentences."""
        found = files("bot.flows").joinpath("library").iterdir() if self.folder is None else self.folder.iterdir()
        return sorted(each.name for each in found if _NAME.fullmatch(each.name))

    def open(self, name: str) -> Opened:
        """Read a file; one that is not there yet is empty.

        Raises:
            NotFound: that is no name of such a file.
            ConfigurationError: it cannot be read, or is not UTF-8.
        """
        data = self._data(name)
        if data is None:
            return Opened(name, "", NOT_THERE)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ConfigurationError(name, f"is not UTF-8 (byte {error.start})", "save it as UTF-8") from error
        return Opened(name, text.replace("\r\n", "\n"), _stamp(data))

    def stamp(self, name: str) -> str:
        """Tell what the file is known by at this moment."""
        data = self._data(name)
        return NOT_THERE if data is None else _stamp(data)

    def drafts(self, typed: Mapping[str, str] | None = None) -> Drafts:
        """Read all flows; `typed` are texts, by file name, that count in the place of what the files say."""
        found = FlowFiles(self.folder, typed or {})
        found.load()
        return Drafts(found, self.shop, self.folder)

    def findings(self, name: str, text: str, drafts: Drafts) -> list[Finding]:
        """Say what is wrong with a text of that file, in the order of its places. `drafts`: the other files."""
        if name.endswith(TESTS_SUFFIX):
            known = Known(self.shop, drafts.flow_files.flows, drafts.flow_files.phrases)
            return [as_finding(each) for each in read_trials(text, name, known)[1]]
        given: list[tuple[str, Source]] = [(name, Typed(name, text))]
        if name != PHRASES_FILE and self.folder is not None and (self.folder / PHRASES_FILE).exists():
            given.append((PHRASES_FILE, self.folder / PHRASES_FILE))
        taken = {flow: file for flow, file in drafts.flow_files.names.items() if file != name}
        return [each for each in check(given, self.shop, taken).findings if each.file == name]

    # writing

    def save(self, name: str, text: str, seen: str) -> Opened:
        """Let the file say `text`; its line ends and byte order mark stay as they were.

        Args:
            name: of the file.
            text: what it is to say.
            seen: the stamp of what was opened.

        Raises:
            Forbidden: the flows are the shipped ones.
            ChangedMeanwhile: the file says something else by now than what was opened; it stays as it is.
            ConfigurationError: it cannot be written.
        """
        if self.folder is None:
            raise Forbidden("the shipped flows are not edited in place → copy them, and set FLOWS_DIR to the copy")
        before = self._data(name)
        if (NOT_THERE if before is None else _stamp(before)) != seen:
            raise ChangedMeanwhile(f"{name} was changed on disk meanwhile; nothing was saved")
        data = text.encode("utf-8", "replace")
        if before is not None and before.count(b"\r\n") * 2 > before.count(b"\n"):
            data = data.replace(b"\n", b"\r\n")
        if before is not None and before.startswith(_BOM):
            data = _BOM + data
        write_whole(self.folder / name, data)
        return Opened(name, text, _stamp(data))

    def _data(self, name: str) -> bytes | None:
        if not _NAME.fullmatch(name):
            raise NotFound(f"{name!r} is no file of flows → name one that ends in .yaml, without folders")
        file = files("bot.flows").joinpath("library", name) if self.folder is None else self.folder / name
        try:
            return file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(name, f"the file cannot be read: {error.strerror or error}") from error


def flow_in(name: str, text: str) -> Flow | None:
    """Read the flow in a text, if there is one."""
    return None if name.endswith(TESTS_SUFFIX) or name == PHRASES_FILE else read_flow(text, name)[0]


def file_of_tests(file: str) -> str:
    """Give the name of the file of tests that stands beside that of a flow."""
    return f"{file.rsplit('.', maxsplit=1)[0]}{TESTS_SUFFIX}"


def _stamp(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
