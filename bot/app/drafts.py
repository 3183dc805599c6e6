"""Flows as their files have them, with the tests beside them: what is tried out, and what would be published.

What lives here: what check and tests have against a flow. What must not: printing, and the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bot.adapters.flow_files import PHRASES_FILE, TESTS_SUFFIX, FlowFiles
from bot.app.flow_checks import check, sources
from bot.desk.shop import Shop
from bot.errors import ConfigurationError, NotFound
from bot.flows.model import Flow
from bot.flows.yaml_tree import did_you_mean
from bot.trials.parse import Known, read_trials
from bot.trials.trial import run_trial


@dataclass(frozen=True, slots=True)
class Drafts:
    """The flows of a folder (None: the shipped ones), and the shop that they are tried in."""

    flow_files: FlowFiles
    shop: Shop
    folder: Path | None

    def flow(self, name: str) -> Flow:
        """Give a flow.

        Raises:
            NotFound: there is none of that name; the text says which there are.
        """
        found = self.flow_files.flows.get(name)
        if found is None:
            raise NotFound(f"there is no flow {name!r} → {did_you_mean(name, self.flow_files.flows)}")
        return found

    def test_files(self) -> list[tuple[str, str]]:
        """Give name and text of each file of tests, by name.

        Raises:
            ConfigurationError: one of them is not UTF-8, or cannot be read.
        """
        if self.folder is None:
            found: Sequence[tuple[str, bytes]] = [
                (each.name, each.read_bytes())
                for each in files("bot.flows").joinpath("library").iterdir()
                if each.name.endswith(TESTS_SUFFIX)
            ]
        else:
            found = [(str(each), _bytes_of(each)) for each in self.folder.glob(f"*{TESTS_SUFFIX}")]
        return sorted((name, _decoded(name, data)) for name, data in found)

    def refusals(self, name: str, shop: Shop | None = None) -> list[str]:
        """Say what keeps a flow from being published, each with its place: errors of the check, and tests that fail.

        Args:
            name: of the flow.
            shop: whose languages, touchpoints and teams are checked against; None: they are not.
        """
        try:
            given = sources([], self.folder)
        except NotFound:  # an empty folder: there is nothing to be against
            return []
        checked = check(given, shop)
        concerned = {self.flow_files.names.get(name, name), PHRASES_FILE}
        wrong = [
            str(each)
            for each in checked.findings
            if each.severity == "error" and (Path(each.file).name in concerned or Path(each.file).stem == name)
        ]
        return wrong or self._failed_tests(name)

    def _failed_tests(self, name: str) -> list[str]:
        known = Known(self.shop, self.flow_files.flows, self.flow_files.phrases)
        said: list[str] = []
        for file, text in self.test_files():
            trials, errors = read_trials(text, file, known)
            own = [each for each in trials if each.flow == name]
            if own or Path(file).name == f"{name}{TESTS_SUFFIX}":
                said += [str(each) for each in errors]
            results = [run_trial(each, self.shop, self.flow_files) for each in own]
            said += [
                f"{each.place}: the test {each.trial.name} fails: {each.problem}" for each in results if not each.passed
            ]
        return said


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(str(path), f"the file cannot be read: {error.strerror or error}") from error


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(name, f"is not UTF-8 (byte {error.start})", "save it as UTF-8") from error
